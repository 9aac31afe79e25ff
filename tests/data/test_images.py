"""read_images gives the pixels of PNG, JPEG and IDX files, and answers anything else with one clear DataError."""

import errno
import io
import struct
import tracemalloc
import zlib

import drawings
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fastcnn.data import read_images, write_idx
from fastcnn.errors import DataError

GREY = np.arange(60, dtype=np.uint8).reshape(6, 10) * 4
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)
SEEN_THROUGH = np.concatenate([COLOUR, GREY[..., np.newaxis]], axis=-1)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def read(tmp_path):
    def read(content):
        (tmp_path / "image.dat").write_bytes(content)
        (image,) = read_images(tmp_path / "image.dat")
        assert image.dtype == np.uint8 and image.flags.writeable
        return image

    return read


@pytest.mark.parametrize("array", [GREY, COLOUR, SEEN_THROUGH], ids=["grey", "colour", "seen through"])
def test_a_png_gives_the_pixels_it_was_made_of(read, array):
    np.testing.assert_array_equal(read(encoded(array)), array)


def test_a_jpeg_gives_nearly_the_pixels_it_was_made_of(read):
    for array in (GREY, COLOUR):
        np.testing.assert_allclose(read(encoded(array, "JPEG", quality=100, subsampling=0)).astype(int), array, atol=6)


def test_one_bit_sixteen_bits_and_palettes_become_bytes(read):
    np.testing.assert_array_equal(read(encoded(Image.fromarray(GREY > 100))), (GREY > 100) * 255)
    np.testing.assert_array_equal(read(encoded(GREY.astype(np.uint16) * 256 + 77)), GREY)
    palette = Image.fromarray(COLOUR).quantize()
    np.testing.assert_array_equal(read(encoded(palette)), np.asarray(palette.convert("RGB")))
    np.testing.assert_array_equal(read(encoded(Image.fromarray(SEEN_THROUGH).convert("LA")))[..., 3], GREY)
    assert read(encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG")).shape == (6, 10, 3)


def test_a_colour_or_a_grey_that_stands_for_nothing_is_transparent(read):
    for image, nothing in ((Image.fromarray(GREY), 0), (Image.fromarray(COLOUR), (0, 255, 0))):
        result = read(encoded(image, transparency=nothing))
        assert result.shape == (6, 10, 4)
        np.testing.assert_array_equal(result[..., 3] == 0, GREY == 0)


def test_a_photograph_is_turned_as_the_camera_was(read):
    orientation = Image.Exif()
    orientation[0x0112] = 6
    np.testing.assert_array_equal(read(encoded(GREY, exif=orientation)), np.rot90(GREY, -1))


def test_idx_gives_each_of_its_images(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 4), np.uint8)
    for name in ("a", "a.gz"):
        write_idx(tmp_path / name, images)
        np.testing.assert_array_equal(read_images(tmp_path / name), images)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_size(width, height):
    """A PNG of a few bytes that claims to be so large."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def animation():
    frames = [Image.fromarray(np.roll(COLOUR, step, axis=1)) for step in range(3)]
    return encoded(frames[0], save_all=True, append_images=frames[1:])


NOISE = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "expected a PNG, JPEG or IDX file, got an empty file"),
        (b"hello\n", "got 68 65 6c 6c 6f 0a"),
        (encoded(COLOUR, "GIF"), "got 47 49 46 38"),
        (encoded(COLOUR, "BMP"), "got 42 4d"),
        (encoded(NOISE)[:2000], "truncated"),
        (encoded(NOISE, "JPEG")[:1500], "truncated"),
        (encoded(NOISE)[:8], "it is damaged"),
        (animation(), "an animation of 3"),
        (png_of_size(8_001, 10_000), r"at most 80,000,000 pixels, got more \(8001 x 10000\)"),
        (png_of_size(10_000, 9_500), "at most 80,000,000 pixels"),  # Pillow warns of it
        (png_of_size(2**30, 2**30), "at most 80,000,000 pixels"),  # Pillow refuses it
        (png_of_size(0, 10), "damaged"),
        (b"\0\0\x08\x01\0\0\0\x03abc", r"expected images \(N, H, W\), got labels of shape \(3,\)"),
        (b"\0\0\x08\x02\0\0\0\x01\0\0\0\x03abc", r"got an array of shape \(1, 3\)"),
        (b"\0\0\x08\x03\0\0\0\x00\0\0\0\x03\0\0\0\x03", r"got an array of shape \(0, 3, 3\)"),
        (b"\0\0\x08\x03\0\0\0\x09\0\0\0\x03\0\0\0\x03abc", "truncated"),
        (b"\x1f\x8b not gzip after all", "cannot be read to its end"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(read, content, says):
    with pytest.raises(DataError, match=says) as caught:
        read(content)
    message = str(caught.value)
    assert "image.dat'" in message and "; " in message and "\n" not in message


def test_a_bomb_is_not_unpacked(read):
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="at most 80,000,000 pixels"):
            read(png_of_size(9_000, 9_000))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_missing_file_a_folder_and_one_that_may_not_be_read(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="nothing of that name"):
        read_images(tmp_path / "absent.png")
    with pytest.raises(DataError, match="got a folder"):
        read_images(tmp_path)
    (tmp_path / "a.png").write_bytes(encoded(GREY))

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        read_images(tmp_path / "a.png")


def test_a_photograph_with_a_preview_is_the_photograph(read):
    main, preview = Image.fromarray(NOISE), Image.fromarray(COLOUR)
    content = encoded(main, "MPO", save_all=True, append_images=[preview])
    assert read(content).shape == NOISE.shape


VALID = [
    encoded(NOISE[:20]),
    encoded(GREY, "JPEG"),
    encoded(NOISE[:20], "JPEG", progressive=True),
    encoded(Image.fromarray(COLOUR).quantize()),
    animation(),
]


@given(
    start=st.sampled_from(VALID),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    length=st.floats(0, 1),
)
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, start, changes, length):
    content = bytearray(start)
    for place, value in changes:
        content[int(place * len(content))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[: round(length * len(content))])
    try:
        (image,) = read_images(path)
        assert image.dtype == np.uint8 and image.ndim in (2, 3)
    except DataError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("style", drawings.STYLES, ids=lambda style: style.__name__)
def test_drawings_are_read_as_they_were_drawn(read, style):
    image = read(drawings.encoded(3, style)[1]).astype(int)
    np.testing.assert_allclose(image, np.asarray(style(3)), atol=120 if style is drawings.jpeg else 0)
