"""Stages: the same as their layers one by one, wherever they may stand in, and nowhere else."""

import copy
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import use_threads

import fastcnn as fc
from fastcnn.fuse import ConvStage
from fastcnn.linear_stage import LinearStage


def chain(bias=True, size=3, pool=2, dtype="float64", **options):
    """Two stages, the first of them with a dropout, on maps that don't divide by the windows."""
    return fc.Sequential(
        fc.Conv2d(1, 5, size, padding=size // 2, bias=bias), fc.ReLU(), fc.MaxPool2d(pool), fc.Dropout(0.2),
        fc.Conv2d(5, 17, size, padding=1, bias=bias), fc.ReLU(), fc.MaxPool2d(pool), fc.Flatten(),
        dtype=dtype, **options,
    )  # fmt: skip


def stages_of(model):
    return [step.layer.name for step in model._in_stages.steps if isinstance(step.layer, ConvStage | LinearStage)]


def unfused(model):
    twin = copy.deepcopy(model)
    twin.fused = False
    return twin


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("size", "pool"), [(1, 1), (3, 1), (3, 2), (5, 2), (3, 3), (7, 2), (2, 2), (4, 3)])
def test_a_stage_gives_what_its_layers_give(bias, size, pool):
    model = chain(bias, size, pool)
    assert stages_of(model) == ["conv1+relu1+pool1+dropout1", "conv2+relu2+pool2"]
    x = np.random.default_rng(0).standard_normal((4, 1, 23, 21))
    results = []
    for one in (model, unfused(model)):
        y, backward = one.forward(x, fc.Training(seed=3))
        dx = backward(np.random.default_rng(1).standard_normal(y.shape))
        results.append([y, dx, *(parameter.grad for parameter in one.parameters())])
    for fused, apart in zip(*results, strict=True):
        assert_allclose(fused, apart, rtol=0, atol=1e-11 * max(1, np.abs(apart).max()))


@pytest.mark.parametrize("pool", [fc.MaxPool2d, fc.AvgPool2d])
def test_a_stage_has_gradients_behind_an_evaluation_too(pool):
    model = fc.Sequential(fc.Conv2d(2, 5, 3), fc.ReLU(), pool(2), dtype="float64")
    assert len(stages_of(model)) == 1
    x = np.random.default_rng(0).standard_normal((3, 2, 9, 8))
    results = []
    for training in (None, fc.Training()):
        y, backward = model.forward(x, training)
        results.append([y, backward(y), *(parameter.grad for parameter in model.parameters())])
    for evaluated, trained in zip(*results, strict=True):
        assert_array_equal(evaluated, trained)


@pytest.mark.parametrize("dropout", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("algorithm", "dtype"), [("direct", "float64"), ("winograd", "float32")])
def test_a_stage_draws_as_its_dropout_does(algorithm, dtype, dropout):
    model = fc.Sequential(
        fc.Conv2d(3, 17, 3, padding=1), fc.ReLU(), fc.MaxPool2d(2), fc.Dropout(dropout), fc.Dropout(0.5), dtype=dtype
    )  # fmt: skip
    model.convolve(algorithm)
    assert stages_of(model) == ["conv1+relu1+pool1+dropout1"]
    x = np.random.default_rng(0).standard_normal((3, 3, 15, 13)).astype(dtype)
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    results = []
    for one in (model, unfused(model)):
        y, backward = one.forward(x, fc.Training(seed=3, step=2))
        dx = backward(y)
        results.append([y, one(x), dx, *(parameter.grad for parameter in one.parameters())])
    for fused, apart in zip(*results, strict=True):
        assert_allclose(fused, apart, rtol=0, atol=tolerance * max(1, np.abs(apart).max()))
    assert_array_equal(results[0][0] == 0, results[1][0] == 0)


def test_a_dropout_behind_flatten_is_drawn_in_the_stage_before_it():
    model = fc.Sequential(
        fc.Conv2d(3, 17, 3, padding=1), fc.ReLU(), fc.MaxPool2d(2), fc.Flatten(), fc.Dropout(0.55), fc.Linear(714, 10)
    )  # fmt: skip
    names = [step.layer.name for step in model._in_stages.steps]
    assert names == ["conv1+relu1+pool1+dropout1", "flatten1", "linear1"]
    x = np.random.default_rng(0).standard_normal((3, 3, 15, 13)).astype(np.float32)
    results = []
    for one in (model, unfused(model)):
        y, backward = one.forward(x, fc.Training(seed=3, step=2))
        dx = backward(np.random.default_rng(1).standard_normal(y.shape).astype(np.float32))
        results.append([y, one(x), dx, *(parameter.grad for parameter in one.parameters())])
    for fused, apart in zip(*results, strict=True):
        assert_allclose(fused, apart, rtol=0, atol=2e-5 * max(1, np.abs(apart).max()))
    assert_array_equal(results[0][-2] == 0, results[1][-2] == 0)  # weight's gradient: 0 where x of linear1 is


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dropout", [None, 0.0, 0.55, 1.0])
def test_a_fully_connected_stage_gives_the_bits_of_its_layers(bias, dropout):
    dropouts = [] if dropout is None else [fc.Dropout(dropout)]
    model = fc.Sequential(fc.Linear(40, 33, bias=bias), fc.ReLU(), *dropouts, fc.Linear(33, 10), seed=4)
    assert stages_of(model) == ["+".join(["linear1", "relu1", *(layer.name for layer in dropouts)])]
    x = np.random.default_rng(0).standard_normal((70, 40)).astype(np.float32)
    results = []
    for one in (model, unfused(model)):
        y, backward = one.forward(x, fc.Training(seed=3, step=2))
        dx = backward(np.random.default_rng(1).standard_normal(y.shape).astype(np.float32))
        results.append([y, one(x), dx, *(parameter.grad for parameter in one.parameters())])
    for fused, apart in zip(*results, strict=True):
        assert_array_equal(fused, apart)


def averages(bias=True, size=3, dtype="float64"):
    """Two stages with average-pooling, the second on maps that don't divide by the windows."""
    return fc.Sequential(
        fc.Conv2d(1, 5, size, bias=bias), fc.ReLU(), fc.AvgPool2d(2),
        fc.Conv2d(5, 17, size, padding=1, bias=bias), fc.ReLU(), fc.AvgPool2d(2), fc.Flatten(), dtype=dtype,
    )  # fmt: skip


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_a_stage_with_average_pooling_gives_what_its_layers_give(bias, size):
    model = averages(bias, size)
    assert stages_of(model) == ["conv1+relu1+pool1", "conv2+relu2+pool2"]
    x = np.random.default_rng(0).standard_normal((4, 1, 23, 21))
    results = []
    for one in (model, unfused(model)):
        y, backward = one.forward(x, fc.Training(seed=3))
        dx = backward(np.random.default_rng(1).standard_normal(y.shape))
        results.append([y, one(x), dx, *(parameter.grad for parameter in one.parameters())])
    for fused, apart in zip(*results, strict=True):
        assert_allclose(fused, apart, rtol=0, atol=1e-11 * max(1, np.abs(apart).max()))


@pytest.mark.parametrize("make", [fc.models.gorgonia, fc.models.mxnet_scratch, fc.models.lenet5])
def test_training_in_stages_gives_the_same_bits_on_any_number_of_threads(make):
    rng = np.random.default_rng(0)
    x, labels = rng.random((20, 1, 28, 28), np.float32), rng.integers(0, 10, 20)
    weights = set()
    for threads in (1, 2, 3):
        model = make(seed=2)
        optimizer = fc.RMSprop(model.parameters())
        with use_threads(threads):
            for _ in range(3):
                fc.train_step(model, fc.CrossEntropyLoss(), optimizer, x, labels)
        weights.add(model.arena.data.tobytes())
    assert len(weights) == 1


@pytest.mark.parametrize("batch", [1, 3, 70])
def test_a_stage_with_tanh_gives_what_its_layers_give(batch):
    model = fc.models.lenet5("float64", seed=4)
    assert stages_of(model) == ["conv1+tanh1+pool1", "conv2+tanh2+pool2"]
    x = np.random.default_rng(0).standard_normal((batch, 1, 28, 28))
    results = []
    for one in (model, unfused(model)):
        y, backward = one.forward(x, fc.Training(seed=3))
        dx = backward(np.random.default_rng(1).standard_normal(y.shape))
        results.append([y, one(x), one.freeze()(x), dx, *(parameter.grad for parameter in one.parameters())])
    for fused, apart in zip(*results, strict=True):
        assert_allclose(fused, apart, rtol=0, atol=1e-11 * max(1, np.abs(apart).max()))
    for fused, apart in zip(results[0][:3], results[1][:3], strict=True):
        assert_array_equal(fused, apart)


def test_gradients_of_stages_match_central_differences():
    assert fc.gradcheck(chain(), (2, 1, 11, 10), training=fc.Training(seed=1))
    assert fc.gradcheck(averages(), (2, 1, 13, 12))


def test_only_plain_chains_become_stages():
    def first(convolution, relu=None, pool=None, **options):
        return stages_of(fc.Sequential(convolution, relu or fc.ReLU(), pool or fc.MaxPool2d(2), **options))

    class Louder(fc.ReLU):
        def forward(self, x, training=None):
            return super().forward(2 * x, training)

    assert first(fc.Conv2d(1, 2, 3))
    assert not first(fc.Conv2d(1, 2, 3, stride=2))
    assert not first(fc.Conv2d(1, 2, 3, dilation=2))
    assert not first(fc.Conv2d(1, 2, 3), Louder())
    assert not first(fc.Conv2d(1, 2, 3), fc.LeakyReLU())
    assert not first(fc.Conv2d(1, 2, 3), pool=fc.MaxPool2d(3, stride=2))
    assert not first(fc.Conv2d(1, 2, 3), pool=fc.MaxPool2d(2, padding=1))
    assert not first(fc.Conv2d(1, 2, 3), pool=fc.MaxPool2d((2, 3)))
    assert first(fc.Conv2d(1, 2, 3), pool=fc.AvgPool2d(2))
    assert first(fc.Conv2d(1, 2, 3), fc.Tanh(), fc.AvgPool2d(3))
    assert not first(fc.Conv2d(1, 2, 3), fc.Tanh())
    assert not first(fc.Conv2d(1, 2, 3), fc.Tanh(), fc.AvgPool2d(2, stride=1))
    assert not first(fc.Conv2d(1, 2, 3), pool=fc.AvgPool2d(1))
    assert not first(fc.Conv2d(1, 2, 3), pool=fc.AvgPool2d(3))
    assert not first(fc.Conv2d(1, 2, 3), pool=fc.AvgPool2d(2, padding=1))
    assert not first(fc.Conv2d(1, 2, 3), pool=fc.AvgPool2d(2, stride=1))
    assert not first(fc.Conv2d(1, 2, 3, stride=2), pool=fc.AvgPool2d(2))
    assert not first(fc.Conv2d(1, 2, 9), pool=fc.AvgPool2d(2))


def test_what_somebody_else_takes_stays():
    x = fc.Input(1, 8, 8)
    activated = fc.ReLU()(fc.Conv2d(1, 2, 3, padding=1)(x))
    pooled = fc.MaxPool2d(2)(activated)
    assert stages_of(fc.Graph(x, pooled)) == ["conv1+relu1+pool1"]
    x = fc.Input(1, 8, 8)
    activated = fc.ReLU()(fc.Conv2d(1, 2, 3, padding=1)(x))
    assert stages_of(fc.Graph(x, [fc.MaxPool2d(2)(activated), activated])) == []
    x = fc.Input(1, 8, 8)
    convolved = fc.Conv2d(1, 2, 3, padding=1)(x)
    joined = fc.Concat()(fc.MaxPool2d(2)(fc.ReLU()(convolved)), fc.MaxPool2d(2)(convolved))
    assert stages_of(fc.Graph(x, joined)) == []


def test_stages_can_be_switched_off_inner_models_included():
    inner = fc.Sequential(fc.Conv2d(1, 2, 3), fc.ReLU(), fc.MaxPool2d(2), name="inner")
    model = fc.Sequential(inner, fc.Flatten(), input_shape=(1, 8, 8))
    with fc.watch.Profiler() as profile:
        model(np.ones((1, 1, 8, 8), np.float32))
        model.fused = False
        model(np.ones((1, 1, 8, 8), np.float32))
    assert [row["layer"] for row in profile.rows()] == [
        "inner.conv1+relu1+pool1", "flatten1", "inner.conv1", "inner.relu1", "inner.pool1", "(rest)"
    ]  # fmt: skip


def test_the_summary_names_the_kernel_of_a_stage():
    model = fc.models.gorgonia()
    kernels = [line.split()[-1] for line in model.summary().splitlines() if line.startswith(("conv", "pool"))]
    assert kernels == ["conv_pool", "conv1", "winograd", "conv2", "winograd", "conv3"]
    model.fused = False
    assert "conv_pool" not in model.summary()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("make", [fc.models.gorgonia, fc.models.mxnet_scratch, fc.models.lenet5])
def test_a_reader_finds_the_file_of_each_kernel_by_its_name(make, fused):
    csrc = Path(__file__).resolve().parent.parent / "csrc"
    model = make()
    model.fused = fused
    kernels = {place.layer: place.kernel for place in model.places((1, 1, 28, 28))}
    for layer, kernel in kernels.items():
        if not kernel.startswith("in "):
            assert type(layer) is fc.Flatten or (csrc / f"{kernel.split()[0]}.inc").exists()
    inside = "in tanh1" if make is fc.models.lenet5 else "in conv1"
    assert any(kernel == inside for kernel in kernels.values()) == fused


def test_the_summary_names_the_kernels_of_layers_that_one_kernel_does_not_take():
    model = fc.models.gorgonia()
    model.convolve("im2col")
    kernels = [place.kernel for place in model.places((1, 1, 28, 28))[:4]]
    assert kernels == ["conv_im2col", "pointwise", "max_pool", "pointwise"]
    model = fc.Sequential(fc.Conv2d(1, 4, 9), fc.ReLU(), fc.MaxPool2d(2))
    assert [place.kernel for place in model.places((1, 1, 28, 28))] == ["conv_direct", "pointwise", "max_pool"]


def test_a_convolution_built_with_columns_takes_one_pass_when_it_may():
    model = fc.Sequential(fc.Conv2d(1, 32, 3, padding=1, algorithm="im2col"), fc.ReLU(), fc.MaxPool2d(2))
    assert model.places((1, 1, 28, 28))[0].kernel == "conv_im2col"
    model.convolve("direct")
    assert [place.kernel for place in model.places((1, 1, 28, 28))] == ["conv_pool", "in conv1", "in conv1"]


def test_the_summary_names_the_kernel_of_a_stage_with_average_pooling():
    model = fc.models.mxnet_scratch()
    kernels = [place.kernel for place in model.places((1, 1, 28, 28))[:6]]
    assert kernels[1:3] == ["in conv1"] * 2 and kernels[4:] == ["in conv2"] * 2
    model.convolve("im2col")
    assert [place.kernel for place in model.places((1, 1, 28, 28))[:3]] == ["conv_im2col", "pointwise", "avg_pool"]


def test_shapes_and_nan_are_told_of_layer_by_layer():
    model = chain(dtype="float32")
    names = []
    with fc.watch.ShapePrinter(names.append):
        model(np.ones((1, 1, 23, 21), np.float32))
    assert [line.split()[0] for line in names][:4] == ["conv1", "relu1", "pool1", "dropout1"]
    model.layers[4].bias.data[3] = np.inf
    with fc.watch.FirstNonFinite() as first:
        model(np.ones((1, 1, 23, 21), np.float32))
    assert first.where == "bias of Conv2d 'conv2'"


def test_a_whole_model_does_without_winograd():
    model = fc.models.gorgonia()
    x = np.random.default_rng(0).standard_normal((2, 1, 28, 28)).astype(np.float32)
    fast = model(x)
    model.convolve("direct")
    assert "winograd" not in model.summary()
    assert_allclose(model(x), fast, rtol=0, atol=5e-6 * abs(fast).max())


def test_an_algorithm_that_one_layer_can_not_take_changes_none():
    model = fc.Sequential(fc.Conv2d(1, 2, 3), fc.Sequential(fc.Conv2d(2, 2, 7), name="inner"), input_shape=(1, 9, 9))
    with pytest.raises(fc.ConfigError, match="algorithm must be another than 'winograd'"):
        model.convolve("winograd")
    assert [layer.algorithm for layer in (model.layers[0], model.layers[1].layers[0])] == ["auto", "auto"]
