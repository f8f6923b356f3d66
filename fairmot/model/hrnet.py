"""High-resolution network (Sun et al., HRNetV2, 2019): parallel branches that exchange their maps again and again."""

from collections.abc import Mapping

from mindspore import Tensor, nn, ops

from fairmot.model.backbone import Backbone, scaled
from fairmot.model.heads import HEADS
from fairmot.model.layers import Identity, batch_norm, conv, conv_bn_relu
from fairmot.model.residual import BasicBlock, Bottleneck, block_stack

# The original weighs a new batch by 0.01 within stem and blocks, by the usual 0.1 where branches meet or begin.
_SLOW_MOMENTUM = 0.99
_STEM_CHANNELS = 64
_BLOCKS = 4
_MODULES = {2: 1, 3: 4, 4: 3}
"""Number of branches -> exchange modules of that stage."""


class Enlarge(nn.Cell):
    """Makes a map a whole factor larger by repeating its cells."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def construct(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H * factor, W * factor]."""
        height, width = features.shape[2:]
        return ops.interpolate(features, size=(height * self.factor, width * self.factor), mode="nearest")


class ExchangeModule(nn.Cell):
    """Four residual blocks in each branch, then every branch receives the sum of all of them at its own size.

    Args:
        channels: channels of the branches, finest first; each is half the size of the one before.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.count = len(channels)
        self.branches = nn.CellList([block_stack(BasicBlock, c, c, _BLOCKS, momentum=_SLOW_MOMENTUM) for c in channels])
        numbers = range(self.count)
        self.fuse_layers = nn.CellList(
            [nn.CellList([_path(channels, source, target) for source in numbers]) for target in numbers]
        )
        self.relu = ops.ReLU()

    def construct(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps [B, channels[i], H / 2^i, W / 2^i] -> as many of the same shapes."""
        refined: tuple[Tensor, ...] = ()
        for i in range(self.count):
            refined = (*refined, self.branches[i](maps[i]))
        fused: tuple[Tensor, ...] = ()
        for target in range(self.count):
            total = self.fuse_layers[target][0](refined[0])
            for source in range(1, self.count):
                total = total + self.fuse_layers[target][source](refined[source])
            fused = (*fused, self.relu(total))
        return fused


def _path(channels: tuple[int, ...], source: int, target: int) -> nn.Cell:
    """Brings one branch's map to the size and channels of another's."""
    before, after = channels[source], channels[target]
    if source == target:
        return Identity()
    if source > target:
        return nn.SequentialCell(conv(before, after, 1), batch_norm(after), Enlarge(2 ** (source - target)))
    halvings = [conv_bn_relu(before, before, 3, stride=2) for _ in range(target - source - 1)]
    return nn.SequentialCell(*halvings, nn.SequentialCell(conv(before, after, 3, 2), batch_norm(after)))


def _transition(before: tuple[int, ...], after: tuple[int, ...]) -> nn.CellList:
    """The branches of the next stage from those of the last one: one more, made of the coarsest."""
    kept = [conv_bn_relu(b, a, 3) if b != a else Identity() for b, a in zip(before, after[:-1], strict=True)]
    return nn.CellList([*kept, nn.SequentialCell(conv_bn_relu(before[-1], after[-1], 3, stride=2))])


class HRNet(Backbone):
    """HRNetV2: its four branches, brought to the finest one's size and concatenated, are the output map.

    Args:
        branch_channels: channels of the finest branch, 18 or 32; the others have 2, 4 and 8 times as many.
        width: scales all channels.
    """

    def __init__(self, branch_channels: int, width: float) -> None:
        super().__init__()
        stem = scaled(_STEM_CHANNELS, width)
        channels = tuple(scaled(branch_channels * 2**i, width) for i in range(4))
        self.conv1 = conv(3, stem, 3, stride=2)
        self.bn1 = batch_norm(stem, _SLOW_MOMENTUM)
        self.conv2 = conv(stem, stem, 3, stride=2)
        self.bn2 = batch_norm(stem, _SLOW_MOMENTUM)
        self.relu = ops.ReLU()
        self.layer1 = block_stack(Bottleneck, stem, stem, _BLOCKS, momentum=_SLOW_MOMENTUM)
        self.transition1 = _transition((stem * Bottleneck.expansion,), channels[:2])
        self.stage2 = _stage(channels[:2])
        self.transition2 = _transition(channels[:2], channels[:3])
        self.stage3 = _stage(channels[:3])
        self.transition3 = _transition(channels[:3], channels)
        self.stage4 = _stage(channels)
        self.out_channels = sum(channels)

    def construct(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, out_channels, H / 4, W / 4]; height and width divisible by 32."""
        stem = self.relu(self.bn1(self.conv1(image)))
        stem = self.relu(self.bn2(self.conv2(stem)))
        maps = (self.layer1(stem),)
        maps = self.stage2(_begin(self.transition1, maps))
        maps = self.stage3(_begin(self.transition2, maps))
        maps = self.stage4(_begin(self.transition3, maps))
        size = maps[0].shape[2:]
        finest: tuple[Tensor, ...] = (maps[0],)
        for coarse in maps[1:]:
            finest = (*finest, ops.interpolate(coarse, size=size, mode="bilinear", align_corners=False))
        return ops.concat(finest, 1)

    def small_weights(self, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
        """Every convolution before the heads."""
        return {name for name in shapes if name.split(".", 1)[0] not in HEADS}


def _stage(channels: tuple[int, ...]) -> nn.SequentialCell:
    return nn.SequentialCell(*(ExchangeModule(channels) for _ in range(_MODULES[len(channels)])))


def _begin(transition: nn.CellList, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Maps of a stage's n branches -> maps of the next one's n + 1."""
    begun: tuple[Tensor, ...] = ()
    for i in range(len(maps)):
        begun = (*begun, transition[i](maps[i]))
    return (*begun, transition[len(maps)](maps[-1]))
