"""What the GPU backend asks of its arguments, and how it launches what takes an element a thread."""

from typing import Any

import numpy as np

from fastcnn.backends.cuda import device, language
from fastcnn.backends.cuda.array import DeviceArray
from fastcnn.backends.cuda.language import Kernel
from fastcnn.errors import DTypeError

REALS = {np.dtype(np.float32): language.float32, np.dtype(np.float64): language.float64}


def checked(who: str, name: str, array: Any, dtype: np.dtype[Any] | None = None) -> DeviceArray:
    """`array`, if it is on the GPU and one of `dtype`, or of float32 or float64 where none is given."""
    if not isinstance(array, DeviceArray):
        raise DTypeError(
            f"{who}: {name} must be on the GPU as its partners are, got {type(array).__name__}; "
            "fastcnn.cuda.to_device puts it there"
        )
    if array.dtype not in REALS:
        raise DTypeError(f"{who}: {name} must be float32 or float64, got {array.dtype}")
    if dtype is not None and array.dtype != dtype:
        raise DTypeError(f"{who}: {name} is {array.dtype} but its partner is {dtype}; convert one of them")
    return array


def real_of(array: DeviceArray) -> language.Word:
    """The word for the type of the array's elements."""
    return REALS[array.dtype]


def blocks(count: int, threads: int) -> int:
    """How many blocks have a thread for each of `count` things."""
    return -(-count // threads)


def launch(kernel: Kernel, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> None:
    """Run the kernel; arrays among the arguments are passed by their place."""
    if 0 in grid:  # of an empty batch
        return
    taken = [one.argument if isinstance(one, DeviceArray) else one for one in arguments]
    device.current().launch(kernel, grid, block, taken)


def launch_each(kernel: Kernel, count: int, *arguments: Any) -> None:
    """Run a kernel that takes an element a thread, and the count as its last argument."""
    launch(kernel, (blocks(count, kernel.threads),), (kernel.threads,), *arguments, count)
