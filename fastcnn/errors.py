"""The exceptions that fastcnn raises: one base class, each kind also the built-in that Python users expect.

Every message is one line that says who complains, what was expected, what came, and how to mend it; the command
line prints that line alone and exits with code 2. What a message quotes from a file can't steer a terminal.
"""

from fastcnn.printable import printable


class FastcnnError(Exception):
    """Base of every error that fastcnn raises on purpose."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ShapeError(FastcnnError, ValueError):
    """A shape, size, stride, padding or dilation that does not fit."""


class DTypeError(FastcnnError, TypeError):
    """An array whose element type is not supported, or differs from its partner's."""


class DataError(FastcnnError, ValueError):
    """A data file or folder that is missing, damaged or not what it claims to be."""


class ConfigError(FastcnnError, ValueError):
    """A setting (argument, option, environment variable) outside what it may be."""


class CudaError(FastcnnError, RuntimeError):
    """A GPU that is missing, can't be used, or failed."""
