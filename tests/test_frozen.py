"""Frozen models: the same bits as the model, seen once, for inference alone."""

import copy
import multiprocessing
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from support import every_dtype, every_isa, poisoned_memory, reals, use_isa, use_threads

import fastcnn as fc
from fastcnn import _core, frozen

rng = np.random.default_rng(0)


def digits(batch, dtype=np.float32, channels=1):
    return rng.random((batch, channels, 28, 28)).astype(dtype)


class Doubled(fc.Layer):
    """A layer of somebody's own: no `prepared`, and a result that no kernel could take as it is."""

    def forward(self, x, training=None):
        return np.asfortranarray(x * 2), lambda dy: dy * 2


class ShiftedLinear(fc.Linear):
    """A subclass with a forward of its own, but not with `prepared`."""

    def forward(self, x, training=None):
        y, backward = super().forward(x, training)
        return y + y.dtype.type(1), backward


def branches(dtype):
    x = fc.Input(3, 12, 12)
    stem = fc.ReLU()(fc.Conv2d(3, 8, 3, padding=1)(x))
    left = fc.Conv2d(8, 5, 1)(stem)
    right = Doubled()(fc.Conv2d(8, 4, 5, stride=2, padding=2, dilation=1)(stem))
    ways = fc.Concat()(fc.MaxPool2d(2)(left), right)
    joined = fc.Add()(fc.AvgPool2d(2)(stem), fc.Conv2d(9, 8, 3, padding=1)(ways))
    flat = fc.Flatten()(fc.LeakyReLU()(joined))
    inner = fc.Sequential(fc.Linear(8 * 36, 20), fc.Tanh(), fc.Dropout(0.5), ShiftedLinear(20, 7), fc.Softmax())
    return fc.Graph(x, [inner(flat), fc.Sigmoid()(joined)], dtype=dtype)


def averages(dtype, algorithm="auto"):
    """Three stages with average-pooling."""
    layers = []
    for inputs, outputs, size in ((1, 20, 3), (20, 33, 5), (33, 20, 3)):
        layers += [fc.Conv2d(inputs, outputs, size, padding=size // 3), fc.ReLU(), fc.AvgPool2d(2)]
    model = fc.Sequential(*layers, dtype=dtype)
    model.convolve(algorithm)  # behind their backs: they remain stages
    return model


# Channels on both sides of a vector's lanes, every way that a convolution can go, with and without bias.
MODELS = {
    "gorgonia": (lambda dtype: rebuilt(fc.models.gorgonia(), dtype), (1, 28, 28)),
    "lenet5": (lambda dtype: rebuilt(fc.models.lenet5(), dtype), (1, 28, 28)),
    "branches": (branches, (3, 12, 12)),
    "averages": (averages, (1, 28, 28)),
    "averages by columns": (lambda dtype: averages(dtype, "im2col"), (1, 28, 28)),
    "tiles": (
        lambda dtype: fc.Sequential(
            *(fc.Conv2d(17, 33, 5, bias=False), fc.ReLU(), fc.MaxPool2d(2), fc.Conv2d(33, 15, 2), fc.Flatten()),
            *(fc.Linear(15 * 3 * 3, 40), fc.ReLU(), fc.Linear(40, 3, bias=False)),
            dtype=dtype,
        ),
        (17, 12, 12),
    ),
    "unfused": (
        lambda dtype: fc.Sequential(
            fc.Conv2d(1, 9, 8), fc.ReLU(), fc.MaxPool2d(3), fc.Conv2d(9, 6, 3, stride=2), dtype=dtype
        ),
        (1, 21, 21),
    ),
    "by name": (
        lambda dtype: fc.Sequential(
            fc.Conv2d(5, 18, 3, algorithm="im2col"),
            fc.Conv2d(18, 4, 3, algorithm="winograd"),
            fc.Conv2d(4, 4, 3, algorithm="direct"),
            dtype=dtype,
        ),
        (5, 13, 11),
    ),
}


def rebuilt(model, dtype):
    return fc.Sequential(*(type(layer)(**layer.config()) for layer in model.layers), dtype=dtype)


def assert_same(got, expected):
    if isinstance(expected, tuple):
        assert len(got) == len(expected)
        for pair in zip(got, expected, strict=True):
            assert_same(*pair)
    else:
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


@every_isa
@every_dtype
@pytest.mark.parametrize("name", MODELS)
def test_a_frozen_model_gives_the_bits_of_the_model(name, isa, dtype):
    make, sample = MODELS[name]
    model = make(dtype)
    for bias in (parameter for parameter in model.parameters() if parameter.name.endswith("bias")):
        bias.data = reals(rng, bias.shape, dtype)
    still = model.freeze()
    with use_isa(isa), poisoned_memory():
        for batch in (1, 2, 7, 1):
            x = reals(rng, (batch, *sample), dtype)
            expected = model(x)
            for count in (1, 1, 2, 3, 1):  # the second call finds weights packed; more threads pack them anew
                with use_threads(count):
                    assert_same(still(x), expected)


def test_batches_of_any_size_come_in_any_order():
    model = fc.models.lenet5()
    still = model.freeze()
    for batch in (*range(1, 2 + frozen.MOST_SHAPES), 0, 3, 1):
        x = digits(batch)
        assert_same(still(x), model(x))
    assert len(still._prepared) == frozen.MOST_SHAPES


def test_preparations_take_a_few_times_the_memory_of_the_weights(monkeypatch):
    monkeypatch.setattr(frozen, "LEAST_BUDGET", 0)
    model = fc.models.gorgonia()
    still = model.freeze()
    for batch in range(1, 2 + frozen.MOST_SHAPES):
        still(digits(batch))
        assert still._kept_bytes() <= frozen.MOST_WEIGHTS * model.arena.data.nbytes
    assert 1 < len(still._prepared) < frozen.MOST_SHAPES
    assert still._kept_bytes() > 1 << 20


def test_preparations_of_other_shapes_give_way_where_memory_is_short():
    class Hungry(fc.Layer):
        def __init__(self):
            self.refusals = [0]

        def forward(self, x, training=None):
            if self.refusals[0]:
                self.refusals[0] -= 1
                raise MemoryError
            return x, None

    hungry = Hungry()
    still = fc.Sequential(fc.Conv2d(1, 2, 3), hungry).freeze()
    refusals = still._model.layers[1].refusals
    x = digits(1)
    expected = still(x)
    still(digits(2))
    refusals[0] = 1
    assert_same(still(x), expected)
    assert list(still._prepared) == [x.shape]
    refusals[0] = 2
    with pytest.raises(MemoryError):
        still(digits(4))
    assert refusals == [0]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda still: pickle.loads(pickle.dumps(still))])
@pytest.mark.parametrize("name", ["gorgonia", "averages"])
def test_copies_of_a_frozen_model_give_its_bits(copied, name):
    still = MODELS[name][0](np.float32).freeze()
    x = digits(3)
    expected = still(x)
    twin = copied(copied(still))
    assert_same(twin(x), expected)
    assert_same(still(x), expected)
    assert all(weight.data.ctypes.data % 64 == 0 for weight in twin._model.parameters())


def test_a_frozen_model_goes_to_other_processes():
    still = fc.models.lenet5().freeze()
    x = digits(3)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert_same(pool.submit(still, x).result(), still(x))


def test_later_changes_of_the_model_come_too_late():
    model = fc.Sequential(fc.Conv2d(1, 4, 3), fc.ReLU(), fc.MaxPool2d(2), fc.Flatten(), ShiftedLinear(4 * 13 * 13, 5))
    x = digits(2)
    expected = model(x)
    still = model.freeze()
    for parameter in model.parameters():
        parameter.data[...] = 0
    model.fused = False
    assert_same(still(x), expected)
    assert not np.array_equal(model(x), expected)


def test_training_goes_on_beside_a_frozen_model():
    model = fc.models.lenet5()
    still = model.freeze()
    x = digits(4)
    before = still(x)
    fc.train_step(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters(), lr=0.1), x, np.arange(4))
    assert_same(still(x), before)


def test_settings_of_the_model_hold_for_the_frozen_one():
    model = fc.models.gorgonia()
    model.convolve("direct")
    model.fused = False
    x = digits(3)
    assert_same(model.freeze()(x), model(x))


def test_a_frozen_model_reads_any_array_and_checks_it_as_the_model_does():
    model = fc.models.lenet5()
    still = model.freeze()
    x = digits(6)
    assert_same(still(x[::2]), model(x[::2]))
    assert_same(still(np.asfortranarray(x)), model(x))
    with pytest.raises(fc.DTypeError, match="float32"):
        still(x.astype(np.float64))
    with pytest.raises(fc.ShapeError, match="expected input"):
        still(x[:, :, 1:])


def test_a_frozen_model_has_no_way_back_and_does_not_learn():
    model = fc.models.lenet5()
    still = model.freeze()
    x, y = digits(2), np.array([1, 2])
    for attempt in (
        lambda: still.forward(x, True),
        lambda: still.parameters(),
        lambda: fc.train_step(still, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), x, y),
    ):
        with pytest.raises(fc.ConfigError, match="has no way back"):
            attempt()


def test_a_layer_whose_forward_breaks_its_word_is_named():
    class Shrinks(fc.Layer):
        def forward(self, x, training=None):
            return x[:, :-1], None

    class Widens(fc.Layer):
        def forward(self, x, training=None):
            return x.astype(np.float64), None

    with pytest.raises(fc.ShapeError, match="Shrinks 'shrinks1'"):
        fc.Sequential(fc.Linear(3, 3), Shrinks()).freeze()(np.ones((2, 3), np.float32))
    with pytest.raises(fc.DTypeError, match="Widens 'widens1'"):
        fc.Sequential(fc.Linear(3, 3), Widens()).freeze()(np.ones((2, 3), np.float32))


def test_threads_take_turns_with_a_frozen_model():
    model = fc.models.gorgonia()
    still = model.freeze()
    inputs = [digits(1) for _ in range(4)]
    expected = [model(x) for x in inputs]
    wrong = []

    def work(index):
        for _ in range(30):
            if not np.array_equal(still(inputs[index]), expected[index]):
                wrong.append(index)

    crew = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for worker in crew:
        worker.start()
    for worker in crew:
        worker.join()
    assert wrong == []


def test_calls_after_the_second_allocate_nothing():
    still = fc.models.gorgonia().freeze()
    x = digits(3)
    for _ in range(2):
        still(x)
    before = _core.blocks_allocated()
    for _ in range(5):
        still(x)
    assert _core.blocks_allocated() == before
