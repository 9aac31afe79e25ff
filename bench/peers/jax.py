"""JAX: the whole step as one jitted function, weights donated; NHWC, which XLA prefers on the CPU.

Pooling is by `reduce_window`, as in Flax.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from peers.job import Job

Weights = list[list[jax.Array]]


def start(variant: str, threads: int) -> str:
    return f"JAX {jax.__version__}"  # held to its threads by the CPUs that the process may use


def infer(variant: str, job: Job) -> Callable[[int], np.ndarray]:
    forward, weights = _network(job, dropout=False)
    images = _images(job)
    run = jax.jit(lambda weights, x: forward(weights, x, None))
    return lambda index: np.asarray(run(weights, images[index]))


def train(variant: str, job: Job, dropout: bool) -> Callable[[int], float]:
    forward, weights = _network(job, dropout)
    images, targets = _images(job), [jnp.asarray(target) for target in job.targets]
    moments, update = _optimizer(job)

    def cost_of(weights: Weights, x: jax.Array, target: jax.Array, key: jax.Array) -> jax.Array:
        return -(target * jax.nn.log_softmax(forward(weights, x, key))).sum() / job.divisor

    def step(weights, state, number, x, target):
        key = jax.random.fold_in(jax.random.key(0), number)
        cost, grads = jax.value_and_grad(cost_of)(weights, x, target, key)
        flat, shape = jax.tree.flatten(weights)
        results = [update(*parts, number + 1) for parts in zip(flat, jax.tree.leaves(grads), *state, strict=True)]
        flat, *state = ([result[part] for result in results] for part in range(1 + len(state)))
        return cost, jax.tree.unflatten(shape, flat), state, number + 1

    run = jax.jit(step, donate_argnums=(0, 1, 2))
    state = [[jnp.zeros_like(weight) for weight in jax.tree.leaves(weights)] for _ in range(moments)]
    number = jnp.zeros((), jnp.int32)

    def work(index: int) -> float:
        nonlocal weights, state, number
        cost, weights, state, number = run(weights, state, number, images[index], targets[index])
        return float(cost)

    return work


def _images(job: Job) -> list[jax.Array]:
    return [jnp.asarray(image) for image in job.images.transpose(0, 1, 3, 4, 2)]


def _network(job: Job, dropout: bool) -> tuple[Callable[..., jax.Array], Weights]:
    """Forward as a function of weights, input and random key, and the weights in the layout that it takes."""
    parts = list(job.parts(dropout))
    axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    weights = [[jnp.asarray(values.transpose(axes[values.ndim])) for values in arrays] for _, _, arrays in parts]

    def forward(weights: Weights, x: jax.Array, key: jax.Array | None) -> jax.Array:
        for index, ((name, arguments, _), own) in enumerate(zip(parts, weights, strict=True)):
            x = _layer(name, arguments, own, x, key if key is None else jax.random.fold_in(key, index))
        return x

    return forward, weights


def _layer(name: str, arguments: dict, weights: list[jax.Array], x: jax.Array, key: jax.Array | None) -> jax.Array:
    match name:
        case "Conv2d":
            padding = [(p, p) for p in arguments["padding"]]
            layouts = ("NHWC", "HWIO", "NHWC")
            x = lax.conv_general_dilated(x, weights[0], arguments["stride"], padding, dimension_numbers=layouts)
            return x + weights[1] if len(weights) > 1 else x
        case "Linear":
            x = x @ weights[0]
            return x + weights[1] if len(weights) > 1 else x
        case "MaxPool2d":
            return _pool(x, -jnp.inf, lax.max, arguments)
        case "AvgPool2d":
            return _pool(x, 0.0, lax.add, arguments) / np.prod(arguments["kernel_size"]).astype(np.float32)
        case "ReLU":
            return jax.nn.relu(x)
        case "Tanh":
            return jnp.tanh(x)
        case "Flatten":
            return x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # the order in which the next weights expect it
        case "Dropout":
            keep = 1 - arguments["p"]
            return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0)
    raise ValueError(f"bench/peers/jax.py knows no layer {name!r}: add a case for it to _layer")


def _pool(x: jax.Array, start: float, combine: Callable, arguments: dict) -> jax.Array:
    window, stride = ((1, *arguments[name], 1) for name in ("kernel_size", "stride"))
    return lax.reduce_window(x, start, combine, window, stride, "VALID")


def _optimizer(job: Job) -> tuple[int, Callable[..., tuple[jax.Array, ...]]]:
    """How many state arrays a weight has, and ``update(weight, grad, *state, step) -> (weight, *state)``."""
    lr = job.settings["lr"]

    def sgd(w, g, step):
        return (w - lr * g,)

    def rmsprop(w, g, s, step):
        s = job.settings["decay"] * s + (1 - job.settings["decay"]) * g * g
        return w - lr * g / jnp.sqrt(s + job.settings["eps"]), s

    def adam(w, g, m, v, step):
        (beta1, beta2), eps = job.settings["betas"], job.settings["eps"]
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        return w - lr * m / (1 - beta1**step) / (jnp.sqrt(v / (1 - beta2**step)) + eps), m, v

    return {"SGD": (0, sgd), "RMSprop": (1, rmsprop), "Adam": (2, adam)}[job.optimizer]
