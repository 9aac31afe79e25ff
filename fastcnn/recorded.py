"""Training steps on the GPU, recorded once and repeated: the host only says how often.

A step of 100 images takes the GPU less time than Python takes to ask for its twenty kernels. So one step is recorded,
from fetching its batch to the update, and repeated in groups; what differs between steps lies in tables on the device,
see `fastcnn.backends.cuda.steps`. The bits are those of `fastcnn.train_step` with the same batches.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.cuda import device
from fastcnn.backends.cuda.arguments import launch, real_of
from fastcnn.backends.cuda.array import DeviceArray, to_device
from fastcnn.backends.cuda.kernels import steps as kernels
from fastcnn.backends.cuda.steps import Record, clock, kernels_of
from fastcnn.cpus import available_cpus
from fastcnn.data.device_images import DeviceImages
from fastcnn.layers import Training
from fastcnn.losses import Loss
from fastcnn.model import Model
from fastcnn.optim import Optimizer
from fastcnn.training import train_step

ROWS = 100  # steps in a group: 15 ms of a GPU's time, in which neither signals nor callbacks are heard


def groups_of(order: NDArray[Any], batch: int) -> list[NDArray[Any]]:
    """Rows of `batch` samples in this order, in groups that `RecordedSteps.run` takes; what is left is the last one."""
    whole_batches = len(order) // batch * batch
    rows = order[:whole_batches].reshape(-1, batch)
    groups = [rows[first : first + ROWS] for first in range(0, len(rows), ROWS)]
    return [*groups, order[whole_batches:][None]] if whole_batches < len(order) else groups


class Recording(NamedTuple):
    """What belongs to a recorded step of one batch size.

    Attributes:
        record: The step.
        begun: Number of the step that it was recorded as.
        order: Which samples, a row a step, on the device.
        costs: Per sample, a row a step, on the device.
        share: See `RecordedSteps.share`.
        changed: All arrays that it changes. Like the others it knows them by their address, so all are held here.
    """

    record: Record
    begun: int
    order: DeviceArray
    costs: DeviceArray
    share: DeviceArray
    changed: list[DeviceArray]


class RecordedSteps:
    """Trains a model on the GPU by recorded steps.

    Args:
        model: On the GPU.
        loss: With any reduction but "none", of one output.
        optimizer: Of the model; without `clip_norm`, for which the host has to look at the gradient.
        samples: What to train on.
    """

    def __init__(self, model: Model, loss: Loss, optimizer: Optimizer, samples: DeviceImages) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.samples = samples
        loss.checked_target(samples.samples.rows, samples.samples.rows)  # the target of each class
        self._recordings: dict[int, Recording] = {}  # by batch size

    def prepare(self, batch: int, told: Callable[[int, int], None]) -> None:
        """Compile, several at once, the kernels of a step with this size of batch and of an evaluation.

        Args:
            batch: How many samples.
            told: Called with how many kernels of how many are compiled, at first and after each; may raise.
        """
        if self._recording(batch):
            return
        order, costs = to_device(np.zeros((1, batch), np.uint32)), to_device(np.zeros(1, self.model.dtype))
        steps, share = self.optimizer.steps, self.share(batch)

        def work() -> None:
            self.take(order, costs, share)
            self.model(self.samples.batch_inputs(order))

        kernels = kernels_of(work)
        self.optimizer.steps = steps  # it was not taken
        device.current().prepare(kernels, told, available_cpus())

    def run(self, order: NDArray[Any], before_step: Callable[[], None]) -> NDArray[Any]:
        """Take a step for each row of `order`, ``(steps, batch)`` indices of samples; at most `ROWS`.

        Args:
            order: Which samples.
            before_step: Called before the host looks at the optimizer's numbers for a step; may change its rate.

        Returns:
            The cost per sample of each step that was taken, before its update. These are fewer than asked for where the
            next one's cost is infinite or NaN.

        Raises:
            NonFiniteError: if that of the first step is, as `fastcnn.train_step` does, before anything is updated.
        """
        saved = self._saved()
        steps, batch = order.shape
        first = self.optimizer.steps
        recording, costs = self._recording(batch), np.empty(0, self.model.dtype)
        if recording is None:
            recording, costs = self._begun(order[:1], before_step)
            self._recordings[batch] = recording
        if len(costs) < steps:
            costs = np.concatenate([costs, self._repeated(recording, order[len(costs) :], before_step)])
        good = steps if np.isfinite(costs).all() else int(np.argmin(np.isfinite(costs)))
        if good < steps:
            self._restore(saved, first)
            for row in order[: max(good, 1)]:  # the first one, if it is that which fails, says why
                before_step()
                x: Any = self.samples.inputs(row)
                train_step(self.model, self.loss, self.optimizer, x, self.samples.targets(row))
        return costs[:good]

    def _recording(self, batch: int) -> Recording | None:
        """That of this size of batch, unless the model has moved meanwhile."""
        found = self._recordings.get(batch)
        if found is None or any(one is not other for one, other in zip(found.changed, self._changed(), strict=True)):
            return None
        return found

    def _begun(self, row: NDArray[Any], before_step: Callable[[], None]) -> tuple[Recording, NDArray[Any]]:
        """Take the first step with this size of batch, then record it: so all its kernels are there."""
        batch = row.shape[1]
        order = to_device(np.zeros((ROWS, batch), np.uint32))
        costs = to_device(np.zeros(ROWS, self.model.dtype))
        order[:1].write(row)
        before_step()
        share = self.share(batch)
        self.take(order, costs, share)
        first = costs[:1].numpy()
        begun = self.optimizer.steps
        record = Record(lambda: self.take(order, costs, share), ROWS)
        self.optimizer.steps = begun  # recorded, not taken
        return Recording(record, begun, order, costs, share, self._changed()), first

    def _repeated(self, of: Recording, order: NDArray[Any], before_step: Callable[[], None]) -> NDArray[Any]:
        def count_out(_: int) -> None:
            before_step()
            self.optimizer.step()

        of.order[: len(order)].write(order)
        of.record.repeat(len(order), count_out, self.optimizer.steps - of.begun)
        return of.costs[: len(order)].numpy()

    def share(self, batch: int) -> DeviceArray:
        """The gradient of the cost by each sample's loss."""
        return to_device(np.full(batch, 1 / self.loss.divisor(batch, self._classes), self.model.dtype))

    def take(self, order: DeviceArray, costs: DeviceArray, share: Any) -> None:
        """Ask the device for all kernels of a step: this is what is recorded.

        Args:
            order: Which samples, a row a step.
            costs: Of the steps.
            share: See `share`.
        """
        x: Any = self.samples.batch_inputs(order)
        y: Any = self.samples.batch_targets(order)
        outputs, backward = self.model.forward(x, Training(self.model.seed, self.optimizer.steps, input_gradient=False))
        losses: Any
        losses, loss_backward = self.loss.per_sample(outputs, y)
        per = len(x) * (y.shape[1] if self.loss.reduction == "mean_elements" else 1)
        launch(kernels.keep_cost(real_of(losses)), (1,), (32,), losses, costs, clock(), len(x), per)
        backward(loss_backward(share))
        self.optimizer.step()

    @property
    def _classes(self) -> int:
        return self.samples.samples.classes

    def _saved(self) -> list[DeviceArray]:
        """Copies of all that a step changes."""
        return [array.copy() for array in self._changed()]

    def _restore(self, saved: list[DeviceArray], steps: int) -> None:
        for array, values in zip(self._changed(), saved, strict=True):
            array[...] = values
        self.optimizer.steps = steps

    def _changed(self) -> list[DeviceArray]:
        arrays: list[Any] = [self.model.arena.data, *self.optimizer.state.values()]
        return arrays
