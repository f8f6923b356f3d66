"""The formula of Ascend's deformable convolution, on a CPU: its one operator of its own has a CPU kernel too."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from fairmot.model import ascend_deform_conv, deform_conv
from fairmot.model.deform_conv import DeformConv

FIXTURE = Path(__file__).parents[1] / "parity" / "fixtures" / "dcn_unit.npz"
BATCH, CHANNELS, OUT_CHANNELS, HEIGHT, WIDTH = 2, 3, 4, 5, 6


class Gradients(nn.Cell):
    """Output, and gradients of sum(output * upstream) by features, offsets and masks, weight, bias."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer.set_train()
        weights = ms.ParameterTuple([layer.weight, layer.bias])
        self.both = ops.value_and_grad(self.weighted_sum, (0, 1), weights, has_aux=True)

    def weighted_sum(self, features, positions, upstream):
        output = self.layer.convolve(features, positions)
        return (output * upstream).sum(), output

    def construct(self, features, positions, upstream):
        (_, output), (inputs, weights) = self.both(features, positions, upstream)
        return output, *inputs, *weights


@pytest.fixture
def make(monkeypatch):
    """Makes a layer of this device, or Ascend's with operators of a CPU in place of mint's."""
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE)

    gather = ops.Gather()

    def index_select(tensor, axis, indices):
        return gather(tensor, indices, axis)

    monkeypatch.setattr(ascend_deform_conv, "index_select", index_select)

    def make(ascend, weight, bias):
        convolve, add_bias = ops.Conv2D(weight.shape[0], 3, pad_mode="valid", stride=3), ops.BiasAdd()

        def conv2d(features, weight, bias, stride):
            return add_bias(convolve(features, weight), bias)

        monkeypatch.setattr(ascend_deform_conv.functional, "conv2d", conv2d)
        monkeypatch.setattr(deform_conv, "on_ascend", lambda: ascend)
        layer = DeformConv(weight.shape[1], weight.shape[0])
        layer.weight.set_data(ms.Tensor(weight))
        layer.bias.set_data(ms.Tensor(bias))
        return Gradients(layer)

    yield make
    ms.set_context(mode=mode)


@pytest.mark.parametrize("offset_cells", [0.0, 0.3, 4.0], ids=["fresh", "near", "far"])
def test_both_devices_convolve_alike(make, offset_cells):
    """A fresh layer's outermost taps lie exactly at -1, where neither gives a value or a gradient."""
    generator = np.random.default_rng(3)
    features, positions, weight, upstream = (
        generator.standard_normal(shape).astype(np.float32)
        for shape in (
            (BATCH, CHANNELS, HEIGHT, WIDTH),
            (BATCH, 27, HEIGHT, WIDTH),
            (OUT_CHANNELS, CHANNELS, 3, 3),
            (BATCH, OUT_CHANNELS, HEIGHT, WIDTH),
        )
    )
    positions[:, :18] *= offset_cells
    arguments = [ms.Tensor(value) for value in (features, positions, upstream)]
    bias = np.arange(OUT_CHANNELS, dtype=np.float32)
    expected, found = (make(ascend, weight, bias)(*arguments) for ascend in (False, True))
    for name, ours, theirs in zip(("output", "features", "positions", "weight", "bias"), found, expected, strict=True):
        tolerance = 2e-5 * np.abs(theirs.asnumpy()).max()
        np.testing.assert_allclose(ours.asnumpy(), theirs.asnumpy(), rtol=0, atol=tolerance, err_msg=name)
    if offset_cells == 0:
        assert not found[2].asnumpy()[:, 0:6, 0].any()


def test_it_is_the_originals(make):
    expected = np.load(FIXTURE)
    offset_mask = ops.conv2d(
        ms.Tensor(expected["x"]),
        ms.Tensor(expected["offset_mask_weight"]),
        ms.Tensor(expected["offset_mask_bias"]),
        pad_mode="pad",
        padding=1,
    )
    layer = make(True, expected["weight"], expected["bias"])
    output, _, _, by_weight, by_bias = layer(ms.Tensor(expected["x"]), offset_mask, ms.Tensor(expected["grad_out"]))
    np.testing.assert_allclose(output.asnumpy(), expected["out"], rtol=0, atol=1e-5)
    for key, gradient in {"grad_weight": by_weight, "grad_bias": by_bias}.items():
        tolerance = 1e-5 * np.abs(expected[key]).max()
        np.testing.assert_allclose(gradient.asnumpy(), expected[key], rtol=0, atol=tolerance, err_msg=key)


def test_folded_it_takes_positions_in_the_operators_order(make):
    generator = np.random.default_rng(4)
    layer = make(True, generator.standard_normal((OUT_CHANNELS, CHANNELS, 3, 3)).astype(np.float32), np.zeros(4)).layer
    layer.set_train(False)
    for parameter in layer.conv_offset_mask.get_parameters():
        parameter.set_data(ms.Tensor(generator.standard_normal(parameter.shape).astype(np.float32)))
    features = ms.Tensor(generator.standard_normal((BATCH, CHANNELS, HEIGHT, WIDTH)).astype(np.float32))
    ms.set_context(mode=ms.PYNATIVE_MODE)
    before = layer(features).asnumpy()
    layer.order_positions()
    np.testing.assert_allclose(layer(features).asnumpy(), before, rtol=0, atol=1e-5)
