"""NVIDIA GPUs: whether there is one to compute on, and arrays in its memory.

``model.to("cuda")`` moves a model there; it then takes such arrays, as `fastcnn.ops` does, and gives such arrays.
Nothing of CUDA is imported before somebody asks for it. It takes ``pip install "fastcnn[cuda]"`` and NVIDIA's driver
for CUDA 13.
"""

from fastcnn.backends.cuda import device
from fastcnn.backends.cuda.array import DeviceArray, to_device
from fastcnn.errors import CudaError

__all__ = ["CudaError", "DeviceArray", "is_available", "name", "to_device", "why_not"]


def is_available() -> bool:
    """Whether this machine has a GPU that fastcnn can use."""
    return why_not() is None


def why_not() -> str | None:
    """In one line what keeps fastcnn from using a GPU of this machine; None if nothing does."""
    try:
        device.current()
    except CudaError as error:
        return str(error)
    return None


def name() -> str:
    """What the GPU in use is called.

    Raises:
        CudaError: if there is none.
    """
    return device.current().name
