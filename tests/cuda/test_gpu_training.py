"""Training where the GPU is played by the CPU: the same bits recorded or not, and the CPU's to rounding."""

import ctypes
import os
import signal
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("greenlet", reason="the tests' GPU needs greenlet")

from fake_driver import FakeDriver, compiled
from numpy.testing import assert_allclose, assert_array_equal
from simt import SimtDevice

import fastcnn as fc
from fastcnn.backends.cuda import kernels, nvidia
from fastcnn.backends.cuda.device import use
from fastcnn.backends.cuda.memory import Pool
from fastcnn.data import DeviceImages, ImageSamples
from fastcnn.layers.parameter import LINE

DEVICES = "first thread first", "GPU"


def digits(count=5, classes=3, dtype="float64", targets="soft"):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, 1, 3, 3), np.uint8)
    return ImageSamples(images, generator.integers(0, classes, count), dtype, "unit", targets, classes)


def network(dtype="float64"):
    layers = fc.Flatten(), fc.Linear(9, 5), fc.ReLU(), fc.Dropout(0.5), fc.Linear(5, 3)
    return fc.Sequential(*layers, input_shape=(1, 3, 3), dtype=dtype, seed=3)


class Costs(fc.Callback):
    def __init__(self):
        self.costs = []

    def on_batch(self, trainer, metrics):
        self.costs.append(metrics.cost)


def trained(samples, device, record=True, loss=None, optimizer=fc.Adam, epochs=2, lr=0.01, dtype="float64"):
    """Costs of all batches and the weights, after training with batches of 3: the last one of an epoch is smaller."""
    model, costs = network(dtype).to(device), Costs()
    trainer = fc.Trainer(
        model,
        loss or fc.CrossEntropyLoss(),
        optimizer(model.parameters(), lr=lr),
        batch_size=3,
        callbacks=[costs],
        schedule=lambda step: lr / (step + 1),
        record=record,
    )
    given = DeviceImages(samples) if device == "cuda" else samples
    trainer.fit(given, epochs=epochs, validation=given)
    return costs.costs, model.state_dict(), trainer


@pytest.mark.parametrize(
    ("optimizer", "loss"),
    [
        (fc.Adam, fc.CrossEntropyLoss()),
        (fc.RMSprop, fc.ProductLoss("mean_elements")),
        (fc.SGD, fc.LogProductLoss("sum")),
    ],
)
def test_recorded_steps_have_the_bits_of_single_ones_and_the_cpus_to_rounding(device, optimizer, loss):
    on_cpu, one_by_one, recorded = (
        trained(digits(), where, record, loss, optimizer)
        for where, record in (("cpu", True), ("cuda", False), ("cuda", True))
    )
    assert len(recorded[0]) == 4
    assert_allclose(recorded[0], one_by_one[0], rtol=1e-15)  # the host adds a batch's losses in another order
    assert_allclose(one_by_one[0], on_cpu[0], rtol=1e-13)
    for name, weights in recorded[1].items():
        assert_array_equal(weights, one_by_one[1][name])
        assert_allclose(weights, on_cpu[1][name], rtol=1e-11, atol=1e-13)
    assert recorded[2].progress.steps == on_cpu[2].progress.steps == 4
    assert recorded[2].history[-1].test_accuracy == on_cpu[2].history[-1].test_accuracy


class Preparing(SimtDevice):
    """Notes what it is to prepare; after the first kernel of two somebody presses Ctrl-C, if that is wanted."""

    def __init__(self, interrupted=False):
        super().__init__()
        self.interrupted = interrupted
        self.prepared = set()

    def prepare(self, kernels, told, processes):
        assert processes == fc.config.available_cpus()
        self.prepared |= {kernel.name for kernel in kernels}
        told(0, 2)
        if self.interrupted:
            self.interrupted = False
            os.kill(os.getpid(), signal.SIGINT)
        told(1, 2)
        told(2, 2)


class Compilations(fc.Callback):
    def __init__(self):
        self.told = []

    def on_compile(self, trainer, done, total):
        self.told.append((done, total))


def test_all_kernels_are_prepared_before_the_first_step_and_change_nothing():
    with use(SimtDevice()):
        expected = trained(digits(), "cuda")
    with use(Preparing()) as device:
        got = trained(digits(), "cuda")
        assert set(device.launched) == device.prepared
    assert got[0] == expected[0]
    for name, weights in got[1].items():
        assert_array_equal(weights, expected[1][name])


def with_convolution(dtype="float64"):
    layers = fc.Conv2d(1, 2, 2, padding=1), fc.ReLU(), fc.MaxPool2d(2), fc.Dropout(0.5), fc.Flatten(), fc.Linear(8, 3)
    return fc.Sequential(*layers, input_shape=(1, 3, 3), dtype=dtype, seed=3)


@pytest.mark.parametrize("make", [network, with_convolution])
def test_over_the_driver_a_record_has_all_memory_that_it_uses_to_itself(monkeypatch, make):
    """Memory that somebody lets go is spoilt at once, and a graph's results with it, if it is the graph's."""

    def spoilt(pool, memory, size):
        ctypes.memset(memory, 0xFF, size)
        put(pool, memory, size)

    put = Pool.put
    monkeypatch.setattr(Pool, "put", spoilt)
    monkeypatch.setitem(globals(), "network", make)
    monkeypatch.setattr(nvidia, "machine_code", compiled)
    monkeypatch.setattr(nvidia, "compile_all", lambda kernels, architecture, told, processes: None)
    with use(SimtDevice()):
        expected = trained(digits(), "cuda")
    driver = FakeDriver()
    with use(nvidia.NvidiaDevice(driver)):
        got = trained(digits(), "cuda")
        assert driver.calls.count("cuGraphInstantiate") == 2  # for 3 images and for 2
        assert driver.calls.count("cuGraphLaunch") == 2  # of four steps two were taken before they were recorded
    assert got[0] == expected[0]
    for name, weights in got[1].items():
        assert_array_equal(weights, expected[1][name])


class Moving(fc.Callback):
    def on_epoch(self, trainer, metrics):
        trainer.model.to("cpu")
        trainer.model.to("cuda")


def test_what_happens_to_the_model_between_epochs_and_runs_is_not_lost(device):
    def weights_of(record, *callbacks):
        model = network().to("cuda")
        optimizer, samples = fc.SGD(model.parameters(), 0.1), DeviceImages(digits())
        trainer = fc.Trainer(
            model, fc.CrossEntropyLoss(), optimizer, batch_size=5, callbacks=callbacks, record=record, metric=None
        )
        trainer.fit(samples, epochs=2)
        model.layers[3].p = 0.25
        trainer.fit(samples)
        return model.state_dict()

    expected = weights_of(False)
    for name, weights in weights_of(True, Moving()).items():
        assert_array_equal(weights, expected[name])


def test_callbacks_hear_how_many_kernels_are_compiled_and_ctrl_c_is_heard_between_them(ctrl_c):
    with use(Preparing(interrupted=True)):
        model, callback = network().to("cuda"), Compilations()
        optimizer = fc.SGD(model.parameters(), 0.1)
        trainer = fc.Trainer(model, fc.CrossEntropyLoss(), optimizer, batch_size=3, callbacks=[callback])
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(DeviceImages(digits()))
        assert callback.told == [(0, 2), (1, 2)]
        assert trainer.progress.steps == optimizer.steps == 0 and not trainer.in_step
        trainer.fit(DeviceImages(digits()))
        assert trainer.progress.steps == 2


def test_targets_may_be_class_indices(device):
    costs = [trained(digits(targets=form), "cuda", epochs=1)[0] for form in ("index", "one-hot")]
    assert_allclose(*costs, rtol=1e-15)


def test_a_cost_that_is_not_finite_ends_the_run_before_it_spoils_the_weights(device):
    samples = digits()
    samples.numbers[samples.images[2]] = np.inf  # of the third image's pixels; others have them, too, then
    samples.images[3:] = samples.images[0]
    samples.images[:2] = samples.images[0]
    samples.numbers[np.unique(samples.images[0])] = 0.5
    samples.images[2] = 255
    samples.numbers[255] = np.inf
    model = network().to("cuda")
    trainer = fc.Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters(), 0.1), batch_size=1, shuffle=False)
    with pytest.raises(fc.NonFiniteError, match="epoch 1, batch 3: the cost became nan: the input holds infinite"):
        trainer.fit(DeviceImages(samples))
    assert (trainer.progress.steps, trainer.optimizer.steps) == (2, 2)
    assert all(np.isfinite(values).all() for values in model.state_dict().values())


def test_a_model_moves_there_and_back_with_its_weights(device):
    model = network()
    before = model.state_dict()
    assert not model.on_device
    model.to("cuda")
    assert model.on_device
    x = fc.cuda.to_device(digits().inputs(slice(2)))
    y = model(x)
    assert isinstance(y, fc.cuda.DeviceArray)
    model.load_state_dict(before)
    assert_array_equal(y.numpy(), model(x).numpy())
    model.to("cpu")
    for name, values in model.state_dict().items():
        assert_array_equal(values, before[name])
    assert all(flat.ctypes.data % LINE == 0 for flat in model.arena.flat)
    assert_allclose(model(x.numpy()), y.numpy(), rtol=1e-13)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("make", [fc.models.gorgonia, fc.models.mxnet_scratch, fc.models.lenet5])
def test_the_summary_names_the_files_of_the_gpus_kernels(device, make, fused):
    folder = Path(kernels.__file__).parent
    model = fc.Sequential(make(), input_shape=(1, 28, 28)).to("cuda")  # one model in another
    model.fused = fused
    places = {place.layer: place.kernel for place in model.places((1, 1, 28, 28))}
    for layer, kernel in places.items():
        if not kernel.startswith("in "):
            assert type(layer) is fc.Flatten or (folder / f"{kernel}.py").exists()
    assert ("conv_pool" in places.values()) == (fused and make is not fc.models.lenet5)
    assert "winograd" not in model.summary()
    assert "gemm" in model.summary()
    assert "gemm" not in model.to("cpu").summary()


def test_the_summary_takes_no_times_on_the_gpu(device):
    with pytest.raises(fc.ConfigError, match="measure takes times on the CPU"):
        network().to("cuda").summary(measure=1)


def test_an_input_elsewhere_says_how_to_mend_it(device):
    x = digits().inputs(slice(2))
    with pytest.raises(fc.ConfigError, match="is on the CPU, its input is not; use to\\('cuda'\\)"):
        network()(fc.cuda.to_device(x))
    with pytest.raises(fc.ConfigError, match=r"is on the GPU, its input is not; use fastcnn\.cuda\.to_device"):
        network().to("cuda")(x)
    with pytest.raises(fc.ConfigError, match="frozen models run on the CPU"):
        network().to("cuda").freeze()


def test_a_layer_in_numpy_is_told_what_to_do(device):
    class Twice(fc.Layer):
        def forward(self, x, training):
            return x * 2, lambda dy: dy * 2

    class Exponential(fc.Layer):
        def forward(self, x, training):
            return np.exp(x), lambda dy: dy

    for layer in (Twice(), Exponential()):
        model = fc.Sequential(fc.Linear(3, 2), layer).to("cuda")
        with pytest.raises(fc.DTypeError, match=r"has no arithmetic: .* fastcnn\.ops .* x\.numpy\(\)"):
            model(fc.cuda.to_device(np.ones((1, 3), np.float32)))
