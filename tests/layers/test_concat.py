"""Concat: order, gradients, shapes."""

import numpy as np
import pytest

import fastcnn as fc


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [
        (1, ((2, 3), (2, 1))),
        (1, ((2, 3, 2, 2), (2, 1, 2, 2), (2, 4, 2, 2))),
        (2, ((2, 3, 1, 2), (2, 3, 4, 2))),
        (3, ((2, 3, 2, 1), (2, 3, 2, 4))),
    ],
    ids=str,
)
def test_gradients_match_central_differences(axis, shapes):
    assert fc.gradcheck(fc.Concat(axis), shapes)


@pytest.mark.parametrize("axis", [1, 2])
def test_parts_come_in_order(axis):
    parts = [np.full((2, 3, 3), value) for value in (1.0, 2.0, 3.0)]
    np.testing.assert_array_equal(fc.Concat(axis)(*parts), np.concatenate(parts, axis))


def test_the_axis_is_that_of_the_channels_unless_given():
    assert fc.Concat().config() == {"axis": 1}


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [
        (1, ((2, 3, 4), (2, 3, 5))),
        (1, ((2, 3), (3, 3))),
        (1, ((2, 3), (2, 3, 1))),
        (2, ((2, 3), (2, 3))),
        (1, ((2,), (2,))),
    ],
    ids=str,
)
def test_shapes_that_cannot_be_joined_are_refused_by_name(axis, shapes):
    message = f"Concat 'concat1': expected two or more inputs that differ in axis {axis} only, got "
    with pytest.raises(fc.ShapeError, match=message):
        fc.Concat(axis, name="concat1")(*map(np.zeros, shapes))


@pytest.mark.parametrize("axis", [0, -1, 1.0, None])
def test_the_batch_cannot_be_joined(axis):
    with pytest.raises(fc.ConfigError, match="Concat: axis must be a whole number >= 1"):
        fc.Concat(axis)
