"""The deformable convolution: plain where nothing moves, its border, its gradient against finite differences."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from fairmot.model.config import ModelConfig
from fairmot.model.deform_conv import DeformConv
from fairmot.model.network import build_network

BATCH, CHANNELS, OUT_CHANNELS, HEIGHT, WIDTH = 2, 3, 4, 5, 6
SHAPE = (BATCH, CHANNELS, HEIGHT, WIDTH)


def random(shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


UPSTREAM = random((BATCH, OUT_CHANNELS, HEIGHT, WIDTH), 5)
WEIGHT, BIAS = random((OUT_CHANNELS, CHANNELS, 3, 3), 6), random(OUT_CHANNELS, 7)


class Convolution(nn.Cell):
    """Output, and gradients of sum(output * UPSTREAM) by features, offsets and masks, weight, bias."""

    def __init__(self):
        super().__init__()
        self.layer = DeformConv(CHANNELS, OUT_CHANNELS)
        self.upstream = ms.Tensor(UPSTREAM)
        weights = ms.ParameterTuple([self.layer.weight, self.layer.bias])
        self.both = ops.value_and_grad(self.weighted_sum, (0, 1), weights, has_aux=True)

    def weighted_sum(self, features, positions):
        output = self.layer.convolve(features, positions)
        return (output * self.upstream).sum(), output

    def construct(self, features, positions):
        return self.both(features, positions)


@pytest.fixture(scope="module")
def compiled():
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE)
    yield Convolution()
    ms.set_context(mode=mode)


@pytest.fixture
def convolve(compiled):
    def run(features, positions, weight=WEIGHT, bias=BIAS):
        compiled.layer.weight.set_data(ms.Tensor(weight))
        compiled.layer.bias.set_data(ms.Tensor(bias))
        (_, output), (inputs, weights) = compiled(ms.Tensor(features), ms.Tensor(positions))
        return output.asnumpy(), [gradient.asnumpy() for gradient in (*inputs, *weights)]

    return run


def offset_mask(offset_yx=(0.0, 0.0), mask_logit=0.0):
    """The same offset and mask for every tap and cell, as the 27 channels."""
    values = np.empty((BATCH, 27, HEIGHT, WIDTH), np.float32)
    values[:, 0:18:2], values[:, 1:18:2], values[:, 18:] = *offset_yx, mask_logit
    return values


def plain(features):
    """The plain convolution with the same weights, without bias."""
    return ops.conv2d(ms.Tensor(features), ms.Tensor(WEIGHT), pad_mode="pad", padding=1).asnumpy()


def test_without_offsets_it_is_the_plain_convolution_times_the_mask(convolve):
    features = random(SHAPE)
    output, _ = convolve(features, offset_mask(mask_logit=np.log(3)))
    np.testing.assert_allclose(output, 0.75 * plain(features) + BIAS[:, None, None], rtol=0, atol=1e-5)


def test_whole_offsets_read_elsewhere_and_zeros_outside(convolve):
    features = random(SHAPE)
    # A row down and two columns to the left; the margin keeps what the border's taps then read.
    moved = np.roll(np.pad(features, ((0, 0), (0, 0), (3, 3), (3, 3))), (-1, 2), (2, 3))
    output, _ = convolve(features, offset_mask((1, -2), mask_logit=30))
    np.testing.assert_allclose(output, plain(moved)[:, :, 3:-3, 3:-3] + BIAS[:, None, None], rtol=0, atol=1e-5)


@pytest.mark.parametrize("far", [50.0, -50.0, 1e12])
def test_far_outside_there_is_only_the_bias(convolve, far):
    output, (by_features, by_positions, *_) = convolve(random(SHAPE), offset_mask((far, 0)))
    np.testing.assert_array_equal(output, np.broadcast_to(BIAS[:, None, None], output.shape))
    assert not by_features.any()
    assert not by_positions.any()


def test_positions_of_a_diverged_network_spoil_their_cell_alone(convolve):
    positions = offset_mask()
    positions[0, :, 2, 3] = np.nan
    output, _ = convolve(random(SHAPE), positions)
    assert np.isnan(output[0, :, 2, 3]).all()
    assert np.isnan(output).sum() == OUT_CHANNELS


def test_taps_exactly_at_minus_one_have_no_gradient(convolve):
    """There a fresh layer's outermost taps lie, and the original's kernel gives neither value nor gradient."""
    _, (_, by_positions, *_) = convolve(random(SHAPE), offset_mask())
    assert not by_positions[:, 0:6, 0].any()
    assert not by_positions[:, [0, 1, 6, 7, 12, 13], :, 0].any()
    assert by_positions[:, :, 1:-1, 1:-1].all()


def test_gradients_against_finite_differences(convolve):
    """Steps of all of an input's values at once, in random directions.

    Between cells the output is linear in features and weights and of second degree in the offsets, so there a central
    difference is exact but for rounding: offsets lie at least 0.2 from the next cell, steps are 0.1. Masks are curved
    and get a smaller step.
    """
    generator = np.random.default_rng(2)
    positions = random((BATCH, 27, HEIGHT, WIDTH), 3)
    offsets = generator.integers(-2, 3, positions[:, :18].shape) + generator.uniform(0.2, 0.8, positions[:, :18].shape)
    positions[:, :18] = offsets
    inputs = [random(SHAPE), positions, WEIGHT, BIAS]
    _, gradients = convolve(*inputs)
    parts = {"features": (0, slice(None), 0.1), "offsets": (1, slice(0, 18), 0.1), "masks": (1, slice(18, 27), 0.02)}
    parts |= {"weight": (2, slice(None), 0.1), "bias": (3, slice(None), 0.1)}
    for part, (place, channels, step) in parts.items():
        for _ in range(3):
            direction = np.zeros_like(inputs[place])
            where = (slice(None), channels) if direction.ndim > 1 else channels
            direction[where] = generator.choice([-1, 1], direction[where].shape)
            sums = []
            for signed_step in (step, -step):
                moved = [value + signed_step * direction if i == place else value for i, value in enumerate(inputs)]
                output, _ = convolve(*(value.astype(np.float32) for value in moved))
                sums.append((output.astype(np.float64) * UPSTREAM).sum())
            difference = (sums[0] - sums[1]) / (2 * step)
            assert (gradients[place] * direction).sum() == pytest.approx(difference, rel=1e-3, abs=5e-3), part


def test_initial_values_of_the_network():
    state = build_network(ModelConfig(name="dla_34", width=0.25, head_conv=16, reid_dim=8), seed=4).state()
    deformable = {name.removesuffix(".weight") for name in state if name.endswith("conv_offset_mask.weight")}
    assert len(deformable) == 16
    for name in deformable:
        assert not state[f"{name}.weight"].asnumpy().any()
        assert not state[f"{name}.bias"].asnumpy().any()
        owner = name.removesuffix(".conv_offset_mask")
        assert not state[f"{owner}.bias"].asnumpy().any()
        weight = state[f"{owner}.weight"].asnumpy()
        bound = 1 / np.sqrt(weight[0].size)
        assert bound * 0.99 < np.abs(weight).max() <= bound
