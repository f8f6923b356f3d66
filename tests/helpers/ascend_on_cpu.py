"""Networks of Ascend's layers that train on a CPU: its operators stand in the place of mint's, which CPUs lack."""

from types import SimpleNamespace

import mindspore as ms
import pytest
from mindspore import ops

from fairmot.model import ascend_deform_conv, ascend_layers, deform_conv, heads, layers
from fairmot.model.backbone import Backbone
from fairmot.model.deform_conv import DeformConv
from fairmot.model.layers import conv_bn_relu
from fairmot.model.network import BACKBONES

CHANNELS = 8


class OneOfEach(Backbone):
    """Stride 4: a convolution, batch normalisation and a deformable convolution."""

    def __init__(self):
        super().__init__()
        self.base = conv_bn_relu(3, CHANNELS, 5, stride=4)
        self.node = DeformConv(CHANNELS, CHANNELS)
        self.out_channels = CHANNELS

    def construct(self, image):
        return self.node(self.base(image))


def conv2d(features, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return ops.conv2d(features, weight, bias, stride, "pad", padding, dilation, groups)


def batch_norm(features, mean, variance, gamma, beta, of_batch, momentum, eps):
    return ops.BatchNorm(of_batch, eps, momentum)(features, gamma, beta, mean, variance)[0]


# Primitives as they are: in a gradient that is written out MindSpore makes no new ones.
gather, convolve, add_bias = ops.Gather(), ops.Conv2D(CHANNELS, 3, pad_mode="valid", stride=3), ops.BiasAdd()


def index_select(tensor, axis, indices):
    return gather(tensor, indices, axis)


def moved_conv2d(features, weight, bias, stride):
    return add_bias(convolve(features, weight), bias)


@pytest.fixture
def ascend_layers_on_cpu(monkeypatch):
    """Layers built in the test are Ascend's; `one_of_each` is a backbone of them."""
    ms.set_context(mode=ms.GRAPH_MODE)
    operators = SimpleNamespace(conv2d=conv2d, batch_norm=batch_norm)
    for module in (ascend_layers, heads):
        monkeypatch.setattr(module, "functional", operators)
    monkeypatch.setattr(ascend_deform_conv, "functional", SimpleNamespace(conv2d=moved_conv2d))
    monkeypatch.setattr(ascend_deform_conv, "index_select", index_select)
    for module in (deform_conv, heads, layers):
        monkeypatch.setattr(module, "on_ascend", lambda: True)
    monkeypatch.setitem(BACKBONES, "one_of_each", lambda config: OneOfEach())
