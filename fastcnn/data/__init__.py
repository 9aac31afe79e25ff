"""Data sets: the IDX file format, MNIST and its relatives, and the two ways to scale pixels.

>>> import fastcnn.data
>>> digits = fastcnn.data.load_dataset("sample")
>>> digits.train_images.shape, digits.test_images.shape
((4000, 1, 28, 28), (1000, 1, 28, 28))
"""

from fastcnn.data.download import fetch_mnist
from fastcnn.data.idx import read_idx, write_idx
from fastcnn.data.mnist import Dataset, cache_dir, load_dataset
from fastcnn.data.transforms import pixel_table, scale_pixels, soft_targets

__all__ = [
    "Dataset",
    "cache_dir",
    "fetch_mnist",
    "load_dataset",
    "pixel_table",
    "read_idx",
    "scale_pixels",
    "soft_targets",
    "write_idx",
]
