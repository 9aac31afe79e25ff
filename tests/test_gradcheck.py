"""gradcheck: what passes, and how each kind of mistake is reported."""

import numpy as np
import pytest

import fastcnn as fc


class Scale(fc.Layer):
    """Right, in every promise; the layers below break one each."""

    def __init__(self, features=3, start=fc.init.ones, name=None):
        self.name = name
        self.factor = fc.Parameter((features,), start)

    def forward(self, x, training):
        def backward(dy):
            self.factor.grad = (dy * x).sum(axis=0)
            return dy * self.factor.data

        return x * self.factor.data, backward


def broken(change):
    """A `Scale` whose backward gives what ``change(layer, x, dx)`` makes of it."""

    class Broken(Scale):
        def forward(self, x, training):
            y, backward = super().forward(x, training)
            return y, lambda dy: change(self, x, backward(dy))

    return Broken


def add_at(array, entry, value):
    array[entry] += value
    return array


def wrong_entry_of_dx(layer, x, dx):
    return add_at(dx, (-1, 1), 0.5)


def wrong_entry_of_factor(layer, x, dx):
    layer.factor.grad[2] += 0.5
    return dx


def mean_for_sum(layer, x, dx):
    layer.factor.grad /= len(x)
    return dx


def other_sign(layer, x, dx):
    return -dx


def reported(layer, shape, **settings):
    """The message of the one error that this gives."""
    with pytest.raises(fc.GradientError) as error:
        fc.gradcheck(layer, shape, **settings)
    return str(error.value)


# ---- what is right ---------------------------------------------------------------------------------------------------


def test_a_right_layer_passes():
    assert fc.gradcheck(Scale(), (2, 3)) is True


def test_the_layer_stays_as_it_is():
    model = fc.Sequential(fc.Linear(4, 3), Scale(3), seed=5)
    model.arena.data[...] = np.arange(18)
    model.arena.grad[...] = 7
    fc.gradcheck(model, (2, 4))
    np.testing.assert_array_equal(model.arena.data, np.arange(18))
    np.testing.assert_array_equal(model.arena.grad, 7)
    assert model(np.ones((1, 4), np.float32)).dtype == np.float32


def test_nothing_is_drawn_in_the_layer():
    layer = fc.Linear(4, 3)
    fc.gradcheck(layer, (2, 4))
    drawn_later = fc.Sequential(layer, seed=9).layers[0].weight.data
    np.testing.assert_array_equal(drawn_later, fc.Sequential(fc.Linear(4, 3), seed=9).layers[0].weight.data)


def test_a_layer_of_a_model_can_be_checked_alone():
    model = fc.Sequential(fc.Linear(4, 3), Scale(3), fc.Linear(3, 2))
    before = model.arena.data.copy()
    assert fc.gradcheck(model.layers[1], (2, 3))
    np.testing.assert_array_equal(model.arena.data, before)


def test_random_layers_are_checked_at_the_step_they_are_given():
    assert fc.gradcheck(fc.Sequential(fc.Dropout(0.4), Scale(5)), (3, 5), training=fc.Training(seed=1, step=2))


def test_an_input_gradient_that_nobody_wants_is_not_checked():
    assert fc.gradcheck(fc.Linear(4, 3), (2, 4), training=fc.Training(input_gradient=False))


def test_a_kink_within_the_step_is_no_mistake():
    class Corner(fc.Layer):  # an input of shape (1, 2) is -1 and 1 in some order
        def forward(self, x, training):
            distance = x - (1 + 3e-6)
            return abs(distance), lambda dy: dy * np.sign(distance)

    assert fc.gradcheck(Corner(), (1, 2), step=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_no_input_lies_on_the_kink_of_relu(size):
    assert fc.gradcheck(fc.ReLU(), (1, size))


def test_an_output_may_be_a_view_of_the_input():
    assert fc.gradcheck(fc.Flatten(), (2, 3, 2))


def test_saturated_outputs_are_no_mistake():
    class Steep(fc.Layer):
        def forward(self, x, training):
            y = np.tanh(50 * x)
            return y, lambda dy: dy * 50 / np.cosh(50 * x) ** 2  # 1e-41, which no difference shows

    assert fc.gradcheck(Steep(), (1, 2))


# ---- wrong gradients -------------------------------------------------------------------------------------------------


def test_a_wrong_entry_of_the_input_s_gradient_is_reported():
    message = reported(broken(wrong_entry_of_dx)(name="scale7"), (2, 3))
    assert message.startswith("Broken 'scale7': the gradient of the input is off at 1 of 6 entries, most at (1, 1): ")


def test_a_wrong_entry_of_a_parameter_s_gradient_is_reported():
    message = reported(broken(wrong_entry_of_factor)(), (2, 3))
    assert message.startswith("Broken: the gradient of 'factor' is off at 1 of 3 entries, most at (2,): backward gave ")
    gave, expected = (float(part.split()[-1]) for part in message.split(": ")[-1].split(","))
    assert gave - expected == pytest.approx(0.5, abs=1e-6)


def test_the_worst_of_several_wrong_entries_is_shown():
    def two(layer, x, dx):
        return add_at(add_at(dx, (0, 2), -0.1), (1, 0), 0.2)

    assert "off at 2 of 6 entries, most at (1, 0)" in reported(broken(two)(), (2, 3))


@pytest.mark.parametrize("change", [mean_for_sum, other_sign])
def test_usual_mistakes_are_reported(change):
    assert " is off at " in reported(broken(change)(), (2, 3))


@pytest.mark.parametrize("size", [1e-12, 1e12])
def test_gradients_of_any_size_are_held_to_their_own_measure(size):
    class Sized(fc.Layer):
        def __init__(self, error):
            self.error = error

        def forward(self, x, training):
            return size * x**2, lambda dy: 2 * size * x * dy * (1 + self.error)

    assert fc.gradcheck(Sized(0.0), (2, 3))
    assert "Sized: the gradient of the input is off at 6 of 6 entries" in reported(Sized(1e-4), (2, 3))


def test_a_parameter_that_starts_at_zero_hides_nothing():
    assert "the gradient of the input is off at 6 of 6" in reported(broken(other_sign)(start=fc.init.zeros), (2, 3))


def test_nan_is_reported():
    def nowhere(layer, x, dx):
        return add_at(dx, (0, 1), np.nan)

    assert "off at 1 of 6 entries, most at (0, 1): backward gave nan" in reported(broken(nowhere)(), (2, 3))


def test_of_large_arrays_some_entries_are_looked_at_and_all_together():
    right, wrong = Scale(500), broken(lambda layer, x, dx: add_at(dx, (0, 123), 0.5))(500)
    assert fc.gradcheck(right, (2, 500), entries=10)
    message = reported(wrong, (2, 500), entries=10)
    assert message.startswith("Broken: the gradient of the input is off: in a random direction backward gave ")
    everywhere = broken(other_sign)(500)
    assert "is off at 10 of the 10 entries looked at (1000 in all)" in reported(everywhere, (2, 500), entries=10)


def test_the_message_is_one_line():
    assert "\n" not in reported(broken(other_sign)(), (2, 3))


# ---- broken promises -------------------------------------------------------------------------------------------------


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


# ---- several inputs and outputs --------------------------------------------------------------------------------------


class Product(fc.Layer):
    """Of two arrays."""

    takes_many = True

    def __init__(self, error=0.0, parts=2):
        self.error, self.parts = error, parts

    def forward(self, x, training):
        a, b = x
        return a * b, lambda dy: (dy * b, dy * a * (1 + self.error), dy)[: self.parts]


def test_every_input_of_several_is_checked():
    assert fc.gradcheck(Product(), ((2, 3), (2, 3)))
    message = reported(Product(error=0.01), ((2, 3), (2, 3)))
    assert message.startswith("Product: the gradient of input 2 is off at 6 of 6 entries")


@pytest.mark.parametrize("parts", [1, 3])
def test_as_many_gradients_as_inputs_are_expected(parts):
    message = reported(Product(parts=parts), ((2, 3), (2, 3)))
    assert "Product: backward must return a tuple of 2 arrays" in message


def two_heads(head):
    x = fc.Input(3)
    stem = fc.Linear(3, 4, name="stem")(x)
    return fc.Graph(x, [fc.Linear(4, 2)(stem), head(stem)])


def test_every_output_of_several_counts():
    assert fc.gradcheck(two_heads(Scale(4)), (2, 3))
    message = reported(two_heads(broken(mean_for_sum)(4, name="head")), (2, 3))
    assert message.startswith("Broken 'head': the gradient of 'factor' is off at 4 of 4 entries")


# ---- whom to blame ---------------------------------------------------------------------------------------------------


def test_the_wrong_layer_of_a_chain_is_named():
    model = fc.Sequential(fc.Linear(3, 4), fc.ReLU(), broken(other_sign)(4), fc.Linear(4, 2))
    assert reported(model, (2, 3)).startswith("Broken 'broken1': the gradient of the input is off at 8 of 8 entries")


def test_the_wrong_layer_deep_inside_is_named():
    inner = fc.Sequential(Scale(4), broken(wrong_entry_of_factor)(4, name="culprit"), name="inner")
    message = reported(fc.Sequential(fc.Linear(3, 4), inner, fc.Linear(4, 2)), (2, 3), training=True)
    assert message.startswith("Broken 'culprit': the gradient of 'factor' is off at 1 of 4 entries, most at (2,)")


def test_a_layer_in_two_places_is_no_obstacle():
    class Around(fc.Layer):
        def __init__(self, inner):
            self.inner = inner

        def forward(self, x, training):
            return self.inner.forward(x, training)

    relu = fc.ReLU()
    message = reported(fc.Sequential(Around(relu), Around(relu), broken(other_sign)(3)), (2, 3))
    assert message.startswith("Broken 'broken1': the gradient of the input is off")


def test_a_container_whose_layers_are_right_is_to_blame_itself():
    class Residual(fc.Layer):
        def __init__(self):
            self.branch = Scale(3)

        def forward(self, x, training):
            y, backward = self.branch.forward(x, training)
            return x + y, backward  # and the way around the branch is forgotten

    message = reported(fc.Sequential(Residual(), fc.Linear(3, 2)), (2, 3))
    assert message.startswith("Residual 'residual1': the gradient of the input is off at 6 of 6 entries")


# ---- arguments -------------------------------------------------------------------------------------------------------


def test_an_error_of_a_gradient_is_an_assertion_too():
    assert issubclass(fc.GradientError, AssertionError)
    assert issubclass(fc.GradientError, fc.FastcnnError)


@pytest.mark.parametrize("wrong", [fc.CrossEntropyLoss(), Scale, None], ids=["a loss", "a class", "nothing"])
def test_what_is_no_layer_is_refused(wrong):
    with pytest.raises(fc.ConfigError, match="gradcheck: expected a layer or a model, got"):
        fc.gradcheck(wrong, (2, 3))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Scale(), (), r"Scale: input_shape must be a shape such as \(2, 3\), batch included, got \(\)"),
        (Scale(), 3, "Scale: input_shape must be a shape"),
        (Scale(), (0, 3), "each size of gradcheck: Scale: input_shape must be a whole number >= 1, got 0"),
        (Scale(), (2, 3.5), "must be a whole number >= 1, got 3.5"),
        (Product(), (2, 3), "Product: input_shape must be a tuple of shapes"),
    ],
    ids=str,
)
def test_shapes_that_are_none_are_refused(layer, shape, message):
    with pytest.raises(fc.ConfigError, match=message):
        fc.gradcheck(layer, shape)


@pytest.mark.parametrize("settings", [{"step": 0}, {"tolerance": -1}, {"seed": -1}, {"entries": 0}], ids=str)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(fc.ConfigError, match=f"gradcheck: {next(iter(settings))} must be"):
        fc.gradcheck(Scale(), (2, 3), **settings)
