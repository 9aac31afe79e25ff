"""Layers, one per file, and what they are made of."""

from fastcnn.layers.conv2d import Conv2d
from fastcnn.layers.dropout import Dropout
from fastcnn.layers.flatten import Flatten
from fastcnn.layers.layer import Layer, Training
from fastcnn.layers.linear import Linear
from fastcnn.layers.max_pool2d import MaxPool2d
from fastcnn.layers.parameter import Parameter
from fastcnn.layers.relu import ReLU

__all__ = ["Conv2d", "Dropout", "Flatten", "Layer", "Linear", "MaxPool2d", "Parameter", "ReLU", "Training"]
