"""What only a GPU can tell: whole networks, against the CPU, against themselves, against the real Gorgonia.

The operations are tested there, too: the fixture `device` adds the GPU to the players of one, where there is a GPU.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastcnn as fc
from fastcnn.backends.cuda.array import empty
from fastcnn.cuda import to_device
from fastcnn.data import DeviceImages, ImageSamples
from fastcnn.train import main

STEPS, BATCH = 20, 100


def trained(network, device, record=True, **options):
    """Costs of all steps and the weights, on the first digits of the sample, in the order of the file."""
    digits = fc.data.load_dataset("sample")
    count = STEPS * BATCH + 7  # a last batch of its own size
    dtype = options.get("dtype", "float64")
    samples = ImageSamples(digits.train_images[:count], digits.train_labels[:count], dtype)
    model = network(**options).to(device)
    costs = []
    callback = type("Costs", (fc.Callback,), {"on_batch": lambda self, trainer, metrics: costs.append(metrics.cost)})
    loss, optimizer = fc.CrossEntropyLoss("mean_elements"), fc.RMSprop(model.parameters())
    trainer = fc.Trainer(model, loss, optimizer, shuffle=False, callbacks=[callback()], record=record)
    trainer.fit(DeviceImages(samples) if device == "cuda" else samples)
    return costs, model.state_dict()


def assert_same_bits(left, right):
    for name, weights in left[1].items():
        assert_array_equal(weights, right[1][name])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", [fc.models.gorgonia, fc.models.mxnet_scratch, fc.models.lenet5])
def test_recorded_steps_repeat_themselves_and_single_ones_to_the_bit(real_gpu, network, dtype):
    recorded = trained(network, "cuda", dtype=dtype)
    assert_same_bits(recorded, trained(network, "cuda", dtype=dtype))
    assert_same_bits(recorded, trained(network, "cuda", record=False, dtype=dtype))


@pytest.mark.parametrize("network", [fc.models.gorgonia, fc.models.mxnet_scratch, fc.models.lenet5])
def test_float64_follows_the_cpu(real_gpu, network):
    costs, weights = trained(network, "cuda", dtype="float64")
    expected_costs, expected = trained(network, "cpu", dtype="float64")
    assert_allclose(costs, expected_costs, rtol=1e-11)
    for name, values in weights.items():
        assert_allclose(values, expected[name], rtol=1e-9, atol=1e-11)


def test_float64_follows_the_real_gorgonia(real_gpu, data_dir):
    from test_gorgonia_trace import from_seed, initial_weight, to_seed

    trace = json.loads((data_dir / "gorgonia_trace" / "trace_crossentropy_float64.json").read_text())
    read = lambda name: fc.data.read_idx(data_dir / "mnist" / name)[: STEPS * BATCH]  # noqa: E731
    images, labels = read("train-images-idx3-ubyte.gz")[:, None], read("train-labels-idx1-ubyte.gz")
    model, costs = fc.models.gorgonia("float64", dropout=False), []
    for layer, parameter in enumerate(model.parameters()):
        parameter.data = from_seed(initial_weight(layer, to_seed(parameter.data).shape))
    model.to("cuda")
    optimizer, samples = fc.RMSprop(model.parameters()), ImageSamples(images, labels, "float64")
    for first in range(0, STEPS * BATCH, BATCH):
        batch = slice(first, first + BATCH)
        x, y = fc.cuda.to_device(samples.inputs(batch)), samples.targets(batch)
        costs.append(fc.train_step(model, fc.CrossEntropyLoss("mean_elements"), optimizer, x, y))
    assert_allclose(costs, [step["cost"] for step in trace["steps"][:STEPS]], rtol=1e-11)


def test_mnist_is_learnt_as_well_as_on_the_cpu(real_gpu, data_dir, tmp_path):
    accuracies = {}
    for device in ("cpu", "cuda"):
        options = ["--recipe", "fast", "--dataset", "mnist", "--data-dir", str(data_dir), "--device", device]
        assert main([*options, "--quiet", "--run-dir", str(tmp_path / device)]) == 0
        accuracies[device] = json.loads((tmp_path / device / "metrics.jsonl").read_text())["test_accuracy"]
    assert accuracies["cuda"] == pytest.approx(accuracies["cpu"], abs=0.001)


def test_pytorch_shares_its_memory(real_gpu):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")
    x, weight = torch.arange(6.0, device="cuda").reshape(2, 3), torch.ones(1, 3, device="cuda")
    y = fc.ops.linear(x, weight)
    for theirs in (torch.from_dlpack(y), torch.as_tensor(y, device="cuda")):
        assert theirs.tolist() == [[3.0], [12.0]]
    fc.ops.sgd_update(x, torch.ones_like(x), 1.0)
    assert x.tolist() == [[-1.0, 0.0, 1.0], [2.0, 3.0, 4.0]]
    assert_array_equal(to_device(torch.ones(3, device="cuda")).copy().numpy(), np.ones(3))


def test_memory_that_is_not_there_is_a_clear_error(real_gpu):
    with pytest.raises(fc.CudaError, match="use a smaller batch or model"):
        [empty((2**31 - 1,), "float64") for _ in range(1000)]
    assert fc.cuda.to_device(np.ones(3)).numpy().sum() == 3


def test_float32_is_float32(real_gpu):
    """Not TF32, whose products have 10 bits."""
    a = np.full((64, 64), 1 + 2**-12, np.float32)
    product = fc.ops.matmul(*map(fc.cuda.to_device, (a, np.eye(64, dtype=np.float32)))).numpy()
    assert_array_equal(product, a)


@pytest.mark.skipif(fc.cuda.is_available(), reason="there is a GPU")
def test_the_sanitizer_is_not_started_without_a_gpu():
    script, root = Path(__file__).parents[2] / "tools/sanitize_gpu.sh", Path(fc.__file__).parents[1]
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(root)}
    done = subprocess.run(["bash", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no GPU can be used: ") and done.stderr.count("\n") == 1
