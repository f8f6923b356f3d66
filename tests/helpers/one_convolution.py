"""A backbone of one convolution, so that training in these tests compiles in seconds."""

import pytest

from fairmot.model.backbone import Backbone
from fairmot.model.layers import conv_bn_relu
from fairmot.model.network import BACKBONES


class OneConvolution(Backbone):
    """Stride 4, 16 channels, batch normalisation; what a backbone owes the rest of the program."""

    def __init__(self):
        super().__init__()
        self.base = conv_bn_relu(3, 16, 5, stride=4)
        self.out_channels = 16

    def construct(self, image):
        return self.base(image)


@pytest.fixture(autouse=True, scope="session")
def one_convolution():
    BACKBONES["one_convolution"] = lambda config: OneConvolution()
    yield
    BACKBONES.pop("one_convolution", None)  # the browser tests share this fixture, and clean up too
