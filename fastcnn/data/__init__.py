"""Data sets and pictures: IDX files, MNIST and its relatives, image files, and ways to scale pixels.

>>> import fastcnn.data
>>> digits = fastcnn.data.load_dataset("sample")
>>> digits.train_images.shape, digits.test_images.shape
((4000, 1, 28, 28), (1000, 1, 28, 28))
"""

from typing import TYPE_CHECKING, Any

from fastcnn.data.check import check
from fastcnn.data.dataset import Dataset
from fastcnn.data.digits import mnist_row, mnist_style
from fastcnn.data.download import fetch_mnist
from fastcnn.data.idx import read_idx, write_idx
from fastcnn.data.images import read_images
from fastcnn.data.mnist import load_dataset
from fastcnn.data.png import contact_sheet, save_png
from fastcnn.data.samples import ArraySamples, ImageSamples, Samples
from fastcnn.data.style import as_it_is, style_of
from fastcnn.data.transforms import pixel_table, scale_pixels, soft_targets
from fastcnn.places import cache_dir

if TYPE_CHECKING:
    from fastcnn.data.device_images import DeviceImages

__all__ = [
    "ArraySamples",
    "Dataset",
    "DeviceImages",
    "ImageSamples",
    "Samples",
    "as_it_is",
    "cache_dir",
    "check",
    "contact_sheet",
    "fetch_mnist",
    "load_dataset",
    "mnist_row",
    "mnist_style",
    "pixel_table",
    "read_idx",
    "read_images",
    "save_png",
    "scale_pixels",
    "soft_targets",
    "style_of",
    "write_idx",
]


def __getattr__(name: str) -> Any:
    """`DeviceImages`, when somebody asks for it: what it imports of the GPU is for few."""
    if name == "DeviceImages":
        from fastcnn.data.device_images import DeviceImages

        return DeviceImages
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
