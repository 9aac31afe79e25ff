"""fastcnn on the GPU: Gorgonia's network by recorded steps, as the trainer takes them.

A step makes its batch from the bytes of the images, which lie on the GPU.
"""

from collections.abc import Callable

import numpy as np

import fastcnn as fc
from fastcnn.data import DeviceImages, ImageSamples
from fastcnn.recipes import RECIPES
from fastcnn.recorded import ROWS, RecordedSteps
from peers.job import Job
from peers.ours import model_of

STEPS = ROWS
SETTINGS = RECIPES["gorgonia"]


def start(variant: str, threads: int) -> str:
    return f"fastcnn {fc.__version__} on {fc.cuda.name()}, float32 without TF32"


def train(variant: str, job: Job, dropout: bool) -> Callable[[int], np.ndarray]:
    steps, batches = recorded(job, dropout)
    steps.prepare(job.batch, lambda done, total: None)

    def work(index: int) -> np.ndarray:
        costs = steps.run(batches[(index + np.arange(STEPS)) % len(batches)], lambda: None)
        if len(costs) < STEPS:
            raise RuntimeError("a cost became infinite or NaN")
        return costs

    return work


def recorded(job: Job, dropout: bool) -> tuple[RecordedSteps, np.ndarray]:
    """The steps of a job, and which samples are in its batches."""
    digits = fc.data.load_dataset("sample")
    form = ("float32", SETTINGS.scaling, SETTINGS.targets)
    samples = DeviceImages(ImageSamples(digits.train_images, digits.train_labels, *form))
    model = model_of(job, dropout).to("cuda")
    optimizer = getattr(fc, job.optimizer)(model.parameters(), **job.settings)
    chosen = np.arange(len(job.images) * job.batch) % len(samples)  # as networks.make_job does
    steps = RecordedSteps(model, fc.CrossEntropyLoss(job.reduction), optimizer, samples)
    return steps, chosen.reshape(-1, job.batch)
