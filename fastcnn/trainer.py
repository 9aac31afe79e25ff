"""The training loop: epochs of batches, what they cost, how good the model is after each; to be stopped anywhere.

It prints and writes nothing. Whoever wants to see or keep something passes a `Callback`: one of `fastcnn.callbacks`,
or one's own.

Exactly one thing happens at a time: a step, or an evaluation of one batch. Between any two of them a run may be
stopped; the weights, ``optimizer.state_dict()`` and ``trainer.progress`` of that moment are all that a new process
needs to go on to the same bits and the same figures, but for times.
"""

import time
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn import remedies
from fastcnn.backends.choice import host
from fastcnn.data.samples import Batches, Samples, checked_batches, samples_of, validation_of
from fastcnn.errors import ConfigError, DataError, DTypeError, ShapeError
from fastcnn.hooks import Callback, check_kind, checked_callbacks, introduce
from fastcnn.judge import Evaluation, Judge, Metric, checked_metric, evaluate, figures_of, name_of, per_sample
from fastcnn.layers.arguments import choice, whole
from fastcnn.layers.parameter import flat_runs
from fastcnn.losses import Loss
from fastcnn.metrics import MODES, BatchMetrics, EpochMetrics, History, Progress
from fastcnn.model import Model
from fastcnn.optim import Optimizer
from fastcnn.schedules import Schedule, check_rates, checked_schedule, rate_at
from fastcnn.signals import deferred
from fastcnn.training import NonFiniteError, train_step

__all__ = ["BatchMetrics", "Callback", "EpochMetrics", "Evaluation", "History", "Progress", "Trainer", "evaluate"]

SMOOTHING = 0.01  # how much of the newest batch's cost goes into the moving loss, as in MXNet's tutorial
SHUFFLE_STREAM = 1 << 32  # second half of the keys of the orders, apart from those that draw weights
JUDGED_TRAINING_SAMPLES = 5_000

Taken = tuple[int, float, int]  # a step: number of its batch, cost per sample, samples of the epoch so far


class _Stopped(Exception):
    """A callback wants `fit` to end."""


class Trainer:
    """Trains a model.

    Args:
        model: Its seed also decides the orders of the samples.
        loss: With any reduction but "none".
        optimizer: Holds the parameters of the model.
        batch_size: Samples in a step; the last one of an epoch takes what is left.
        shuffle: Whether each epoch goes through the samples in an order of its own.
        callbacks: Told in the order given.
        metric: What the accuracies in `EpochMetrics` are: ``"auto"``, the share of samples whose largest output is at
            their label, for models with one output ``(N, classes)`` of two classes or more and samples with labels; a
            function of outputs and targets that gives a number for each sample, ``(N,)``, which is called by its name
            and whose means are `EpochMetrics.train_metric` and `test_metric`; or None. Float targets
            ``(N, classes)`` in [0, 1] count as labels: pass ``metric=None`` for regression.
        metric_mode: Whether a function is better when larger, ``"max"``, or smaller, ``"min"``. Where it isn't said,
            `History.best` goes by the cost.
        schedule: The learning rate of each step: `fastcnn.OneCycleLR` for one, or any function of the step's number,
            from 0; see `fastcnn.schedules`. None leaves the optimizer's rate alone.
        record: Whether to train on `fastcnn.data.DeviceImages` by recorded steps, a hundred at a time, see
            `fastcnn.recorded`: the same bits, sooner. With `clip_norm` it is always one by one.

    Attributes:
        progress: How far it has come. To resume a run, set it beside the model's and the optimizer's state.
        history: All epochs that this trainer has completed.
        figures: The names of those in `EpochMetrics` that the epochs of `fit` will have, as far as can be known.
        last_epoch: Number of the epoch that `fit` ends with.
        samples_in_epoch: How many training samples `fit` goes through in an epoch; None if it can't know.
        should_stop: Set by callbacks to end `fit` before its next step.
        in_step: Whether a step is under way, or has been broken off by an error or a second signal: then model,
            optimizer and `progress` may not fit together. Batches that a callback sees are whole.

    Raises:
        ConfigError: if `batch_size` is no positive whole number, `metric` none of the three, `schedule` no function,
            or something else is not of its kind; if a callback has a method of a name or with arguments that nobody
            calls it by.

    >>> digits = fc.data.load_dataset("sample")
    >>> x = fc.data.scale_pixels(digits.train_images, "unit", "float32")
    >>> model = fc.Sequential(fc.Flatten(), fc.Linear(784, 10), input_shape=(1, 28, 28))
    >>> trainer = Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters(), 0.1))
    >>> history = trainer.fit(x[:500], digits.train_labels[:500], epochs=2)
    >>> history.column("epoch"), history[-1].train_accuracy > 0.7
    ([1, 2], True)
    """

    def __init__(
        self,
        model: Model,
        loss: Loss,
        optimizer: Optimizer,
        *,
        batch_size: int = 100,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        metric: Metric | str | None = "auto",
        metric_mode: str | None = None,
        schedule: Schedule | None = None,
        record: bool = True,
    ) -> None:
        order = "the order is Trainer(model, loss, optimizer)"
        for what, part, kind in (("model", model, Model), ("loss", loss, Loss), ("optimizer", optimizer, Optimizer)):
            check_kind(part, kind, f"Trainer: {what} must be an instance of", order)
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.batch_size = whole(batch_size, "Trainer: batch_size")
        self.shuffle = shuffle
        self.callbacks = checked_callbacks(callbacks)
        self.metric = checked_metric(metric, "Trainer")
        if metric_mode is not None and not callable(metric):
            raise ConfigError("Trainer: metric_mode is for a metric of your own, accuracies go up; leave it out")
        self.metric_mode = None if metric_mode is None else choice(metric_mode, MODES, "Trainer: metric_mode")
        self.schedule = checked_schedule(schedule, "Trainer")
        self.record = record
        self._recorded: Any = None  # the RecordedSteps of the samples on the GPU
        self.progress = Progress()
        self.history = History()
        self.figures: frozenset[str] = frozenset()
        self.last_epoch = 0
        self.samples_in_epoch: int | None = None
        self.should_stop = False
        self.in_step = False

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        validation: tuple[Any, Any] | Samples | Batches | None = None,
    ) -> History:
        """Train for so many epochs more, and tell the callbacks and the caller how it went.

        In the main thread a Ctrl-C, or any other signal with a Python handler, waits for the end of the step (or of
        the batch under evaluation) and is raised there: model, optimizer and `progress` fit together, and a later
        `fit`, or one in another process, goes on from there. Only a second signal, more than 0.2 s after the first and
        while that still waits, lands where it comes, and leaves a step half done.

        Args:
            x: Inputs ``(N, ...)`` of the model's dtype. Or `Samples`. Or an iterable of batches ``(x, y)`` that gives
                the same ones each time that it is iterated: a list of them, or an object whose ``__iter__`` starts
                anew; no generator, unless for one epoch alone.
            y: Targets as the loss takes them, see `fastcnn.losses`; a tuple or list of arrays for a model with several
                outputs. None unless `x` is an array.
            epochs: How many. One that was under way, in a resumed run, is the first of them.
            validation: What to judge the model by after each epoch: a pair ``(x, y)`` of arrays, `Samples`, or an
                iterable of batches.

        Returns:
            The metrics of the epochs that this call completed.

        Raises:
            DataError: if inputs and targets differ in number, there are none, or a batch is not ``(x, y)``.
            ShapeError: if the inputs have another size than the model takes.
            DTypeError: if their dtype is another than the model's.
            ConfigError: if `progress` is not of this optimizer, these samples or this batch size, or the schedule has
                no learning rate for a step.
            NonFiniteError: as soon as a cost is infinite or NaN, before the update; or a weight, at the end of an
                epoch. The message says where.
        """
        train = samples_of(x, y, "Trainer.fit")
        test = None if validation is None else validation_of(validation)
        self.check(train)
        self.check(test)
        self.last_epoch = self.progress.epoch + whole(epochs, "Trainer.fit: epochs")
        self.samples_in_epoch = len(train) if isinstance(train, Samples) else None
        self._check_progress()
        self._check_schedule(train)
        self.should_stop = False
        self.figures = figures_of(self.model, self.metric, train, test)
        introduce(checked_callbacks(self.callbacks), self.model)  # once more, for the list may have changed
        self._recorded = None  # since it was made, the model may have changed
        before = len(self.history)
        with deferred() as land, ExitStack() as ends, suppress(_Stopped):
            for callback in self.callbacks:
                callback.on_start(self)
                ends.callback(callback.on_end, self)
            while self.progress.epoch < self.last_epoch:
                self._run_epoch(train, test, lambda: self._pause(land))
        return History(self.history[before:])

    def check(self, data: Samples | Batches | None) -> None:
        """Raise an error if these samples are not for this model. Batches from an iterable are checked as they come.

        Raises:
            DataError: if there are none.
            ShapeError, DTypeError: if the first one's input is not what the model takes.
        """
        if not isinstance(data, Samples):
            return
        if not len(data):
            raise DataError("Trainer: expected at least one sample, got none; check the data set")
        sample = data.inputs(slice(0, 1))
        if sample.dtype != self.model.dtype:
            raise DTypeError(
                f"Trainer: expected {self.model.dtype} inputs, got {sample.dtype}; "
                f"{remedies.for_dtype(sample.dtype, sample.ndim, self.model.dtype)}"
            )
        expected = self.model.input_shape
        if expected is not None and sample.shape[1:] != expected:
            kind = "images" if len(expected) == 3 else "inputs"
            raise ShapeError(
                f"Trainer: the model takes {kind} {expected}, but those of the data set are {sample.shape[1:]}; "
                f"{remedies.for_shape(sample.shape, expected)}"
            )
        self.model.output_shape(sample.shape)

    def order(self, count: int, epoch: int) -> NDArray[np.intp]:
        """In which order `epoch` goes through `count` samples; depends on nothing else but the seed."""
        if not self.shuffle:
            return np.arange(count)
        key = np.array([self.model.seed, SHUFFLE_STREAM + epoch], np.uint64)
        return np.random.Generator(np.random.Philox(key=key)).permutation(count)

    def _check_progress(self) -> None:
        """Raise a ConfigError if the epoch under way can't be of this optimizer and these samples."""
        progress = self.progress
        if progress.batch and progress.steps != self.optimizer.steps:
            raise ConfigError(
                f"Trainer: the progress is that of step {progress.steps}, but the optimizer has taken "
                f"{self.optimizer.steps}; restore both from one checkpoint"
            )
        count = self.samples_in_epoch
        if count is not None and progress.samples != min(progress.batch * self.batch_size, count):
            raise ConfigError(
                f"Trainer: the progress has {progress.samples} samples in {progress.batch} batches, which can't be in "
                f"batches of {self.batch_size} out of {count}; go on with the samples and the batch size of before"
            )

    def _check_schedule(self, train: Samples | Batches) -> None:
        """Raise a ConfigError if it has no learning rate for a step to come, as far as their number can be known."""
        per_epoch = len(train) if isinstance(train, Sized) else 1
        if isinstance(train, Samples):
            per_epoch = -(-per_epoch // self.batch_size)
        ahead = (self.last_epoch - self.progress.epoch) * per_epoch - self.progress.batch
        if self.schedule is not None:
            check_rates(self.schedule, range(self.optimizer.steps, self.optimizer.steps + ahead))

    def _pause(self, land: Callable[[], None]) -> None:
        """Between two steps: the one place where signals and callbacks end a run."""
        land()
        if self.should_stop:
            raise _Stopped

    def _run_epoch(self, train: Samples | Batches, test: Samples | Batches | None, pause: Callable[[], None]) -> None:
        pause()
        started = time.perf_counter()
        images_per_second = self._train(train, pause)
        done = self.progress
        assert done.moving_loss is not None
        judge = Judge(self.model, self.metric, pause)
        unknown = Evaluation(0, None, None)
        on_training = (
            judge(train, None, JUDGED_TRAINING_SAMPLES, spread=True) if isinstance(train, Samples) else unknown
        )
        on_test = unknown if test is None else judge(test, self.loss)
        metrics = EpochMetrics(
            epoch=done.epoch + 1,
            cost=done.cost_sum / done.samples,
            moving_loss=done.moving_loss,
            train_accuracy=on_training.accuracy,
            test_accuracy=on_test.accuracy,
            test_cost=on_test.cost,
            seconds=time.perf_counter() - started,
            images_per_second=images_per_second,
            train_metric=on_training.metric,
            test_metric=on_test.metric,
            metric=name_of(self.metric),
            mode=self.metric_mode,
        )
        self.progress = done.after(metrics)
        self.history.append(metrics)
        for callback in self.callbacks:
            callback.on_epoch(self, metrics)

    def _train(self, train: Samples | Batches, pause: Callable[[], None]) -> float:
        """Go through what is left of the epoch, and return the speed."""
        epoch = self.progress.epoch + 1
        already = self.progress.samples
        started = time.perf_counter()
        speed = 0.0
        recorded = getattr(train, "is_on_device", False) and self.record and self.optimizer.clip_norm is None
        steps = self._recorded_steps if recorded else self._steps
        for taken in steps(train, epoch, pause):
            speed = (self.progress.samples - already) / max(time.perf_counter() - started, 1e-9)
            for batch, cost, samples in taken:
                for callback in self.callbacks:
                    callback.on_batch(self, BatchMetrics(epoch, batch, cost, samples, speed))
        if not all(np.isfinite(host(values)).all() for values, _ in flat_runs(self.model.parameters())):
            raise NonFiniteError(
                f"epoch {epoch}: a weight became infinite or NaN by its end; use a smaller learning rate"
            )
        pause()
        return speed

    def _batches(self, train: Samples | Batches, epoch: int, done: int) -> Iterator[tuple[Any, Any]]:
        """The batches of an epoch without those that are done."""
        if isinstance(train, Samples):
            order = self.order(len(train), epoch)
            for first in range(done * self.batch_size, len(train), self.batch_size):
                which = order[first : first + self.batch_size]
                yield train.inputs(which), train.targets(which)
        else:
            batches = checked_batches(train, f"epoch {epoch}")
            if sum(1 for _ in islice(batches, done)) < done:
                raise DataError(
                    f"Trainer: expected the {done} batches of epoch {epoch} that are done, got fewer; go on with the "
                    "iterable of before, one that starts anew each time"
                )
            yield from batches

    def _steps(self, train: Samples | Batches, epoch: int, pause: Callable[[], None]) -> Iterator[list[Taken]]:
        """The steps of an epoch, one by one."""
        for x, y in self._batches(train, epoch, self.progress.batch):
            pause()
            self._before_step()
            with self._in_step(epoch):
                cost = train_step(self.model, self.loss, self.optimizer, x, y)
                taken = self._note(per_sample(cost, self.loss, len(x)), len(x), self.optimizer.steps)
            yield [taken]

    def _recorded_steps(self, train: Any, epoch: int, pause: Callable[[], None]) -> Iterator[list[Taken]]:
        """The same on the GPU, in groups: see `fastcnn.recorded`."""
        from fastcnn.recorded import RecordedSteps, groups_of  # what it imports of the GPU is for few

        if self._recorded is None:
            self._recorded = RecordedSteps(self.model, self.loss, self.optimizer, train)
        order = self.order(len(train), epoch)[self.progress.batch * self.batch_size :]
        for group in groups_of(order, self.batch_size):
            while len(group):
                pause()
                self._recorded.prepare(group.shape[1], partial(self._compiling, pause))
                before = self.optimizer.steps
                with self._in_step(epoch):
                    costs = self._recorded.run(group, self._before_step)
                    numbered = enumerate(costs.tolist(), start=before + 1)
                    taken = [self._note(cost, group.shape[1], steps) for steps, cost in numbered]
                yield taken
                group = group[len(costs) :]

    def _compiling(self, pause: Callable[[], None], done: int, total: int) -> None:
        for callback in self.callbacks:
            callback.on_compile(self, done, total)
        pause()

    @contextmanager
    def _in_step(self, epoch: int) -> Iterator[None]:
        """Around a step: what breaks it off leaves `in_step` set, but for an error before anything was updated."""
        self.in_step = True
        try:
            yield
        except NonFiniteError as error:
            self.in_step = False  # nothing was updated
            error.args = (f"epoch {epoch}, batch {self.progress.batch + 1}: {error}",)
            raise
        self.in_step = False

    def _before_step(self) -> None:
        if self.schedule is not None:
            self.optimizer.lr = rate_at(self.schedule, self.optimizer.steps)

    def _note(self, cost: float, count: int, steps: int) -> Taken:
        """Note the progress that a step made, before anybody hears of it; from its cost per sample."""
        done = self.progress
        before = cost if done.moving_loss is None else done.moving_loss
        self.progress = replace(
            done,
            batch=done.batch + 1,
            samples=done.samples + count,
            cost_sum=done.cost_sum + cost * count,
            moving_loss=(1 - SMOOTHING) * before + SMOOTHING * cost,
            steps=steps,
        )
        return self.progress.batch, cost, self.progress.samples
