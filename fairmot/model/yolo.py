"""The light backbone: YOLOv5s' encoder and its top-down path, taken one level further to stride 4."""

import math
from collections.abc import Mapping

from mindspore import Tensor, nn, ops

from fairmot.model.backbone import Backbone
from fairmot.model.heads import HEADS
from fairmot.model.layers import Identity, batch_norm, conv, max_pool

# The original weighs a new batch by 0.03 and sets a large epsilon.
_MOMENTUM = 0.97
_EPSILON = 1e-3
_WIDTH_OF_S = 0.5
_CHANNELS_MULTIPLE = 8
_POOL_CELLS = 5


class ConvUnit(nn.Cell):
    """Convolution, batch normalisation, SiLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = conv(in_channels, out_channels, kernel_size, stride)
        self.bn = batch_norm(out_channels, _MOMENTUM, _EPSILON)
        self.act = nn.SiLU()

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H / stride, W / stride]."""
        return self.act(self.bn(self.conv(features)))


class Focus(nn.Cell):
    """Folds every 2x2 pixels into channels before the first convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvUnit(4 * in_channels, out_channels, 3)

    def construct(self, image: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H / 2, W / 2]."""
        batch, channels, height, width = image.shape
        pixels = image.reshape(batch, channels, height // 2, 2, width // 2, 2)
        # The pixel's column varies slowest among the folded channels, then its row, then the colour.
        folded = pixels.transpose(0, 5, 3, 1, 2, 4).reshape(batch, 4 * channels, height // 2, width // 2)
        return self.conv(folded)


class Bottleneck(nn.Cell):
    """1x1 and 3x3 convolution, with or without a shortcut around both."""

    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = ConvUnit(channels, channels)
        self.cv2 = ConvUnit(channels, channels, 3)
        self.shortcut = shortcut

    def construct(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        out = self.cv2(self.cv1(features))
        return features + out if self.shortcut else out


class CrossStage(nn.Cell):
    """Half of the channels go through `count` bottlenecks, half past them (C3 in YOLOv5)."""

    def __init__(self, in_channels: int, out_channels: int, count: int = 1, shortcut: bool = True) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.cv1 = ConvUnit(in_channels, hidden)
        self.cv2 = ConvUnit(in_channels, hidden)
        self.cv3 = ConvUnit(2 * hidden, out_channels)
        self.m = nn.SequentialCell(*(Bottleneck(hidden, shortcut) for _ in range(count)))

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]."""
        return self.cv3(ops.concat((self.m(self.cv1(features)), self.cv2(features)), 1))


class PyramidPooling(nn.Cell):
    """Maxima over 5x5, 9x9 and 13x13 cells beside the map itself (SPP in YOLOv5)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = in_channels // 2
        self.cv1 = ConvUnit(in_channels, hidden)
        self.cv2 = ConvUnit(4 * hidden, out_channels)
        self.pool = max_pool(_POOL_CELLS, 1, pad_mode="same")

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]."""
        narrow = self.cv1(features)
        # The maximum over 9 cells is that of 5 over 5, and over 13 that of 5 over 9.
        maxima_5 = self.pool(narrow)
        maxima_9 = self.pool(maxima_5)
        return self.cv2(ops.concat((narrow, maxima_5, maxima_9, self.pool(maxima_9)), 1))


class PathNetwork(nn.Cell):
    """Encoder to stride 32 and back to stride 4. The numbers in `model` are those of the original's layers.

    Args:
        width: scales all channels.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        c2, c4, c8, c16, c32 = (_channels(count, width) for count in (64, 128, 256, 512, 1024))
        self.out_channels = c4
        upsampled, concatenated = Identity(), Identity()  # layers without parameters hold their numbers
        self.model = nn.CellList(
            [
                Focus(3, c2),
                ConvUnit(c2, c4, 3, 2),
                CrossStage(c4, c4),
                ConvUnit(c4, c8, 3, 2),
                CrossStage(c8, c8, 3),
                ConvUnit(c8, c16, 3, 2),
                CrossStage(c16, c16, 3),
                ConvUnit(c16, c32, 3, 2),
                PyramidPooling(c32, c32),
                CrossStage(c32, c32, shortcut=False),
                ConvUnit(c32, c16),
                upsampled,
                concatenated,
                CrossStage(2 * c16, c16, shortcut=False),
                ConvUnit(c16, c8),
                upsampled,
                concatenated,
                CrossStage(2 * c8, c8, shortcut=False),
                ConvUnit(c8, c4),
                upsampled,
                concatenated,
                CrossStage(2 * c4, c4, shortcut=False),
            ]
        )

    def construct(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, out_channels, H / 4, W / 4]; height and width divisible by 32."""
        layers = self.model
        stride_4 = layers[2](layers[1](layers[0](image)))
        stride_8 = layers[4](layers[3](stride_4))
        stride_16 = layers[6](layers[5](stride_8))
        stride_32 = layers[9](layers[8](layers[7](stride_16)))
        path_16 = layers[13](_beside(layers[10](stride_32), stride_16))
        path_8 = layers[17](_beside(layers[14](path_16), stride_8))
        return layers[21](_beside(layers[18](path_8), stride_4))


def _channels(count: int, width: float) -> int:
    return math.ceil(count * _WIDTH_OF_S * width / _CHANNELS_MULTIPLE) * _CHANNELS_MULTIPLE


def _beside(coarse: Tensor, fine: Tensor) -> Tensor:
    """[B, C, H, W] repeated to the size of [B, D, 2H, 2W], and both as [B, C + D, 2H, 2W]."""
    return ops.concat((ops.interpolate(coarse, size=fine.shape[2:], mode="nearest"), fine), 1)


class YOLO(Backbone):
    """YOLOv5s without its detector.

    Args:
        width: scales all channels.
    """

    head_activation = nn.SiLU

    def __init__(self, width: float) -> None:
        super().__init__()
        self.backbone = PathNetwork(width)
        self.out_channels = self.backbone.out_channels

    def construct(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, out_channels, H / 4, W / 4]; height and width divisible by 32."""
        return self.backbone(image)

    def small_weights(self, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
        """In all heads but the heatmap's, what has as many outputs as the head.

        The original finds the last layers by that number, which its hidden layers of 64 share with an embedding of 64.
        """
        small = set()
        for head in HEADS[1:]:
            layers = sorted(name for name in shapes if name.startswith(f"{head}."))
            small |= {name for name in layers if shapes[name][0] == shapes[layers[-1]][0]}
        return small
