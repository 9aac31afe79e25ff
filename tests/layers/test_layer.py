"""What all layers share: arguments that only go by name, bounds of whole numbers, dropouts inside a custom layer."""

from dataclasses import dataclass

import numpy as np
import pytest

import fastcnn as fc


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (fc.ReLU, [True]),
        (fc.Flatten, [1]),
        (fc.Dropout, [0.5, True]),
        (fc.Linear, [2, 3, True, "cpu"]),
        (fc.MaxPool2d, [2, 2, 0, 1]),
        (fc.AvgPool2d, [2, 2, 0, True, None]),
        (fc.Softmax, [1]),
        (fc.LogSoftmax, [1]),
        (fc.LeakyReLU, [0.01, True]),
        (fc.Sigmoid, [True]),
        (fc.Tanh, [True]),
        (fc.Add, [True]),
        (fc.Concat, [1, True]),
    ],
)
def test_what_pytorch_takes_and_fastcnn_has_not_is_refused(make, arguments):
    make(*arguments[:-1])
    with pytest.raises(TypeError, match="positional"):
        make(*arguments)


def test_a_number_too_large_hears_of_both_bounds():
    with pytest.raises(fc.ConfigError, match="must be a whole number from 1 to 9223372036854775807, got 1000"):
        fc.Linear(10**30, 1)


def test_dropouts_inside_a_layer_have_masks_of_their_own_by_number():
    drops = [fc.Dropout(0.5), fc.Dropout(0.5)]
    x, step = np.ones((20, 50)), fc.Training(seed=1)
    one, other = (drop.forward(x, step.for_layer(i))[0] for i, drop in enumerate(drops))
    assert abs((one == other).mean() - 0.5) < 0.1


def test_members_that_are_equal_are_still_two_and_need_no_hash():
    @dataclass
    class Shift(fc.Layer):
        by: float = 0.0

        def __post_init__(self):
            self.amount = fc.Parameter((1,))

    class Holder(fc.Layer):
        def __init__(self):
            self.branch = [Shift(), Shift()]
            self.again = self.branch[0]

    assert [name for name, _ in Holder().named_parameters()] == ["branch.0.amount", "branch.1.amount"]
