"""The devices of tests: kernels run on the CPU, in both orders of threads; and on the GPU, where there is one.

A module that takes long on the CPU names in DEVICES those that it wants; test_barriers.py runs all kernels for which
the order matters in both.
"""

import pytest

import fastcnn as fc
from fastcnn.backends.cuda.device import current, use

MISSING = fc.cuda.why_not()
ORDERS = {"first thread first": 1, "last thread first": -1}
GPU = "GPU"


class Listing:
    """The GPU, which notes the names of the kernels that it runs, as a SimtDevice does."""

    def __init__(self, beneath):
        self.beneath = beneath
        self.launched = []

    def __getattr__(self, name):
        return getattr(self.beneath, name)

    def launch(self, kernel, *how):
        self.launched.append(kernel.name)
        self.beneath.launch(kernel, *how)


def pytest_generate_tests(metafunc):
    if "device" in metafunc.fixturenames:
        wanted = getattr(metafunc.module, "DEVICES", (*ORDERS, GPU))
        metafunc.parametrize("device", [name for name in wanted if name != GPU or not MISSING], indirect=True)


@pytest.fixture
def device(request):
    """A SimtDevice or the GPU, which is the current device."""
    if request.param == GPU:
        player = Listing(current())
    else:
        pytest.importorskip("greenlet", reason="the runner of GPU kernels needs greenlet")
        from simt import SimtDevice

        player = SimtDevice(ORDERS[request.param])
    with use(player) as device:
        yield device


@pytest.fixture
def real_gpu():
    """The GPU itself."""
    if MISSING:
        pytest.skip(MISSING)
    return current()
