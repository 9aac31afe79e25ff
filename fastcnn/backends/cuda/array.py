"""Arrays in the memory of the device."""

import math
from typing import Any, Self

import numpy as np

from fastcnn.backends.arrays import array_of
from fastcnn.backends.cuda import device, exchange
from fastcnn.errors import DTypeError, ShapeError

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
        values = np.asarray(values, self.dtype, order="C")
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

    @property
    def address(self) -> int:
        """Where its first byte lies."""
        return device.current().address(self.memory) + self.start

    def overlaps(self, other: "DeviceArray") -> bool:
        """Whether some bytes belong to both."""
        return self.address < other.address + other.nbytes and other.address < self.address + self.nbytes

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """For other libraries, which read and write the same memory; waits until all that was asked for is done."""
        device.current().finish()
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address if self.size else 0, False),
            "strides": None,
            "stream": None,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return device.current().place

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        if dl_device not in (None, self.__dlpack_device__()):
            raise BufferError(f"DeviceArray: lies on DLPack's device {self.__dlpack_device__()}, not on {dl_device}")
        given = self.copy() if copy else self
        device.current().finish()
        return exchange.capsule_of(given, given.address, self.__dlpack_device__())

    def __array__(self, *_: Any, **__: Any) -> Any:
        """What NumPy asks for: refused, for a copy from the GPU should be seen where it is made."""
        return _no_arithmetic(self)

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype})"


def _no_arithmetic(*_: Any) -> Any:
    raise DTypeError(
        "an array on the GPU has no arithmetic: a layer of your own calls fastcnn.ops there, or a library such as "
        "CuPy; or it takes x.numpy(), computes on the host, and gives fastcnn.cuda.to_device(result)"
    )


for _operator in ("add", "sub", "mul", "truediv", "pow", "matmul", "mod", "floordiv"):
    for _prefix in ("", "r", "i"):
        setattr(DeviceArray, f"__{_prefix}{_operator}__", _no_arithmetic)
for _operator in ("neg", "pos", "abs", "lt", "le", "gt", "ge"):
    setattr(DeviceArray, f"__{_operator}__", _no_arithmetic)


def empty(shape: Shape, dtype: Any) -> DeviceArray:
    """An array whose values nobody has set.

    Raises:
        ShapeError: for more elements than kernels can count.
    """
    dtype = np.dtype(dtype)
    memory = device.current().allocate(max(_countable(shape), 1) * dtype.itemsize)
    return DeviceArray(memory, tuple(shape), dtype)


def _countable(shape: Shape) -> int:
    """How many elements there are, if kernels can count them."""
    size = math.prod(shape)
    if size > LARGEST:
        raise ShapeError(
            f"an array of shape {shape} has {size:,} elements; the GPU takes {LARGEST:,}, use a smaller batch"
        )
    return size


def to_device(values: Any) -> DeviceArray:
    """An array of the same shape and dtype in the memory of the device.

    What lies there already is not copied but shared: a DeviceArray is returned as it is, one of another library
    (with ``__cuda_array_interface__`` or ``__dlpack__``) as an array over the same memory, which it keeps alive.

    Raises:
        ShapeError: if an array of another library is not C-contiguous.
        DTypeError: if elements are no numbers that kernels know.
    """
    if isinstance(values, DeviceArray):
        return values
    if hasattr(values, "__cuda_array_interface__"):
        return _shared(exchange.from_interface(values, device.current().finish))
    if not isinstance(values, np.ndarray) and exchange.dlpack_device(values) == device.current().place:
        return _shared(exchange.from_dlpack(values, device.current().finish))
    values = array_of(values, "to_device", "values")
    if values.dtype.kind not in "iuf":
        raise DTypeError(f"to_device: elements of type {values.dtype} are not supported")
    return empty(values.shape, values.dtype).write(values)


def _shared(found: exchange.Found) -> DeviceArray:
    if not found.address and math.prod(found.shape) > 0:
        raise ShapeError(f"to_device: an array of shape {found.shape} that lies nowhere")
    size = _countable(found.shape) * found.dtype.itemsize
    return DeviceArray(device.current().borrow(found.address, size, found.owner), found.shape, found.dtype)
