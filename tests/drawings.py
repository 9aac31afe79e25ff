"""Ten digits as a hand might write them, and ten styles of putting them on paper or a screen."""

import io

import numpy as np
from PIL import Image, ImageDraw

# One list of strokes a digit; a stroke is points of a curve, (x, y) from the upper left corner, the digit 1 high.
STROKES = {
    0: [[(0.42, 0.02), (0.16, 0.16), (0.06, 0.5), (0.16, 0.86), (0.36, 0.99), (0.58, 0.86), (0.68, 0.5), (0.6, 0.15),
         (0.4, 0.02)]],
    1: [[(0.36, 0.0), (0.32, 0.33), (0.27, 0.67), (0.22, 1.0)]],
    2: [[(0.08, 0.24), (0.2, 0.06), (0.42, 0.02), (0.58, 0.16), (0.54, 0.4), (0.3, 0.72), (0.04, 0.97)],
        [(0.04, 0.97), (0.3, 0.93), (0.68, 0.96)]],
    3: [[(0.1, 0.12), (0.3, 0.01), (0.54, 0.1), (0.52, 0.32), (0.26, 0.46)],
        [(0.26, 0.46), (0.54, 0.54), (0.62, 0.76), (0.42, 0.97), (0.06, 0.9)]],
    4: [[(0.14, 0.04), (0.1, 0.28), (0.08, 0.52)], [(0.08, 0.52), (0.34, 0.53), (0.68, 0.48)],
        [(0.58, 0.02), (0.53, 0.5), (0.48, 1.0)]],
    5: [[(0.64, 0.03), (0.4, 0.03), (0.16, 0.05)], [(0.16, 0.05), (0.13, 0.24), (0.1, 0.44)],
        [(0.1, 0.44), (0.34, 0.38), (0.58, 0.5), (0.62, 0.76), (0.4, 0.97), (0.06, 0.92)]],
    6: [[(0.5, 0.01), (0.26, 0.22), (0.1, 0.54), (0.12, 0.84), (0.32, 0.98), (0.54, 0.88), (0.58, 0.66), (0.38, 0.53),
         (0.14, 0.68)]],
    7: [[(0.04, 0.08), (0.32, 0.06), (0.64, 0.04)], [(0.64, 0.04), (0.46, 0.4), (0.34, 0.68), (0.26, 1.0)]],
    8: [[(0.56, 0.14), (0.36, 0.01), (0.14, 0.14), (0.22, 0.38), (0.48, 0.6), (0.56, 0.84), (0.34, 0.99), (0.1, 0.84),
         (0.2, 0.6), (0.46, 0.38), (0.58, 0.14)]],
    9: [[(0.58, 0.16), (0.36, 0.02), (0.12, 0.18), (0.14, 0.42), (0.36, 0.48), (0.56, 0.3), (0.6, 0.12)],
        [(0.6, 0.12), (0.56, 0.5), (0.46, 1.0)]],
}  # fmt: skip

FINENESS = 4  # drawn so much larger, then averaged, for smooth edges


def coverage(digit, size, pen, height, centre=(0.5, 0.5)):
    """How much of each pixel the ink covers, 0 to 255: an image of `size` (width, height).

    `height` is the digit's and `pen` the width of the stroke, in pixels; `centre` that of the digit, as shares.
    """
    canvas = Image.new("L", (size[0] * FINENESS, size[1] * FINENESS))
    draw = ImageDraw.Draw(canvas)
    radius = pen * FINENESS / 2
    corner = np.multiply(centre, canvas.size) - np.multiply((0.35, 0.5), height * FINENESS)
    for stroke in STROKES[digit]:
        points = [tuple(point) for point in corner + smooth(np.array(stroke)) * height * FINENESS]
        draw.line(points, fill=255, width=round(2 * radius))
        for x, y in points:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return canvas.resize(size, Image.Resampling.BOX)


def smooth(points, steps=24):
    """A Catmull-Rom curve through the points."""
    before, after = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    through = np.vstack([before, points, after])
    t = np.arange(steps)[:, np.newaxis] / steps
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(through, through[1:], through[2:], through[3:], strict=False)
    ]
    return np.vstack([*pieces, points[-1:]])


def inked(mask, paper, ink):
    """Ink of one colour where the mask says, on paper of another."""
    mode = "RGB" if isinstance(paper, tuple) else "L"
    return Image.composite(Image.new(mode, mask.size, ink), Image.new(mode, mask.size, paper), mask)


def thick(digit):
    return inked(coverage(digit, (200, 200), pen=26, height=120), 255, 0)


def thin(digit):
    return inked(coverage(digit, (300, 300), pen=3, height=200), 255, 30)


def off_centre(digit):
    return inked(coverage(digit, (400, 300), pen=12, height=110, centre=(0.16, 0.75)), 255, 0)


def inverted(digit):
    return inked(coverage(digit, (128, 128), pen=9, height=88), 12, 240)


def coloured(digit):
    """Red on green of the same brightness."""
    return inked(coverage(digit, (160, 240), pen=14, height=130), (60, 150, 60), (210, 70, 110))


def large(digit):
    return inked(coverage(digit, (2400, 1800), pen=90, height=1300), (250, 248, 240), (20, 30, 120))


def small(digit):
    return inked(coverage(digit, (22, 20), pen=2, height=14), 255, 0)


def jpeg(digit):
    return inked(coverage(digit, (120, 120), pen=9, height=80), (255, 255, 255), (40, 40, 40))


def transparent(digit):
    """Black on nothing, as drawing programs save it."""
    mask = coverage(digit, (150, 180), pen=10, height=110)
    return Image.merge("RGBA", [Image.new("L", mask.size)] * 3 + [mask])


def paper(digit):
    """A pencil on grainy paper, lit from one side."""
    mask = np.asarray(coverage(digit, (320, 400), pen=14, height=190, centre=(0.55, 0.45))) / 255
    rows, columns = np.mgrid[-1:1:400j, -1:1:320j]
    light = 190 + 35 * columns + 20 * rows - 15 * columns**2
    grain = np.random.default_rng(digit).normal(0, 5, mask.shape)
    grey = (light * (1 - 0.6 * mask) + grain).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.stack([grey, grey, (grey * 0.9).astype(np.uint8)], axis=-1))


STYLES = (thick, thin, off_centre, inverted, coloured, large, small, jpeg, transparent, paper)


def encoded(digit, style):
    """The name and the bytes of an image file: JPEG of low quality for that style, PNG for the others."""
    stream = io.BytesIO()
    if style is jpeg:
        style(digit).save(stream, "JPEG", quality=25)
    else:
        style(digit).save(stream, "PNG")
    return f"{digit}-{style.__name__}.{'jpg' if style is jpeg else 'png'}", stream.getvalue()
