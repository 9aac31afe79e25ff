"""In which style images are: MNIST's, which pictures of digits can be brought into, or one that is left as it is."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcnn.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

STYLES = ("mnist", "as-is")
FIELD = 28
MOST_IMAGES = 5000  # that are looked at, from all parts of the set
DARK = 64
MOSTLY = 0.9  # MNIST and EMNIST's digits have a dark edge in 98 % of their images, Fashion-MNIST in 5 %


def style_of(images: NDArray[np.uint8]) -> str:
    """``"mnist"`` where images are grey, 28x28, and nearly all dark all along their edge; or else ``"as-is"``.

    Args:
        images: uint8 ``(N, C, H, W)``.

    >>> style_of(fc.data.load_dataset("sample").train_images)
    'mnist'
    """
    if images.shape[1:] != (1, FIELD, FIELD) or not len(images):
        return "as-is"
    some = images[np.unique(np.linspace(0, len(images) - 1, MOST_IMAGES).astype(np.intp)), 0]
    return "mnist" if np.mean(_edge(some).max(axis=1) < DARK) >= MOSTLY else "as-is"


def is_light(image: NDArray[np.uint8]) -> bool:
    """Whether the ground of an image ``(H, W)`` is light, which MNIST's is not."""
    return bool(_edge(image[np.newaxis]).mean() > 255 / 2)


def as_it_is(image: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A picture in a model's number of channels and size, and nothing else done to it.

    Where the size is another, it is scaled to fit, and the colour of its edge fills what is left over.

    Args:
        image: uint8, grey ``(H, W)``, colour ``(H, W, 3)``, or colour and opacity ``(H, W, 4)``; on black.
        shape: Channels (1 or 3), height, width.

    Returns:
        uint8 of that shape.

    Raises:
        DataError: for another number of channels.

    >>> as_it_is(np.full((56, 28), 9, np.uint8), (1, 28, 28)).shape
    (1, 28, 28)
    """
    from PIL import Image

    channels, height, width = shape
    if channels not in (1, 3):
        raise DataError(f"as_it_is: expected a model of 1 or 3 channels, got {channels}; use another model")
    picture = Image.fromarray(image)
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = _fitted(picture, width, height)
    pixels = np.asarray(picture).reshape(height, width, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _fitted(picture: "Image", width: int, height: int) -> "Image":
    from PIL import Image

    scale = min(width / picture.width, height / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    edge = np.median(_edge(np.asarray(picture).reshape(1, picture.height, picture.width, -1)), axis=1)[0]
    colour = tuple(edge.astype(int).tolist())
    field = Image.new(picture.mode, (width, height), colour if len(colour) > 1 else colour[0])
    small = picture.resize(size, Image.Resampling.HAMMING, reducing_gap=3)
    field.paste(small, ((width - size[0]) // 2, (height - size[1]) // 2))
    return field


def _edge(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The outermost pixels ``(N, n, ...)`` of images ``(N, H, W, ...)``."""
    return np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
