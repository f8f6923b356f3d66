"""Ascend's layers ask for what the layers of a CPU compute: mint's operators stand here as PyTorch defines them."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from fairmot.model import ascend_layers, layers
from fairmot.model.config import ModelConfig
from fairmot.model.network import build_network
from train.batch_norm import set_batch_norm
from train.precision import set_precision
from train.step_config import BatchNorm, Precision


def random(shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class MintOnCPU:
    """mint.nn.functional's operators in NumPy, with its arguments."""

    @staticmethod
    def conv2d(maps, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        return ops.conv2d(maps, weight, bias, stride, "pad", padding, dilation, groups)

    @staticmethod
    def conv_transpose2d(maps, weight, bias, stride, padding, output_padding, groups, dilation):
        assert (bias, output_padding, dilation) == (None, 0, (1, 1))
        maps, weight, step = maps.asnumpy(), weight.asnumpy(), stride[0]
        (batch, _, height, width), outputs, side = maps.shape, weight.shape[1], weight.shape[2]
        full = np.zeros((batch, outputs * groups, (height - 1) * step + side, (width - 1) * step + side), np.float32)
        for group, (part, kernels) in enumerate(
            zip(np.split(maps, groups, 1), np.split(weight, groups, 0), strict=True)
        ):
            out = full[:, group * outputs : (group + 1) * outputs]
            for y, x in np.ndindex(height, width):
                spread = np.einsum("bi,iokl->bokl", part[:, :, y, x], kernels)
                out[:, :, y * step : y * step + side, x * step : x * step + side] += spread
        return Tensor(full[:, :, padding:-padding, padding:-padding])

    @staticmethod
    def batch_norm(maps, running_mean, running_var, weight, bias, training, momentum, eps):
        values = maps.asnumpy()
        mean, variance = running_mean.asnumpy(), running_var.asnumpy()
        if training:
            mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3))
            count = values.size / values.shape[1]
            for running, new in ((running_mean, mean), (running_var, variance * count / (count - 1))):
                running.set_data(Tensor((1 - momentum) * running.asnumpy() + momentum * new))
        scale = weight.asnumpy() / np.sqrt(variance + eps)
        return Tensor((values - mean[:, None, None]) * scale[:, None, None] + bias.asnumpy()[:, None, None])

    @staticmethod
    def max_pool2d(maps, window, stride, padding):
        around = ((0, 0), (0, 0), (padding, padding), (padding, padding))
        padded = np.pad(maps.asnumpy(), around, constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (window, window), (2, 3))
        return Tensor(windows[:, :, ::stride, ::stride].max((4, 5)))


@pytest.fixture
def pair(monkeypatch):
    """Builds a layer for a CPU and one for Ascend, with the same random parameters."""
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    monkeypatch.setattr(ascend_layers, "functional", MintOnCPU)

    def build(make):
        cells = []
        for on_ascend in (False, True):
            monkeypatch.setattr(layers, "on_ascend", lambda on_ascend=on_ascend: on_ascend)
            cells.append(make())
            for i, parameter in enumerate(cells[-1].get_parameters()):
                parameter.set_data(Tensor(abs(random(parameter.shape, i)) + 0.1))
        assert [p.name for p in cells[0].get_parameters()] == [p.name for p in cells[1].get_parameters()]
        return cells

    yield build
    ms.set_context(mode=mode)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.conv(6, 8, 3),
        lambda: layers.conv(6, 8, 7, 2, has_bias=True),
        lambda: layers.conv(6, 8, 1),
        lambda: layers.upsample(6, 2),
        lambda: layers.upsample(6, 4),
        lambda: layers.conv_transpose(6, 5, 4, 2),
        lambda: layers.max_pool(2, 2),
        lambda: layers.max_pool(5, 1, pad_mode="same"),
        lambda: layers.max_pool(3, 2, pad_mode="pad", padding=1),
    ],
)
def test_layers_give_the_same_numbers(pair, make):
    ours, ascends = pair(make)
    assert type(ascends).__name__.startswith("Ascend")
    maps = Tensor(random((2, 6, 8, 12)))
    np.testing.assert_allclose(ascends(maps).asnumpy(), ours(maps).asnumpy(), rtol=0, atol=3e-5)


@pytest.mark.parametrize("mode", [BatchNorm.rank, BatchNorm.frozen])
@pytest.mark.parametrize("is_training", [True, False])
def test_batch_normalisation_and_its_running_statistics(pair, mode, is_training):
    ours, ascends = pair(lambda: nn.SequentialCell(layers.batch_norm(6, momentum=0.97, epsilon=1e-3)))
    maps = Tensor(random((2, 6, 8, 12)))
    for cell in (ours, ascends):
        set_batch_norm(cell, mode)
        cell.set_train(is_training)
    np.testing.assert_allclose(ascends(maps).asnumpy(), ours(maps).asnumpy(), rtol=0, atol=1e-5)
    for found, expected in zip(ascends.get_parameters(), ours.get_parameters(), strict=True):
        np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), rtol=1e-5, err_msg=found.name)


def test_half_precision_leaves_batch_normalisation_what_it_is_given(pair):
    _, network = pair(lambda: build_network(ModelConfig(width=0.25, head_conv=8, reid_dim=8), seed=1))
    set_precision(network, Precision.bf16)
    for name, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            assert not (cell.fp16 or cell.fp32 or cell.bf16), name
        elif isinstance(cell, nn.MaxPool2d):
            assert cell.fp32 and not cell.bf16, name
        elif isinstance(cell, nn.Conv2d):
            assert cell.bf16, name
