"""gradcheck: several inputs and outputs, and which layer of a model is to blame."""

from dataclasses import dataclass, field

import pytest
from broken_layers import Product, Scale, broken, mean_for_sum, other_sign, reported, wrong_entry_of_factor

import fastcnn as fc

# ---- several inputs and outputs --------------------------------------------------------------------------------------


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


def test_layers_that_are_equal_are_still_two_and_need_no_hash():
    @dataclass
    class Times(fc.Layer):
        factor: float
        error: float = field(default=0.0, compare=False)

        def forward(self, x, training):
            return x * self.factor, lambda dy: dy * (self.factor + self.error)

    assert fc.gradcheck(fc.Sequential(Times(2.0), Times(2.0)), (2, 3))
    message = reported(fc.Sequential(Times(2.0), fc.Linear(3, 3), Times(2.0, error=0.1)), (2, 3))
    assert message.startswith("Times 'times2': the gradient of the input is off")


def test_a_container_whose_layers_are_right_is_to_blame_itself():
    class Residual(fc.Layer):
        def __init__(self):
            self.branch = Scale(3)

        def forward(self, x, training):
            y, backward = self.branch.forward(x, training)
            return x + y, backward  # and the way around the branch is forgotten

    message = reported(fc.Sequential(Residual(), fc.Linear(3, 2)), (2, 3))
    assert message.startswith("Residual 'residual1': the gradient of the input is off at 6 of 6 entries")
