"""Layers that become part of a second model."""

import numpy as np
import pytest

import fastcnn as fc


@pytest.mark.parametrize("layers", [lambda shared: [shared], lambda shared: [fc.Sequential(fc.ReLU(), shared)]])
def test_a_layer_taken_over_by_a_model_of_another_dtype_is_named(layers, tmp_path):
    shared, x = fc.Linear(4, 2), np.ones((3, 4), np.float32)
    model = fc.Sequential(*layers(shared))
    fc.Sequential(shared, dtype="float64")
    says = "Sequential: Linear 'linear1' has become part of another model, of float64, .*; make a layer for each"
    uses = {
        "evaluated": lambda: model(x),
        "trained": lambda: fc.train_step(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), x, np.zeros(3, int)),
        "frozen": lambda: model.freeze(),
        "saved": lambda: fc.save(model, tmp_path / "model"),
    }
    for name, use in uses.items():
        with pytest.raises(fc.ConfigError if name == "saved" else fc.DTypeError, match=says):
            use()
    assert not (tmp_path / "model").exists()
    with pytest.raises(fc.DTypeError, match=r"^Linear 'linear1': its parameters are float64, .* use x.astype"):
        shared(x)
    assert shared(x.astype(float)).dtype == np.float64
