"""The devices that the GPU's kernels are tested on."""

import pytest


@pytest.fixture(params=[1, -1], ids=["first to last", "last to first"])
def gpu(request):
    """One that runs them on the CPU, in either order of threads."""
    pytest.importorskip("greenlet")
    from simt import SimtDevice

    from fastcnn.backends.cuda.device import use

    with use(SimtDevice(request.param)) as device:
        yield device
