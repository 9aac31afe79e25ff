"""The networks that benchmarks run, as jobs: with the data, the loss and the optimizer of their recipes."""

import numpy as np
from peers.job import Job

import fastcnn as fc
from fastcnn.recipes import MODELS, RECIPES, build

NETWORKS = tuple(MODELS)
MOST_BATCHES = 64  # a training step takes the next one every time, so that it does not learn one batch by heart


def make_job(network: str, training: bool, batch: int) -> Job:
    """A job on MNIST's digits, those that ship with the package; or, for batches too large for them, repeated."""
    recipe = RECIPES[network]
    model, _, optimizer = build(recipe)
    digits = fc.data.load_dataset("sample")
    count = min(MOST_BATCHES, max(1, len(digits.train_images) // batch))
    chosen = np.arange(count * batch) % len(digits.train_images)
    images = fc.data.scale_pixels(digits.train_images[chosen], recipe.scaling, "float32")
    labels = digits.train_labels[chosen]
    soft = recipe.targets == "soft"
    targets = fc.data.soft_targets(labels, "float32") if soft else np.eye(10, dtype=np.float32)[labels]
    names = {"RMSprop": ("lr", "decay", "eps"), "Adam": ("lr", "betas", "eps")}.get(type(optimizer).__name__, ("lr",))
    settings = {name: getattr(optimizer, name) for name in names}
    if recipe.reduction == "sum":  # a larger batch sums more: the same rate for its mean, or it diverges
        settings["lr"] *= min(1, recipe.batch_size / batch)
    return Job(
        layers=[(type(layer).__name__, layer.config()) for layer in model.layers],
        weights=[parameter.data.copy() for parameter in model.parameters()],
        images=images.reshape(count, batch, *images.shape[1:]),
        targets=targets.reshape(count, batch, -1),
        reduction=recipe.reduction,
        optimizer=type(optimizer).__name__,
        settings=settings,
        training=training,
    )


def default_batch(network: str) -> int:
    """The batch size of the network's tutorial."""
    return RECIPES[network].batch_size
