"""Layers, one per file, and what they are made of."""

from fastcnn.layers.add import Add
from fastcnn.layers.avg_pool2d import AvgPool2d
from fastcnn.layers.concat import Concat
from fastcnn.layers.conv2d import Conv2d
from fastcnn.layers.dropout import Dropout
from fastcnn.layers.flatten import Flatten
from fastcnn.layers.layer import Layer, Training
from fastcnn.layers.leaky_relu import LeakyReLU
from fastcnn.layers.linear import Linear
from fastcnn.layers.log_softmax import LogSoftmax
from fastcnn.layers.max_pool2d import MaxPool2d
from fastcnn.layers.parameter import Parameter
from fastcnn.layers.relu import ReLU
from fastcnn.layers.sigmoid import Sigmoid
from fastcnn.layers.softmax import Softmax
from fastcnn.layers.tanh import Tanh

__all__ = [
    "Add",
    "AvgPool2d",
    "Concat",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Parameter",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Training",
]
