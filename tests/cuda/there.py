"""Operations of the GPU backend on arrays of the host."""

from importlib import import_module

import numpy as np

from fastcnn.backends.cuda.array import DeviceArray, to_device

SUBJECTS = ("convolution", "fused", "linear", "pointwise", "pooling", "rows", "updates")


def operation(name):
    """The GPU backend's operation of this name."""
    modules = (import_module(f"fastcnn.backends.cuda.{subject}") for subject in SUBJECTS)
    return next(getattr(module, name) for module in modules if hasattr(module, name))


def to(value):
    """Arrays of the host, alone or in a list, as arrays of the device."""
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return [to(one) for one in value]
    return to_device(value) if isinstance(value, np.ndarray) else value


def back(value):
    """The reverse."""
    if isinstance(value, tuple):
        return tuple(back(one) for one in value)
    return value.numpy() if isinstance(value, DeviceArray) else value


def there(name, *arguments, **named):
    """What the operation gives; arrays that it changes are changed here, too."""
    sent = [to(argument) for argument in arguments]
    result = operation(name)(*sent, **named)
    for argument, copy in zip(arguments, sent, strict=True):
        if isinstance(argument, np.ndarray) and isinstance(copy, DeviceArray):
            argument[...] = copy.numpy()
    return back(result)
