"""The picture that ``predict --show`` draws: each picture, what the model saw of it, how sure it is of each class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fastcnn.data.png import GREY, INK, PAPER, WRONG, font
from fastcnn.printable import printable

Bytes = NDArray[np.uint8]

SIDE = 112  # pixels, of each picture
GAP, MARGIN = 8, 12
HEAD = 40  # pixels above the pictures: the name, and the answer
BARS, LABEL, NUMBER = 100, 26, 34  # widths: of the longest bar, of what stands before it and behind
MOST_BARS = 10  # of the likeliest classes, where there are more
LARGE, SMALL = 16, 11
FAINT, BAR = (225, 225, 225), (70, 110, 170)


def seen_sheet(
    names: Sequence[str],
    pictures: Sequence[Bytes],
    images: Sequence[Bytes],
    sureness: Sequence[NDArray[np.float64]],
    doubts: Sequence[str],
) -> Bytes:
    """A cell for each image that a model saw.

    Args:
        names: What to call each.
        pictures: Where it comes from: uint8 ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``.
        images: What the model saw: uint8 ``(C, H, W)``.
        sureness: Of all classes, from 0 to 1.
        doubts: Why an answer is doubtful; empty if it is not.

    Returns:
        uint8 ``(H, W, 3)``, for `fastcnn.data.save_png`.
    """
    width = 2 * (SIDE + GAP) + LABEL + BARS + NUMBER + MARGIN
    height = HEAD + SIDE + 2 * MARGIN
    columns = max(1, round((len(names) * height / width) ** 0.5))
    size = MARGIN + columns * width, MARGIN + -(-len(names) // columns) * height
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (name, picture, image, sure, doubt) in enumerate(
        zip(names, pictures, images, sureness, doubts, strict=True)
    ):
        left, top = MARGIN + number % columns * width, MARGIN + number // columns * height
        best = int(sure.argmax())
        draw.text((left, top), _fitting(draw, printable(name, keep=""), width - MARGIN), GREY, font(SMALL))
        answer = f"{best}  {sure[best]:.0%}"
        draw.text((left, top + 15), answer, INK, font(LARGE))
        beside = left + int(draw.textlength(answer, font(LARGE))) + GAP
        draw.text((beside, top + 19), _fitting(draw, doubt, left + width - MARGIN - beside), WRONG, font(SMALL))
        seen = np.ascontiguousarray(np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0))
        for place, view in enumerate((picture, seen)):
            sheet.paste(_thumbnail(view), (left + place * (SIDE + GAP), top + HEAD))
        _draw_bars(draw, (left + 2 * (SIDE + GAP), top + HEAD), sure)
    return np.array(sheet)


def _thumbnail(picture: Bytes) -> Image.Image:
    """A picture in the middle of a white square, small pixels enlarged as they are."""
    image = Image.fromarray(picture)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, PAPER), image)
    scale = SIDE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    kind = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.BILINEAR
    field = Image.new("RGB", (SIDE, SIDE), PAPER)
    resized = image.convert("RGB").resize((width, height), kind, reducing_gap=2)
    field.paste(resized, ((SIDE - width) // 2, (SIDE - height) // 2))
    return field


def _draw_bars(draw: ImageDraw.ImageDraw, corner: tuple[int, int], sure: NDArray[np.float64]) -> None:
    """A line for each class, in the order of classes; of many those that are likeliest."""
    classes = np.sort(np.argsort(-sure, kind="stable")[:MOST_BARS])
    pitch = SIDE / MOST_BARS
    begin = corner[0] + LABEL
    for line, label in enumerate(classes.tolist()):
        y = corner[1] + line * pitch
        colour, share = INK if label == sure.argmax() else GREY, f"{sure[label]:.0%}"
        draw.text((begin - GAP, y + pitch / 2), str(label), colour, font(SMALL), anchor="rm")
        draw.rectangle((begin, y + 2, begin + BARS, y + pitch - 2), FAINT)
        if sure[label] * BARS >= 1:
            draw.rectangle((begin, y + 2, begin + sure[label] * BARS, y + pitch - 2), BAR)
        draw.text((begin + BARS + NUMBER, y + pitch / 2), share, colour, font(SMALL), anchor="rm")


def _fitting(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """The text, its beginning left out where it is too wide."""
    if draw.textlength(text, font(SMALL)) <= width:
        return text
    while text and draw.textlength(f"...{text}", font(SMALL)) > width:
        text = text[1:]
    return f"...{text}"
