"""Model files: a model, how it is wired, and what else there is to know about it, in one safetensors file.

The arrays are those of ``model.state_dict()``, under the same names, so any reader of safetensors finds them; arrays
that only a checkpoint has lie beside them as ``optimizer/NAME``. What else there is stands in the file's metadata
under ``fastcnn``, as one compact JSON object ``{"format", "metadata", "model"}``: equal models are equal files, and
the object can grow. `fastcnn.architecture` says what is in ``model``. The object begins with a ``checksum`` of all the
rest, which files of older versions lack.

Nothing in a file is trusted or run. No name in it is imported; the model is built without its arrays, and only when
the file's names, shapes and dtypes are exactly the model's are they read. Whatever is amiss is one DataError.
safetensors is asked for nothing for which there is no memory: it would end the process.
"""

import json
import math
import os
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastcnn.architecture import Classes, describe, one_line, rebuild
from fastcnn.atomic import replacing
from fastcnn.backends.arrays import array_of
from fastcnn.backends.choice import host
from fastcnn.data.formats import why_no_file
from fastcnn.errors import ConfigError, DataError, DTypeError
from fastcnn.footprint import sample_memory
from fastcnn.init import zeros
from fastcnn.layers.arguments import whole
from fastcnn.layers.layer import check_dtypes
from fastcnn.layers.parameter import Array
from fastcnn.model import Model
from fastcnn.tensor_file import DTYPES, SEAL, Checksum, bytes_of, header_of, memory_for, nbytes_of
from fastcnn.unsaved import first_lost

FORMAT = 2
LONGEST_DESCRIPTION = 2**20  # characters of JSON
LONGEST_HEADER = 2**24  # bytes, before the arrays,
MOST_ARRAYS = 2**14  # and of how many arrays it may tell: a model has at most 4096 layers
MEMORY_LIMIT = 2**30  # bytes that a sample may take on its way through a model, unless a caller allows more
OPTIMIZER = "optimizer/"
MOST_DIMENSIONS = 8  # of an array beside the model's,
MOST_ENTRIES = 2**48  # and of its sizes multiplied, those of 0 left out: beyond 2**60 NumPy refuses even empty arrays


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What is in a model file.

    Attributes:
        model: The model, its weights loaded.
        arrays: The other arrays by name, as ``optimizer.state_dict()`` gave them; empty if the file has none.
        metadata: What was handed to `write_model_file`, as JSON has it: tuples are lists.
    """

    model: Model
    arrays: dict[str, Array]
    metadata: dict[str, Any]


def save(model: Model, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None) -> None:
    """Write a model to a safetensors file: its weights, to the bit, and how it is wired.

    Until the new file is safe on the disk, what was at `path` stays.

    Args:
        model: A `fastcnn.Sequential` or `fastcnn.Graph`. Layers of your own are kept by the name of their class
            and their `Layer.config`.
        path: The file to write, ``"model.safetensors"``.
        metadata: What you want to know of the model later, in terms of JSON; see `read_model_file`.

    Raises:
        ConfigError: if `load` could not make the model again, as a layer of your own has become what its `Layer.config`
            doesn't tell, or JSON can't say the metadata; nothing is written then.
        OSError: if the file cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> model = fc.Sequential(fc.Linear(3, 2), seed=1)
    >>> with TemporaryDirectory() as folder:
    ...     fc.save(model, f"{folder}/model.safetensors", {"scaling": "unit"})
    ...     again = fc.load(f"{folder}/model.safetensors")
    >>> bool((again.arena.data == model.arena.data).all())
    True
    """
    write_model_file(path, model, {}, metadata or {})


def load(path: str | os.PathLike[str], layers: Classes | None = None, memory_limit: int | None = MEMORY_LIMIT) -> Model:
    """Read a model that `save` wrote, or a checkpoint.

    The file may come from anywhere: it can make layers out of `layers` and fastcnn's own, and nothing else. The
    constructors of yours get the arguments that the file has.

    Args:
        path: The file.
        layers: The classes of the layers of your own that the model has, by name: ``{"Scale": Scale}``.
        memory_limit: Bytes that one sample may take on its way through the model, 1 GiB; None for no limit. A file of
            some hundred bytes can describe a model that takes more than any machine has.

    Raises:
        DataError: if the file is missing, damaged, none that fastcnn wrote, has a layer that is unknown, or a model
            that takes too much memory.
        ConfigError: if `layers` is something else than names and classes of layers, or `path` no path.
        MemoryError: if there is too little for the arrays.

    >>> from tempfile import TemporaryDirectory
    >>> class Double(fc.Layer):
    ...     def forward(self, x, training):
    ...         return 2 * x, lambda dy: 2 * dy
    >>> with TemporaryDirectory() as folder:
    ...     fc.save(fc.Sequential(Double()), f"{folder}/model.safetensors")
    ...     model = fc.load(f"{folder}/model.safetensors", layers={"Double": Double})
    >>> model(np.ones((1, 2), np.float32))
    array([[2., 2.]], dtype=float32)
    """
    return _read(path, layers, memory_limit, with_arrays=False).model


def write_model_file(
    path: str | os.PathLike[str], model: Model, arrays: Mapping[str, Array], metadata: Mapping[str, Any]
) -> None:
    """Write a model with arrays beside it, ``optimizer.state_dict()`` for one: see `save`.

    Args:
        path: The file to write.
        model: The model.
        arrays: float32, float64 or int64, of any shapes.
        metadata: A dict in terms of JSON.

    Raises:
        ConfigError: as `save`, and for arrays of other dtypes.
        OSError: if the file cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> model = fc.Sequential(fc.Linear(3, 2))
    >>> with TemporaryDirectory() as folder:
    ...     write_model_file(f"{folder}/model", model, fc.SGD(model.parameters()).state_dict(), {"epoch": 3})
    ...     file = read_model_file(f"{folder}/model")
    >>> file.arrays, file.metadata
    ({'steps': array(0)}, {'epoch': 3})
    """
    path = _path("save", path)
    who = f"save {path!r}"
    if not isinstance(model, Model):
        raise ConfigError(f"{who}: expected a model, got {type(model).__name__}; put layers into a Sequential")
    description = _described(who, model, metadata)
    tensors = {name: host(parameter.data) for name, parameter in model.named_parameters()}
    for name, array in arrays.items():
        tensors[OPTIMIZER + name] = array_of(array, who, name)
        if (dtype := tensors[OPTIMIZER + name].dtype).name not in DTYPES:
            raise ConfigError(f"{who}: expected {', '.join(DTYPES)} arrays, got {dtype} as {name!r}")
    rows_first = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    try:
        checksum = Checksum(description)
        for name, array in sorted(rows_first.items()):
            checksum.add(name, array)
        header, order = header_of(f'{{"checksum":"{checksum}",{description[1:]}', rows_first)
    except UnicodeError as error:
        raise ConfigError(f"{who}: safetensors can't hold that: {one_line(error)}") from error
    if len(order) > MOST_ARRAYS or len(header) > LONGEST_HEADER:
        raise ConfigError(
            f"{who}: the file could not be loaded again: expected at most {MOST_ARRAYS} arrays, and a header of "
            f"{LONGEST_HEADER} bytes, got {len(order)} and {len(header)}; use fewer, larger parameters"
        )
    with replacing(path) as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for name in order:
            file.write(bytes_of(rows_first[name]))


def check_savable(model: Model, who: str) -> None:
    """Raise the ConfigError that `save` would, now rather than after an epoch.

    Args:
        model: The model.
        who: Whose message that is.
    """
    _described(who, model, {})


def _described(who: str, model: Model, metadata: Mapping[str, Any]) -> str:
    """The JSON of a file, from which the model can be made again."""
    architecture, classes = describe(model)
    try:
        check_dtypes(model, model.dtype)
    except DTypeError as error:
        raise ConfigError(f"{who}: {error}") from None
    try:
        entries = {"format": FORMAT, "metadata": dict(metadata), "model": architecture}
        description = json.dumps(entries, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{who}: the metadata must be finite numbers, strings, lists, dicts: {error}") from error
    _check_that_it_loads(who, model, description, classes)
    return description


def read_model_file(
    path: str | os.PathLike[str], layers: Classes | None = None, memory_limit: int | None = MEMORY_LIMIT
) -> ModelFile:
    """Read all that is in a model file, see `load`; for an example see `write_model_file`.

    Args:
        path: The file.
        layers: The classes of the layers of your own, by name.
        memory_limit: Bytes that a sample may take, as for `load`.

    Raises:
        DataError: as `load`.
        ConfigError: as `load`.
        MemoryError: as `load`.
    """
    return _read(path, layers, memory_limit, with_arrays=True)


def _check_that_it_loads(who: str, model: Model, description: str, classes: Classes) -> None:
    """See that the description makes the same model but for its weights. These cost no memory: they stay undrawn."""
    problems = _bad_names(model)
    try:
        again = rebuild(_parsed(who, description)["model"], who, classes)
    except DataError as error:
        raise ConfigError(f"{one_line(error)}; mend the layer's config(), see Layer.config") from error
    if not problems and _expected(again) != _expected(model):
        problems.append("made anew by what its layers' config() say it has other parameters, or another dtype")
    if problems:
        raise ConfigError(f"{who}: the file could not be loaded again: {problems[0]}; rename, or mend config()")
    if (lost := first_lost(model, again)) is not None:
        raise ConfigError(
            f"{who}: {lost.layer.who}: a file would lose its attribute {lost.name!r}, which a new layer with the same "
            "config() has otherwise; make it a Parameter or an argument, leave it to variables of forward, or, if "
            "nothing depends on it, name it in the class's `transient`"
        )


def _bad_names(model: Model) -> list[str]:
    """What is wrong with the parameters' names: in a file each needs one of its own, apart from the optimizer's."""
    names = Counter(name for name, _ in model.named_parameters())
    problems = [f"two parameters are called {name!r:.260}" for name, times in sorted(names.items()) if times > 1]
    return problems + [f"a parameter is called {name!r:.260}" for name in names if name.startswith(OPTIMIZER)]


def _path(what: str, path: str | os.PathLike[str]) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise ConfigError(f"{what}: expected the path of a file, got {type(path).__name__}") from None


def _read(
    path: str | os.PathLike[str], layers: Classes | None, memory_limit: int | None, with_arrays: bool
) -> ModelFile:
    from safetensors import SafetensorError, safe_open  # here, for `import fastcnn` can do without

    path = _path("load", path)
    who = f"load {path!r}"
    if memory_limit is not None:
        whole(memory_limit, f"{who}: memory_limit")
    if found := why_no_file(path):
        raise DataError(f"{who}: expected a safetensors file, got {found}; check the path")
    try:
        with open(path, "rb") as file:  # safetensors says of every file that it can't open that there is none
            header = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise DataError(f"{who}: cannot be read ({error.strerror}); check the permissions") from error
    if header > LONGEST_HEADER:
        raise DataError(f"{who}: damaged or no safetensors file (a header of {header} bytes); check the path")
    try:
        with memory_for(os.path.getsize(path) + 16 * header), safe_open(path, framework="numpy") as file:
            description = (file.metadata() or {}).get("fastcnn", "")
            seal = SEAL.match(description)
            if seal:
                description = "{" + description[seal.end() :]
            entries = _parsed(who, description)
            model = rebuild(entries["model"], who, layers)
            _check_header(who, file, model)
            if memory_limit is not None and (needed := sample_memory(model)) > memory_limit:
                raise DataError(
                    f"{who}: the model takes {needed} bytes of memory for one sample, more than the {memory_limit} "
                    "that are allowed; if you trust the file, load it with a larger memory_limit"
                )
            arrays, checksum = _read_arrays(file, model, with_arrays, Checksum(description))
    except (SafetensorError, OSError) as error:
        raise DataError(f"{who}: damaged or no safetensors file ({one_line(error)}); check the path") from error
    if seal and seal[1] != str(checksum):
        raise DataError(f"{who}: damaged (its checksum is not that of what is in it); use another copy of the file")
    return ModelFile(model, arrays, entries["metadata"])


def _read_arrays(file: Any, model: Model, with_arrays: bool, checksum: Checksum) -> tuple[dict[str, Array], Checksum]:
    """Give the model its weights; the other arrays, and the checksum of all."""
    for parameter in model.parameters():
        parameter.init = zeros  # what it would draw the file replaces
    parameters = dict(model.named_parameters())
    others = {}
    for name in sorted(file.keys()):
        with memory_for(2**20 + nbytes_of(file.get_slice(name))):
            array = file.get_tensor(name)
        checksum.add(name, array)
        if name in parameters:
            parameters[name].data = array
        elif with_arrays:
            others[name.removeprefix(OPTIMIZER)] = array
        del array  # before the next
    return others, checksum


def _parsed(who: str, description: str) -> dict[str, Any]:
    """The JSON object in the metadata, its outermost layer checked."""
    if len(description) > LONGEST_DESCRIPTION:
        raise DataError(f"{who}: expected a description of at most {LONGEST_DESCRIPTION} characters, got more")
    try:
        entries = json.loads(description, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, dict) or "format" not in entries:
        raise DataError(
            f"{who}: expected fastcnn's description in the metadata, got {description[:40]!r}; "
            "a file of weights alone goes into a model by load_state_dict"
        )
    if entries["format"] != FORMAT:
        age = "older" if entries["format"] == 1 else "newer"
        raise DataError(f"{who}: expected format {FORMAT}, got {entries['format']!r:.60}; use the {age} fastcnn")
    if not isinstance(entries.get("metadata"), dict) or "model" not in entries:
        raise DataError(f"{who}: expected a model and metadata in fastcnn's description, got {description[:40]!r}")
    return entries


def _finite(number: str) -> float:
    if math.isfinite(value := float(number)):
        return value
    raise ValueError(f"{number} is no finite number")


def _expected(model: Model) -> dict[str, tuple[str, list[int]]]:
    """Dtype and shape of each of the model's arrays, by name."""
    return {name: (DTYPES[model.dtype.name], list(parameter.shape)) for name, parameter in model.named_parameters()}


def _check_header(who: str, file: Any, model: Model) -> None:
    """Hold what the header says of the arrays to what the model needs."""
    expected = _expected(model)
    found = {}
    names = file.keys()
    if len(names) > MOST_ARRAYS:
        raise DataError(f"{who}: expected at most {MOST_ARRAYS} arrays, got {len(names)}; check the path")
    for name in names:
        header = file.get_slice(name)
        found[name] = (header.get_dtype(), list(header.get_shape()))
    problems = _bad_names(model)
    problems += [f"{name!r:.60} is missing" for name in expected if name not in found]
    for name, (dtype, shape) in found.items():
        if name.startswith(OPTIMIZER):
            entries = math.prod(size or 1 for size in shape)
            if dtype not in DTYPES.values() or len(shape) > MOST_DIMENSIONS or entries > MOST_ENTRIES:
                problems.append(f"{name!r:.60} is {dtype} {shape!r:.60}, no array that fastcnn writes")
        elif name not in expected:
            problems.append(f"{name!r:.60} is none of the model's")
        elif (dtype, shape) != expected[name]:
            problems.append(f"{name!r:.60} is {dtype} {shape!r:.60} instead of {' '.join(map(str, expected[name]))}")
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise DataError(f"{who}: the arrays are not those of the model in it: {'; '.join(problems[:3])}{more}")
