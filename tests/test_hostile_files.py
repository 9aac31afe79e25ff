"""Model files from elsewhere: whatever is wrong with them is one DataError of one line, and costs next to nothing."""

import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from hostile_files import CHAIN, DAG, GOOD, HOSTILE, LINEAR, RELU, WEIGHTS, brackets, chain_of, deep, file_of, padded

import fastcnn as fc
from fastcnn.serialize import load, read_model_file, save


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("content", [file_of(), file_of(DAG), chain_of(LINEAR, input_shape=None)])
def test_the_files_that_the_hostile_ones_are_made_of_are_good(path, content):
    path.write_bytes(content)
    assert load(path)(np.ones((5, 3), np.float32)).shape == (5, 2)


def refusal(path, **how):
    """The one line that says why a file is refused, and the most bytes that took at one time."""
    tracemalloc.start()
    try:
        with pytest.raises(fc.DataError) as caught:
            read_model_file(path, **how)
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("content", "says"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_in_one_line_and_takes_little_memory(path, content, says):
    path.write_bytes(content)
    message, peak = refusal(path)
    assert says in message and repr(str(path)) in message
    assert "\n" not in message and len(message) < 700 + len(str(path))
    assert peak < 2**20 + 50 * len(content)


@pytest.mark.parametrize("make", [lambda: file_of(), lambda: file_of(DAG)])
def test_a_file_cut_anywhere_is_refused(path, make):
    content = make()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(fc.DataError, match="damaged or no safetensors file"):
            load(path)


def test_a_file_with_any_bit_turned_is_refused_or_whole(path):
    """No bit makes it crash, hang, or raise anything else."""
    content = file_of(DAG)
    refused = 0
    for position in range(len(content)):
        turned = bytes([content[position] ^ (1 << position % 7)])
        path.write_bytes(content[:position] + turned + content[position + 1 :])
        try:
            load(path)
        except fc.DataError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 0.7 * (len(content) - 32)  # spaces, digits of the seed and the weights may pass


@pytest.mark.parametrize(("depth", "goes"), [(31, True), (32, False)])
def test_layers_may_be_32_deep(path, depth, goes):
    """The innermost is one deeper than the chains around it."""
    path.write_bytes(deep(depth, RELU, {}))
    if goes:
        assert load(path)(np.ones((1, 3), np.float32)).shape == (1, 3)
    else:
        assert "at most 32 deep, got more" in refusal(path)[0]
    model = fc.ReLU()
    for _ in range(depth):
        model = fc.Sequential(model)
    if goes:
        save(model, path)
        load(path)
    else:
        with pytest.raises(fc.ConfigError, match="at most 32 deep, got more"):
            save(model, path)


class Nested(fc.Layer):
    def __init__(self, lists):
        self.lists = lists

    def forward(self, x, training=None):
        return x, lambda dy: dy


@pytest.mark.parametrize(("depth", "goes"), [(33, True), (34, False)])
def test_settings_may_be_32_lists_deep_beside_the_outermost(path, depth, goes):
    path.write_bytes(chain_of({"type": "Nested", "name": None, "config": {"lists": brackets(depth)}}, weights={}))
    if goes:
        assert load(path, {"Nested": Nested})
    else:
        assert "settings at most 32 deep, got more" in refusal(path, layers={"Nested": Nested})[0]


def test_a_model_that_takes_much_memory_is_loaded_if_the_caller_says_so(path):
    path.write_bytes(padded([2**20, 200], input_shape=[1, 1, 1]))
    needed = int(refusal(path)[0].split(" bytes")[0].split()[-1])
    assert needed > 2 * 4 * 401 * 2**21
    for allowed in (needed, None):
        assert load(path, memory_limit=allowed)
        assert read_model_file(path, memory_limit=allowed)
    for allowed in (needed - 1, 1):
        with pytest.raises(fc.DataError, match=f"more than the {allowed} that are allowed"):
            load(path, memory_limit=allowed)
    for wrong in (0, -1, 1.5, "1 GB"):
        with pytest.raises(fc.ConfigError, match="memory_limit must be a whole number"):
            load(path, memory_limit=wrong)


def test_thousands_of_states_take_seconds(path):
    states = {f"optimizer/{n}": np.full(1, n, np.float32) for n in range(2**14 - 2)}
    path.write_bytes(file_of(weights=WEIGHTS | states))
    start = time.process_time()
    assert len(read_model_file(path).arrays) == len(states)
    assert time.process_time() - start < 5


def test_a_good_file_takes_the_memory_of_its_model_and_little_more(path):
    """Values and gradients; and the array that is being read, twice."""
    model = fc.Sequential(fc.Linear(1000, 1000), fc.Linear(1000, 500))
    save(model, path)
    tracemalloc.start()
    load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * model.arena.data.nbytes + 2 * model.layers[0].weight.data.nbytes + 2**20


@pytest.mark.parametrize(
    "model",
    [
        CHAIN | {"layers": [RELU] * 4000},
        DAG
        | {
            "nodes": [
                {"layer": {"type": "Add", "name": None, "config": {}}, "inputs": [number, number]}
                for number in range(4000)
            ],
            "outputs": 4000,
        },
    ],
    ids=["chain", "graph"],
)
def test_thousands_of_layers_take_seconds(path, model):
    """About one for either, most of it spent on shapes."""
    path.write_bytes(file_of(model, weights={}))
    start = time.process_time()
    assert len(load(path).layers) == 4000
    assert time.process_time() - start < 10


class Scale(fc.Layer):
    def __init__(self, features):
        self.factor = fc.Parameter((features,))


def test_layers_must_be_classes_of_layers(path):
    path.write_bytes(GOOD)
    for layers in ({"Scale": Scale(3)}, {"Scale": int}, {3: Scale}):
        with pytest.raises(fc.ConfigError, match="layers must map names to classes of layers"):
            load(path, layers)
    for layers in ([], [fc.ReLU], fc.ReLU):
        with pytest.raises(fc.ConfigError, match="layers must be a dict of names and classes of layers"):
            load(path, layers)
    with pytest.raises(fc.ConfigError, match="'Linear' is the name of a layer of fastcnn's own"):
        load(path, {"Linear": Scale})


def test_what_a_constructor_of_ones_own_raises_is_a_refusal_too(path):
    path.write_bytes(chain_of({"type": "Scale", "name": None, "config": {"features": "many"}}))
    message, _ = refusal(path, layers={"Scale": Scale})
    assert "Scale can't be made as the file has it" in message


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_loading_imports_nothing_and_leaves_no_large_arrays(tmp_path):
    """In a process of its own, which may not grow by more than 64 MiB whatever files it is given."""
    for number, (content, _) in enumerate(HOSTILE.values()):
        (tmp_path / f"{number}").write_bytes(content)
    (tmp_path / "good").write_bytes(GOOD)
    script = """
import os, resource, sys
import fastcnn as fc
fc.load("good")
before = set(sys.modules)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * os.sysconf("SC_PAGESIZE") + 2**26
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for name in sorted(os.listdir(".")):
    try:
        fc.load(name)
    except fc.DataError:
        continue
    assert name == "good", name
print(*set(sys.modules) - before)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
