"""Model files from elsewhere, what is wrong with each, and what its refusal says: for their tests."""

import json
import pickle
import struct

import numpy as np
from safetensors.numpy import save as safetensors

WEIGHTS = {"linear1.weight": np.zeros((2, 3), np.float32), "linear1.bias": np.zeros(2, np.float32)}
LINEAR = {"type": "Linear", "name": "linear1", "config": {"in_features": 3, "out_features": 2, "bias": True}}
CHAIN = {"type": "Sequential", "name": None, "dtype": "float32", "seed": 0, "input_shape": [3], "layers": [LINEAR]}
DAG = {
    "type": "Graph", "name": None, "dtype": "float32", "seed": 0, "input_shape": [3],
    "nodes": [{"layer": LINEAR, "inputs": [0]}], "outputs": 1,
}  # fmt: skip
RELU = {"type": "ReLU", "name": None, "config": {}}
HUGE = 2**62


def file_of(model=CHAIN, weights=WEIGHTS, metadata=None, **changes):
    """A well-formed file with this in it."""
    return raw(json.dumps({"format": 2, "metadata": metadata or {}, "model": model} | changes), weights)


def raw(description, weights=WEIGHTS):
    return safetensors(weights, {"fastcnn": description})


def linear(**config):
    return file_of(CHAIN | {"layers": [LINEAR | {"config": LINEAR["config"] | config}]})


def chain_of(*layers, weights=WEIGHTS, **changes):
    return file_of(CHAIN | {"layers": list(layers)} | changes, weights)


def dag(*nodes, weights=WEIGHTS, **changes):
    return file_of(DAG | {"nodes": [{"layer": layer, "inputs": inputs} for layer, inputs in nodes]} | changes, weights)


def header(change):
    """A well-formed file whose header, as JSON, went through `change`."""
    content = file_of()
    (length,) = struct.unpack("<Q", content[:8])
    entries = json.loads(content[8 : 8 + length])
    text = json.dumps(change(entries) or entries).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def brackets(depth):
    return json.loads("[" * depth + "]" * depth)


def offsets(name, begin, end, shape=None, dtype="F32"):
    def change(entries):
        entries[name] |= {"data_offsets": [begin, end], "dtype": dtype} | ({"shape": shape} if shape else {})

    return header(change)


def deep(depth, innermost=LINEAR, weights=WEIGHTS):
    text = json.dumps(CHAIN | {"layers": ["HERE"]})
    before, after = text.split('"HERE"')
    model = before * depth + json.dumps(innermost) + after * depth
    return raw('{"format":2,"metadata":{},"model":' + model + "}", weights)


def empty_state(*shape):
    """A file with an optimizer's array of this shape, of no bytes."""
    return header(lambda entries: entries | {"optimizer/a": {"dtype": "F32", "shape": shape, "data_offsets": [32, 32]}})


def twins(first, second):
    """Two weights that are called 'a.b.weight'."""
    block = CHAIN | {"name": "a", "input_shape": None, "layers": [first | {"name": "b"}]}
    return file_of(
        CHAIN | {"input_shape": None, "layers": [block, second | {"name": "a.b"}]},
        {"a.b.weight": np.zeros((2, 3), np.float32)},
    )


def bare(rows, columns):
    return {"type": "Linear", "name": "a", "config": {"in_features": columns, "out_features": rows, "bias": False}}


def padded(padding, **changes):
    convolution = {
        "type": "Conv2d", "name": "a",
        "config": {"in_channels": 1, "out_channels": 1, "kernel_size": 1, "padding": padding, "bias": False},
    }  # fmt: skip
    window = [2 * size + 1 for size in padding]
    pool = {"type": "AvgPool2d", "name": None, "config": {"kernel_size": window, "stride": 1}}
    return chain_of(convolution, pool, weights={"a.weight": np.zeros((1, 1, 1, 1), np.float32)}, **changes)


def growing(times, deep):
    """A graph in which each array is many times the one before."""
    node = {"type": "Concat", "name": None, "config": {"axis": 1}}
    return dag(*[(node, [number] * times) for number in range(deep)], outputs=deep, weights={})


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


GOOD = file_of()
HOSTILE = {
    # no safetensors file at all
    "empty": (b"", "damaged or no safetensors file"),
    "images": (b"\0\0\x08\x03 images, not weights", "damaged or no safetensors file"),
    "a pickle": (pickle.dumps(Bomb()), "damaged or no safetensors file"),
    "zeros": (bytes(1000), "damaged or no safetensors file"),
    "a byte too many": (GOOD + b"\0", "damaged"),
    "a header of 2**63 bytes": (struct.pack("<Q", 2**63) + GOOD[8:], "damaged"),
    "a header of 17 MB": (struct.pack("<Q", 2**24 + 8) + GOOD[8:], "damaged or no safetensors file (a header of 1677"),
    "a header of 99 MB": (struct.pack("<Q", 99_000_000) + GOOD[8:], "damaged"),
    "a header that ends early": (struct.pack("<Q", 40) + GOOD[8:], "damaged"),
    "a header that nests": (struct.pack("<Q", 100_000) + b"[" * 100_000, "damaged"),
    # arrays that are not where, or what, they should be
    "overlapping offsets": (offsets("linear1.weight", 4, 32, [7]), "damaged"),
    "offsets that leave a hole": (offsets("linear1.weight", 12, 32, [5]), "damaged"),
    "offsets past the end": (offsets("linear1.weight", 8, 2**40, [2**38 - 2]), "damaged"),
    "offsets that run backwards": (offsets("linear1.weight", 32, 8), "damaged"),
    "negative offsets": (offsets("linear1.bias", -8, 0), "damaged"),
    "a shape beyond its bytes": (offsets("linear1.bias", 0, 8, [2**40]), "damaged"),
    "a shape that overflows": (offsets("linear1.bias", 0, 8, [2**32, 2**32, 2]), "damaged"),
    "a shape of zero times much": (offsets("linear1.bias", 0, 0, [0, HUGE]), "damaged"),
    "an unknown dtype": (offsets("linear1.bias", 0, 8, dtype="F31"), "damaged"),
    "bfloat16": (offsets("linear1.bias", 0, 8, [4], "BF16"), "'linear1.bias' is BF16 [4] instead of F32 [2]"),
    "integers": (offsets("linear1.bias", 0, 8, dtype="I32"), "'linear1.bias' is I32 [2] instead of F32 [2]"),
    "float64 weights": (
        file_of(weights={name: array.astype(float) for name, array in WEIGHTS.items()}),
        "'linear1.weight' is F64 [2, 3] instead of F32 [2, 3]",
    ),
    "no arrays": (file_of(weights={}), "'linear1.weight' is missing; 'linear1.bias' is missing"),
    "a missing array": (file_of(weights={"linear1.weight": WEIGHTS["linear1.weight"]}), "'linear1.bias' is missing"),
    "an extra array": (file_of(weights=WEIGHTS | {"more": np.zeros(1)}), "'more' is none of the model's"),
    "many extra arrays": (
        file_of(weights=WEIGHTS | {f"more{n}": np.zeros(1) for n in range(2000)}),
        "is none of the model's; and 1997 more",
    ),
    "a transposed array": (
        file_of(weights=WEIGHTS | {"linear1.weight": np.zeros((3, 2), np.float32)}),
        "'linear1.weight' is F32 [3, 2] instead of F32 [2, 3]",
    ),
    "a state of strange type": (
        file_of(weights=WEIGHTS | {"optimizer/a": np.zeros(1, np.int8)}),
        "'optimizer/a' is I8 [1], no array that fastcnn writes",
    ),
    "a state of many dimensions": (
        file_of(weights=WEIGHTS | {"optimizer/a": np.zeros((1,) * 60)}),
        "no array that fastcnn writes",
    ),
    "an empty state of sky size": (empty_state(0, HUGE), "'optimizer/a' is F32 [0, 4611686018427387904], no array"),
    "an empty state beyond": (empty_state(0, 2**63 + 5), "no array that fastcnn writes"),
    "a weight that passes for a state": (
        chain_of(
            bare(2**13, 2**14) | {"name": "optimizer/a"},
            input_shape=None, weights={"optimizer/a.weight": np.zeros(1, np.float32)},
        ),
        "a parameter is called 'optimizer/a.weight'",
    ),
    "two weights of one name": (twins(bare(2, 3), bare(2, 3)), "two parameters are called 'a.b.weight'"),
    "a large weight behind another": (twins(bare(2**13, 2**14), bare(2, 3)), "two parameters are called 'a.b.weight'"),
    "more states than fit": (
        file_of(weights=WEIGHTS | {f"optimizer/{n}": np.zeros(1, np.float32) for n in range(2**14)}),
        "expected at most 16384 arrays, got 16386",
    ),
    # models that take more memory than the file has a right to
    "padding without end, up and down": (padded([2**20, 200], input_shape=[1, 1, 1]), "bytes of memory for one sample"),
    "padding without end, to and fro": (padded([200, 2**20], input_shape=[1, 1, 1]), "bytes of memory for one sample"),
    "padding for images of any size": (padded([20_000, 20_000], input_shape=None), "bytes of memory for one sample"),
    "arrays that grow": (growing(100, 6), "bytes of memory for one sample"),
    # descriptions
    "weights alone": (safetensors(WEIGHTS), "expected fastcnn's description in the metadata, got ''"),
    "a cut description": (raw('{"format":2'), "expected fastcnn's description"),
    "a list": (raw("[2]"), "expected fastcnn's description"),
    "brackets without end": (raw("[" * 100_000), "expected fastcnn's description"),
    "objects without end": (raw('{"format":' * 100_000), "expected fastcnn's description"),
    "a number without end": (raw('{"format":' + "9" * 5000 + "}"), "expected fastcnn's description"),
    "a long description": (raw(" " * 2**21), "at most 1048576 characters"),
    "NaN in the metadata": (raw('{"format":2,"metadata":{"a":NaN},"model":{}}'), "expected fastcnn's description"),
    "infinity as metadata": (raw('{"format":2,"metadata":{"a":1e999},"model":{}}'), "expected fastcnn's description"),
    "no format": (raw("{}"), "expected fastcnn's description"),
    "a format to come": (file_of(format=3), "expected format 2, got 3; use the newer fastcnn"),
    "a format of old": (file_of(format=1), "expected format 2, got 1; use the older fastcnn"),
    "a format of text": (file_of(format="x" * 500), "expected format 2, got 'xxx"),
    "metadata of text": (raw('{"format":2,"metadata":"a","model":{}}'), "expected a model and metadata"),
    "no model": (raw('{"format":2,"metadata":{}}'), "expected a model and metadata"),
    # architectures
    "a model that is null": (file_of(None), "expected an object as a layer, got None"),
    "a model that is a layer": (file_of(LINEAR), "expected a model in the file, got the layer Linear"),
    "an unknown layer": (chain_of({"type": "Scale", "name": None, "config": {}}), "layer of type 'Scale'"),
    "a path to import": (chain_of({"type": "os.system", "name": None, "config": {"command": "true"}}), "'os.system'"),
    "the base class": (chain_of({"type": "Layer", "name": None, "config": {}}), "layer of type 'Layer'"),
    "a type that is no string": (chain_of({"type": ["ReLU"]}), "expected a string as a layer's type, got ['ReLU']"),
    "a name that is no string": (chain_of(LINEAR | {"name": 7}), "expected a string as a layer's name, got 7"),
    "a name without end": (chain_of(LINEAR | {"name": "n" * 10_000}), "at most 200 characters, got one of 10000"),
    "a name of two lines": (chain_of(LINEAR | {"name": "a\nb"}), "'a\\nb.weight' is missing"),
    "names that clash": (chain_of(RELU | {"name": "a"}, RELU | {"name": "a"}), "two layers are called 'a'"),
    "no config": (chain_of({"type": "ReLU", "name": None}), "expected an object as the config of a ReLU"),
    "more entries": (chain_of(RELU | {"evil": 1}), "expected the entries type, name, config, got 'evil'"),
    "an unknown argument": (linear(evil=1), "expected the arguments of Linear, got 'evil'"),
    "an initialiser": (linear(weight_init="x"), "expected the arguments of Linear, got 'weight_init'"),
    "self as an argument": (linear(self=1), "expected the arguments of Linear, got 'self'"),
    "a name in the config": (linear(name="x"), "expected the arguments of Linear, got 'name'"),
    "a missing argument": (
        chain_of(LINEAR | {"config": {"in_features": 3}}),
        "Linear can't be made as the file has it: Linear.__init__() missing 1 required positional argument",
    ),
    "a size of text": (linear(in_features="3"), "in_features must be a whole number >= 1, got '3'"),
    "a size of zero": (linear(in_features=0), "in_features must be a whole number >= 1, got 0"),
    "a fraction as size": (linear(in_features=3.5), "in_features must be a whole number"),
    "a layer as size": (linear(in_features=RELU), "in_features must be a whole number"),
    "a size beyond the file": (linear(in_features=HUGE, out_features=1), "has more entries than memory can hold"),
    "sizes beyond memory": (linear(in_features=2**29, out_features=2**29), "Linear"),
    "an image of sky size": (
        chain_of(RELU, {"type": "Flatten", "name": None, "config": {}}, LINEAR, input_shape=[1, HUGE, HUGE]),
        "expected input (N, 3)",
    ),
    "a shape of text": (chain_of(LINEAR, input_shape="3"), "expected a list as input_shape, got '3'"),
    "a shape of lists": (chain_of(LINEAR, input_shape=[[3]]), "each size of input_shape must be a whole number"),
    "a layer that does not fit": (chain_of(LINEAR, input_shape=[4]), "expected input (N, 3), got (1, 4)"),
    "an empty chain": (chain_of(), "a model needs at least one layer"),
    "layers as a string": (file_of(CHAIN | {"layers": "ReLU"}), "expected a list as the layers of a Sequential"),
    "another dtype": (chain_of(LINEAR, dtype="float16"), "expected dtype float32 or float64, got 'float16'"),
    "a dtype with fields": (chain_of(LINEAR, dtype={"names": ["a"]}), "expected dtype float32 or float64"),
    "a seed of text": (chain_of(LINEAR, seed="x"), "seed must be a whole number"),
    "a negative seed": (chain_of(LINEAR, seed=-1), "seed must be a whole number"),
    "a long number": (chain_of(LINEAR, seed=10**4000), "seed must be a whole number"),
    "a merging layer in a chain": (chain_of({"type": "Add", "name": None, "config": {}}), "takes several inputs"),
    "settings forty deep": (linear(in_features=brackets(40)), "expected settings at most 32 deep, got more"),
    "settings six hundred deep": (linear(in_features=brackets(600)), "expected settings at most 32 deep, got more"),
    "layers forty deep": (deep(40), "at most 32 deep, got more"),
    "layers a thousand deep": (deep(1000), "expected"),
    "five thousand layers": (chain_of(*[RELU] * 5000), "at most 4096 layers"),
    # graphs
    "a node that takes itself": (dag((LINEAR, [1])), "the number of an earlier array, from 0 to 0, got 1"),
    "a cycle": (dag((RELU, [2]), (LINEAR, [1]), outputs=2), "an earlier array, from 0 to 0, got 2"),
    "a negative number": (dag((LINEAR, [-1])), "an earlier array, from 0 to 0, got -1"),
    "a number of text": (dag((LINEAR, ["0"])), "an earlier array, from 0 to 0, got '0'"),
    "a number that is true": (dag((LINEAR, [False])), "an earlier array, from 0 to 0, got False"),
    "an output beyond": (dag((LINEAR, [0]), outputs=2), "an earlier array, from 0 to 1, got 2"),
    "no outputs": (dag((LINEAR, [0]), outputs=[]), "Graph can't be made"),
    "the input as output": (dag((LINEAR, [0]), outputs=0), "Graph"),
    "two inputs for one": (dag((LINEAR, [0, 0])), "takes one input, got 2"),
    "no inputs": (dag((LINEAR, [])), "takes one input, got 0"),
    "a node that nothing needs": (dag((LINEAR, [0]), (RELU, [0])), "one with nodes that nothing needs"),
    "nodes of null": (file_of(DAG | {"nodes": None}), "expected a list as the nodes of a Graph"),
    "a node of null": (file_of(DAG | {"nodes": [None]}), "expected an object as a node"),
    "a graph without a shape": (dag((LINEAR, [0]), input_shape=None), "expected a list as input_shape"),
    "shapes that don't add up": (
        dag((RELU, [0]), (LINEAR, [0]), ({"type": "Add", "name": None, "config": {}}, [1, 2]), outputs=3),
        "Add",
    ),
}  # fmt: skip
