"""Model files: back to the bit, equal for equal models, none that could not be loaded again; and their paths."""

import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save as safetensors

import fastcnn as fc
from fastcnn.serialize import load, read_model_file, save, write_model_file


class Scale(fc.Layer):
    def __init__(self, features, start=1.0):
        self.features, self.start = features, start
        self.factor = fc.Parameter((features,), lambda shape, generator, dtype: np.full(shape, start, dtype))

    def forward(self, x, training):
        def backward(dy):
            self.factor.grad = (dy * x).sum(axis=0)
            return dy * self.factor.data

        return x * self.factor.data, backward


class Twice(fc.Layer):
    """Holds a layer that is an argument, and one that it makes itself."""

    def __init__(self, inner, sizes):
        self.inner, self.sizes = inner, sizes
        self.own = fc.Linear(*sizes)

    def output_shape(self, input_shape):
        return self.own.output_shape(self.inner.output_shape(input_shape))

    def forward(self, x, training):
        y, back = self.inner.forward(x, training)
        z, own_back = self.own.forward(y, training)
        return z, lambda dz: back(own_back(dz))


def chain(dtype="float32"):
    inner = fc.Sequential(fc.Linear(18, 7, bias=False, name="narrow"), fc.ReLU(), name="block")
    return fc.Sequential(
        fc.Conv2d(1, 2, (3, 2), stride=(2, 1), padding=(1, 0), dilation=1, algorithm="im2col"),
        fc.ReLU(name="first"), fc.MaxPool2d(2, stride=1), fc.Flatten(), fc.Dropout(0.25), inner, fc.Linear(7, 3),
        input_shape=(1, 8, 5), dtype=dtype, seed=5, name="every kind",
    )  # fmt: skip


def graph(dtype="float64"):
    x = fc.Input(2, 6, 6)
    stem = fc.Conv2d(2, 4, 3, padding=1, name="stem")(x)
    joined = fc.Add()(stem, fc.Sequential(fc.ReLU(), fc.Conv2d(4, 4, 1))(stem))
    wide = fc.Flatten()(fc.Concat()(joined, x))
    outputs = [fc.Linear(216, 3, name="class")(wide), fc.Linear(216, 1, name="size")(wide)]
    return fc.Graph(x, outputs, dtype=dtype, seed=9, name="two heads")


def custom(dtype="float32"):
    return fc.Sequential(fc.Linear(4, 3), Scale(3, start=2.5), Twice(Scale(3), (3, 2)), dtype=dtype)


CUSTOM = {"Scale": Scale, "Twice": Twice}
MODELS = {
    "chain": chain,
    "chain64": lambda: chain("float64"),
    "graph": graph,
    "custom": custom,
    "gorgonia": fc.models.gorgonia,
    "mxnet-scratch": fc.models.mxnet_scratch,
    "lenet5": fc.models.lenet5,
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# ---- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_model_comes_back_to_the_bit(path, make):
    model = make()
    model.arena.data[:] = np.random.default_rng(0).normal(size=model.arena.size)
    model.arena.data[:3] = np.nan, np.inf, -0.0
    save(model, path)
    again = load(path, layers=CUSTOM)
    assert again.arena.data.tobytes() == model.arena.data.tobytes()
    assert [name for name, _ in again.named_parameters()] == [name for name, _ in model.named_parameters()]
    assert repr(again) == repr(model)
    for attribute in ("name", "dtype", "seed", "input_shape", "sources", "outputs", "several"):
        assert getattr(again, attribute) == getattr(model, attribute)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_what_comes_back_computes_and_trains_to_the_same_bits(path, make):
    model = make()
    save(model, path)
    again = load(path, layers=CUSTOM)
    x = np.random.default_rng(0).normal(size=(3, *(model.input_shape or (4,)))).astype(model.dtype)
    results = []
    for either in (model, again):
        y, backward = either.forward(x, fc.Training(either.seed, step=3))
        dx = backward(y)
        arrays = [*(y if isinstance(y, tuple) else [y]), dx, either.arena.grad, either.name]
        results.append([array if isinstance(array, str | None) else array.tobytes() for array in arrays])
    assert results[0] == results[1]


def test_equal_models_are_equal_files(path, tmp_path):
    for _ in range(3):
        save(graph(), path, {"b": 1, "a": [2.5, None]})
        save(graph(), tmp_path / "other", {"a": [2.5, None], "b": 1})
        assert path.read_bytes() == (tmp_path / "other").read_bytes()


def test_what_was_loaded_saves_to_the_same_file(path, tmp_path):
    save(custom(), path)
    save(load(path, CUSTOM), tmp_path / "again")
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_any_reader_of_safetensors_finds_the_weights(path):
    model = chain()
    save(model, path)
    found = tensors_of(path.read_bytes())
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in model.state_dict().items()
    }


def test_arrays_and_metadata_lie_beside_the_model(path):
    model, metadata = chain(), {"scaling": "unit", "progress": {"epoch": 3, "cost": 0.1}, "none": None}
    arrays = {"steps": np.array(7), "average": np.arange(6, dtype=np.float32).reshape(2, 3).T, "x/y": np.zeros(0)}
    write_model_file(path, model, arrays, metadata)
    file = read_model_file(path)
    assert file.metadata == metadata
    assert file.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(file.arrays[name], array, strict=True)
    assert file.model.arena.data.tobytes() == load(path).arena.data.tobytes() == model.arena.data.tobytes()


def test_the_optimizer_s_state_goes_through_a_file(path):
    model = fc.Sequential(fc.Linear(3, 2))
    optimizer = fc.RMSprop(model.parameters())
    fc.train_step(model, fc.CrossEntropyLoss(), optimizer, np.eye(3, dtype=np.float32), np.array([0, 1, 1]))
    write_model_file(path, model, optimizer.state_dict(), {})
    file = read_model_file(path)
    other = fc.RMSprop(file.model.parameters())
    other.load_state_dict(file.arrays)
    assert other.steps == 1
    assert other.state_dict().keys() == optimizer.state_dict().keys()


def test_a_class_of_ones_own_named_in_layers_is_all_that_it_takes(path):
    save(custom(), path)
    with pytest.raises(fc.DataError, match=r"layer of type 'Scale', .* pass layers=\{'Scale': its class\}"):
        load(path)


# ---- what can't be saved ---------------------------------------------------------------------------------------------


class Forgetful(fc.Layer):
    def __init__(self, features):
        self.weight = fc.Parameter((features,))

    def forward(self, x, training):
        return x, lambda dy: dy


class Liar(Scale):
    def config(self):
        return {"features": self.features + 1}


class Holder(fc.Layer):
    def __init__(self, value):
        self.value = value


def same_name():
    return type("Scale", (Scale,), {})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: fc.Linear(3, 2), "expected a model, got Linear; put layers into a Sequential"),
        (lambda: fc.Sequential(Forgetful(3)), "keep the argument 'features' as self.features, or write config()"),
        (lambda: fc.Sequential(Liar(3)), "other parameters"),
        (lambda: fc.Sequential(Scale(3), same_name()(3)), "two classes called Scale"),
        (lambda: fc.Sequential(type("ReLU", (fc.ReLU,), {})()), "fastcnn has a layer called ReLU already"),
        (lambda: fc.Sequential(Holder(np.zeros(3))), "Holder 'holder1': value is ndarray"),
        (lambda: fc.Sequential(Holder(float("inf"))), "value is float inf, which a file can't keep"),
        (lambda: fc.Sequential(Holder({"type": "x"})), "value is dict"),
        (lambda: fc.Sequential(Holder({1: 2})), "value is dict"),
        (lambda: fc.Sequential(Holder({3})), "value is set"),
        (lambda: fc.Sequential(fc.Linear(2, 2, name="optimizer/a")), "a parameter is called 'optimizer/a.weight'"),
        (lambda: fc.Sequential(fc.Linear(2, 2, name="\udc80")), "safetensors can't hold that"),
        (lambda: fc.Sequential(fc.ReLU(name="x" * 201)), "names of at most 200 characters"),
        (
            lambda: fc.Sequential(
                fc.Sequential(fc.Linear(2, 2, name="b.c"), name="a"),
                fc.Sequential(fc.Linear(2, 2, name="c"), name="a.b"),
            ),
            "two parameters are called 'a.b.c.bias'",
        ),
        (lambda: nested(40), "at most 32 deep"),
        (lambda: fc.Sequential(Holder(brackets(600))), "Holder 'holder1': value: expected lists and dicts at most 32"),
        (lambda: fc.Sequential(wrapped(40)), "expected layers at most 32 deep"),
    ],
)
def test_a_model_that_could_not_be_loaded_is_not_saved(path, make, says):
    with pytest.raises(fc.ConfigError) as caught:
        save(make(), path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(path.parent.iterdir())


def nested(depth):
    model = fc.Sequential(fc.ReLU())
    for _ in range(depth - 2):
        model = fc.Sequential(model)
    return model


def brackets(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def wrapped(depth):
    layer = fc.ReLU()
    for _ in range(depth - 1):
        layer = Holder([layer])
    return layer


def test_settings_from_numpy_are_kept_as_numbers(path):
    save(fc.Sequential(Holder([np.float32(0.5), np.int64(3), np.dtype("float64"), {"a": (True, None)}])), path)
    assert load(path, {"Holder": Holder}).layers[0].value == (0.5, 3, "float64", {"a": (True, None)})


def test_the_deepest_settings_that_a_file_keeps_come_back(path):
    save(fc.Sequential(Holder(brackets(33))), path)
    value = load(path, {"Holder": Holder}).layers[0].value
    for _ in range(32):
        (value,) = value
    assert value == ()
    with pytest.raises(fc.ConfigError, match="at most 32 deep"):
        save(fc.Sequential(Holder(brackets(34))), path)


@pytest.mark.parametrize("metadata", [{"cost": float("nan")}, {"a": object()}, {"a": np.zeros(2)}, {1: 0, "a": 1}, 3])
def test_metadata_that_is_no_json_is_not_saved(path, metadata):
    with pytest.raises(fc.ConfigError, match="the metadata must be"):
        save(chain(), path, metadata)
    assert not path.exists()


def test_arrays_of_odd_dtypes_are_not_saved(path):
    with pytest.raises(fc.ConfigError, match="expected float32, float64, int64 arrays, got float16 as 'a'"):
        write_model_file(path, chain(), {"a": np.zeros(3, np.float16)}, {})


def test_a_failed_save_keeps_the_old_file_and_leaves_no_other(path, monkeypatch):
    save(chain(), path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(graph(), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_path_may_be_bytes_and_must_be_a_path(tmp_path):
    path = tmp_path / "model"
    save(fc.Sequential(fc.ReLU()), bytes(path))
    load(bytes(path))
    for wrong in (None, 5, [path]):
        with pytest.raises(fc.ConfigError, match="load: expected the path of a file, got"):
            load(wrong)
        with pytest.raises(fc.ConfigError, match="save: expected the path of a file, got"):
            save(fc.Sequential(fc.ReLU()), wrong)


def test_a_path_with_no_file_is_refused(tmp_path):
    with pytest.raises(fc.DataError, match="got nothing of that name"):
        load(tmp_path / "none")
    with pytest.raises(fc.DataError, match="got a folder"):
        load(tmp_path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    """Root may read all of them: so open is made to refuse."""

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    save(fc.Sequential(fc.ReLU()), tmp_path / "model")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(fc.DataError, match=r"cannot be read \(Permission denied\); check the permissions"):
        load(tmp_path / "model")


def test_a_file_is_to_the_byte_what_the_library_would_write(path):
    model = fc.Sequential(fc.Linear(3, 2, name='é\n"\u2028'), fc.Linear(2, 1), dtype="float64")
    state = {"steps": np.array(3), "Z": np.zeros((0, 2)), "a\x01": np.asfortranarray(reals32((3, 2))), "b": np.ones(1)}
    write_model_file(path, model, state, {"a": 'é " \\ \ud800'})
    content = path.read_bytes()
    with safe_open(path, framework="numpy") as file:
        assert content == safetensors(tensors_of(content), file.metadata())


def reals32(shape):
    return np.random.default_rng(0).random(shape).astype(np.float32)


def test_any_bit_that_is_turned_is_noticed(path):
    """In the arrays; of the description, a bit of the checksum's own name may pass."""
    model = fc.Sequential(fc.Linear(3, 2), fc.Dropout(0.5), input_shape=(3,))
    write_model_file(path, model, {"steps": np.array(3)}, {"cost": 0.25})
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    passed = []
    for position in range(8, len(content), 2):
        turned = bytes([content[position] ^ (1 << position % 8)])
        path.write_bytes(content[:position] + turned + content[position + 1 :])
        try:
            again = fc.load(path)
        except fc.DataError:
            continue
        passed.append(position)
        assert (again.arena.data == model.arena.data).all() and again.layers[1].p == 0.5 and again.seed == model.seed
    assert all(position < start for position in passed) and len(passed) < 20
    for position in (start, start + 7, len(content) - 1):
        for bit in range(8):
            turned = bytes([content[position] ^ (1 << bit)])
            path.write_bytes(content[:position] + turned + content[position + 1 :])
            with pytest.raises(fc.DataError, match="its checksum is not that of what is in it"):
                fc.load(path)


def test_more_arrays_than_a_file_may_have_are_not_saved(path):
    arrays = {str(number): np.zeros(1) for number in range(2**14)}
    with pytest.raises(fc.ConfigError, match=r"at most 16384 arrays.* got 16386"):
        write_model_file(path, fc.Sequential(fc.Linear(2, 1)), arrays, {})
    assert not path.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_where_memory_is_short_the_error_says_so_and_the_file_stays_whole(path):
    """At any limit: the process isn't ended, and nothing is raised that is no Exception."""
    script = """
import os, resource, sys
import fastcnn as fc

def room(size):
    there = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (-1 if size is None else there + size, -1))

path, came = sys.argv[1], set()
model = fc.Sequential(fc.Linear(1000, 1000), fc.Linear(1000, 500), input_shape=(1000,))
fc.save(model, path)
whole = open(path, "rb").read()
fc.load(path)
for attempt in (lambda: fc.save(model, path), lambda: fc.load(path)):
    for size in range(0, 2**25, 2**22):
        fc.release_memory()
        room(size)
        try:
            attempt()
            came.add("done")
        except MemoryError:
            came.add("refused")
        finally:
            room(None)
        assert open(path, "rb").read() == whole
print(*sorted(came))
"""
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["done", "refused"]), done.stderr
