"""gradcheck: which gradients pass, how wrong ones are reported, what it refuses."""

import numpy as np
import pytest
from broken_layers import (
    Product,
    Scale,
    add_at,
    broken,
    mean_for_sum,
    other_sign,
    reported,
    wrong_entry_of_dx,
    wrong_entry_of_factor,
)

import fastcnn as fc

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


@pytest.mark.parametrize("distance", [3e-6, 1e-7])
@pytest.mark.parametrize("height", [0, 1e4], ids=["", "high up, where differences are rounded more"])
def test_a_kink_within_the_step_is_no_mistake(distance, height):
    class Corner(fc.Layer):  # an input of shape (1, 2) is -1 and 1 in some order, both four steps further
        def forward(self, x, training):
            beyond = x - (1 + 4e-5 + distance)
            return height + abs(beyond), lambda dy: dy * np.sign(beyond)

    assert fc.gradcheck(Corner(), (1, 2), step=1e-5)


@pytest.mark.parametrize(("seed", "entries"), [(2, 1), (2, 5), (4, 1)])
def test_the_kinks_of_a_whole_model_are_no_mistake(seed, entries):
    assert fc.gradcheck(fc.models.mxnet_scratch(), (2, 1, 28, 28), seed=seed, entries=entries)


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


@pytest.mark.parametrize("training", ["yes", 1, fc.Training], ids=str)
def test_what_is_no_training_is_refused(training):
    with pytest.raises(fc.ConfigError, match=r"gradcheck: training must be None, a bool or a .*Training, got"):
        fc.gradcheck(Scale(), (2, 3), training=training)


@pytest.mark.parametrize("settings", [{"step": 0}, {"tolerance": -1}, {"seed": -1}, {"entries": 0}], ids=str)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(fc.ConfigError, match=f"gradcheck: {next(iter(settings))} must be"):
        fc.gradcheck(Scale(), (2, 3), **settings)
