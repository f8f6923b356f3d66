"""ResNet encoders (He et al., CVPR 2016) with the two decoders that the original puts on them."""

from collections.abc import Mapping

from mindspore import Tensor, nn, ops

from fairmot.model.backbone import Backbone, scaled
from fairmot.model.heads import HEADS
from fairmot.model.layers import batch_norm, conv, conv_transpose, max_pool
from fairmot.model.neck import Node, NodeConv
from fairmot.model.residual import BasicBlock, Block, Bottleneck, block_stack

_BLOCKS: dict[int, Block] = {34: BasicBlock, 50: Bottleneck}
_COUNTS = (3, 4, 6, 3)
_CHANNELS = (64, 128, 256, 512)
_DECODER_CHANNELS = (256, 128, 64)


class ResNet(Backbone):
    """The encoder that both networks share: maps at strides 4, 8, 16 and 32.

    Args:
        layers: 34 or 50.
        width: scales all channels.
    """

    def __init__(self, layers: int, width: float) -> None:
        super().__init__()
        block = _BLOCKS[layers]
        channels = [scaled(count, width) for count in _CHANNELS]
        self.encoded_channels = [count * block.expansion for count in channels]
        self.decoded_channels = [scaled(count, width) for count in _DECODER_CHANNELS]
        self.out_channels = self.decoded_channels[-1]
        self.conv1 = conv(3, channels[0], 7, stride=2)
        self.bn1 = batch_norm(channels[0])
        self.relu = ops.ReLU()
        self.maxpool = max_pool(3, 2, pad_mode="pad", padding=1)
        for i in range(4):
            before = self.encoded_channels[i - 1] if i else channels[0]
            setattr(self, f"layer{i + 1}", block_stack(block, before, channels[i], _COUNTS[i], stride=2 if i else 1))

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[B, 3, H, W] -> maps [B, encoded_channels[i], H / 2^(i + 2), W / 2^(i + 2)]."""
        stride_4 = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(image)))))
        stride_8 = self.layer2(stride_4)
        stride_16 = self.layer3(stride_8)
        return stride_4, stride_8, stride_16, self.layer4(stride_16)

    def small_weights(self, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
        """All heads but the heatmap's."""
        return {name for name in shapes if name.split(".", 1)[0] in HEADS[1:]}


class DeconvResNet(ResNet):
    """Three times a node convolution and a transposed convolution on the coarsest map (`resdcn`)."""

    def __init__(self, layers: int, width: float, node_conv: NodeConv) -> None:
        super().__init__(layers, width)
        channels = [self.encoded_channels[-1], *self.decoded_channels]
        steps = [_enlarge(channels[i], channels[i + 1], node_conv) for i in range(3)]
        self.deconv_layers = nn.SequentialCell(*(cell for step in steps for cell in step))

    def construct(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, out_channels, H / 4, W / 4]; height and width divisible by 32."""
        return self.deconv_layers(self.encode(image)[3])


class PyramidResNet(ResNet):
    """As `DeconvResNet`, with the encoder's map of the same size added after every step (`resfpndcn`)."""

    def __init__(self, layers: int, width: float, node_conv: NodeConv) -> None:
        super().__init__(layers, width)
        channels = [self.encoded_channels[-1], *self.decoded_channels]
        for i in range(1, 4):
            out = channels[i]
            setattr(self, f"deconv_layer{i}", nn.SequentialCell(*_enlarge(channels[i - 1], out, node_conv)))
            setattr(self, f"smooth_layer{i}", Node(out, out, node_conv))
            setattr(self, f"project_layer{i}", Node(self.encoded_channels[3 - i], out, node_conv))

    def construct(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, out_channels, H / 4, W / 4]; height and width divisible by 32."""
        stride_4, stride_8, stride_16, stride_32 = self.encode(image)
        path_16 = self.smooth_layer1(self.deconv_layer1(stride_32) + self.project_layer1(stride_16))
        path_8 = self.smooth_layer2(self.deconv_layer2(path_16) + self.project_layer2(stride_8))
        return self.smooth_layer3(self.deconv_layer3(path_8) + self.project_layer3(stride_4))


def _enlarge(in_channels: int, out_channels: int, node_conv: NodeConv) -> list[nn.Cell]:
    """[B, in, H, W] -> [B, out, 2H, 2W]."""
    return [
        node_conv(in_channels, out_channels),
        batch_norm(out_channels),
        nn.ReLU(),
        conv_transpose(out_channels, out_channels, 4, 2),
        batch_norm(out_channels),
        nn.ReLU(),
    ]
