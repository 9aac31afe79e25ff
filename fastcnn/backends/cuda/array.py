"""Arrays in the memory of the device."""

import math
from typing import Any, Self

import numpy as np

from fastcnn.backends.cuda import device
from fastcnn.errors import ShapeError

Shape = tuple[int, ...]
LARGEST = 2**31 - 1  # elements; kernels count them in 32 bits


class DeviceArray:
    """A C-contiguous array in the memory of the GPU; `fastcnn.ops` takes it in the place of NumPy's.

    It has a shape and a dtype and no arithmetic of its own. ``numpy()`` copies it back.

    Attributes:
        shape: Its sizes.
        dtype: That of its elements.
    """

    def __init__(self, memory: Any, shape: Shape, dtype: Any, start: int = 0) -> None:
        self.memory = memory
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.start = start  # in bytes

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes they take."""
        return self.size * int(self.dtype.itemsize)

    @property
    def argument(self) -> Any:
        """What a kernel gets for it."""
        return device.current().at(self.memory, self.start, self.dtype, self.size)

    def reshape(self, *shape: int | Shape) -> "DeviceArray":
        """The same elements under another shape; one size may be -1."""
        sizes: Any = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        try:
            sizes = np.empty(self.shape, np.dtype([])).reshape(sizes).shape  # of no bytes: for the arithmetic
        except ValueError:
            raise ShapeError(f"DeviceArray.reshape: {self.shape} does not fit {tuple(sizes)}") from None
        return DeviceArray(self.memory, sizes, self.dtype, self.start)

    def __getitem__(self, rows: slice) -> "DeviceArray":
        """Some rows that lie side by side: a view."""
        if not isinstance(rows, slice) or rows.step not in (None, 1) or not self.shape:
            raise ShapeError(f"DeviceArray: only rows that lie side by side can be taken, as in a[3:5], got {rows!r}")
        first, end, _ = rows.indices(self.shape[0])
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        return DeviceArray(self.memory, (max(end - first, 0), *self.shape[1:]), self.dtype, self.start + first * row)

    def __setitem__(self, everything: Any, values: Any) -> None:
        """``array[...] = values``: copy values of the same shape into it, from the host or on the device."""
        if everything is not Ellipsis:
            raise ShapeError(f"DeviceArray: only all values can be set, as in a[...] = values, got a[{everything!r}]")
        if not isinstance(values, DeviceArray):
            self.write(values)
            return
        if (values.shape, values.dtype) != (self.shape, self.dtype):
            raise ShapeError(f"DeviceArray: expected {self.dtype} {self.shape}, got {values.dtype} {values.shape}")
        if self.size:
            device.current().copy(values.memory, values.start, self.memory, self.start, self.nbytes)

    def __len__(self) -> int:
        return self.shape[0]

    def numpy(self) -> np.ndarray[Any, Any]:
        """A copy in the memory of the host."""
        values = np.empty(self.shape, self.dtype)
        if self.size:
            device.current().read(self.memory, self.start, values)
        return values

    def write(self, values: Any) -> Self:
        """Copy values of the same shape from the host into it."""
        values = np.ascontiguousarray(values, self.dtype)
        if values.shape != self.shape:
            raise ShapeError(f"DeviceArray.write: expected shape {self.shape}, got {values.shape}")
        if self.size:
            device.current().write(self.memory, self.start, values)
        return self

    def copy(self) -> "DeviceArray":
        """The same values in memory of their own."""
        other = empty(self.shape, self.dtype)
        if self.size:
            device.current().copy(self.memory, self.start, other.memory, other.start, self.nbytes)
        return other

    def overlaps(self, other: "DeviceArray") -> bool:
        """Whether some bytes belong to both."""
        if self.memory is not other.memory:
            return False
        return self.start < other.start + other.nbytes and other.start < self.start + self.nbytes

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype})"


def empty(shape: Shape, dtype: Any) -> DeviceArray:
    """An array whose values nobody has set.

    Raises:
        ShapeError: for more elements than kernels can count.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape)
    if size > LARGEST:
        raise ShapeError(f"an array of shape {shape} has {size} elements; on the GPU it may have {LARGEST}")
    return DeviceArray(device.current().allocate(max(size, 1) * dtype.itemsize), tuple(shape), dtype)


def to_device(values: Any) -> DeviceArray:
    """A copy of an array of the host in the memory of the device, of the same shape and dtype."""
    values = np.asarray(values)
    return empty(values.shape, values.dtype).write(values)
