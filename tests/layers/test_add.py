"""Add: values, gradients, shapes."""

import numpy as np
import pytest

import fastcnn as fc


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 2, 2)], ids=str)
def test_gradients_match_central_differences(count, shape):
    assert fc.gradcheck(fc.Add(), (shape,) * count)


def test_the_sum_is_that_of_all():
    np.testing.assert_array_equal(fc.Add()(*(np.full((2, 3), value) for value in (1.0, 2.0, 4.0))), 7)


def test_the_inputs_stay_as_they_are():
    parts = [np.ones((2, 3)) for _ in range(3)]
    fc.Add()(*parts)
    np.testing.assert_array_equal(parts, 1)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((2, 3), (2, 1)), ((2, 3), (2, 3, 1))], ids=str)
def test_shapes_that_differ_are_refused_by_name(shapes):
    with pytest.raises(fc.ShapeError, match=r"Add 'add1': expected two or more inputs of one shape, got \(2, 3\) and"):
        fc.Add(name="add1")(*map(np.zeros, shapes))


def test_one_input_is_refused():
    with pytest.raises(fc.ConfigError, match="Add: takes two or more inputs, got 1"):
        fc.Add()(np.zeros((2, 3)))
