"""Residual blocks (He et al., CVPR 2016), as ResNet and HRNet stack them."""

from mindspore import Tensor, nn, ops

from fairmot.model.layers import BATCH_NORM_MOMENTUM, Identity, batch_norm, conv


class BasicBlock(nn.Cell):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, momentum: float) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, channels, 3, stride)
        self.bn1 = batch_norm(channels, momentum)
        self.conv2 = conv(channels, channels, 3)
        self.bn2 = batch_norm(channels, momentum)
        self.relu = ops.ReLU()
        self.downsample = _shortcut(in_channels, channels, stride, momentum)

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, channels, H / stride, W / stride]."""
        out = self.relu(self.bn1(self.conv1(features)))
        return self.relu(self.bn2(self.conv2(out)) + self.downsample(features))


class Bottleneck(nn.Cell):
    """1x1, 3x3 and 1x1 convolutions; the last one, like the shortcut, gives `expansion` times the channels."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, momentum: float) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = conv(in_channels, channels, 1)
        self.bn1 = batch_norm(channels, momentum)
        self.conv2 = conv(channels, channels, 3, stride)
        self.bn2 = batch_norm(channels, momentum)
        self.conv3 = conv(channels, out_channels, 1)
        self.bn3 = batch_norm(out_channels, momentum)
        self.relu = ops.ReLU()
        self.downsample = _shortcut(in_channels, out_channels, stride, momentum)

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, channels * expansion, H / stride, W / stride]."""
        out = self.relu(self.bn1(self.conv1(features)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + self.downsample(features))


Block = type[BasicBlock] | type[Bottleneck]


def _shortcut(in_channels: int, out_channels: int, stride: int, momentum: float) -> nn.Cell:
    if stride == 1 and in_channels == out_channels:
        return Identity()
    return nn.SequentialCell(conv(in_channels, out_channels, 1, stride), batch_norm(out_channels, momentum))


def block_stack(
    block: Block, in_channels: int, channels: int, count: int, stride: int = 1, momentum: float = BATCH_NORM_MOMENTUM
) -> nn.SequentialCell:
    """`count` blocks, the first of which has the stride: [B, in, H, W] -> [B, channels * expansion, H / s, W / s]."""
    first = block(in_channels, channels, stride, momentum)
    rest = [block(channels * block.expansion, channels, 1, momentum) for _ in range(count - 1)]
    return nn.SequentialCell(first, *rest)
