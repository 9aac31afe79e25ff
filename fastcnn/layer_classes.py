"""Layers of one's own on the command line: their classes, from modules that are imported because a person names them.

A model's file names classes and nothing more; loading one imports nothing. Who adds ``--layers mylayers:Scale`` says
where the class is, and that its module may run.
"""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from fastcnn.errors import ConfigError
from fastcnn.layers import Layer


def layer_classes(names: Sequence[str]) -> dict[str, type[Layer]]:
    """The classes that ``MODULE:CLASS`` name, by the names under which files have them.

    Modules are looked for in the current folder, then where Python looks. What they print while they are imported goes
    to stderr.

    Raises:
        ConfigError: for a text of another form, a module that isn't there or fails, what is no class of layers in it,
            or two classes of one name.
    """
    classes: dict[str, type[Layer]] = {}
    for name in names:
        module_name, colon, class_name = name.partition(":")
        parts = [*module_name.split("."), *class_name.split(".")]
        is_file = module_name.endswith(".py") or os.sep in module_name
        if not colon or is_file or not all(part.isidentifier() for part in parts):
            remedy = "; name the module, without .py" if is_file else ""
            raise ConfigError(f"--layers: expected MODULE:CLASS, such as mylayers:Scale, got {name!r}{remedy}")
        kind = _class_in(_imported(module_name), class_name)
        if classes.setdefault(kind.__name__, kind) is not kind:
            raise ConfigError(f"--layers: two classes are called {kind.__name__}; a model has only one of a name")
    return classes


def _imported(name: str) -> ModuleType:
    try:
        with _current_folder_first(), contextlib.redirect_stdout(sys.stderr):
            importlib.invalidate_caches()  # a file that was written just now is found
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(name, error) from error
        raise ConfigError(
            f"--layers: there is no module {error.name!r}, neither in the current folder {os.getcwd()!r} nor installed"
        ) from None
    except (Exception, SystemExit) as error:  # somebody else's code may raise anything
        raise _failed(name, error) from error


def _failed(name: str, error: BaseException) -> ConfigError:
    return ConfigError(f"--layers: importing {name!r} failed: {type(error).__name__}: {error}")


def _class_in(module: ModuleType, name: str) -> type[Layer]:
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            there = sorted(key for key, item in vars(module).items() if _is_layer(item) and item is not Layer)
            has = f"its layers are {', '.join(there)}" if there else "it has no layers"
            raise ConfigError(f"--layers: there is no {name!r} in module {module.__name__!r}; {has}")
        value = getattr(value, part)
    if not _is_layer(value):
        raise ConfigError(
            f"--layers: {module.__name__}:{name} must be a class of layers, a subclass of fastcnn.Layer, got "
            f"{value.__name__ if isinstance(value, type) else type(value).__name__}"
        )
    kind: type[Layer] = value
    return kind


def _is_layer(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Layer)


@contextlib.contextmanager
def _current_folder_first() -> Iterator[None]:
    """As ``python -m`` has it, but only meanwhile."""
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(os.getcwd())
