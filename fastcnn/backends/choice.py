"""Which backend computes: that of the array; and arrays of one device for another."""

from typing import Any

import numpy as np

from fastcnn.backends import cpu
from fastcnn.backends.arrays import array_of


def backend_of(array: Any) -> Any:
    """The backend for arrays such as this one: the GPU's for what lies in its memory, else the CPU's.

    Neither Numba nor CUDA is imported before an array asks for them.
    """
    if isinstance(array, np.ndarray) or not hasattr(type(array), "__cuda_array_interface__"):
        return cpu  # which says what is wrong, if it is no array
    from fastcnn.backends.cuda import operations

    return operations if operations.is_on_gpu(array) else cpu


def on_device(array: Any) -> bool:
    """Whether an array lies in the memory of the GPU."""
    return backend_of(array) is not cpu


def as_array(values: Any, who: str, name: str) -> Any:
    """The values as an array of NumPy's, or a `DeviceArray`, over the memory of another library's on the GPU."""
    if type(values) is np.ndarray:
        return values
    return _there(values) if on_device(values) else array_of(values, who, name)


def host(array: Any) -> Any:
    """The array, or a copy of it in the memory of the host."""
    return _there(array).numpy() if on_device(array) else array


def beside(values: Any, partner: Any) -> Any:
    """An array of the host, or a copy of it on the device where `partner` lies."""
    return _there(values) if on_device(partner) else values


def _there(values: Any) -> Any:
    from fastcnn.backends.cuda.array import to_device

    return to_device(values)
