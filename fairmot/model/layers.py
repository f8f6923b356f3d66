"""Layers with the original's settings, so that no network file repeats them."""

import mindspore as ms
from mindspore import Tensor, nn, ops
from mindspore.ops.operations import _grad_ops

# PyTorch's momentum weighs the new batch (0.1), MindSpore's the history.
BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5
_MOST_KERNELS_TURNED = 128 * 128


class _SameConvolution(nn.Cell):
    """A convolution of stride 1 that keeps the size, whose gradient for the map is a convolution too.

    That of the output's gradient with the kernels turned round and their two channel axes exchanged. On CPUs
    MindSpore's own operator for it keeps a buffer of many times the map for every layer (see docs/speed.md).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.forwards = ops.Conv2D(out_channels, kernel_size, pad_mode="pad", pad=padding)
        self.backwards = ops.Conv2D(in_channels, kernel_size, pad_mode="pad", pad=padding)
        self.by_weight = _grad_ops.Conv2DBackpropFilter(
            out_channels, kernel_size, pad_mode="pad", pad=padding, pad_list=(padding,) * 4
        )

    def construct(self, features: Tensor, weight: Tensor) -> Tensor:
        """[B, in, H, W] and [out, in, k, k] -> [B, out, H, W]."""
        return self.forwards(features, weight)

    def bprop(self, features: Tensor, weight: Tensor, out: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of map and weight; `gradient` [B, out, H, W]."""
        turned = ops.reverse(weight.transpose(1, 0, 2, 3), (2, 3))
        return self.backwards(gradient, turned), self.by_weight(gradient, features, weight.shape)


class _SameConv2d(nn.Conv2d):
    """MindSpore's Conv2d around `_SameConvolution`."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, has_bias: bool) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, pad_mode="pad", padding=kernel_size // 2, has_bias=has_bias
        )
        self.convolution = _SameConvolution(in_channels, out_channels, kernel_size)

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]."""
        # Cast out here, where the cast has a gradient.
        output = self.convolution(features, self.weight.astype(features.dtype))
        return self.bias_add(output, self.bias) if self.has_bias else output


def conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, has_bias: bool = False) -> nn.Conv2d:
    """A convolution padded to keep the size at stride 1; [B, in, H, W] -> [B, out, H / stride, W / stride]."""
    # Deep layers' maps are small and their kernels many: turning them costs what the buffer would.
    are_few = in_channels * out_channels <= _MOST_KERNELS_TURNED
    if stride == 1 and kernel_size > 1 and are_few and ms.get_context("device_target") == "CPU":
        return _SameConv2d(in_channels, out_channels, kernel_size, has_bias)
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, pad_mode="pad", padding=padding, has_bias=has_bias)


def batch_norm(
    channels: int, momentum: float = BATCH_NORM_MOMENTUM, epsilon: float = BATCH_NORM_EPSILON
) -> nn.BatchNorm2d:
    """Batch normalisation with the epsilon and momentum of most of the original's layers."""
    return nn.BatchNorm2d(channels, eps=epsilon, momentum=momentum)


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.SequentialCell:
    """Convolution, batch normalisation, ReLU as children 0, 1, 2."""
    return nn.SequentialCell(conv(in_channels, out_channels, kernel_size, stride), batch_norm(out_channels), nn.ReLU())


def upsample(channels: int, factor: int) -> nn.Conv2dTranspose:
    """Depthwise transposed convolution that starts as bilinear interpolation and is trained.

    [B, C, H, W] -> [B, C, H * factor, W * factor]. Initialised in `fairmot.model.init`.
    """
    return nn.Conv2dTranspose(
        channels,
        channels,
        2 * factor,
        stride=factor,
        pad_mode="pad",
        padding=factor // 2,
        group=channels,
        has_bias=False,
    )


class Identity(nn.Cell):
    """Returns what it is given."""

    def construct(self, features: Tensor) -> Tensor:
        """Any shape -> the same tensor."""
        return features
