"""Hold the gradient of a cost, such as a loss, to central differences in float64; of layers, `fc.gradcheck` does."""

import numpy as np

STEP = 1e-5
TOLERANCE = 1e-7  # relative to the largest entry; a central difference is good to about STEP**2


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
