"""Convolutions with a gradient of their own give what MindSpore's give, and their gradients."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from fairmot.model.deep_convolution import DeepConvolution
from fairmot.model.layers import conv
from fairmot.model.same_convolution import SameConvolution


class Gradients(nn.Cell):
    """Output, and the gradients of map, weight and bias."""

    def __init__(self, convolution):
        super().__init__()
        self.convolution = convolution
        self.differentiate = ops.GradOperation(get_all=True, get_by_list=True, sens_param=True)
        self.weights = ms.ParameterTuple(convolution.trainable_params())

    def construct(self, features, gradient):
        return self.convolution(features), self.differentiate(self.convolution, self.weights)(features, gradient)


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "height", "width"),
    [
        (6, 10, 3, 9, 13),
        (3, 8, 7, 9, 13),
        pytest.param(6, 10, 3, 320, 300, id="large enough for strips"),
        pytest.param(3, 8, 7, 192, 208, id="large enough for strips, wide kernel"),
        pytest.param(10, 6, 3, 320, 320, id="strips of strips"),
        pytest.param(3, 8, 7, 256, 256, id="strips of strips, wide kernel"),
        pytest.param(6, 10, 3, 321, 300, id="not to be cut evenly"),
        pytest.param(10, 6, 3, 324, 320, id="strips not to be cut evenly"),
    ],
)
def test_outputs_and_gradients_of_few_channels(inputs, outputs, kernel, height, width):
    assert_as_mindspores(SameConvolution, inputs, outputs, kernel, 1, (2, height, width))


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "stride", "batch", "height", "width"),
    [
        (128, 136, 3, 1, 1, 4, 5),
        (128, 136, 3, 1, 4, 5, 6),
        (136, 128, 3, 2, 3, 6, 8),
        (136, 128, 3, 2, 2, 8, 7),
        pytest.param(136, 128, 3, 2, 2, 7, 6, id="pictures that would not begin with a window"),
        (136, 128, 5, 1, 2, 6, 5),
        (136, 128, 7, 2, 2, 8, 10),
    ],
)
def test_outputs_and_gradients_of_many_channels(inputs, outputs, kernel, stride, batch, height, width):
    assert_as_mindspores(DeepConvolution, inputs, outputs, kernel, stride, (batch, height, width))


def assert_as_mindspores(kind, inputs, outputs, kernel, stride, batch_height_width):
    ms.set_context(mode=ms.GRAPH_MODE)
    batch, height, width = batch_height_width
    ours = conv(inputs, outputs, kernel, stride, has_bias=True)
    padding = kernel // 2
    plain = nn.Conv2d(inputs, outputs, kernel, stride, pad_mode="pad", padding=padding, has_bias=True)
    (cell,) = (one.cell_contents for one in ours.convolution.__closure__)
    assert type(cell) is kind
    assert [parameter.name for parameter in ours.get_parameters()] == ["weight", "bias"]
    plain.weight.set_data(ours.weight.value())
    plain.bias.set_data(ours.bias.value())
    generator = np.random.default_rng(0)
    features = ms.Tensor(generator.standard_normal((batch, inputs, height, width)).astype(np.float32))
    sides = (-(-height // stride), -(-width // stride))
    gradient = ms.Tensor(generator.standard_normal((batch, outputs, *sides)).astype(np.float32))
    results = []
    for convolution in (ours, plain):
        output, ((by_features,), by_weights) = Gradients(convolution)(features, gradient)
        results.append((output, by_features, *by_weights))
    for found, wanted in zip(*results, strict=True):
        assert np.abs((found - wanted).asnumpy()).max() <= 1e-5 * np.abs(wanted.asnumpy()).max()
