"""The devices of tests: kernels run on the CPU, in both orders of threads; and on the GPU, where there is one."""

import pytest

import fastcnn as fc
from fastcnn.backends.cuda.device import current, use

MISSING = fc.cuda.why_not()
ORDERS = {"first thread first": 1, "last thread first": -1} | ({} if MISSING else {"GPU": 0})


@pytest.fixture(params=ORDERS.values(), ids=ORDERS.keys())
def device(request):
    """A SimtDevice or the GPU, which is the current device."""
    if request.param == 0:
        yield current()
        return
    pytest.importorskip("greenlet", reason="the runner of GPU kernels needs greenlet")
    from simt import SimtDevice

    with use(SimtDevice(request.param)) as device:
        yield device


@pytest.fixture
def gpu():
    """A SimtDevice in one order of threads, for what takes long; test_barriers.py runs those kernels in both."""
    pytest.importorskip("greenlet", reason="the runner of GPU kernels needs greenlet")
    from simt import SimtDevice

    with use(SimtDevice()) as device:
        yield device


@pytest.fixture
def real_gpu():
    """The GPU itself."""
    if MISSING:
        pytest.skip(MISSING)
    return current()
