"""Which backend computes: that of the array; and arrays of one device for another."""

from typing import Any

import numpy as np

from fastcnn.backends import cpu


def backend_of(array: Any) -> Any:
    """The backend for arrays such as this one: the GPU's for what lies in its memory, else the CPU's.

    Neither Numba nor CUDA is imported before an array asks for them.
    """
    if isinstance(array, np.ndarray) or not hasattr(type(array), "__cuda_array_interface__"):
        return cpu  # which says what is wrong, if it is no array
    from fastcnn.backends.cuda import operations

    return operations


def on_device(array: Any) -> bool:
    """Whether an array lies in the memory of the GPU."""
    return backend_of(array) is not cpu


def host(array: Any) -> Any:
    """The array, or a copy of it in the memory of the host."""
    return array.numpy() if on_device(array) else array


def beside(values: Any, partner: Any) -> Any:
    """An array of the host, or a copy of it on the device where `partner` lies."""
    if not on_device(partner) or on_device(values):
        return values
    from fastcnn.backends.cuda.array import to_device

    return to_device(values)
