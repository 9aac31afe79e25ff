"""MXNet 1.9.1 through Gluon, hybridized with static memory. Runs in a Python of its own, with numpy < 1.24."""

from collections.abc import Callable

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon import nn

from peers.job import Job


def start(variant: str, threads: int) -> str:
    return f"MXNet {mx.__version__}, numpy {np.__version__}"  # held to its threads by OMP_NUM_THREADS


def infer(variant: str, job: Job) -> Callable[[int], np.ndarray]:
    model, images = _model(job, dropout=False), _arrays(job.images)
    return lambda index: model(images[index]).asnumpy()


def train(variant: str, job: Job, dropout: bool) -> Callable[[int], float]:
    model, images, targets = _model(job, dropout), _arrays(job.images), _arrays(job.targets)
    loss = gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)
    loss.hybridize(static_alloc=True, static_shape=True)
    trainer = gluon.Trainer(model.collect_params(), *_optimizer(job), kvstore=None)

    def work(index: int) -> float:
        with autograd.record():
            losses = loss(model(images[index]), targets[index])
        losses.backward()
        trainer.step(job.divisor)
        return float(losses.sum().asscalar()) / job.divisor

    return work


def _arrays(batches: np.ndarray) -> list[mx.nd.NDArray]:
    return [mx.nd.array(batch) for batch in batches]


def _model(job: Job, dropout: bool) -> nn.HybridSequential:
    model = nn.HybridSequential()
    for name, arguments, weights in job.parts(dropout):
        layer = _layer(name, arguments)
        model.add(layer)
        layer.initialize()
        for parameter, values in zip(layer.collect_params().values(), weights, strict=True):
            parameter.set_data(mx.nd.array(values))
    model.hybridize(static_alloc=True, static_shape=True)
    return model


def _layer(name: str, arguments: dict) -> nn.HybridBlock:
    if name in ("Conv2d", "MaxPool2d", "AvgPool2d"):
        window = {"strides": tuple(arguments["stride"]), "padding": tuple(arguments["padding"])}
        size = tuple(arguments["kernel_size"])
        if name == "Conv2d":
            channels = {"channels": arguments["out_channels"], "in_channels": arguments["in_channels"]}
            return nn.Conv2D(**channels, kernel_size=size, use_bias=arguments["bias"], **window)
        return (nn.MaxPool2D if name == "MaxPool2d" else nn.AvgPool2D)(size, **window)
    match name:
        case "Linear":
            sizes = {"units": arguments["out_features"], "in_units": arguments["in_features"]}
            return nn.Dense(**sizes, use_bias=arguments["bias"], flatten=False)
        case "Dropout":
            return nn.Dropout(arguments["p"])
        case "Flatten":
            return nn.Flatten()
    return nn.Activation(name.lower())


def _optimizer(job: Job) -> tuple[str, dict]:
    settings = {"learning_rate": job.settings["lr"], "wd": 0.0}
    if job.optimizer == "RMSprop":  # MXNet's, too, has the eps inside the root
        settings |= {"gamma1": job.settings["decay"], "epsilon": job.settings["eps"], "centered": False}
    if job.optimizer == "Adam":
        beta1, beta2 = job.settings["betas"]
        settings |= {"beta1": beta1, "beta2": beta2, "epsilon": job.settings["eps"]}
    return job.optimizer.lower(), settings
