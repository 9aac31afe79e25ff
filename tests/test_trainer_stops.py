"""Trainer: a stop anywhere, by a signal or a callback, changes no bit of what comes out in the end."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import pytest
from support import use_threads
from tiny_training import Diary, Does, tiny_arrays, tiny_trainer, untimed

import fastcnn as fc
from fastcnn.trainer import Callback, Progress, Trainer
from fastcnn.training import NonFiniteError

pytestmark = pytest.mark.usefixtures("ctrl_c")


class Interrupted(BaseException):
    pass


@contextmanager
def interrupted_at(monkeypatch, place):
    """Raise at the place of that number, from 0, where the trainer lets signals land."""
    places = iter(range(place + 1))

    def land():
        if next(places) == place:
            raise Interrupted

    @contextmanager
    def deferred():
        yield land

    with monkeypatch.context() as patch:
        patch.setattr("fastcnn.trainer.deferred", deferred)
        yield


class AnewEachTime:
    """Batches of several sizes, read one by one from who knows where."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __iter__(self):
        for start, stop in ((0, 3), (3, 12), (12, 13), (13, 25)):
            yield self.x[start:stop], self.y[start:stop]


def adam(parameters):
    return fc.optim.Adam(parameters, 0.01)


def momentum(parameters):
    return fc.SGD(parameters, 0.05, momentum=0.9)


OPTIMIZERS = {"rmsprop": fc.RMSprop, "momentum": momentum, "adam": adam}
EPOCHS = 2


def run_with(optimizer, shuffle, reduction="mean"):
    layers = fc.Conv2d(1, 3, 3), fc.ReLU(), fc.MaxPool2d(2), fc.Flatten(), fc.Dropout(0.3), fc.Linear(3, 10)
    model = fc.Sequential(*layers, input_shape=(1, 4, 4), seed=5)
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    return Trainer(model, fc.CrossEntropyLoss(reduction), optimizer, batch_size=10, shuffle=shuffle)


def carried_over(trainer, fresh):
    """A fresh trainer in the place of the other, by way of what a file can hold."""
    fresh.model.load_state_dict(trainer.model.state_dict())
    fresh.optimizer.load_state_dict(trainer.optimizer.state_dict())
    fresh.progress = Progress.of(json.loads(json.dumps(asdict(trainer.progress))))
    return fresh


def outcome(trainer):
    state = {name: array.tobytes() for name, array in trainer.optimizer.state_dict().items()}
    return trainer.model.arena.data.tobytes(), state, trainer.progress


@pytest.fixture
def one_thread():
    with use_threads(1):  # many small runs: faster so
        yield


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("data", ["shuffled", "in order", "summed", "batches"])
def test_a_run_stopped_at_any_place_comes_to_the_same_bits(monkeypatch, one_thread, data, optimizer):
    monkeypatch.setattr("fastcnn.judge.EVALUATION_BATCH", 9)  # so that an evaluation has several places
    x, y = tiny_arrays(25)
    x = x.reshape(-1, 1, 4, 4).astype(np.float32)
    given = (AnewEachTime(x, y),) if data == "batches" else (x, y)
    validation = AnewEachTime(x, y) if data == "batches" else (x[:20], y[:20])

    def new():
        return run_with(optimizer, data == "shuffled", "sum" if data == "summed" else "mean")

    undisturbed = new()
    expected = untimed(undisturbed.fit(*given, epochs=EPOCHS, validation=validation))
    place, finished = 0, False
    while not finished:
        trainer = new()
        try:
            with interrupted_at(monkeypatch, place):
                trainer.fit(*given, epochs=EPOCHS, validation=validation)
            finished = True
        except Interrupted:
            place += 1
        done = trainer.progress.epoch
        resumed = carried_over(trainer, new())
        if done < EPOCHS:
            resumed.fit(*given, epochs=EPOCHS - done, validation=validation)
        assert untimed(trainer.history + resumed.history) == expected
        assert outcome(resumed) == outcome(undisturbed)
    batches, evaluations = (4, 4) if data == "batches" else (3, 3 + 3)
    assert place == EPOCHS * (1 + batches + 1 + evaluations)


def test_a_run_stopped_after_every_single_step_comes_to_the_same_bits_on_any_threads():
    class Stops(Callback):
        def on_batch(self, trainer, metrics):
            trainer.should_stop = True

    x, y = tiny_arrays(25)
    x = x.reshape(-1, 1, 4, 4).astype(np.float32)
    undisturbed = run_with("rmsprop", shuffle=True)
    expected = untimed(undisturbed.fit(x, y, epochs=EPOCHS, validation=(x, y)))
    trainer, history, processes = run_with("rmsprop", shuffle=True), [], 0
    while trainer.progress.epoch < EPOCHS:
        trainer = carried_over(trainer, run_with("rmsprop", shuffle=True))
        trainer.callbacks = [Stops()]
        with use_threads(1 + processes % 3):
            history += trainer.fit(x, y, epochs=EPOCHS - trainer.progress.epoch, validation=(x, y))
        processes += 1
    assert processes == EPOCHS * 3 + 1
    assert untimed(history) == expected
    assert outcome(trainer) == outcome(undisturbed)


RUN = """if True:
    import hashlib, json, signal, sys, time
    from dataclasses import asdict
    from pathlib import Path
    import numpy as np
    import fastcnn as fc
    from fastcnn.layers.layer import Layer
    from fastcnn.trainer import Progress, Trainer

    class Slow(Layer):
        def forward(self, x, training):
            if training:
                global within
                within += 1
                time.sleep(0.004)
                y = x.copy()            # an interrupt would land about here
                within -= 1
                return y, lambda dy: dy
            return x, None

    within = 0
    folder = Path(sys.argv[1])
    rng = np.random.default_rng(0)
    x, y = rng.random((90, 12)), rng.integers(0, 3, 90)
    model = fc.Sequential(Slow(), fc.Dropout(0.2), fc.Linear(12, 3), dtype="float64", seed=3)
    trainer = Trainer(model, fc.CrossEntropyLoss(), fc.RMSprop(model.parameters()), batch_size=4)
    if (folder / "progress.json").exists():
        progress, metrics = json.loads((folder / "progress.json").read_text())
        state = dict(np.load(folder / "state.npz"))
        trainer.progress = Progress.of(progress)
        trainer.optimizer.load_state_dict({k[1:]: v for k, v in state.items() if k[0] == "o"})
        model.load_state_dict({k[1:]: v for k, v in state.items() if k[0] == "m"})
    else:
        metrics = []
    code = 0
    try:
        print("ready", flush=True)
        if trainer.progress.epoch < 8:      # a Ctrl-C after the very last step ends a run that is complete
            trainer.fit(x, y, epochs=8 - trainer.progress.epoch, validation=(x, y))
    except KeyboardInterrupt:
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert within == 0 and trainer.progress.steps == trainer.optimizer.steps
    metrics += [[m.cost, m.moving_loss, m.test_accuracy, m.test_cost] for m in trainer.history]
    state = {"m" + k: v for k, v in model.state_dict().items()}
    np.savez(folder / "state.npz", **state, **{"o" + k: v for k, v in trainer.optimizer.state_dict().items()})
    (folder / "progress.json").write_text(json.dumps([asdict(trainer.progress), metrics]))
    print(hashlib.sha256(model.arena.data.tobytes()).hexdigest(), json.dumps(metrics))
    sys.exit(code)
"""


def run(folder, after=None):
    folder.mkdir(exist_ok=True)
    child = subprocess.Popen([sys.executable, "-c", RUN, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    if after is not None:
        time.sleep(after)
        child.send_signal(signal.SIGINT)
    output = child.communicate(timeout=60)[0]
    return child.returncode, output


def test_real_interrupts_of_real_processes_change_nothing_either(tmp_path):
    code, expected = run(tmp_path / "undisturbed")
    assert code == 0
    interrupted = 0
    for after in (0.05, 0.11, 0.17, 0.23, 0.08, 0.01):
        code, output = run(tmp_path / "disturbed", after)
        assert code in (0, 130)
        interrupted += code == 130
        if code == 0:
            break
    if code:
        code, output = run(tmp_path / "disturbed")
    assert (code, output) == (0, expected)
    assert interrupted >= 3


# ---- signals ---------------------------------------------------------------------------------------------------------


class Signals(fc.Layer):
    """Sends Ctrl-C to its own process in the middle of a forward."""

    def __init__(self, when, again_after=None):
        self.when, self.again_after = when, again_after
        self.calls = 0
        self.whole = 0

    def forward(self, x, training):
        if training or self.when == "evaluation":
            self.calls += 1
            if self.calls == 2:
                signal.raise_signal(signal.SIGINT)
                if self.again_after is not None:
                    time.sleep(self.again_after)
                    signal.raise_signal(signal.SIGINT)
            self.whole += 1
        return x, lambda dy: dy


def with_signals(layer):
    model = fc.Sequential(layer, fc.Linear(16, 10), dtype="float64")
    return Trainer(model, fc.CrossEntropyLoss(), fc.RMSprop(model.parameters()), batch_size=10)


@pytest.mark.parametrize("again_after", [None, 0.0])
def test_a_ctrl_c_in_a_step_waits_for_its_end(again_after):
    layer = Signals("step", again_after)
    diary = Diary()
    trainer = with_signals(layer)
    trainer.callbacks = [diary]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*tiny_arrays(40))
    assert layer.whole == layer.calls == 2
    assert trainer.progress.steps == trainer.optimizer.steps == trainer.progress.batch == 2
    assert not trainer.in_step
    assert diary.calls == ["start", "batch 1", "batch 2", "end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_in_an_evaluation_waits_for_the_end_of_the_batch(monkeypatch):
    monkeypatch.setattr("fastcnn.judge.EVALUATION_BATCH", 9)
    layer = Signals("evaluation")
    trainer = with_signals(layer)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*tiny_arrays(10))
    assert layer.whole == layer.calls == 2  # a step, and the first of two batches of the evaluation
    assert (trainer.progress.epoch, trainer.progress.batch) == (0, 1)


def test_a_second_ctrl_c_lands_at_once():
    layer = Signals("step", again_after=0.25)
    trainer = with_signals(layer)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*tiny_arrays(40))
    assert (layer.calls, layer.whole) == (2, 1)
    assert trainer.progress.batch == trainer.optimizer.steps == 1  # this one only because no update had begun
    assert trainer.in_step
    trainer.fit(*tiny_arrays(40))
    assert not trainer.in_step


def stopped_after_two_steps():
    trainer = tiny_trainer([Does(lambda trainer: setattr(trainer, "should_stop", True), batch=2)])
    trainer.fit(*tiny_arrays(25))
    return trainer


def test_a_progress_of_another_run_is_refused():
    trainer = stopped_after_two_steps()
    fresh = tiny_trainer()
    fresh.progress = trainer.progress
    with pytest.raises(fc.ConfigError, match="that of step 2, but the optimizer has taken 0"):
        fresh.fit(*tiny_arrays(25))
    ahead = carried_over(trainer, tiny_trainer())
    ahead.optimizer.steps = 3  # of a later checkpoint than the progress
    with pytest.raises(fc.ConfigError, match="that of step 2, but the optimizer has taken 3"):
        ahead.fit(*tiny_arrays(25))
    with pytest.raises(fc.ConfigError, match=r"20 samples in 2 batches.* batches of 7 out of 25"):
        carried_over(trainer, tiny_trainer(batch_size=7)).fit(*tiny_arrays(25))
    with pytest.raises(fc.ConfigError, match=r"20 samples in 2 batches.* out of 15"):
        carried_over(trainer, tiny_trainer()).fit(*tiny_arrays(15))
    with pytest.raises(fc.DataError, match="the 2 batches of epoch 1 that are done, got fewer"):
        carried_over(trainer, tiny_trainer()).fit([tiny_arrays(25)])


def test_after_a_cost_that_is_no_number_no_step_is_under_way():
    """Nothing was updated, so what there is fits together, and may be kept as a checkpoint."""
    trainer = tiny_trainer([Does(lambda trainer: trainer.model.parameters()[0].data.__setitem__(0, np.nan))])
    with pytest.raises(NonFiniteError):
        trainer.fit(*tiny_arrays(25))
    assert not trainer.in_step and trainer.progress.steps == trainer.optimizer.steps == 1
