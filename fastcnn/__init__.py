"""fastcnn: small convolutional networks, trained and run on the CPU.

>>> import fastcnn as fc
>>> model = fc.models.gorgonia(seed=1)
>>> loss, optimizer = fc.CrossEntropyLoss(), fc.RMSprop(model.parameters())
>>> digits = fc.data.load_dataset("sample")
>>> x = fc.data.scale_pixels(digits.train_images[:100], "gorgonia", "float32")
>>> cost = fc.train_step(model, loss, optimizer, x, digits.train_labels[:100])
>>> model(x).shape
(100, 10)

Where to look: `fastcnn.ops` (one function per operation), `fastcnn.layers`, `fastcnn.Sequential`, `fastcnn.losses`,
`fastcnn.optim`, `fastcnn.init`, `fastcnn.models`, `fastcnn.data`; on the command line `python -m fastcnn.train --help`.
"""

from fastcnn.startup import begin, give_up, load_core

begin()
try:
    load_core()
except ImportError as error:
    give_up(error)

from fastcnn.config import (  # noqa: E402  (the core is loaded first, then set up, then used)
    __version__,
    configure_from_environment,
    get_num_threads,
    release_memory,
    set_num_threads,
    show_config,
)
from fastcnn.errors import ConfigError, CudaError, DataError, DTypeError, FastcnnError, ShapeError  # noqa: E402

try:
    configure_from_environment()
except ConfigError as error:
    give_up(error)

from fastcnn import callbacks, cuda, data, init, losses, models, ops, optim, schedules, watch  # noqa: E402
from fastcnn.frozen import Frozen  # noqa: E402
from fastcnn.gradcheck import GradientError, gradcheck  # noqa: E402
from fastcnn.graph import Graph, Sequential  # noqa: E402
from fastcnn.layers import (  # noqa: E402
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Parameter,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    Training,
)
from fastcnn.layers.layer import Backward  # noqa: E402
from fastcnn.layers.node import Input  # noqa: E402
from fastcnn.layers.parameter import Array  # noqa: E402
from fastcnn.losses import CrossEntropyLoss, LogProductLoss, MultiLoss, ProductLoss  # noqa: E402
from fastcnn.model import Model  # noqa: E402
from fastcnn.optim import SGD, Adam, AdamW, RMSprop  # noqa: E402
from fastcnn.schedules import CosineAnnealingLR, OneCycleLR  # noqa: E402
from fastcnn.serialize import load, save  # noqa: E402
from fastcnn.trainer import Callback, Trainer  # noqa: E402
from fastcnn.training import NonFiniteError, train_step  # noqa: E402

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Add",
    "Array",
    "AvgPool2d",
    "Backward",
    "Callback",
    "Concat",
    "ConfigError",
    "Conv2d",
    "CosineAnnealingLR",
    "CrossEntropyLoss",
    "CudaError",
    "DTypeError",
    "DataError",
    "Dropout",
    "FastcnnError",
    "Flatten",
    "Frozen",
    "GradientError",
    "Graph",
    "Input",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogProductLoss",
    "LogSoftmax",
    "MaxPool2d",
    "Model",
    "MultiLoss",
    "NonFiniteError",
    "OneCycleLR",
    "Parameter",
    "ProductLoss",
    "RMSprop",
    "ReLU",
    "Sequential",
    "ShapeError",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Trainer",
    "Training",
    "__version__",
    "callbacks",
    "cuda",
    "data",
    "get_num_threads",
    "gradcheck",
    "init",
    "load",
    "losses",
    "models",
    "ops",
    "optim",
    "release_memory",
    "save",
    "schedules",
    "set_num_threads",
    "show_config",
    "train_step",
    "watch",
]
