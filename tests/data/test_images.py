"""read_images gives the pixels of PNG, JPEG and IDX files, and answers anything else with one clear DataError."""

import errno
import io
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib

import drawings
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

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


LOSSLESS = {"GIF": {}, "BMP": {}, "TIFF": {"compression": "tiff_lzw"}, "WEBP": {"lossless": True}, "PPM": {}, "PCX": {},
            "TGA": {}, "JPEG2000": {}}  # fmt: skip


@pytest.mark.parametrize("kind", [*LOSSLESS, "AVIF"])
def test_what_else_pillow_reads_is_read(read, kind):
    feature = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}.get(kind)
    if feature and not features.check(feature):
        pytest.skip(f"this Pillow has no {kind}")
    image = Image.fromarray(COLOUR).quantize(64) if kind == "GIF" else Image.fromarray(COLOUR)
    options = LOSSLESS.get(kind, {"quality": 100, "subsampling": "4:4:4"})
    expected = np.asarray(image.convert("RGB")).astype(int)
    np.testing.assert_allclose(read(encoded(image, kind, **options)), expected, atol=6 if kind == "AVIF" else 0)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_an_animation_or_several_pages_are_refused(read, kind):
    frames = [Image.fromarray(np.roll(COLOUR, step, axis=1)) for step in range(3)]
    with pytest.raises(DataError, match="3 pages" if kind == "TIFF" else "an animation of 3"):
        read(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))


def test_sixteen_bits_are_turned_as_the_camera_was(read):
    orientation = Image.Exif()
    orientation[0x0112] = 6
    wide = encoded(GREY.astype(np.uint16) * 256, exif=orientation)
    np.testing.assert_array_equal(read(wide), np.rot90(GREY, -1))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_a_large_picture_may_be_read_smaller(tmp_path, mode):
    small = np.kron(np.tile(GREY, (9, 7)), np.ones((4, 4), np.uint8))[:210, :270]
    image = Image.fromarray(small)
    image = Image.fromarray(small.astype(np.uint16) * 256) if mode == "I;16" else image.convert(mode)
    (tmp_path / "a.png").write_bytes(encoded(image))
    (full,), (reduced,) = read_images(tmp_path / "a.png"), read_images(tmp_path / "a.png", 60)
    assert reduced.shape == (53, 68, *full.shape[2:])  # 4 times smaller, what is left over counted in
    expected = np.asarray(Image.fromarray(full).reduce(4)).astype(int)
    np.testing.assert_allclose(reduced, expected, atol=1)


def black(width, height, channels):
    """A whole PNG, made without its pixels in memory."""
    packer, row = zlib.compressobj(1), bytes(width * channels + 1)
    packed = b"".join([packer.compress(row) for _ in range(height)]) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, channels - 1, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def most_memory(path):
    """The largest size, in MB, of a process that reads a picture as predict does; and what it says."""
    code = (
        "import sys\nimport fastcnn as fc\n"
        "try: print([image.shape for image in fc.data.read_images(sys.argv[1], 2000)])\n"
        "except fc.DataError as error: print(error)\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    output = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    *said, size = output.splitlines()
    return int(size) / 1000, "\n".join(said)


@pytest.mark.parametrize(
    ("channels", "size", "says"),
    [
        (1, (8900, 8900), r"\[\(2225, 2225\)\]"),
        (3, (7000, 5200), r"\[\(1734, 2334, 3\)\]"),
        (3, (8900, 8900), "at most 37,500,000 pixels in a PNG in colour, got 8900 x 8900; make it smaller"),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the size of a process")
def test_no_picture_takes_more_than_300_mb(tmp_path, channels, size, says):
    (tmp_path / "large.png").write_bytes(black(*size, channels))
    size, said = most_memory(tmp_path / "large.png")
    assert re.search(says, said) and size < 300, (size, said)


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
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "got HEIC; save it as PNG or JPEG, on an iPhone by"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miaf", "got HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "got a video"),
        (b"\xff\x0a\xfa\x1f", "got JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "got JPEG XL"),
        (b"%PDF-1.7", "got PDF"),
        (b"8BPS\0\1", "got Photoshop"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "got SVG"),
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
