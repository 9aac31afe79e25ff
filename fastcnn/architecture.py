"""Architectures: how a model is wired, as plain JSON, and the way back.

A layer is ``{"type", "name", "config"}`` with what `Layer.config` says. Models list their layers instead: a chain in
order, a graph as nodes. Node number i of a graph takes the arrays whose numbers it names, 0 the input of the graph
and i + 1 what node i makes: all of them earlier ones, so there are no cycles to look for.

What comes from a file is not trusted. A type is looked up in a fixed table, or in the one that the caller hands in,
and nothing is imported. Arguments reach a constructor only if it has them. Layers hold no arrays until somebody looks
at their parameters, so a model of any size may be built here, and measured, for the price of its description.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from fastcnn import layers as own_layers
from fastcnn.errors import ConfigError, DataError
from fastcnn.graph import Graph, Sequential
from fastcnn.layers import Layer
from fastcnn.layers.arguments import whole
from fastcnn.layers.node import Input, Node
from fastcnn.model import Model

MOST_LAYERS = 4096
DEEPEST = 32  # layers within layers, and lists and dicts within one another in a setting
LONGEST_NAME = 200
WORDS: dict[type[Any], str] = {dict: "an object", list: "a list", str: "a string"}

Made = TypeVar("Made")
Json = dict[str, Any]
Classes = Mapping[str, type[Layer]]

BUILT_IN: dict[str, type[Layer]] = {
    name: value
    for name, value in vars(own_layers).items()
    if name in own_layers.__all__ and isinstance(value, type) and issubclass(value, Layer) and value is not Layer
} | {"Sequential": Sequential, "Graph": Graph}


# ---- from models to JSON ---------------------------------------------------------------------------------------------


def describe(model: Model) -> tuple[Json, dict[str, type[Layer]]]:
    """The architecture of a model, and the classes of its layers that are not fastcnn's own, by name.

    Raises:
        ConfigError: if a layer has a setting that JSON lacks, its class goes by the name of another one, or the
            model is too deep for `rebuild`.

    >>> from fastcnn.architecture import describe
    >>> describe(fc.Sequential(fc.Dropout(0.2)))[0]["layers"]
    [{'type': 'Dropout', 'name': 'dropout1', 'config': {'p': 0.2}}]
    """
    classes: dict[str, type[Layer]] = {}
    return _describe(model, classes, depth=1), classes


def _describe(layer: Layer, classes: dict[str, type[Layer]], depth: int) -> Json:
    if depth > DEEPEST:
        raise ConfigError(f"{layer.who}: expected layers at most {DEEPEST} deep, got more; nest them less")
    kind = type(layer)
    if kind is not BUILT_IN.get(kind.__name__) and classes.setdefault(kind.__name__, kind) is not kind:
        raise ConfigError(f"{layer.who}: the model has two classes called {kind.__name__}; rename one of them")
    if kind is not BUILT_IN.get(kind.__name__, kind):
        raise ConfigError(f"{layer.who}: fastcnn has a layer called {kind.__name__} already; rename the class")
    named: Json = {"type": kind.__name__, "name": layer.name}
    if isinstance(layer, Sequential | Graph) and kind in (Sequential, Graph):
        shape = None if layer.input_shape is None else list(layer.input_shape)
        named |= {"dtype": layer.dtype.name, "seed": layer.seed, "input_shape": shape}
        inner = [_describe(child, classes, depth + 1) for child in layer.layers]
        if isinstance(layer, Sequential):
            return named | {"layers": inner}
        nodes = [{"layer": child, "inputs": list(taken)} for child, taken in zip(inner, layer.sources, strict=True)]
        return named | {"nodes": nodes, "outputs": list(layer.outputs) if layer.several else layer.outputs[0]}

    def plain(value: Any, what: str, within: int = 0) -> Any:
        """A setting in terms of JSON; `within` so many lists and dicts."""
        if within > DEEPEST:
            raise ConfigError(f"{what}: expected lists and dicts at most {DEEPEST} deep, got more; nest them less")
        if isinstance(value, Layer):
            return _describe(value, classes, depth + 1)
        if isinstance(value, list | tuple):
            return [plain(item, what, within + 1) for item in value]
        if isinstance(value, dict) and all(isinstance(key, str) for key in value) and "type" not in value:
            return {key: plain(item, what, within + 1) for key, item in value.items()}
        return _scalar(value, what)

    config = {name: plain(value, f"{layer.who}: {name}") for name, value in layer.config().items()}
    return named | {"config": config}


def _scalar(value: Any, what: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.dtype):
        return value.name
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ConfigError(
        f"{what} is {type(value).__name__} {value!r:.60}, which a file can't keep; it keeps finite numbers, strings, "
        "None, layers, and lists and dicts of those: write a config() that says it so; make an array a Parameter"
    )


# ---- from JSON to models ---------------------------------------------------------------------------------------------


def rebuild(architecture: Any, who: str, layers: Classes | None = None) -> Model:
    """The model that `describe` described, with weights yet to be drawn or loaded.

    Args:
        architecture: As JSON gave it.
        who: Whose messages these are.
        layers: Classes of layers that are not fastcnn's own, by name.

    Raises:
        DataError: for whatever is wrong with the architecture, in one line.
        ConfigError: if `layers` has something else than classes of layers, or a name that fastcnn uses.

    >>> from fastcnn.architecture import describe, rebuild
    >>> rebuild(describe(fc.Sequential(fc.Dropout(0.2), fc.ReLU()))[0], "example")
    Sequential(
        Dropout(p=0.2),  # dropout1
        ReLU(),  # relu1
    )
    """
    model = _Builder(who, {} if layers is None else layers).layer(architecture, depth=1)
    if not isinstance(model, Model):
        raise DataError(f"{who}: expected a model in the file, got the layer {type(model).__name__}; check the file")
    return model


class _Builder:
    """Makes layers, and counts them."""

    def __init__(self, who: str, layers: Classes) -> None:
        self.who = who
        self.left = MOST_LAYERS
        if not isinstance(layers, Mapping):
            raise ConfigError(f"{who}: layers must be a dict of names and classes of layers, got {layers!r:.60}")
        for name, kind in layers.items():
            if not (isinstance(name, str) and isinstance(kind, type) and issubclass(kind, Layer)):
                raise ConfigError(f"{who}: layers must map names to classes of layers, got {name!r}: {kind!r}")
            if kind is not BUILT_IN.get(name, kind):
                raise ConfigError(f"{who}: {name!r} is the name of a layer of fastcnn's own; rename the class")
        self.classes = {**BUILT_IN, **layers}

    def layer(self, description: Any, depth: int) -> Layer:
        self.left -= 1
        if self.left < 0 or depth > DEEPEST:
            raise self.wrong(f"at most {MOST_LAYERS} layers, at most {DEEPEST} deep", "more")
        entry = self.expect(description, dict, "a layer")
        kind_name = self.expect(entry.get("type"), str, "a layer's type")
        name = entry.get("name")
        if name is not None and len(self.expect(name, str, "a layer's name")) > LONGEST_NAME:
            raise self.wrong(f"names of at most {LONGEST_NAME} characters", f"one of {len(name)}")
        kind = self.classes.get(kind_name)
        if kind is None:
            raise DataError(
                f"{self.who}: the model has a layer of type {kind_name!r:.60}, which is not fastcnn's own; "
                f"pass layers={{{kind_name!r:.60}: its class}}, or to a command --layers MODULE:CLASS"
            )
        if kind is Sequential:
            return self.sequential(entry, name, depth)
        if kind is Graph:
            return self.graph(entry, name, depth)

        self.only(entry, "type", "name", "config")
        config = self.expect(entry.get("config"), dict, f"the config of a {kind_name}")
        arguments = inspect.signature(kind).parameters
        takes_any = any(argument.kind is argument.VAR_KEYWORD for argument in arguments.values())
        for key in config:
            if key == "name" or key.endswith("_init") or not (takes_any or key in arguments):
                raise self.wrong(f"the arguments of {kind_name}", f"{key!r:.60}")
        settings = {key: self.setting(value, depth) for key, value in config.items()}
        layer = self.made(kind_name, lambda: kind(**settings))
        layer.name = name
        return layer

    def sequential(self, entry: Json, name: str | None, depth: int) -> Sequential:
        self.only(entry, "type", "name", "dtype", "seed", "input_shape", "layers")
        shape = entry.get("input_shape")
        if shape is not None:
            self.expect(shape, list, "input_shape")
        chain = self.expect(entry.get("layers"), list, "the layers of a Sequential")
        inner = [self.layer(child, depth + 1) for child in chain]
        dtype, seed = self.dtype(entry), self.seed(entry)
        return self.made("Sequential", lambda: Sequential(inner, input_shape=shape, dtype=dtype, seed=seed, name=name))

    def graph(self, entry: Json, name: str | None, depth: int) -> Graph:
        self.only(entry, "type", "name", "dtype", "seed", "input_shape", "nodes", "outputs")
        shape = self.expect(entry.get("input_shape"), list, "input_shape")
        x = self.made("Graph", lambda: Input(*shape))
        arrays: list[Node] = [x]  # by number
        for node in self.expect(entry.get("nodes"), list, "the nodes of a Graph"):
            self.only(self.expect(node, dict, "a node"), "layer", "inputs")
            taken = [self.pick(arrays, number) for number in self.expect(node.get("inputs"), list, "a node's inputs")]
            arrays.append(self.called(self.layer(node.get("layer"), depth + 1), taken))
        ends = entry.get("outputs")
        outputs = [self.pick(arrays, end) for end in ends] if isinstance(ends, list) else self.pick(arrays, ends)
        dtype, seed = self.dtype(entry), self.seed(entry)
        graph = self.made("Graph", lambda: Graph(x, outputs, dtype=dtype, seed=seed, name=name))
        if len(graph.layers) != len(arrays) - 1:
            raise self.wrong("a Graph whose outputs need all of its nodes", "one with nodes that nothing needs")
        return graph

    def called(self, layer: Layer, taken: list[Node]) -> Node:
        return self.made("Graph", lambda: layer(*taken))

    def setting(self, value: Any, depth: int, within: int = 0) -> Any:
        """The value of an argument: lists as tuples, descriptions of layers as layers; `within` lists and dicts."""
        if within > DEEPEST:
            raise self.wrong(f"settings at most {DEEPEST} deep", "more")
        if isinstance(value, list):
            return tuple(self.setting(item, depth, within + 1) for item in value)
        if isinstance(value, dict):
            if "type" in value:
                return self.layer(value, depth + 1)
            return {key: self.setting(item, depth, within + 1) for key, item in value.items()}
        return value

    def made(self, what: str, make: Callable[[], Made]) -> Made:
        """What a constructor makes of the file's arguments, or why it refused them."""
        try:
            return make()
        except Exception as error:  # a constructor of somebody else's may raise anything
            raise DataError(f"{self.who}: {what} can't be made as the file has it: {one_line(error)}") from error

    def pick(self, arrays: list[Node], number: Any) -> Node:
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(arrays):
            raise self.wrong(f"the number of an earlier array, from 0 to {len(arrays) - 1}", f"{number!r:.60}")
        return arrays[number]

    def dtype(self, entry: Json) -> str:
        dtype = entry.get("dtype")
        if dtype not in ("float32", "float64"):
            raise self.wrong("dtype float32 or float64", f"{dtype!r:.60}")
        return str(dtype)

    def seed(self, entry: Json) -> int:
        return self.made("seed", lambda: whole(entry.get("seed"), "seed", least=0))

    def only(self, entry: Json, *keys: str) -> None:
        for key in entry:
            if key not in keys:
                raise self.wrong(f"the entries {', '.join(keys)}", f"{key!r:.60}")

    def expect(self, value: Any, kind: type[Any], what: str) -> Any:
        if not isinstance(value, kind):
            raise self.wrong(f"{WORDS[kind]} as {what}", f"{value!r:.60}")
        return value

    def wrong(self, expected: str, got: str) -> DataError:
        return DataError(f"{self.who}: the architecture is not as fastcnn writes it: expected {expected}, got {got}")


def one_line(error: BaseException) -> str:
    """What an error says, on one line and not without end."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 300 else f"{said[:300]}..."
