"""Labelled images in the memory of the GPU."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.cuda import steps
from fastcnn.backends.cuda.arguments import launch_each, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty, to_device
from fastcnn.backends.cuda.kernels import steps as kernels
from fastcnn.data.samples import ImageSamples, Targets, Which

Array = NDArray[Any]


class DeviceImages:
    """`ImageSamples` for a model on the GPU: the bytes lie in its memory, and batches are made there.

    Args:
        samples: The images and labels; a copy is kept on the device, the labels on the host, too.

    Attributes:
        labels: On the host.
        is_on_device: Always true; samples on the host have no such attribute.

    Raises:
        CudaError: if this machine has no GPU, or lacks what talks to it.
    """

    is_on_device = True

    def __init__(self, samples: ImageSamples) -> None:
        self.samples = samples
        self.labels = samples.labels
        self.shape = samples.images.shape[1:]
        self._images = to_device(samples.images)
        self._numbers = to_device(samples.numbers)
        self._classes = to_device(samples.labels.astype(np.uint8))
        self._rows = to_device(samples.rows)

    def __len__(self) -> int:
        return len(self.samples)

    def inputs(self, which: Which) -> Array:
        """The images `which` as a model takes them, ``(n, C, H, W)``, on the device."""
        order = np.arange(len(self), dtype=np.uint32)[which]
        return cast(Array, self.batch_inputs(to_device(order[None])))

    def targets(self, which: Which) -> Targets:
        """Their targets as `ImageSamples` has them, on the host."""
        return self.samples.targets(which)

    def batch_inputs(self, order: DeviceArray) -> DeviceArray:
        """The images of the row of `order` (rows, n) that belongs to this step, see `fastcnn.backends.cuda.steps`."""
        batch = order.shape[1]
        x = empty((batch, *self.shape), self._numbers.dtype)
        sizes, source = (batch, x.size // max(batch, 1)), (self._images, self._numbers, order, steps.clock())
        launch_each(kernels.fetch_images(real_of(x)), x.size, *source, x, *sizes)
        return x

    def batch_targets(self, order: DeviceArray) -> DeviceArray:
        """Their targets, ``(n, classes)``: a class index as a row with a single 1."""
        batch, classes = order.shape[1], self._rows.shape[1]
        y = empty((batch, classes), self._rows.dtype)
        source = (self._classes, self._rows, order, steps.clock())
        launch_each(kernels.fetch_targets(real_of(y)), y.size, *source, y, batch, classes)
        return y
