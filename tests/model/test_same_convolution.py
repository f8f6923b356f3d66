"""Convolutions with a gradient of their own give what MindSpore's give, and their gradients."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from fairmot.model.layers import conv


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
def test_outputs_and_gradients(inputs, outputs, kernel, height, width):
    ms.set_context(mode=ms.GRAPH_MODE)
    ours = conv(inputs, outputs, kernel, has_bias=True)
    padding = kernel // 2
    plain = nn.Conv2d(inputs, outputs, kernel, pad_mode="pad", padding=padding, has_bias=True)
    assert type(ours) is not type(plain)
    assert [parameter.name for parameter in ours.get_parameters()] == ["weight", "bias"]
    plain.weight.set_data(ours.weight.value())
    plain.bias.set_data(ours.bias.value())
    generator = np.random.default_rng(0)
    features = ms.Tensor(generator.standard_normal((2, inputs, height, width)).astype(np.float32))
    gradient = ms.Tensor(generator.standard_normal((2, outputs, height, width)).astype(np.float32))
    results = []
    for convolution in (ours, plain):
        output, ((by_features,), by_weights) = Gradients(convolution)(features, gradient)
        results.append((output, by_features, *by_weights))
    for found, wanted in zip(*results, strict=True):
        assert np.abs((found - wanted).asnumpy()).max() <= 1e-5 * np.abs(wanted.asnumpy()).max()
