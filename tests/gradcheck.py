"""Hold the gradients of a layer or loss to central differences, in float64."""

import numpy as np

STEP = 1e-5
TOLERANCE = 1e-7  # relative to the largest entry; a central difference is good to about STEP**2


def assert_gradients_match(layer, x, training=None):
    """Check dx and every parameter's gradient of a layer, entry by entry.

    The output is made one number by a random direction: ``cost = sum(y * direction)``, so ``dy = direction``.
    """
    y, backward = layer.forward(x, training)
    direction = np.random.default_rng(7).standard_normal(y.shape)
    dx = backward(direction)
    gradients = {name: parameter.grad.copy() for name, parameter in layer.named_parameters()}

    def cost():
        return float((layer.forward(x, training)[0] * direction).sum())

    assert_matches_differences("dx", dx, cost, x)
    for name, parameter in layer.named_parameters():
        assert_matches_differences(name, gradients[name], cost, parameter.data)


def assert_matches_differences(name, gradient, cost, values):
    """Check the gradient of ``cost()`` by moving each entry of `values` a little, in place, both ways."""
    assert gradient.shape == values.shape
    expected = np.zeros_like(values)
    for index in np.ndindex(*values.shape):
        kept = values[index]
        values[index] = kept + STEP
        above = cost()
        values[index] = kept - STEP
        below = cost()
        values[index] = kept
        expected[index] = (above - below) / (2 * STEP)
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=TOLERANCE * scale, err_msg=name)


def apart(*shape):
    """Values in random order, none closer to another or to zero than 0.01: no kink lies within a step."""
    size = int(np.prod(shape))
    values = (np.arange(size) - size // 2 + 0.5) * 0.02
    return np.random.default_rng(3).permutation(values).reshape(shape)
