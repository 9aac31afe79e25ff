"""Arrays for other libraries, and of theirs, without a copy: CUDA's array interface and DLPack.

Both sides hand over a pointer, with shape and type. Who gives memory away first waits until all that was asked of it is
done, and fastcnn waits likewise for what it is given, so that no side need know the other's streams.
"""

import ctypes
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastcnn.errors import DTypeError, ShapeError

LEGACY_STREAM = 1  # CUDA's name of the stream that those use who name none
OURS, TAKEN = b"dltensor", b"used_dltensor"  # names of DLPack's capsules
CODES = {"i": 0, "u": 1, "f": 2}  # DLPack's, for kinds of NumPy's types


class Found(NamedTuple):
    """An array that another library owns; whoever uses it keeps the owner."""

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: Any


class _Device(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int32), ("number", ctypes.c_int32))


class _Type(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Managed(ctypes.Structure):
    """DLManagedTensor of dlpack.h, with the DLTensor that it begins with."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("delete", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    )


_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.restype, _rename.argtypes = ctypes.c_int, (ctypes.py_object, ctypes.c_char_p)
# The same for a capsule that is about to vanish: an address, since nobody may take a reference to it any more.
_is = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", ctypes.pythonapi))
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


# ---- giving ----------------------------------------------------------------------------------------------------------

_given: dict[int, tuple[_Managed, Any]] = {}  # what others hold, by the address of what describes it


def _delete(managed: int) -> None:
    _given.pop(managed, None)


def _vanish(capsule: int) -> None:
    if _is(capsule, OURS):  # nobody took it
        _given.pop(_pointer_of(capsule, OURS), None)


_delete_given = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_delete)
_vanish_given = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_vanish)


def capsule_of(array: Any, address: int, place: tuple[int, int]) -> Any:
    """DLPack's capsule for an array with a shape and a dtype; the array is kept until the taker lets go."""
    sizes = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    steps = [math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]
    strides = (ctypes.c_int64 * max(array.ndim, 1))(*steps)
    kind = _Type(CODES[array.dtype.kind], 8 * array.dtype.itemsize, 1)
    managed = _Managed(address, _Device(*place), array.ndim, kind, sizes, strides, 0, None, _delete_given)
    _given[ctypes.addressof(managed)] = (managed, array)
    return _new(ctypes.addressof(managed), OURS, ctypes.cast(_vanish_given, ctypes.c_void_p))


# ---- taking ----------------------------------------------------------------------------------------------------------


class _Taken:
    """Holds what a capsule describes; its owner is told when nobody does any more."""

    def __init__(self, managed: _Managed) -> None:
        self._managed = managed

    def __del__(self) -> None:
        if self._managed.delete:
            self._managed.delete(ctypes.addressof(self._managed))


def dlpack_device(values: Any) -> tuple[int, int] | None:
    """Where DLPack says that an object's elements lie; None for what doesn't speak DLPack."""
    return tuple(values.__dlpack_device__()) if hasattr(values, "__dlpack__") else None


def from_dlpack(values: Any, finish: Callable[[int], None]) -> Found:
    """The array of an object with ``__dlpack__``."""
    capsule = values.__dlpack__()
    managed = _Managed.from_address(_pointer(capsule, OURS))
    _rename(capsule, TAKEN)
    taken = _Taken(managed)
    finish(LEGACY_STREAM)  # which the owner, being told of no stream, has made wait for itself
    shape = tuple(managed.shape[axis] for axis in range(managed.ndim))
    names = {code: kind for kind, code in CODES.items()}
    code, bits, lanes = managed.dtype.code, managed.dtype.bits, managed.dtype.lanes
    if code not in names or lanes != 1 or bits not in (8, 16, 32, 64):
        raise DTypeError(f"to_device: elements of DLPack's type ({code}, {bits}, {lanes}) are not supported")
    dtype = np.dtype(f"{names[code]}{bits // 8}")
    if managed.strides:
        _contiguous(shape, tuple(managed.strides[axis] for axis in range(managed.ndim)))
    return Found((managed.data or 0) + managed.byte_offset, shape, dtype, taken)


def from_interface(values: Any, finish: Callable[[int], None]) -> Found:
    """The array of an object with ``__cuda_array_interface__``."""
    interface = values.__cuda_array_interface__
    dtype, shape = np.dtype(interface["typestr"]), tuple(interface["shape"])
    if dtype.kind not in CODES or not dtype.isnative or interface.get("mask") is not None:
        raise DTypeError(f"to_device: elements of type {interface['typestr']}, or masked, are not supported")
    address, read_only = interface["data"]
    if read_only:
        raise DTypeError(
            "to_device: the array is read-only, and nothing would keep kernels from writing; copy it first"
        )
    if interface.get("strides") is not None:
        _contiguous(shape, tuple(step / dtype.itemsize for step in interface["strides"]))
    if interface.get("stream") is not None:
        finish(interface["stream"])
    return Found(address or 0, shape, dtype, values)


def _contiguous(shape: tuple[int, ...], steps: tuple[float, ...]) -> None:
    """A ShapeError unless rows of this shape lie side by side, going by the step, in elements, along each axis."""
    expected = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    wrong = (one != other and size > 1 for one, other, size in zip(steps, expected, shape, strict=True))
    if any(wrong) and math.prod(shape) > 0:
        raise ShapeError(f"to_device: an array of shape {shape} must be C-contiguous, got steps {steps}; copy it first")
