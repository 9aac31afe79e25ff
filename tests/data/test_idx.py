"""read_idx gives back what write_idx wrote, and answers anything else with one clear DataError."""

import errno
import gzip
import os
import struct
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastcnn.data import read_idx, write_idx
from fastcnn.errors import ConfigError, DataError, DTypeError, ShapeError

zipped = partial(gzip.compress, mtime=0)  # the same bytes at any time: some name a test

arrays = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=9))


def header(*shape, element_type=8):
    return struct.pack(f">4B{len(shape)}I", 0, 0, element_type, len(shape), *shape)


def read_bytes(folder, content):
    path = folder / "some-idx3-ubyte"
    path.write_bytes(content)
    return read_idx(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@pytest.mark.parametrize("name", ["plain-idx-ubyte", "packed-idx-ubyte.gz"])
@given(array=arrays)
def test_reads_back_what_was_written(folder, name, array):
    write_idx(folder / name, array)
    again = read_idx(folder / name)
    assert again.dtype == np.uint8 and again.flags.c_contiguous
    np.testing.assert_array_equal(again, array)


def test_content_and_not_the_name_tells_gzip(tmp_path):
    write_idx(tmp_path / "a.gz", np.arange(5, dtype=np.uint8))
    (tmp_path / "a.gz").rename(tmp_path / "a")
    np.testing.assert_array_equal(read_idx(str(tmp_path / "a")), np.arange(5))


def test_equal_arrays_give_equal_gzip_files_whatever_the_hour(tmp_path, monkeypatch):
    for name, now in (("a.gz", 1e9), ("b.gz", 1.5e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        write_idx(tmp_path / name, np.arange(200, dtype=np.uint8))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_a_transposed_array_is_written_in_row_major_order(tmp_path):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3).T
    write_idx(tmp_path / "a", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"\0\0\x08", "got 00 00 08"),
        (b"PK\x03\x04 a zip file", "got 50 4b 03 04"),
        (header(2, element_type=0x0D) + struct.pack(">2f", 3, 0.5), "got float32 with 0.5 at index 1; "),
        (header(1, 2, element_type=0x09) + b"\x07\xff", "got int8 with -1 at index (0, 1); "),
        (header(2, element_type=0x0C) + bytes(7), "expected 8 bytes for shape (2,), got 7"),
        (header(5, element_type=0x0E) + bytes(5), "shape (5,), which is 40"),
        (header(2, element_type=0x77) + bytes(8), "0x77 (unknown)"),
        (header() + bytes(8), "got 0"),
        (header(1, 1, 1, 1, 1) + bytes(1), "got 5"),
        (header(3, 2)[:9], "truncated"),
        (header(10, 28, 28) + bytes(10), "shape (10, 28, 28), which is 7840"),
        (header(30) + bytes(29), "truncated: expected 30 bytes for shape (30,), got 29"),
        (header(3) + bytes(4), "more bytes after them"),
        (header(0) + bytes(1), "more bytes after them"),
        (header(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(9), "expected at most 25 bytes"),
        (header(2**32 - 1, 2**32 - 1, 0), "expected at most 4294967296 bytes"),
        (zipped(header(10, 28, 28) + bytes(10)), "truncated: expected 7840 bytes"),
        (zipped(header(3) + bytes(4)), "more bytes after them"),
        (zipped(header(3) + bytes(3))[:-9], "Compressed file ended"),
        (zipped(header(3) + bytes(3))[:-8] + bytes(8), "CRC check failed"),
        (zipped(header(3) + bytes(3)) + b"junk", "Not a gzipped file"),
        (b"\x1f\x8b", "Compressed file ended"),
        (zipped(header(2**31, 2**31, 4)), "expected at most 67108864 bytes in a file this big"),
    ],
)
def test_damage_is_one_line_that_names_the_file(tmp_path, content, says):
    with pytest.raises(DataError) as caught:
        read_bytes(tmp_path, content)
    message = str(caught.value)
    assert message.startswith(f"read_idx {str(tmp_path / 'some-idx3-ubyte')!r}: ")
    assert says in message and "; " in message and "\n" not in message


@pytest.mark.parametrize("wrong", [None, 3, np.zeros(3)])
def test_what_is_no_path_is_named(wrong):
    with pytest.raises(ConfigError, match="read_idx: expected the path of a file, got"):
        read_idx(wrong)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match="nothing of that name"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="got a folder"):
        read_idx(tmp_path)


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    write_idx(tmp_path / "a", np.zeros(3, np.uint8))

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a': cannot be read to its end \(Permission denied\); "):
        read_idx(tmp_path / "a")


@given(content=st.binary(max_size=200))
@example(b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\xff\xff")
def test_any_bytes_are_read_or_refused(folder, content):
    try:
        read_bytes(folder, content)
    except DataError as error:
        assert "\n" not in str(error)


@given(array=arrays, packed=st.booleans(), damage=st.data())
def test_any_damaged_file_is_read_or_refused(folder, array, packed, damage):
    write_idx(folder / ("a.gz" if packed else "a"), array)
    content = bytearray((folder / ("a.gz" if packed else "a")).read_bytes())
    for _ in range(damage.draw(st.integers(1, 4))):
        content[damage.draw(st.integers(0, len(content) - 1))] = damage.draw(st.integers(0, 255))
    try:
        read_bytes(folder, bytes(content[: damage.draw(st.integers(0, len(content)))]))
    except DataError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(("promised", "says"), [(10, "more bytes after them"), (1 << 30, "at most")])
def test_a_gzip_bomb_costs_no_memory(tmp_path, promised, says):
    """A gibibyte of zeros in one megabyte, behind a header that hides it and behind one that admits it."""
    zeros = zipped(bytes(1 << 24))
    bomb = zipped(header(promised)) + zeros * 64
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=says):
            read_bytes(tmp_path, bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_write_refuses_what_idx_cannot_hold(tmp_path):
    with pytest.raises(DTypeError, match=r"got float32; pass np.asarray.*'uint8'.* or \(255 \* array\)"):
        write_idx(tmp_path / "a", np.zeros(3, np.float32))
    with pytest.raises(DTypeError, match="expected a uint8 array, got list; "):
        write_idx(tmp_path / "a", [1, 2, 3])
    with pytest.raises(ConfigError, match=r"write_idx: expected the path of a file, got ndarray; pass \(path, array\)"):
        write_idx(np.zeros(3, np.uint8), tmp_path / "a")
    with pytest.raises(DTypeError, match="mask"):
        write_idx(tmp_path / "a", np.ma.masked_equal(np.zeros(3, np.uint8), 0))
    with pytest.raises(ShapeError, match="got 0"):
        write_idx(tmp_path / "a", np.zeros((), np.uint8))
    with pytest.raises(DataError, match="cannot be written"):
        write_idx(tmp_path / "no" / "such" / "folder", np.zeros(3, np.uint8))
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_idx(path, np.zeros(3, np.uint8))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_idx(path, np.ones(3, np.uint8))
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(read_idx(path), np.zeros(3))
