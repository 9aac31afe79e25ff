"""Ink from paper: how far each pixel is from the paper around it, whatever the light, the shadow or the colours are.

    paper     what a grey closing leaves of the picture: the brightest in every square of the reach, then the darkest of
              those; dark things narrower than the reach vanish, while the edge of a shadow or a desk stays where it is.
              For light ink on a dark ground it is an opening, the same upside down
    ink       the difference of the two, along the colour of the strokes, as a share of the light on the paper
    ground    what is left of smooth unevenness is a surface of degree 2, fitted to the pixels that hold no ink

Which of the two is ink, the dark or the light, its outline tells: what is darker than its surroundings and what is
lighter lie side by side (the hole of a 0 is as narrow as its strokes), but outermost is the ink.

Cost: maxima over squares by doubling, in bytes: 0.2 ms a channel and direction for 240 x 240 pixels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

REACH, LONG_REACH = 0.33, 0.6  # of the longer side; the second where the border is plain: then thick strokes fit, too
MOST_LIT_UP = 2.5  # how many times ink in the shadow may be strengthened
LOUD, QUIET = 0.5, 0.2  # of what stands out most
EDGE = 3  # pixels that an edge may be wide
UNCLEAR = 0.25  # of what the clearest channel says
MOST_INK = 0.5  # of a picture: where more stands out, it is a sheet on a desk
PLAIN_BORDER, PLAIN_STEP = 0.97, 24  # so many of its pixels are not farther from their middle colour
STRONG = 0.5  # of the strongest: that is ink, to find its colour


def ink_of(pixels: Bytes) -> tuple[Floats, float, Floats]:
    """How much ink is in each pixel of ``(H, W, C)``, in units of a byte, about 0 on paper; its noise; the paper."""
    side = max(pixels.shape[:2])
    signs, reach = _signs_on_plain(pixels), LONG_REACH
    if signs is None:
        signs, reach = _signs(pixels, int(side * REACH) | 1), REACH
    kept = np.flatnonzero(signs)
    dark = np.stack([255 - pixels[..., c] if signs[c] > 0 else pixels[..., c] for c in kept])  # (channels, H, W)
    paper = _filled(dark, int(side * reach) | 1)
    difference = (paper - dark).astype(np.float32)
    strength = difference.max(axis=0)
    if not strength.any():
        return strength, 0.0, strength
    strong = strength >= strongest_of(strength) * STRONG
    colour = difference[:, strong].mean(axis=1)
    colour /= np.linalg.norm(colour)
    ink, light = np.tensordot(colour, difference, 1), np.tensordot(colour, paper.astype(np.float32), 1)
    if (signs[kept] < 0).all():
        ink *= np.clip(float(np.percentile(light, 90)) / np.maximum(light, 1), 1, MOST_LIT_UP)
    ink -= _ground(ink)
    return ink, spread(ink[ink <= STRONG * max(strongest_of(ink), 0)]), light


def strongest_of(values: NDArray[Any]) -> float:
    """What a few pixels reach, not only one."""
    few = max(1, values.size // 3000)
    return float(np.partition(values, -few, axis=None)[-few])


def spread(values: NDArray[Any]) -> float:
    """The standard deviation of normally distributed values around 0; a minority of others doesn't disturb it."""
    return 1.4826 * float(np.median(np.abs(values))) if values.size else 0.0


def _signs_on_plain(pixels: Bytes) -> NDArray[np.int64] | None:
    """Where the border is nearly all of one colour, and so is most of the picture: the ink's sign in each channel."""
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    border = np.concatenate(edges).astype(np.float32)
    colour = np.median(border, axis=0)
    if np.mean(np.abs(border - colour).max(axis=1) <= PLAIN_STEP) < PLAIN_BORDER:
        return None
    away = pixels - colour
    size = np.abs(away).max(axis=2)
    strong = size >= strongest_of(size) * STRONG
    return _clear(away[strong].sum(axis=0)) if strong.mean() < MOST_INK else None


def _clear(votes: NDArray[Any]) -> NDArray[np.int64]:
    """The signs of what the channels say, 0 where one says little."""
    largest = np.abs(votes).max()
    if largest == 0:
        return np.full(votes.shape, -1)
    return np.where(np.abs(votes) < UNCLEAR * largest, 0, np.sign(votes)).astype(np.int64)


def _signs(pixels: Bytes, reach: int) -> NDArray[np.int64]:
    """Of each channel whether ink is lighter (1) or darker (-1): by the edges of what stands out."""
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    dark = _filled(planes, reach) - planes  # all are bytes, and no difference is below 0
    light = _filled(255 - planes, reach) - (255 - planes)
    out = np.maximum(dark, light).max(axis=0)
    strongest = max(strongest_of(out), 1)
    loud, quiet = out > LOUD * strongest, out < QUIET * strongest
    votes = np.zeros(pixels.shape[2])
    for axis in (0, 1):
        is_loud, is_quiet, values = (np.moveaxis(array, axis, 0) for array in (loud, quiet, pixels))
        for here, there in ((slice(EDGE, None), slice(None, -EDGE)), (slice(None, -EDGE), slice(EDGE, None))):
            both = is_loud[here] & is_quiet[there]
            votes += values[here][both].sum(axis=0, dtype=np.int64) - values[there][both].sum(axis=0, dtype=np.int64)
    return _clear(votes)


def _filled(pixels: Bytes, reach: int) -> Bytes:
    """The closing of channels ``(C, H, W)`` by a square of an odd side; outside the picture there is nothing."""
    for _ in range(2):
        for axis in (1, 2):
            pixels = _largest_along(pixels, reach, axis)
        pixels = 255 - pixels
    return pixels


def _largest_along(values: Bytes, reach: int, axis: int) -> Bytes:
    """The largest of each value and those up to half the reach away, along an axis."""
    half = min(reach // 2, values.shape[axis] - 1)
    padding = [(0, 0)] * values.ndim
    padding[axis] = (half, half)
    largest = np.pad(values, padding)

    def part(start: int | None, stop: int | None) -> Bytes:
        piece: Bytes = largest[(slice(None),) * axis + (slice(start, stop),)]
        return piece

    covered, wanted = 1, 2 * half + 1
    while covered < wanted:
        step = min(covered, wanted - covered)
        largest = np.maximum(part(None, -step), part(step, None))
        covered += step
    return largest


def _ground(ink: Floats) -> Floats:
    """A constant, then a plane, then a surface of degree 2 through pixels that hold no ink; some thousands will do."""
    height, width = ink.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    values = ink.ravel()
    few = np.flatnonzero(values <= STRONG * max(strongest_of(values), 1))
    few = few[:: max(1, few.size // 8000)]
    ground = np.full_like(values, np.median(values[few]))
    for degree in (1, 3, 6, 6):
        away = np.abs(values - ground)[few]
        close = few[away <= max(2.5 * spread(away), 2)]
        ground = terms[:, :degree] @ np.linalg.lstsq(terms[close, :degree], values[close], rcond=None)[0]
    return ground.reshape(ink.shape)
