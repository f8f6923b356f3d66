"""How a network is run, as far as a command line says it."""

from enum import Enum

MAX_OBJECTS = 500
"""Objects the decoder takes from a picture, as in the original; the tracker picks those that score enough."""


class Engine(Enum):
    """What runs the network of a checkpoint."""

    auto = "auto"
    mindspore = "mindspore"
    onnx = "onnx"
