"""Deep Layer Aggregation encoder (Yu et al., CVPR 2018), the 34-layer variant of FairMOT."""

from mindspore import Tensor, nn, ops

from fairmot.model.layers import batch_norm, conv, conv_bn_relu, max_pool

DLA34_LEVELS = (1, 1, 1, 2, 2, 1)
DLA34_CHANNELS = (16, 32, 64, 128, 256, 512)


class BasicBlock(nn.Cell):
    """Two 3x3 convolutions with a shortcut; the shortcut may be handed in."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, 3, stride)
        self.bn1 = batch_norm(out_channels)
        self.conv2 = conv(out_channels, out_channels, 3)
        self.bn2 = batch_norm(out_channels)
        self.relu = ops.ReLU()

    def construct(self, features: Tensor, shortcut: Tensor) -> Tensor:
        """[B, in, H, W] and [B, out, H / stride, W / stride] -> [B, out, H / stride, W / stride]."""
        out = self.relu(self.bn1(self.conv1(features)))
        return self.relu(self.bn2(self.conv2(out)) + shortcut)


class Root(nn.Cell):
    """Aggregation node: concatenates its children and mixes them by a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = conv(in_channels, out_channels, 1)
        self.bn = batch_norm(out_channels)
        self.relu = ops.ReLU()

    def construct(self, children: tuple[Tensor, ...]) -> Tensor:
        """Maps [B, C_i, H, W] with sum C_i = in -> [B, out, H, W]."""
        return self.relu(self.bn(self.conv(ops.concat(children, 1))))


class _TreeBase(nn.Cell):
    """What both kinds of tree have: the down-sampled input and, where channels change, its projection."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.down = max_pool(stride, stride) if stride > 1 else None
        if in_channels != out_channels:
            self.project = nn.SequentialCell(conv(in_channels, out_channels, 1), batch_norm(out_channels))
        else:
            self.project = None


class Leaf(_TreeBase):
    """A tree of depth one: two basic blocks and their root."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, level_root: bool = False, root_channels: int = 0
    ) -> None:
        super().__init__(in_channels, out_channels, stride)
        root_channels += 2 * out_channels + (in_channels if level_root else 0)
        self.level_root = level_root
        self.tree1 = BasicBlock(in_channels, out_channels, stride)
        self.tree2 = BasicBlock(out_channels, out_channels)
        self.root = Root(root_channels, out_channels)

    def construct(self, features: Tensor, children: tuple[Tensor, ...], bottom: Tensor | None = None) -> Tensor:
        """[B, in, H, W] and maps of earlier trees -> [B, out, H / stride, W / stride].

        `bottom` is the down-sampled input, where the caller has it already.
        """
        if bottom is None:
            bottom = features if self.down is None else self.down(features)
        shortcut = bottom if self.project is None else self.project(bottom)
        if self.level_root:
            children = (*children, bottom)
        first = self.tree1(features, shortcut)
        second = self.tree2(first, first)
        return self.root((second, first, *children))


class Tree(_TreeBase):
    """A tree of depth two: two leaves, the second of which sees the first one's result.

    The original evaluates `project` here and uses its result nowhere. The parameters stay, so that its weights
    map one to one, but neither take part in the computation nor in training.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, level_root: bool) -> None:
        super().__init__(in_channels, out_channels, stride)
        self.level_root = level_root
        self.tree1 = Leaf(in_channels, out_channels, stride)
        self.tree2 = Leaf(
            out_channels, out_channels, 1, root_channels=out_channels + (in_channels if level_root else 0)
        )
        if self.project is not None:
            for parameter in self.project.get_parameters():
                parameter.requires_grad = False

    def construct(self, features: Tensor, children: tuple[Tensor, ...]) -> Tensor:
        """[B, in, H, W] and maps of earlier trees -> [B, out, H / stride, W / stride]."""
        bottom = features if self.down is None else self.down(features)
        if self.level_root:
            children = (*children, bottom)
        first = self.tree1(features, (), bottom)
        return self.tree2(first, (*children, first))


class DLA(nn.Cell):
    """The encoder: an image becomes six maps at strides 1, 2, 4, 8, 16 and 32.

    Args:
        channels: channels of the six levels.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.base_layer = conv_bn_relu(3, channels[0], 7)
        self.level0 = conv_bn_relu(channels[0], channels[0], 3)
        self.level1 = conv_bn_relu(channels[0], channels[1], 3, stride=2)
        self.level2 = Leaf(channels[1], channels[2], 2)
        self.level3 = Tree(channels[2], channels[3], 2, level_root=True)
        self.level4 = Tree(channels[3], channels[4], 2, level_root=True)
        self.level5 = Leaf(channels[4], channels[5], 2, level_root=True)

    def construct(self, image: Tensor) -> tuple[Tensor, ...]:
        """[B, 3, H, W] -> six maps [B, channels[i], H / 2^i, W / 2^i]."""
        level0 = self.level0(self.base_layer(image))
        level1 = self.level1(level0)
        level2 = self.level2(level1, ())
        level3 = self.level3(level2, ())
        level4 = self.level4(level3, ())
        level5 = self.level5(level4, ())
        return level0, level1, level2, level3, level4, level5
