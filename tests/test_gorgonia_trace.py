"""Twenty steps of the real Gorgonia, followed number by number (the trace's README says how it was made)."""

import json
import math

import numpy as np
import pytest
from support import every_isa, use_isa

import fastcnn as fc

BATCH = 100
STEPS = {"float64": 20, "float32": 5}
LOSSES = {"product": fc.ProductLoss, "crossentropy": fc.CrossEntropyLoss}
every_cost = pytest.mark.parametrize("cost", LOSSES)


@pytest.fixture(scope="session")
def traces(data_dir):
    folder = data_dir / "gorgonia_trace"
    return {cost: json.loads((folder / f"trace_{cost}_float64.json").read_text()) for cost in LOSSES}


@pytest.fixture(scope="session")
def mnist(data_dir):
    """Inputs and targets of the first 20 batches, as Gorgonia scales them."""
    read = lambda name: fc.data.read_idx(data_dir / "mnist" / name)[: 20 * BATCH]  # noqa: E731
    x = read("train-images-idx3-ubyte.gz")[:, None] / 255 * 0.9 + 0.1
    x[x == 1] = 0.999
    y = np.where(np.arange(10) == read("train-labels-idx1-ubyte.gz")[:, None], 0.9, 0.1)
    return x, y


@pytest.fixture(scope="session")
def runs(mnist):
    """A function that trains once per (cost, dtype) and keeps what the tests ask for."""
    kept = {}

    def run(cost, dtype):
        if (cost, dtype) not in kept:
            kept[cost, dtype] = trained(cost, dtype, *mnist)
        return kept[cost, dtype]

    return run


def trained(cost, dtype, x, y):
    model = fc.models.gorgonia(dtype, dropout=False)
    for layer, parameter in enumerate(model.parameters()):
        parameter.data = from_seed(initial_weight(layer, to_seed(parameter.data).shape))
    loss, optimizer = LOSSES[cost]("mean_elements"), fc.RMSprop(model.parameters())
    x, y = x.astype(dtype), y.astype(dtype)
    result = {"costs": [], "logits": model(x[:1]), "weights": {}}
    for step in range(STEPS[dtype]):
        batch = slice(BATCH * step, BATCH * (step + 1))
        result["costs"].append(fc.train_step(model, loss, optimizer, x[batch], y[batch]))
        result["weights"][step + 1] = [to_seed(parameter.data).copy() for parameter in model.parameters()]
        if step == 0:
            result["gradients"] = [to_seed(parameter.grad).copy() for parameter in model.parameters()]
    return result


def initial_weight(layer, shape):
    i = np.arange(math.prod(shape), dtype=np.float64)
    deviation = math.sqrt(2 / ((shape[0] + shape[1]) * math.prod(shape[2:])))
    return (deviation * np.sin(0.1 + 0.7 * i + 0.3 * (i % 7) + layer)).reshape(shape)


def to_seed(array):
    """The seed's matrices are (in, out), ours (out, in)."""
    return array.T if array.ndim == 2 else array


from_seed = to_seed


def assert_matches(array, recorded, tolerance):
    """Hold an array to what the trace tells of it: its shape, single entries, and sums."""
    flat = np.ascontiguousarray(array).ravel()
    assert list(array.shape) == recorded["shape"]
    scale = np.abs(flat).max()
    np.testing.assert_allclose(flat[recorded["indices"]], recorded["values"], rtol=0, atol=tolerance * scale)
    assert abs(one_by_one(flat) - recorded["sum"]) <= tolerance * recorded["sumabs"]
    assert one_by_one(np.abs(flat)) == pytest.approx(recorded["sumabs"], rel=tolerance)
    assert one_by_one(flat * flat) == pytest.approx(recorded["sumsq"], rel=2 * tolerance)


def one_by_one(values):
    """The sum as Gorgonia's trace takes it, first to last: it carries the rounding of that order."""
    return np.cumsum(values)[-1]


def test_inputs_targets_and_first_weights_are_gorgonia_s(mnist, traces):
    for name, array in zip("xy", mnist, strict=True):
        assert_matches(array[:BATCH], traces["product"]["inputs_step1"][name], 1e-13)
    for layer in range(5):
        recorded = traces["product"]["weights_initial"][f"w{layer}"]
        assert_matches(initial_weight(layer, recorded["shape"]), recorded, 1e-13)


@every_cost
def test_the_first_output_is_gorgonia_s(cost, runs, traces):
    log_softmax = fc.ops.log_softmax(runs(cost, "float64")["logits"])
    output = log_softmax if cost == "crossentropy" else np.exp(log_softmax)
    np.testing.assert_allclose(output[0], traces[cost]["steps"][0]["out_row0"], rtol=1e-11)


@every_cost
def test_every_cost_of_20_steps_is_gorgonia_s(cost, runs, traces):
    recorded = [step["cost"] for step in traces[cost]["steps"]]
    np.testing.assert_allclose(runs(cost, "float64")["costs"], recorded, rtol=1e-12)


@every_cost
def test_the_first_gradients_are_gorgonia_s(cost, runs, traces):
    for layer, gradient in enumerate(runs(cost, "float64")["gradients"]):
        assert_matches(gradient, traces[cost]["steps"][0]["grads_before_solver"][f"w{layer}"], 1e-11)


@every_cost
@pytest.mark.parametrize("step", [1, 5, 20])
def test_the_weights_are_gorgonia_s(cost, step, runs, traces):
    for layer, weight in enumerate(runs(cost, "float64")["weights"][step]):
        recorded = traces[cost]["steps"][step - 1]["weights_after_step"][f"w{layer}"]
        assert_matches(weight, recorded, 1e-10)


@every_isa
@every_cost
def test_float32_stays_close_for_5_steps(isa, cost, mnist, traces):
    """RMSprop's first steps are as long for a small gradient as for a large one, and so for its rounding."""
    recorded = [step["cost"] for step in traces[cost]["steps"][:5]]
    with use_isa(isa):
        np.testing.assert_allclose(trained(cost, "float32", *mnist)["costs"], recorded, rtol=1e-6)
