"""fastcnn, as a contestant in its own benchmark; frozen for inference, as ONNX Runtime's sessions are."""

from collections.abc import Callable

import numpy as np

import fastcnn as fc
from peers.job import Job


def start(variant: str, threads: int) -> str:
    fc.set_num_threads(threads)
    return f"fastcnn {fc.__version__}, {fc._core.get_isa()}"


def infer(variant: str, job: Job) -> Callable[[int], np.ndarray]:
    model = model_of(job, dropout=False).freeze()
    return lambda index: model(job.images[index])


def train(variant: str, job: Job, dropout: bool) -> Callable[[int], float]:
    model = model_of(job, dropout)
    loss = fc.CrossEntropyLoss(job.reduction)
    optimizer = getattr(fc, job.optimizer)(model.parameters(), **job.settings)
    return lambda index: fc.train_step(model, loss, optimizer, job.images[index], job.targets[index])


def model_of(job: Job, dropout: bool) -> fc.Sequential:
    layers = [getattr(fc, name)(**arguments) for name, arguments, _ in job.parts(dropout)]
    model = fc.Sequential(layers, input_shape=job.images.shape[2:])
    for parameter, values in zip(model.parameters(), job.weights, strict=True):
        parameter.data = values
    return model


def allocations(step: Callable[[], object]) -> dict[str, int]:
    """Blocks that the core did not find in its cache during a step."""
    before = fc._core.blocks_allocated()
    step()
    return {"blocks": fc._core.blocks_allocated() - before}
