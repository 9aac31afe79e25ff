"""Hypothesis profiles, and the folder of the real data."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

import fastcnn as fc

# Fast and the same on every run. `--hypothesis-profile=thorough` looks at new cases, many more of them; `quick` is for
# builds that run slowly, such as those with sanitizers.
settings.register_profile("fastcnn", max_examples=60, derandomize=True, deadline=None, database=None)
settings.register_profile("quick", max_examples=10, derandomize=True, deadline=None, database=None)
settings.register_profile("thorough", max_examples=500, deadline=None, database=None, print_blob=True)
settings.load_profile("fastcnn")


@pytest.fixture(scope="session", autouse=True)
def children_hear_all_signals():
    """Where the tests were started to ignore a signal (`nohup`, `&` in a script), their children don't inherit that.

    The tests themselves go on to ignore it: only what is ignored by the system is handed down, what Python ignores not.
    """
    ignored = [
        number
        for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGCHLD}  # the first is Python's own doing
        if signal.getsignal(number) == signal.SIG_IGN
    ]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def ctrl_c(children_hear_all_signals):
    """Python's own handler of Ctrl-C, whatever the tests were started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def data_dir():
    """The folder that holds `mnist/` and `gorgonia_trace/`, named by FASTCNN_DATA_DIR; skips without it."""
    folder = os.environ.get("FASTCNN_DATA_DIR")
    if not folder:
        pytest.skip("FASTCNN_DATA_DIR is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def trained_file(tmp_path_factory):
    """The file of a network that learnt the sample's digits in a few seconds."""
    from fastcnn import recipes
    from fastcnn.data import ImageSamples, load_dataset

    settings = recipes.recipe("fast", epochs=4)
    digits = load_dataset("sample")
    form = settings.dtype, settings.scaling, settings.targets
    samples = ImageSamples(digits.train_images, digits.train_labels, *form)
    trainer = fc.Trainer(*recipes.build(settings), batch_size=settings.batch_size)
    trainer.schedule = recipes.schedule_of(settings, len(samples))
    trainer.fit(samples, epochs=settings.epochs)
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    fc.save(trainer.model, path, {"scaling": settings.scaling, "style": "mnist", "targets": settings.targets})
    return path


@pytest.fixture(scope="session")
def trained(trained_file):
    """That network, as predict uses it."""
    from fastcnn.classifier import load_classifier

    return load_classifier(trained_file)
