"""gradcheck: the promises around the gradients, and how a layer that breaks one is reported."""

import numpy as np
import pytest
from broken_layers import Scale, broken, other_sign, reported

import fastcnn as fc


def test_gradients_that_are_added_up_or_left_out_are_reported():
    class Adds(Scale):
        def forward(self, x, training):
            def backward(dy):
                self.factor.grad += (dy * x).sum(axis=0)
                return dy * self.factor.data

            return x * self.factor.data, backward

    class Forgets(Scale):
        def forward(self, x, training):
            return x * self.factor.data, lambda dy: dy * self.factor.data

    for layer in (Adds(), Forgets()):
        message = reported(layer, (2, 3))
        assert "after backward the gradient of 'factor' is nan at 3 of 3 entries; write all of it" in message


def test_a_forward_that_changes_its_input_is_reported():
    class InPlace(fc.Layer):
        def forward(self, x, training):
            x *= 2
            return x, lambda dy: 2 * dy

    assert "InPlace: forward changed its input" in reported(InPlace(), (2, 3))


def test_a_backward_that_changes_dy_is_reported():
    class InPlace(fc.Layer):
        def forward(self, x, training):
            def backward(dy):
                dy *= 2
                return dy

            return 2 * x, backward

    assert "InPlace: backward changed its dy" in reported(InPlace(), (2, 3))


def test_state_between_forward_and_backward_is_reported():
    class Remembers(fc.Layer):
        def forward(self, x, training):
            self.x = x
            return x**2, lambda dy: 2 * self.x * dy

    message = reported(Remembers(), (2, 3))
    assert message.startswith("Remembers: the gradient of the input changes when another forward runs before backward")


class Buffers(fc.Layer):
    """``2 * x`` for x of one shape, in an array that every forward, or every backward, returns again."""

    def __init__(self, method):
        self.method, self.buffers = method, {}

    def kept(self, method, values):
        if method != self.method:
            return values
        buffer = self.buffers.setdefault(values.shape, np.empty_like(values))
        buffer[...] = values
        return buffer

    def forward(self, x, training):
        return self.kept("forward", 2 * x), lambda dy: self.kept("backward", 2 * dy)


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_an_array_that_is_returned_again_is_reported(method):
    assert fc.gradcheck(Buffers("neither"), (2, 3))
    message = reported(Buffers(method), (2, 3))
    assert message.startswith(f"Buffers: what {method} returned changes when it runs another time; return a new array")


@pytest.mark.parametrize("error", ["shape", "value"])
def test_a_batch_size_that_is_kept_is_reported(error):
    class Keeps(fc.Layer):
        count = None

        def forward(self, x, training):
            self.count = self.count or len(x)
            if error == "shape":
                return x + np.zeros((self.count, 1)), lambda dy: dy
            return x / len(x), lambda dy: dy / self.count

    assert "Keeps, with a batch of 3 after one of 2: " in reported(Keeps(), (2, 3))


def test_an_output_shape_that_is_not_the_output_s_is_reported():
    class Half(fc.Layer):
        def forward(self, x, training):
            return x[:, ::2], lambda dy: np.repeat(dy, 2, axis=1)

    message = reported(Half(), (2, 4))
    assert message.startswith("Half: forward gave the shape (2, 2), but output_shape says (2, 4)")


def test_another_dtype_is_reported():
    class Single(fc.Layer):
        def forward(self, x, training):
            return x.astype(np.float32), lambda dy: dy

    assert "Single: forward gave float32 for float64 input" in reported(Single(), (2, 3))


class Log(fc.Layer):
    def forward(self, x, training):
        with np.errstate(invalid="ignore"):
            return np.log(x), lambda dy: dy / x


class Positive(fc.Layer):
    def forward(self, x, training):
        return 1 + x**2, lambda dy: 2 * x * dy


def test_a_layer_that_is_not_defined_everywhere_can_be_checked_behind_another():
    assert "Log: forward gave nan or inf for inputs from -2 to 2" in reported(Log(), (2, 3))
    assert "for inputs from -2.5 to 2.5" in reported(Log(), (1, 50_000))
    assert fc.gradcheck(fc.Sequential(Positive(), Log()), (2, 3))


def test_a_layer_that_cannot_be_checked_alone_is_not_to_blame():
    message = reported(fc.Sequential(Positive(), Log(), broken(other_sign)(name="culprit")), (2, 3))
    assert message.startswith("Broken 'culprit': the gradient of the input is off")


@pytest.mark.parametrize("dx", [None, np.zeros((3, 2)), 0.0], ids=["nothing", "another shape", "a number"])
def test_an_input_gradient_of_another_shape_is_reported(dx):
    class Odd(fc.Layer):
        def forward(self, x, training):
            return x, lambda dy: dx

    assert "Odd: the gradient of the input must have its shape (2, 3), got " in reported(Odd(), (2, 3))


class Rounds(fc.Layer):
    """Rows of a table, by inputs that are taken for whole numbers."""

    def __init__(self, rounded, dx):
        self.rounded, self.dx = rounded, dx
        self.table = fc.Parameter((7, 3), fc.init.he_normal())

    def output_shape(self, input_shape):
        return (*input_shape, 3)

    def forward(self, x, training):
        which = self.rounded(x).astype(int) % 7

        def backward(dy):
            self.table.grad = 0 * self.table.data
            np.add.at(self.table.grad, which, dy)
            return self.dx(x)

        return self.table.data[which], backward


@pytest.mark.parametrize("dx", [np.zeros_like, lambda x: None], ids=["zeros", "none"])
@pytest.mark.parametrize("rounded", [np.floor, np.round, np.trunc, lambda x: x])
def test_inputs_that_count_as_whole_numbers_are_no_mistake(rounded, dx):
    for shape in ((2, 3), (4, 5), (1, 8), (3,)):
        assert fc.gradcheck(Rounds(rounded, dx), shape)
    wrong = reported(Rounds(rounded, lambda x: x), (2, 3))
    assert wrong.startswith("Rounds: the gradient of the input is off at 6 of 6 entries")


def test_a_bare_true_is_a_step_for_layers_within_layers():
    class Twice(fc.Layer):
        def __init__(self):
            self.inner = [fc.Dropout(0.3), fc.Dropout(0.3)]

        def forward(self, x, training):
            y, backwards = x, []
            for i, layer in enumerate(self.inner):
                y, backward = layer.forward(y, training and training.for_layer(i))
                backwards.append(backward)
            assert training is None or (y == 0).any()
            return y, lambda dy: backwards[0](backwards[1](dy))

    assert fc.gradcheck(Twice(), (3, 20), training=True)
    assert fc.gradcheck(fc.Sequential(fc.Linear(4, 20), Twice()), (3, 4), training=True)
    assert fc.gradcheck(Twice(), (3, 20), training=False)


@pytest.mark.parametrize("draw", [np.random.standard_normal, np.random.default_rng(0).standard_normal])
def test_a_layer_that_draws_from_numpy_is_told_so(draw):
    class Noise(fc.Layer):
        def forward(self, x, training):
            return x + draw(x.shape) if training else x, lambda dy: dy

    says = "Noise{}: two forwards of the same input differ; draw random numbers by training.seed and training.offset"
    assert reported(Noise(), (2, 3), training=True).startswith(says.format(""))
    model = fc.Sequential(fc.Linear(3, 3), Noise())
    assert reported(model, (2, 3), training=True).startswith(says.format(" 'noise1'"))
    assert fc.gradcheck(model, (2, 3))


def test_an_array_in_the_place_of_its_shape_is_refused_in_one_line():
    with pytest.raises(fc.ConfigError, match=r"^gradcheck: Linear: .* got an array of shape \(2, 3\)$"):
        fc.gradcheck(fc.Linear(3, 2), np.ones((2, 3), int))
