"""A model for people to look at: as a table, and as a drawing for Graphviz."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastcnn.layers.layer import Layer, Shape
from fastcnn.printable import printable
from fastcnn.tables import table


class Place(NamedTuple):
    """A layer as it stands in a model: dotted name, layer, names of what it takes, shapes in and out."""

    name: str
    layer: Layer
    sources: tuple[str, ...]
    input_shape: Any
    output_shape: Shape
    kernel: str


def as_table(places: Sequence[Place], dtype: str, seconds: Mapping[str, float] | None = None) -> str:
    """A row per place and one of totals; "from" where places aren't one chain, "ms" where `seconds` are given."""
    columns: dict[str, list[str]] = {
        "layer": [place.name for place in places],
        "type": [type(place.layer).__name__ for place in places],
        "from": [", ".join(place.sources) for place in places],
        "output shape": [_with_batch(place.output_shape[1:]) for place in places],
    }
    parameters = [sum(parameter.size for parameter in place.layer.parameters()) for place in places]
    work = [2e-6 * place.layer.multiply_adds(place.input_shape) for place in places]
    columns["parameters"] = [f"{count:,}" if count else "" for count in parameters]
    columns["MFLOP"] = [f"{megaflop:.3f}" if megaflop else "" for megaflop in work]
    columns["kernel"] = [place.kernel for place in places]
    totals = {
        "layer": "total",
        "output shape": dtype,
        "parameters": f"{sum(parameters):,}",
        "MFLOP": f"{sum(work):.3f}",
    }
    if [place.sources for place in places[1:]] == [(place.name,) for place in places[:-1]]:
        del columns["from"]
    if seconds is not None:
        times = [1e3 * seconds[place.name] for place in places]
        columns["ms"] = [f"{milliseconds:.3f}" if milliseconds else "" for milliseconds in times]
        totals["ms"] = f"{sum(times):.3f}"
    rows = [*zip(*columns.values(), strict=True), [totals.get(name, "") for name in columns]]
    right = [index for index, name in enumerate(columns) if name in ("parameters", "MFLOP", "ms")]
    return table([list(columns), *rows], right)


def as_dot(places: Sequence[Place], sample_shape: Shape) -> str:
    """The places as boxes, what they take as arrows, in the DOT language."""
    lines = ["digraph {", "    node [shape=box]", f'    "input" [label="input\\n{_with_batch(sample_shape)}"]']
    for name, layer, sources, _, shape, _ in places:
        label = f"{_escaped(name)}: {type(layer).__name__}\\n{_with_batch(shape[1:])}"
        lines.append(f'    "{_escaped(name)}" [label="{label}"]')
        lines += (f'    "{_escaped(source)}" -> "{_escaped(name)}"' for source in sources)
    return "\n".join([*lines, "}"])


def _with_batch(sample_shape: Shape) -> str:
    return f"({', '.join(map(str, ('N', *sample_shape)))})"


def _escaped(text: str) -> str:
    return printable(text, keep="").replace("\\", "\\\\").replace('"', '\\"')
