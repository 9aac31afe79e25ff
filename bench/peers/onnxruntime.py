"""ONNX Runtime: inference in float32, of a graph written with the helpers of the `onnx` package."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from peers.job import Job

OPERATORS = {
    "Conv2d": "Conv",
    "Linear": "Gemm",
    "MaxPool2d": "MaxPool",
    "AvgPool2d": "AveragePool",
    "ReLU": "Relu",
    "Tanh": "Tanh",
    "Flatten": "Flatten",
}
_options = onnxruntime.SessionOptions()


def start(variant: str, threads: int) -> str:
    _options.intra_op_num_threads = threads
    _options.inter_op_num_threads = 1
    return f"ONNX Runtime {onnxruntime.__version__}"


def infer(variant: str, job: Job) -> Callable[[int], np.ndarray]:
    session = onnxruntime.InferenceSession(_model(job), _options, providers=["CPUExecutionProvider"])
    return lambda index: session.run(None, {"x0": job.images[index]})[0]


def _model(job: Job) -> bytes:
    nodes, constants = [], []
    for index, (name, arguments, weights) in enumerate(job.parts(dropout=False)):
        inputs = [f"x{index}"]
        for part, values in zip("wb", weights, strict=False):
            inputs.append(f"{part}{index}")
            constants.append(numpy_helper.from_array(values, inputs[-1]))
        nodes.append(helper.make_node(OPERATORS[name], inputs, [f"x{index + 1}"], **_attributes(name, arguments)))
    ends = (("x0", list(job.images.shape[1:])), (nodes[-1].output[0], list(job.targets.shape[1:])))
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in ends)
    graph = helper.make_graph(nodes, "network", [x], [y], constants)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


def _attributes(name: str, arguments: dict) -> dict:
    if name == "Linear":
        return {"transB": 1}
    if "kernel_size" not in arguments:
        return {}
    common = {"kernel_shape": arguments["kernel_size"], "strides": arguments["stride"]}
    return common | {"pads": 2 * list(arguments["padding"])}
