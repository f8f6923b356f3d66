"""What every backbone owes the network around it."""

from collections.abc import Mapping

from mindspore import nn


class Backbone(nn.Cell):
    """Turns images [B, 3, H, W] into one map [B, out_channels, H / down_ratio, W / down_ratio].

    Attributes:
        out_channels: channels of that map; every backbone sets it.
        down_ratios: the output strides it can be built for.
        head_activation: what stands between the two convolutions of each head.
    """

    out_channels: int
    down_ratios: tuple[int, ...] = (4,)
    head_activation: type[nn.Cell] = nn.ReLU

    def small_weights(self, shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
        """Which weights the original starts with values far below PyTorch's default, see `fairmot.model.init`.

        Args:
            shapes: of all weights of backbone and heads, named as in `FairMOT.state`.
        """
        return set()


def scaled(channels: int, width: float) -> int:
    """A number of channels times `width`, at least 4."""
    return max(4, round(channels * width))
