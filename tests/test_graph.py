"""Graph: branches that part and join, several outputs, gradients through all of it, errors that name the node."""

import copy
import pickle
import time

import numpy as np
import pytest

import fastcnn as fc


def conv(inputs, outputs, size=3):
    return fc.Conv2d(inputs, outputs, size, padding=size // 2)


def residual_block(dtype="float64"):
    """``relu(x + conv(relu(conv(x))))`` and a head."""
    x = fc.Input(3, 6, 6)
    branch = conv(3, 3)(fc.ReLU()(conv(3, 3)(x)))
    y = fc.ReLU()(fc.Add(name="joined")(x, branch))
    return fc.Graph(x, fc.Linear(3 * 6 * 6, 4)(fc.Flatten()(y)), dtype=dtype, seed=3)


def inception_block(dtype="float64"):
    """1x1, 3x3 and 5x5 convolutions and a pooled branch side by side, joined along the channels."""
    x = fc.Input(2, 6, 6)
    branches = (
        conv(2, 2, 1)(x),
        conv(3, 2)(fc.Tanh()(conv(2, 3, 1)(x))),
        conv(2, 1, 5)(x),
        conv(2, 2, 1)(fc.AvgPool2d(3, stride=1, padding=1)(x)),
    )
    y = fc.MaxPool2d(2)(fc.LeakyReLU()(fc.Concat()(*branches)))
    return fc.Graph(x, fc.Linear(7 * 3 * 3, 4)(fc.Flatten()(y)), dtype=dtype, seed=4)


def two_heads(dtype="float64"):
    """One trunk, two outputs of different sizes."""
    x = fc.Input(1, 6, 6)
    trunk = fc.Flatten()(fc.MaxPool2d(2)(fc.ReLU()(conv(1, 4)(x))))
    digits, parity = fc.Linear(36, 4, name="digits")(trunk), fc.Linear(36, 2, name="parity")(trunk)
    return fc.Graph(x, [digits, parity], dtype=dtype, seed=5)


every_block = pytest.mark.parametrize("block", [residual_block, inception_block, two_heads])


def batch(model, count=8, dtype=None):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((count, *model.input_shape)).astype(dtype or model.dtype)
    labels = rng.integers(0, 4, count)
    return x, (labels, labels % 2) if model.several else labels


def loss_of(model):
    loss = fc.CrossEntropyLoss()
    return fc.MultiLoss([loss, fc.CrossEntropyLoss()], weights=[1.0, 0.5]) if model.several else loss


@every_block
def test_gradients_match_central_differences(block):
    model = block()
    assert fc.gradcheck(model, (2, *model.input_shape))


@every_block
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_learns_a_batch_by_heart(block, dtype):
    model = block(dtype)
    x, y = batch(model)
    loss, optimizer = loss_of(model), fc.Adam(model.parameters(), lr=0.02)
    costs = [fc.train_step(model, loss, optimizer, x, y) for _ in range(80)]
    assert costs[-1] < 0.05 * costs[0]


def test_a_graph_that_is_a_chain_computes_what_the_chain_does():
    x = fc.Input(1, 8, 8)
    graph = fc.Graph(x, fc.Linear(72, 3)(fc.Flatten()(fc.Dropout(0.5)(fc.ReLU()(fc.Conv2d(1, 2, 3)(x))))), seed=9)
    chain = fc.Sequential(
        fc.Conv2d(1, 2, 3), fc.ReLU(), fc.Dropout(0.5), fc.Flatten(), fc.Linear(72, 3), input_shape=(1, 8, 8), seed=9
    )
    images, labels = np.random.default_rng(0).random((5, 1, 8, 8), np.float32), np.arange(5) % 3
    for model in (graph, chain):
        optimizer = fc.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            fc.train_step(model, fc.CrossEntropyLoss(), optimizer, images, labels)
    assert graph.arena.data.tobytes() == chain.arena.data.tobytes()
    assert graph(images).tobytes() == chain(images).tobytes()


def test_an_array_that_three_layers_take_gets_the_sum_of_three_gradients():
    x = fc.Input(2)
    model = fc.Graph(x, fc.Add()(x, x, fc.Add()(x, x)), dtype="float64")
    _, backward = model.forward(np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(backward(np.array([[1.0, 10.0]])), [[4.0, 40.0]])


def test_an_output_may_also_feed_a_layer():
    x = fc.Input(2)
    middle = fc.Linear(2, 2)(x)
    model = fc.Graph(x, [middle, fc.Tanh()(middle)], dtype="float64")
    assert fc.gradcheck(model, (3, 2))


def test_layers_before_the_first_parameters_are_not_asked_for_gradients():
    class Unasked(fc.Layer):
        def forward(self, x, training):
            def backward(dy):
                raise AssertionError("nobody needs this gradient")

            return 2 * x, backward

    x = fc.Input(2)
    model = fc.Graph(x, fc.Add()(Unasked()(x), fc.Linear(2, 2)(x)))
    optimizer = fc.SGD(model.parameters())
    fc.train_step(model, fc.CrossEntropyLoss(), optimizer, np.ones((1, 2), np.float32), np.array([0]))
    assert optimizer.steps == 1


def test_models_may_stand_in_graphs_and_graphs_in_chains():
    x = fc.Input(3, 4, 4)
    inner = fc.Sequential(conv(3, 3), fc.ReLU(), name="branch")
    block = fc.Graph(x, fc.Add()(inner(x), x), name="block")
    model = fc.Sequential(block, fc.Flatten(), fc.Linear(48, 2), dtype="float64", input_shape=(3, 4, 4))
    assert [name for name, _ in model.named_parameters()][:1] == ["block.branch.conv1.weight"]
    assert model.arena.size == 81 + 3 + 96 + 2
    assert fc.gradcheck(model, (2, 3, 4, 4))
    table = model.summary()
    assert [line.split()[0] for line in table.splitlines()[2:-2]] == [
        "block.branch.conv1", "block.branch.relu1", "block.add1", "flatten1", "linear1"
    ]  # fmt: skip
    assert "block.branch.relu1, input" in table


def test_layers_are_named_and_run_in_the_order_in_which_they_were_called():
    model = inception_block()
    assert [layer.name for layer in model.layers] == [
        "conv1", "conv2", "tanh1", "conv3", "conv4", "pool1", "conv5",
        "concat1", "relu1", "pool2", "flatten1", "linear1",
    ]  # fmt: skip


def test_evaluation_keeps_no_array_longer_than_needed():
    class Counted(fc.Layer):
        alive = 0

        def forward(self, x, training):
            y = np.copy(x).view(Tracked)
            return y, lambda dy: dy

    class Tracked(np.ndarray):
        def __array_finalize__(self, parent):
            Counted.alive += 1
            Counted.most = max(Counted.most, Counted.alive)

        def __del__(self):
            Counted.alive -= 1

    x = node = fc.Input(5)
    for _ in range(10):
        node = Counted()(node)
    model = fc.Graph(x, node)
    for at_most in (4, 3):  # the first time each layer is looked at, with a view and a copy of its input
        Counted.most = 0
        model(np.ones((1, 5), np.float32))
        assert 1 <= Counted.most <= at_most


def test_dot_names_nodes_shapes_and_edges():
    dot = residual_block().to_dot()
    assert '"input" -> "joined"' in dot and '"conv2" -> "joined"' in dot and '"conv1" -> "relu1"' in dot
    assert '"joined" [label="joined: Add\\n(N, 3, 6, 6)"]' in dot


def test_the_summary_says_where_branches_come_from():
    lines = residual_block().summary().splitlines()
    assert lines[0].split()[:3] == ["layer", "type", "from"]
    assert next(line for line in lines if line.startswith("joined")).split()[2:4] == ["input,", "conv2"]


def test_the_summary_measures_on_request():
    *_, total = residual_block().summary(measure=4).splitlines()
    assert float(total.split()[-1]) > 0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_is_equal_and_trains_alone(copied):
    model = residual_block()
    x, y = batch(model)
    before = model(x)
    twin = copied(model)
    fc.train_step(twin, fc.CrossEntropyLoss(), fc.SGD(twin.parameters(), lr=1.0), x, y)
    np.testing.assert_array_equal(model(x), before)
    assert not np.array_equal(twin(x), before)


def refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_shapes_that_do_not_fit_are_refused_by_names():
    x = fc.Input(3, 8, 8)
    wide, narrow = conv(3, 4)(x), fc.MaxPool2d(2)(x)
    refused(
        lambda: fc.Graph(x, fc.Add(name="sum")(wide, narrow)),
        fc.ShapeError,
        r"Add 'sum': .*\(1, 4, 8, 8\).*\(1, 3, 4, 4\).* \(from 'conv1' and 'pool1'\)",
    )
    x = fc.Input(3, 8, 8)
    refused(lambda: fc.Graph(x, conv(5, 2)(conv(3, 4)(x))), fc.ShapeError, r"Conv2d 'conv2': .*\(from 'conv1'\)")


def test_impossible_graphs_are_refused():
    x, other = fc.Input(2), fc.Input(2)
    twice = fc.Linear(2, 2)
    for make, message in [
        (lambda: fc.Graph(np.ones(2), fc.ReLU()(x)), "the input must be made by fastcnn.Input"),
        (lambda: fc.Graph(x, fc.ReLU()), "the outputs must be a node or a list of nodes"),
        (lambda: fc.Graph(x, []), "the outputs must be a node or a list of nodes"),
        (lambda: fc.Graph(x, [fc.ReLU()(x), 3]), "the outputs must be a node or a list of nodes"),
        (lambda: fc.Graph(x, x), "no output is made of the input"),
        (lambda: fc.Graph(x, fc.ReLU()(other)), "depends on a second Input"),
        (lambda: fc.Graph(x, fc.Add()(fc.ReLU()(x), fc.ReLU()(other))), "depends on a second Input"),
        (lambda: fc.Graph(x, twice(twice(x))), "is called twice; make a second Linear"),
        (lambda: fc.Graph(x, fc.ReLU(name="a")(fc.Tanh(name="a")(x))), "two layers are called 'a'"),
        (lambda: fc.Graph(x, fc.ReLU(name="input")(x)), "no layer may be called 'input'"),
        (lambda: fc.Add()(x), "Add: takes two or more inputs, got 1"),
        (lambda: fc.ReLU()(x, x), "ReLU: takes one input, got 2"),
        (lambda: fc.Add()(x, np.ones((1, 2))), "input 2 is ndarray, where others are nodes"),
        (lambda: fc.Input(0), "each size must be a whole number >= 1, got 0"),
        (lambda: fc.Sequential(fc.Add()), "takes several inputs; use a Graph"),
    ]:
        refused(make, fc.ConfigError, message)


def test_backward_of_several_outputs_takes_as_many_gradients():
    model = two_heads()
    _, backward = model.forward(batch(model)[0])
    refused(lambda: backward(np.ones((8, 4))), fc.ShapeError, "takes a tuple of 2 gradients, got ndarray")
    refused(lambda: backward((np.ones((8, 4)),)), fc.ShapeError, "takes a tuple of 2 gradients, got 1")


class Wrong(fc.Layer):
    """A custom layer whose backward, or forward, returns what it is told to."""

    def __init__(self, dx=None, y=None):
        self.dx, self.y = dx, y

    def forward(self, x, training):
        return (x if self.y is None else self.y), lambda dy: self.dx


@pytest.mark.parametrize(("dx", "got"), [(None, "NoneType"), (np.ones(3), r"\(3,\)"), (1.0, "float")])
def test_a_custom_layer_whose_backward_returns_no_gradient_is_named(dx, got):
    model = fc.Sequential(fc.Linear(2, 2), Wrong(dx))
    _, backward = model.forward(np.ones((4, 2), np.float32))
    message = rf"Wrong 'wrong1': its backward must return a gradient of shape \(4, 2\), got {got}"
    refused(lambda: backward(np.ones((4, 2), np.float32)), fc.ShapeError, message)


def test_a_gradient_of_another_dtype_is_refused_with_the_name_of_who_gave_it():
    model = fc.Sequential(fc.Linear(2, 2), Wrong(np.ones((1, 2))))
    _, backward = model.forward(np.ones((1, 2), np.float32))
    message = "Wrong 'wrong1': its backward must return a gradient of float32, got float64; cast it"
    refused(lambda: backward(np.ones((1, 2), np.float32)), fc.DTypeError, message)
    message = "Sequential: backward takes a gradient of float32, got float64"
    refused(lambda: backward(np.ones((1, 2))), fc.DTypeError, message)
    refused(
        lambda: backward(np.ones((3, 2), np.float32)), fc.ShapeError, r"backward takes .* shape \(1, 2\), got \(3, 2\)"
    )


def test_a_model_that_could_not_be_built_leaves_its_parts_as_they_were():
    inner = fc.Sequential(fc.Linear(3, 2))
    refused(lambda: fc.Sequential(inner, fc.Linear(5, 1), input_shape=(3,), dtype="float64"), fc.ShapeError, "linear1")
    assert inner(np.ones((1, 3), np.float32)).shape == (1, 2)
    assert inner.arena.size == 8


def test_thousands_of_layers_are_named_in_no_time():
    started = time.perf_counter()
    model = fc.Sequential([fc.ReLU() for _ in range(4000)])
    assert model.layers[-1].name == "relu4000"
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("shape", [3, (3.5,), (-3,), "ab"])
def test_a_summary_of_no_shape_is_refused(shape):
    refused(lambda: fc.Sequential(fc.ReLU()).summary(shape), fc.ConfigError, "input_shape")


@pytest.mark.parametrize(("y", "got"), [(np.ones((1, 2)), "float64"), ([1.0], "list")])
def test_a_custom_layer_whose_forward_changes_the_dtype_is_named(y, got):
    model = fc.Sequential(fc.Linear(2, 2), Wrong(y=y))
    message = f"Wrong 'wrong1': its forward gave {got} in a model of float32"
    refused(lambda: model(np.ones((1, 2), np.float32)), fc.DTypeError, message)
