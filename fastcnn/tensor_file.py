"""Arrays in a safetensors file: how they are written without a copy, and read without the end of the process.

The library reads; where it is refused memory it ends the process, or panics, so it is asked for nothing that there
isn't memory for. What it would write of arrays and a description is written here, straight from the arrays.
"""

import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastcnn.config import release_memory
from fastcnn.layers.parameter import Array

DTYPES = {"float32": "F32", "float64": "F64", "int64": "I64"}  # as safetensors calls those that a file may have
SEAL = re.compile(r'\{"checksum":"([0-9a-f]{8})",')  # how a description begins


def header_of(description: str, arrays: Mapping[str, Array]) -> tuple[bytes, list[str]]:
    """The header of a safetensors file, and the order of its arrays: what `safetensors.numpy.save` would make of them.

    That one needs memory for a copy of all arrays, and ends the process where there is none.
    """
    order = sorted(arrays, key=lambda name: (-list(DTYPES).index(arrays[name].dtype.name), name))
    entries: dict[str, Any] = {"__metadata__": {"fastcnn": description}}
    end = 0
    for name in order:
        begin, end = end, end + arrays[name].nbytes
        dtype, shape = DTYPES[arrays[name].dtype.name], list(arrays[name].shape)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    return header + b" " * (-len(header) % 8), order


def nbytes_of(entry: Any) -> int:
    """Of an array of one of the dtypes that a file may have."""
    shape: list[int] = entry.get_shape()
    return math.prod(shape) * (4 if entry.get_dtype() == "F32" else 8)


def bytes_of(array: Array) -> memoryview:
    """All of them, in one row; the array's own, not copied."""
    return array.reshape(-1).view(np.uint8).data


class Checksum:
    """CRC-32 of the description and the arrays, in the order of their names."""

    def __init__(self, description: str) -> None:
        self.value = zlib.crc32(description.encode())

    def add(self, name: str, array: Array) -> None:
        header = f"{name} {array.dtype} {array.shape}"
        self.value = zlib.crc32(bytes_of(array), zlib.crc32(header.encode(), self.value))

    def __str__(self) -> str:
        return f"{self.value:08x}"


@contextmanager
def memory_for(size: int) -> Iterator[None]:
    """See that there is so much memory for safetensors, which ends the process where it is refused any, or panics."""
    try:
        try:
            np.empty(size, np.uint8)
        except MemoryError:
            release_memory()
            np.empty(size, np.uint8)
        yield
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise MemoryError(f"safetensors could not allocate ({' '.join(str(error).split()):.200})") from error
        raise
