"""Layers with the original's settings, so that no network file repeats them, and the operators of this device."""

import mindspore as ms
from mindspore import Tensor, nn

from fairmot.model.ascend_layers import AscendBatchNorm2d, AscendConv2d, AscendConv2dTranspose, AscendMaxPool2d
from fairmot.model.cpu_layers import CpuConv2d, own_convolution

# PyTorch's momentum weighs the new batch (0.1), MindSpore's the history.
BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5


def on_ascend() -> bool:
    """Whether networks built now run on an NPU, see `fairmot.device.use_device`."""
    return bool(ms.get_context("device_target") == "Ascend")


def conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, has_bias: bool = False) -> nn.Conv2d:
    """A convolution padded to keep the size at stride 1; [B, in, H, W] -> [B, out, H / stride, W / stride]."""
    kind = AscendConv2d if on_ascend() else nn.Conv2d
    own = None if on_ascend() else own_convolution(in_channels, out_channels, kernel_size, stride)
    if own is not None:
        return CpuConv2d(own, in_channels, out_channels, kernel_size, stride, has_bias)
    padding = kernel_size // 2
    return kind(in_channels, out_channels, kernel_size, stride, pad_mode="pad", padding=padding, has_bias=has_bias)


class BatchNorm2d(nn.BatchNorm2d):
    """MindSpore's for maps alone: what it says for other shapes costs the compiler time and memory in each layer."""

    def construct(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape, by the batch's statistics while training unless they are frozen."""
        of_batch = self.training if self.use_batch_statistics is None else self.use_batch_statistics
        normalize = self.bn_train if of_batch else self.bn_infer
        return normalize(features, self.gamma, self.beta, self.moving_mean, self.moving_variance)[0]


def batch_norm(
    channels: int, momentum: float = BATCH_NORM_MOMENTUM, epsilon: float = BATCH_NORM_EPSILON
) -> nn.BatchNorm2d:
    """Batch normalisation with the epsilon and momentum of most of the original's layers."""
    kind = AscendBatchNorm2d if on_ascend() else BatchNorm2d
    return kind(channels, eps=epsilon, momentum=momentum)


def max_pool(window: int, stride: int, pad_mode: str = "valid", padding: int = 0) -> nn.MaxPool2d:
    """The highest cell of every window, [B, C, H, W] -> [B, C, H', W'].

    Args:
        window: height and width, cells; odd for pad_mode "same".
        stride: cells between windows; 1 for pad_mode "same".
        pad_mode: valid: windows within the map; same: as many as cells; pad: by `padding`.
        padding: cells around the map for pad_mode "pad".
    """
    if on_ascend():
        return AscendMaxPool2d(window, stride, window // 2 if pad_mode == "same" else padding)
    return nn.MaxPool2d(window, stride, pad_mode=pad_mode, padding=padding)


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.SequentialCell:
    """Convolution, batch normalisation, ReLU as children 0, 1, 2."""
    return nn.SequentialCell(conv(in_channels, out_channels, kernel_size, stride), batch_norm(out_channels), nn.ReLU())


def conv_transpose(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, groups: int = 1
) -> nn.Conv2dTranspose:
    """A transposed convolution whose kernel is two strides wide, without bias.

    [B, in, H, W] -> [B, out, H * stride, W * stride].
    """
    kind = AscendConv2dTranspose if on_ascend() else nn.Conv2dTranspose
    padding = (kernel_size - stride) // 2
    return kind(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        pad_mode="pad",
        padding=padding,
        group=groups,
        has_bias=False,
    )


def upsample(channels: int, factor: int) -> nn.Conv2dTranspose:
    """Depthwise transposed convolution that starts as bilinear interpolation and is trained.

    [B, C, H, W] -> [B, C, H * factor, W * factor]. Initialised in `fairmot.model.init`.
    """
    return conv_transpose(channels, channels, 2 * factor, factor, groups=channels)


class Identity(nn.Cell):
    """Returns what it is given."""

    def construct(self, features: Tensor) -> Tensor:
        """Any shape -> the same tensor."""
        return features
