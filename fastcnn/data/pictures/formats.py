"""Which files are pictures: what Pillow may read of them, and the names of those that it can't."""

FORMATS = (
    "PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "PCX", "TGA", "ICO", "SGI", "QOI",
)  # fmt: skip
SAVE = "save it as PNG or JPEG"
OTHERS = {
    "HEIC": f"{SAVE}, on an iPhone by Settings > Camera > Formats > Most Compatible, or by sharing it",
    "AVIF": f"this Pillow can't read it: {SAVE}, or install a newer Pillow",
    "JPEG XL": SAVE,
    "JPEG 2000": f"this Pillow can't read it: {SAVE}",
    "PDF": f"{SAVE}, a page a file",
    "PostScript": SAVE,
    "SVG": SAVE,
    "Photoshop": SAVE,
    "a video": "save one picture of it as PNG or JPEG",
    "WebP": f"this Pillow can't read it: {SAVE}",
}
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
BEGINNINGS = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"8BPS", "Photoshop"),
    (b"<svg", "SVG"),
    (b"\x1aE\xdf\xa3", "a video"),
)


def is_container(head: bytes) -> bool:
    """Whether a file that begins with two zeros, as IDX files do, is one of a picture or a video."""
    return head[4:8] in (b"ftyp", b"jP  ", b"JXL ") or head.startswith((b"\0\0\x01\0", b"\0\0\x02\0"))


def named(head: bytes) -> tuple[str, str] | None:
    r"""The format of a file that begins so, and what to do about it; None if it is none of those known here.

    >>> named(b"\0\0\0\x1cftypheic")[0]
    'HEIC'
    """
    name = next((name for beginning, name in BEGINNINGS if head.startswith(beginning)), None)
    if head[4:8] == b"ftyp":
        brands = [head[start : start + 4] for start in (8, *range(16, len(head) - 3, 4))]
        if any(brand in (b"avif", b"avis") for brand in brands):
            name = "AVIF"
        else:
            name = "HEIC" if any(brand in HEIC_BRANDS for brand in brands) else "a video"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        name = "WebP"
    if b"<svg" in head and head.lstrip().startswith(b"<"):
        name = "SVG"
    return None if name is None else (name, OTHERS[name])
