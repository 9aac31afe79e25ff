"""The kernels that budgets.toml lists, and those that there are."""

import inspect
import pkgutil
import tomllib
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from fastcnn.backends.cuda import kernels, language
from fastcnn.backends.cuda.language import Kernel

LISTED = tomllib.loads(Path(__file__).with_name("budgets.toml").read_text())["kernel"]
WORDS = {word.name: word for word in language.TYPES}
REGISTERS = 32


class Budget(NamedTuple):
    """A kernel and what it may need."""

    make: str
    kernel: Kernel
    registers: int
    double: bool  # may compute in double precision


def makers():
    """All functions that make kernels, by file and name."""
    found = {}
    for module in pkgutil.iter_modules(kernels.__path__):
        for name, value in vars(import_module(f"{kernels.__name__}.{module.name}")).items():
            if isinstance(value, type(lru_cache(print))) and value.__module__.endswith(f".{module.name}"):
                found[f"{module.name}.{name}"] = value
    return found


def budgets():
    """Every listed kernel, for each type of elements that it has."""
    made = makers()
    for entry in LISTED:
        make = made[entry["make"]]
        if "real" not in inspect.signature(make).parameters:
            constants = [constant(one, None) for one in entry.get("constants", ())]
            yield Budget(entry["make"], make(*constants), entry.get("registers", REGISTERS), True)
            continue
        for real in map(WORDS.get, entry.get("types", ("float32", "float64"))):
            constants = [constant(one, real) for one in entry.get("constants", ())]
            double = real is language.float64 or "double" in entry
            yield Budget(entry["make"], make(real, *constants), entry.get(real.name, REGISTERS), double)


def constant(value, real):
    """A constant of the file as kernels take it."""
    if isinstance(value, list):
        return tuple(constant(one, real) for one in value)
    return real if value == "real" else WORDS.get(value, value) if isinstance(value, str) else value
