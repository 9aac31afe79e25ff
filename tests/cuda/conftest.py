"""The device of tests: kernels run on the CPU, in both orders of threads."""

import pytest

from fastcnn.backends.cuda.device import use


@pytest.fixture(params=[1, -1], ids=["first thread first", "last thread first"])
def device(request):
    """A SimtDevice, which is the current device."""
    pytest.importorskip("greenlet", reason="the runner of GPU kernels needs greenlet")
    from simt import SimtDevice

    with use(SimtDevice(request.param)) as device:
        yield device


@pytest.fixture
def gpu():
    """The same in one order of threads, for what takes long; test_barriers.py runs those kernels in both."""
    pytest.importorskip("greenlet", reason="the runner of GPU kernels needs greenlet")
    from simt import SimtDevice

    with use(SimtDevice()) as device:
        yield device
