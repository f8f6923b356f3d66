"""Layers with the original's settings, so that no network file repeats them."""

from mindspore import Tensor, nn

from fairmot.model.same_convolution import SameConv2d, is_same_convolution

# PyTorch's momentum weighs the new batch (0.1), MindSpore's the history.
BATCH_NORM_MOMENTUM = 0.9
BATCH_NORM_EPSILON = 1e-5


def conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, has_bias: bool = False) -> nn.Conv2d:
    """A convolution padded to keep the size at stride 1; [B, in, H, W] -> [B, out, H / stride, W / stride]."""
    if is_same_convolution(in_channels, out_channels, kernel_size, stride):
        return SameConv2d(in_channels, out_channels, kernel_size, has_bias)
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, pad_mode="pad", padding=padding, has_bias=has_bias)


class BatchNorm2d(nn.BatchNorm2d):
    """MindSpore's for maps alone: what it says for other shapes costs the compiler time and memory in each layer."""

    def construct(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape, by the batch's statistics while training unless they are frozen."""
        of_batch = self.training if self.use_batch_statistics is None else self.use_batch_statistics
        normalize = self.bn_train if of_batch else self.bn_infer
        return normalize(features, self.gamma, self.beta, self.moving_mean, self.moving_variance)[0]


def batch_norm(
    channels: int, momentum: float = BATCH_NORM_MOMENTUM, epsilon: float = BATCH_NORM_EPSILON
) -> BatchNorm2d:
    """Batch normalisation with the epsilon and momentum of most of the original's layers."""
    return BatchNorm2d(channels, eps=epsilon, momentum=momentum)


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
