"""The decoder: iterative deep aggregation brings the encoder's maps to one map at the output stride."""

from collections.abc import Callable

from mindspore import Tensor, nn

from fairmot.model.layers import batch_norm, conv, upsample

NodeConv = Callable[[int, int], nn.Cell]
"""Makes the 3x3 convolution of a neck node from (in_channels, out_channels); the seam for deformable convolution."""


def plain_node_conv(in_channels: int, out_channels: int) -> nn.Cell:
    """The node convolution of `dlaconv_34`: 3x3 without bias."""
    return conv(in_channels, out_channels, 3)


class Node(nn.Cell):
    """Node convolution, batch normalisation, ReLU (named as in the original: conv, actf)."""

    def __init__(self, in_channels: int, out_channels: int, node_conv: NodeConv) -> None:
        super().__init__()
        self.conv = node_conv(in_channels, out_channels)
        self.actf = nn.SequentialCell(batch_norm(out_channels), nn.ReLU())

    def construct(self, features: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, H, W]."""
        return self.actf(self.conv(features))


class IDAUp(nn.Cell):
    """Iterative deep aggregation: merges maps of falling resolution into the first one's, one after the other.

    Args:
        out_channels: channels of every merged map.
        channels: channels of the incoming maps.
        factors: how much each incoming map must be enlarged; the first is 1.
        node_conv: the convolution of its nodes.
    """

    def __init__(
        self, out_channels: int, channels: tuple[int, ...], factors: tuple[int, ...], node_conv: NodeConv
    ) -> None:
        super().__init__()
        self.merges = range(1, len(channels))
        for i in self.merges:
            setattr(self, f"proj_{i}", Node(channels[i], out_channels, node_conv))
            setattr(self, f"up_{i}", upsample(out_channels, factors[i]))
            setattr(self, f"node_{i}", Node(out_channels, out_channels, node_conv))

    def construct(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps [B, channels[i], H / factors[i], W / factors[i]] -> as many maps [B, out_channels, H, W].

        Result i has merged maps 0 to i; the last one has merged them all.
        """
        merged: tuple[Tensor, ...] = (maps[0],)
        for i in self.merges:
            raised = getattr(self, f"up_{i}")(getattr(self, f"proj_{i}")(maps[i]))
            merged = (*merged, getattr(self, f"node_{i}")(raised + merged[-1]))
        return merged


class DLAUp(nn.Cell):
    """Aggregates the deepest maps pairwise, then with ever shallower ones, up to the output stride.

    Args:
        channels: channels of the encoder's maps from the output stride on.
        node_conv: the convolution of its nodes.
    """

    def __init__(self, channels: tuple[int, ...], node_conv: NodeConv) -> None:
        super().__init__()
        self.stages = len(channels) - 1
        for stage in range(self.stages):
            shallow = self.stages - stage - 1
            # All maps deeper than the neighbour have been brought to the neighbour's size and width by earlier stages.
            deeper = channels[shallow + 1 :][:1] * (stage + 1)
            ida = IDAUp(channels[shallow], (channels[shallow], *deeper), (1, *(2,) * (stage + 1)), node_conv)
            setattr(self, f"ida_{stage}", ida)

    def construct(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps [B, channels[i], H / 2^i, W / 2^i] -> as many maps of the same shapes, aggregated, shallow first."""
        deepest = maps[-1]
        running: tuple[Tensor, ...] = (deepest,)
        aggregated: tuple[Tensor, ...] = (deepest,)
        for stage in range(self.stages):
            running = getattr(self, f"ida_{stage}")((maps[self.stages - stage - 1], *running))
            aggregated = (running[-1], *aggregated)
        return aggregated
