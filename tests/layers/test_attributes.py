"""What can't be set: attributes that would take the place of a parameter, or of nothing that is trained or saved."""

import numpy as np
import pytest

import fastcnn as fc


def test_an_array_in_the_place_of_a_parameter_is_refused():
    model = fc.Sequential(fc.Linear(4, 2))
    linear = model.layers[0]
    with pytest.raises(fc.ConfigError, match=r"^Linear 'linear1': weight is a Parameter, which ndarray can't .*\.data"):
        linear.weight = np.zeros((2, 4))
    linear.weight.data = np.zeros((2, 4))
    linear.bias = None
    assert (model(np.ones((1, 4), np.float32)) == 0).all()


def test_the_layers_of_a_model_are_not_exchanged_without_a_word():
    model = fc.Sequential(fc.Linear(4, 2))
    with pytest.raises(TypeError):
        model.layers[0] = fc.Linear(4, 5)
    with pytest.raises(AttributeError):
        model.layers.append(fc.ReLU())


@pytest.mark.parametrize("part", [fc.Linear(2, 2), fc.Parameter((2,))], ids=["layer", "parameter"])
def test_what_a_model_was_not_made_of_is_refused_as_its_attribute(part):
    class Net(fc.Sequential):
        def __init__(self, more):
            self.first = fc.Linear(4, 2)
            super().__init__(self.first, fc.Sequential(fc.ReLU()))
            self.relu, self.weight = self.layers[1].layers[0], self.first.weight
            self.more = more

    assert Net(None).relu.name == "relu1"
    with pytest.raises(fc.ConfigError, match=r"^Net: more would be neither trained nor saved: "):
        Net(part)


@pytest.mark.parametrize("values", [["a", "b"], [1j, 2], [None, 1]])
def test_a_parameter_takes_real_numbers_only(values):
    for which in ("data", "grad"):
        with pytest.raises(fc.DTypeError, match=rf"^parameter\.{which}: expected real numbers, got "):
            setattr(fc.Parameter((2,)), which, values)


def test_rows_that_differ_in_length_are_named_wherever_arrays_come_in():
    model, ragged = fc.Sequential(fc.Linear(2, 2)), [[1.0, 2.0], [3.0]]
    for take, who in (
        (model, "Sequential: input"),
        (lambda rows: model.load_state_dict({"linear1.weight": rows}), "Sequential: linear1.weight"),
        (lambda rows: fc.data.ImageSamples(rows, [0, 1]), "ImageSamples: images"),
    ):
        with pytest.raises(fc.ShapeError, match=f"^{who} must be an array, got a list of which NumPy makes none: "):
            take(ragged)


def test_a_state_of_an_optimizer_that_is_no_dict_is_named():
    with pytest.raises(fc.ConfigError, match=r"^SGD: expected a dict of arrays by name, got NoneType$"):
        fc.SGD([fc.Parameter((2,))]).load_state_dict(None)


def test_labels_may_come_as_a_tuple_of_numbers():
    assert fc.data.ArraySamples(np.eye(3), (0, np.int64(1), 2)).labels.tolist() == [0, 1, 2]
