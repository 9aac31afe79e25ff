"""Every backend offers every operation, under the same name, with the same arguments and defaults."""

import inspect

import pytest

from fastcnn import ops
from fastcnn.backends import cpu, reference
from fastcnn.backends.cuda import operations

SHAPE_FUNCTIONS = {
    "conv2d_algorithm",
    "conv2d_relu_avg_pool2d_algorithm",
    "conv2d_relu_max_pool2d_algorithm",
    "conv_output_shape",
    "pool_output_shape",
}
OPERATIONS = [
    name
    for name, function in inspect.getmembers(ops, inspect.isfunction)
    if not name.startswith("_") and function.__module__.startswith(ops.__name__) and name not in SHAPE_FUNCTIONS
]


def arguments(function):
    """Names, kinds and defaults; annotations may differ."""
    parameters = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("backend", [cpu, operations, reference], ids=["cpu", "cuda", "reference"])
def test_backend_has_the_operation_with_the_same_arguments(backend, name):
    assert arguments(getattr(backend, name)) == arguments(getattr(ops, name))


@pytest.mark.parametrize("name", sorted(SHAPE_FUNCTIONS))
@pytest.mark.parametrize("backend", [cpu, operations], ids=["cpu", "cuda"])
def test_backend_has_the_function_of_shapes_with_the_same_arguments(backend, name):
    assert arguments(getattr(backend, name)) == arguments(getattr(ops, name))


def test_there_are_operations_to_compare():
    assert {"conv2d", "max_pool2d", "cross_entropy_backward", "rmsprop_update"} <= set(OPERATIONS)
