"""Styles of pictures that people take of digits: sheets, desks, lines, boxes, shadows; drawn with NumPy and Pillow.

A style is a function of a digit of MNIST ``(28, 28)`` and a generator of random numbers; it gives a picture, uint8
``(H, W, 3)``. Sizes, colours, pitches, angles, grain and focus vary from one picture to the next.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

INKS = ((25, 28, 40), (30, 30, 34), (26, 40, 120), (38, 52, 150), (60, 40, 40))
PAPERS = ((248, 246, 240), (238, 236, 228), (225, 226, 222), (252, 252, 252), (243, 238, 220))
FOUND = {}


def style(function):
    """Add a function to the table of styles, by its name."""
    FOUND[function.__name__] = function
    return function


def between(rng, low, high):
    return float(rng.uniform(low, high))


def one_of(rng, choices):
    return np.array(choices[rng.integers(len(choices))], np.float32)


def size_of(rng, low=260, high=760):
    """Height and width."""
    height = int(rng.integers(low, high))
    return height, int(height * rng.uniform(0.7, 1.35))


def stroke(digit, height, thinner=0.0):
    """How much of each pixel the ink of a digit covers, 0 to 1, so many pixels high."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    cut = np.pad(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 2)
    scale = height / (cut.shape[0] - 4)
    size = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
    large = np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BICUBIC), np.float32) / 255
    sharp = max(0.08, 1.2 / scale)
    return ((large - 0.42 - thinner) / sharp + 0.5).clip(0, 1)


def placed(rng, digit, size, share=(0.35, 0.62), thinner=0.0, inside=(0.08, 0.92)):
    """The ink of a digit somewhere in a picture of a size, and the box (top, left, bottom, right) that holds it."""
    low, high = inside
    room = [side * (high - low) for side in size]
    height = between(rng, *share) * min(room)
    mask = stroke(digit, height, thinner)
    fits = min(0.95 * space / length for space, length in zip(room, mask.shape, strict=True))
    if fits < 1:
        mask = stroke(digit, height * fits, thinner)
    free = [max(1, int(side * (high - low)) - length) for side, length in zip(size, mask.shape, strict=True)]
    middle = rng.uniform(0.25, 0.75, 2)
    top, left = (int(side * low + space * at) for side, space, at in zip(size, free, middle, strict=True))
    field = np.zeros(size, np.float32)
    field[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return field, (top, left, top + mask.shape[0], left + mask.shape[1])


def sheet(size, colour):
    return np.broadcast_to(np.asarray(colour, np.float32), (*size, 3)).copy()


def mixed(picture, mask, colour):
    """The picture with paint of a colour where the mask says."""
    mask = np.asarray(mask, np.float32)[..., np.newaxis]
    return picture * (1 - mask) + mask * np.asarray(colour, np.float32)


def ruler(size, lines, width):
    """Straight lines, each of two points (x, y), as a mask."""
    fine = 3
    canvas = Image.new("L", (size[1] * fine, size[0] * fine))
    draw = ImageDraw.Draw(canvas)
    for start, end in lines:
        points = [tuple((np.array(point) + 0.5) * fine) for point in (start, end)]
        draw.line(points, fill=255, width=max(1, round(width * fine)))
    return np.asarray(canvas.resize(size[::-1], Image.Resampling.BOX), np.float32) / 255


def rules(rng, size, pitch, width, angle, upright=False):
    """Parallel lines across a picture, turned by an angle in degrees."""
    height, width_of = size if not upright else size[::-1]
    slope = np.tan(np.radians(angle))
    first = between(rng, 0, pitch) - abs(slope) * width_of - pitch
    lines = []
    for y in np.arange(first, height + abs(slope) * width_of + pitch, pitch):
        start, end = (-5, y - slope * 5), (width_of + 5, y + slope * (width_of + 5))
        lines.append((start[::-1], end[::-1]) if upright else (start, end))
    return ruler(size, lines, width)


def side_of(rng, size, softness):
    """1 on one side of a line through a picture, 0 on the other, with an edge that is so many pixels soft."""
    angle = between(rng, 0, 2 * np.pi)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    middle = np.array(size) * rng.uniform(0.35, 0.65, 2)
    return (((x - middle[1]) * np.cos(angle) + (y - middle[0]) * np.sin(angle)) / softness + 0.5).clip(0, 1)


def photographed(rng, picture, grain=4.0, blur=0.8, quality=70):
    """As a camera would give it: out of focus, with grain, and packed as JPEG."""
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(between(rng, 0.2, 1) * blur * max(image.size) / 500))
    noisy = np.asarray(image, np.float32) + rng.normal(0, between(rng, 0.2, 1) * grain, (*image.size[::-1], 1))
    stream = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def written(rng, digit, size, picture, **options):
    """A digit in a pen's ink on a picture."""
    mask, box = placed(rng, digit, size, **options)
    return mixed(picture, mask, one_of(rng, INKS)), box


@style
def plain(digit, rng):
    size = size_of(rng)
    return photographed(rng, written(rng, digit, size, sheet(size, one_of(rng, PAPERS)))[0])


@style
def thin_pen(digit, rng):
    size = size_of(rng)
    mask, _ = placed(rng, digit, size, thinner=0.22)
    return photographed(rng, mixed(sheet(size, one_of(rng, PAPERS)), mask, one_of(rng, INKS)), blur=0.5)


@style
def small_in_a_large_photo(digit, rng):
    size = size_of(rng, 700, 1200)
    return photographed(rng, written(rng, digit, size, sheet(size, one_of(rng, PAPERS)), share=(0.07, 0.14))[0])


@style
def chalkboard(digit, rng):
    size = size_of(rng)
    board = sheet(size, one_of(rng, ((40, 62, 50), (45, 48, 50), (30, 60, 45))))
    smear = Image.fromarray(rng.normal(128, 40, (9, 12)).clip(0, 255).astype(np.uint8))
    board += (np.asarray(smear.resize(size[::-1], Image.Resampling.BICUBIC), np.float32)[..., None] - 128) / 12
    mask, _ = placed(rng, digit, size)
    mask *= rng.uniform(0.6, 1, size)
    return photographed(rng, mixed(board, mask, (225, 228, 220)))


@style
def faint_pencil(digit, rng):
    size = size_of(rng)
    paper = one_of(rng, PAPERS)
    mask, _ = placed(rng, digit, size, thinner=0.1)
    mask *= rng.uniform(0.5, 1, size)
    return photographed(rng, mixed(sheet(size, paper), mask, paper - between(rng, 55, 95)), grain=3)


@style
def typeface(digit, rng):
    """The digit that is meant, not this image of it: the caller passes the number."""
    size = size_of(rng)
    canvas = Image.new("L", size[::-1])
    middle = tuple(side * between(rng, 0.4, 0.6) for side in size[::-1])
    font = ImageFont.load_default(int(min(size) * between(rng, 0.4, 0.7)))
    ImageDraw.Draw(canvas).text(middle, str(digit), 255, font, anchor="mm")
    mask = np.asarray(canvas, np.float32) / 255
    return photographed(rng, mixed(sheet(size, one_of(rng, PAPERS)), mask, one_of(rng, INKS)))


@style
def soft_shadow(digit, rng):
    size = size_of(rng)
    picture, _ = written(rng, digit, size, sheet(size, one_of(rng, PAPERS)))
    light = 1 - between(rng, 0.3, 0.6) * side_of(rng, size, between(rng, 0.5, 1.2) * min(size))
    return photographed(rng, picture * light[..., np.newaxis])


@style
def hard_shadow(digit, rng):
    size = size_of(rng)
    picture, _ = written(rng, digit, size, sheet(size, one_of(rng, PAPERS)))
    light = 1 - between(rng, 0.25, 0.55) * side_of(rng, size, between(rng, 0.004, 0.04) * min(size))
    return photographed(rng, picture * light[..., np.newaxis])


@style
def sheet_on_a_desk(digit, rng):
    size = size_of(rng, 320, 800)
    desk = sheet(size, one_of(rng, ((96, 66, 42), (120, 92, 66), (70, 70, 74), (150, 120, 90), (40, 36, 34))))
    streaks = rng.normal(0, 128 / 3, (size[0] // 4, size[1] // 60)).clip(-128, 127) + 128
    streaks = Image.fromarray(streaks.astype(np.uint8)).resize(size[::-1], Image.Resampling.BICUBIC)
    desk += (np.asarray(streaks, np.float32)[..., np.newaxis] - 128) * between(rng, 0.05, 0.25)
    desk += rng.normal(0, between(rng, 2, 9), (*size, 1))
    inner = [int(side * between(rng, 0.55, 0.8)) for side in size]
    paper, _ = written(rng, digit, inner, sheet(inner, one_of(rng, PAPERS)), share=(0.4, 0.65))
    page = Image.fromarray(np.dstack([paper, np.full(inner, 255)]).clip(0, 255).astype(np.uint8))
    page = page.rotate(between(rng, -7, 7), Image.Resampling.BICUBIC, expand=True)
    image = Image.fromarray(desk.clip(0, 255).astype(np.uint8))
    corner = [int((outer - side) * between(rng, 0.35, 0.65)) for outer, side in zip(image.size, page.size, strict=True)]
    image.paste(page, tuple(corner), page)
    return photographed(rng, np.asarray(image, np.float32))


@style
def black_scan_edge(digit, rng):
    size = size_of(rng)
    picture, _ = written(rng, digit, size, sheet(size, one_of(rng, PAPERS)), inside=(0.16, 0.84))
    sides = rng.permutation(4)[: rng.integers(1, 5)]
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    for which in sides:
        away = (y, size[0] - 1 - y, x, size[1] - 1 - x)[which]
        along = (x, x, y, y)[which]
        limit = between(rng, 0.012, 0.11) * min(size) + along * between(rng, -0.03, 0.03)
        picture = mixed(picture, (limit - away).clip(0, 1), (12, 12, 14))
    return photographed(rng, picture, grain=3)


@style
def school_paper_with_margin(digit, rng):
    size = size_of(rng)
    angle, pitch = between(rng, -2.5, 2.5), between(rng, 0.1, 0.2) * min(size)
    width = between(rng, 0.8, 2.2) * min(size) / 400
    picture = mixed(sheet(size, one_of(rng, PAPERS)), rules(rng, size, pitch, width, angle), (110, 140, 205))
    x = between(rng, 0.06, 0.2) * size[1]
    slope = np.tan(np.radians(angle))
    margin = ruler(size, [((x, -5), (x - slope * size[0], size[0] + 5))], width * 1.2)
    picture = mixed(picture, margin, one_of(rng, ((205, 70, 75), (220, 110, 115))))
    return photographed(rng, written(rng, digit, size, picture, inside=(0.2, 0.95))[0])


@style
def grey_ruled(digit, rng):
    size = size_of(rng)
    paper = one_of(rng, PAPERS)
    lines = rules(rng, size, between(rng, 0.08, 0.2) * min(size), between(rng, 0.8, 2.5) * min(size) / 400,
                  between(rng, -2, 2))  # fmt: skip
    picture = mixed(sheet(size, paper), lines, paper - between(rng, 80, 140))
    return photographed(rng, written(rng, digit, size, picture)[0])


@style
def light_ruled(digit, rng):
    size = size_of(rng)
    lines = rules(rng, size, between(rng, 0.07, 0.2) * min(size), between(rng, 0.7, 2) * min(size) / 400,
                  between(rng, -2, 2))  # fmt: skip
    picture = mixed(sheet(size, one_of(rng, PAPERS)), lines, one_of(rng, ((150, 185, 225), (180, 205, 235))))
    return photographed(rng, written(rng, digit, size, picture)[0], grain=3)


@style
def squared(digit, rng):
    size = size_of(rng)
    pitch, width, angle = (
        between(rng, 0.06, 0.14) * min(size),
        between(rng, 0.7, 1.8) * min(size) / 400,
        between(rng, -2, 2),
    )
    lines = np.maximum(rules(rng, size, pitch, width, angle), rules(rng, size, pitch, width, -angle, upright=True))
    colour = one_of(rng, ((150, 180, 220), (170, 190, 215), (165, 165, 165), (160, 200, 180)))
    return photographed(rng, written(rng, digit, size, mixed(sheet(size, one_of(rng, PAPERS)), lines, colour))[0])


@style
def printed_box(digit, rng):
    size = size_of(rng)
    picture, (top, left, bottom, right) = written(rng, digit, size, sheet(size, one_of(rng, PAPERS)),
                                                  share=(0.35, 0.6), inside=(0.16, 0.84))  # fmt: skip
    gaps = rng.uniform(0.05, 0.13, 4) * min(size)
    box = left - gaps[0], top - gaps[1], right + gaps[2], bottom + gaps[3]
    corners = [(box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3])]
    turn = np.tan(np.radians(between(rng, -2, 2)))
    corners = [(x - turn * (y - top), y + turn * (x - left)) for x, y in corners]
    lines = ruler(size, list(zip(corners, corners[1:] + corners[:1], strict=True)),
                  between(rng, 1, 4) * min(size) / 400)  # fmt: skip
    return photographed(rng, mixed(picture, lines, one_of(rng, ((30, 30, 32), (90, 90, 95), (40, 60, 140)))))


@style
def underlined(digit, rng):
    size = size_of(rng)
    mask, (_, left, bottom, right) = placed(rng, digit, size, inside=(0.15, 0.85))
    gap, beyond = between(rng, 0.015, 0.07) * min(size), between(rng, 0.02, 0.2) * min(size)
    y = bottom + gap
    tilt = between(rng, -0.05, 0.05)
    middle = (left + right) / 2
    ends = [(x, y + abs(tilt) * beyond + tilt * (x - middle)) for x in (left - beyond, right + beyond)]
    line = ruler(size, [ends], between(rng, 1.5, 7) * min(size) / 400)
    return photographed(rng, mixed(sheet(size, one_of(rng, PAPERS)), np.maximum(mask, line), one_of(rng, INKS)))


@style
def neighbour_at_the_edge(digit, rng):
    size = size_of(rng)
    mask, (top, left, bottom, right) = placed(rng, digit, size, share=(0.4, 0.6), inside=(0.2, 0.8))
    other = stroke(digit[::-1, ::-1] if rng.random() < 0.5 else digit, (bottom - top) * between(rng, 0.8, 1.2))
    visible = min(int(other.shape[1] * between(rng, 0.2, 0.7)), int(left - 0.03 * size[1]))
    row = int(np.clip(top + between(rng, -0.1, 0.1) * (bottom - top), 0, size[0] - other.shape[0]))
    if visible > 3 and rng.random() < 0.5:
        mask[row : row + other.shape[0], :visible] = np.maximum(
            mask[row : row + other.shape[0], :visible], other[:, -visible:]
        )
    else:
        visible = min(int(other.shape[1] * between(rng, 0.2, 0.7)), int(0.97 * size[1] - right))
        if visible > 3:
            mask[row : row + other.shape[0], -visible:] = np.maximum(
                mask[row : row + other.shape[0], -visible:], other[:, :visible]
            )
    return photographed(rng, mixed(sheet(size, one_of(rng, PAPERS)), mask, one_of(rng, INKS)))


@style
def dirt_and_fold(digit, rng):
    size = size_of(rng)
    picture, _ = written(rng, digit, size, sheet(size, one_of(rng, PAPERS)))
    canvas = Image.new("L", size[::-1])
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(6, 22))):
        x, y, r = between(rng, 0, size[1]), between(rng, 0, size[0]), between(rng, 0.6, 2.6) * min(size) / 400
        draw.ellipse((x - r, y - r, x + r, y + r), fill=int(rng.integers(120, 255)))
    picture = mixed(picture, np.asarray(canvas, np.float32) / 255, (60, 50, 45))
    x, slope = between(rng, 0.3, 0.7) * size[1], between(rng, -0.12, 0.12)
    fold = ruler(size, [((x, -5), (x + slope * size[0], size[0] + 5))], between(rng, 1, 4) * min(size) / 400)
    return photographed(rng, picture + fold[..., None] * between(rng, -75, -25))


@style
def coloured(digit, rng):
    size = size_of(rng)
    pairs = (((60, 150, 60), (210, 70, 110)), ((250, 220, 60), (40, 70, 190)), ((200, 60, 50), (250, 240, 230)))
    paper, ink = pairs[rng.integers(len(pairs))]
    return photographed(rng, mixed(sheet(size, paper), placed(rng, digit, size)[0], ink))


# Pictures without a digit, and with two.


def blank(rng, kind):
    """Paper with nothing on it: plain, ruled, squared, or half in shadow."""
    size = size_of(rng)
    picture = sheet(size, one_of(rng, PAPERS))
    pitch, width, angle = (
        between(rng, 0.06, 0.16) * min(size),
        between(rng, 0.8, 2) * min(size) / 400,
        between(rng, -2, 2),
    )
    if kind in ("ruled", "squared"):
        lines = rules(rng, size, pitch, width, angle)
        if kind == "squared":
            lines = np.maximum(lines, rules(rng, size, pitch, width, -angle, upright=True))
        picture = mixed(picture, lines, one_of(rng, ((150, 185, 225), (120, 120, 125), (110, 140, 205))))
    if kind == "shadow":
        soft = between(rng, 0.01, 0.2) * min(size)
        picture *= 1 - between(rng, 0.25, 0.55) * side_of(rng, size, soft)[..., np.newaxis]
    return photographed(rng, picture)


def row(rng, digits, gap=(0.12, 0.5)):
    """Several digits side by side."""
    height = between(rng, 70, 200)
    masks = [stroke(digit, height * between(rng, 0.9, 1.1)) for digit in digits]
    gaps = [int(between(rng, *gap) * height) for _ in masks]
    edge = int(height * between(rng, 0.3, 0.8))
    size = int(height * 1.1) + 2 * edge, sum(mask.shape[1] for mask in masks) + sum(gaps[1:]) + 2 * edge
    field, x = np.zeros(size, np.float32), edge
    for index, mask in enumerate(masks):
        x += gaps[index] if index else 0
        y = edge + int(between(rng, 0, 1) * (size[0] - 2 * edge - mask.shape[0]))
        field[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
        x += mask.shape[1]
    return photographed(rng, mixed(sheet(size, one_of(rng, PAPERS)), field, one_of(rng, INKS)))
