"""The four heads: maps over the decoder's whole map, or what they would hold at given cells alone."""

from mindspore import Tensor, nn, ops
from mindspore.mint.nn import functional

from fairmot.model.layers import conv, on_ascend
from fairmot.ops import windows_at

HEADS = ("hm", "wh", "id", "reg")
"""The order in which every network returns its maps."""

_WINDOW_SIDE = 3
_CENTRE_OF_WINDOW = 4


def head_channels(num_classes: int, ltrb: bool, reid_dim: int) -> dict[str, int]:
    """Channels of each head: one heatmap a class, 4 distances or 2 sizes, the embedding, the centre's fraction."""
    return {"hm": num_classes, "wh": 4 if ltrb else 2, "id": reid_dim, "reg": 2}


class Head(nn.SequentialCell):
    """3x3 convolution, activation, 1x1 convolution (children 0, 1, 2); without hidden channels the 1x1 alone."""

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int, activation: type[nn.Cell]) -> None:
        if hidden_channels == 0:
            super().__init__(conv(in_channels, out_channels, 1, has_bias=True))
        else:
            super().__init__(
                conv(in_channels, hidden_channels, 3, has_bias=True),
                activation(),
                conv(hidden_channels, out_channels, 1, has_bias=True),
            )
        self.is_deep = hidden_channels > 0
        self.by_convolution = on_ascend()
        self.matmul = ops.MatMul(transpose_b=True)

    def at_windows(self, windows: Tensor) -> Tensor:
        """What the head's map holds in the middle of windows of its input: [B, C, K, 9] -> [B, K, out].

        On Ascend windows stand below each other as a map of their own: bias and both gradients of a convolution come in
        its one kernel. On CPUs, a product of matrices is faster.
        """
        batch, channels, slots, _ = windows.shape
        if self.by_convolution:
            if not self.is_deep:
                return (
                    self[0](windows[:, :, :, _CENTRE_OF_WINDOW : _CENTRE_OF_WINDOW + 1]).squeeze(3).transpose(0, 2, 1)
                )
            stacked = windows.reshape(batch, channels, slots * _WINDOW_SIDE, _WINDOW_SIDE)
            layer = self[0]
            weight = layer.read_weight(layer.weight, windows.dtype)
            hidden = functional.conv2d(stacked, weight, layer.read_bias(layer.bias, windows.dtype), _WINDOW_SIDE)
            return self[2](self[1](hidden)).squeeze(3).transpose(0, 2, 1)
        rows = windows.transpose(0, 2, 1, 3).reshape(batch * slots, channels, -1)
        return self.at_rows(rows).reshape(batch, slots, -1)

    def at_rows(self, windows: Tensor) -> Tensor:
        """As `at_windows` by products of matrices: [N, C, 9] -> [N, out]."""
        if not self.is_deep:
            return self.product(windows[:, :, _CENTRE_OF_WINDOW], self[0])
        hidden = self.product(windows.reshape(windows.shape[0], -1), self[0])
        return self.product(self[1](hidden), self[2])

    def product(self, rows: Tensor, layer: nn.Conv2d) -> Tensor:
        """A convolution of rows that hold the cells under its kernel: [N, in * k * k] -> [N, out]."""
        weight = layer.weight.reshape(layer.weight.shape[0], -1)
        return self.matmul(rows, weight.astype(rows.dtype)) + layer.bias.astype(rows.dtype)


class Heads(nn.Cell):
    """Heatmap, box size, embedding and offset from one feature map."""

    def __init__(
        self, in_channels: int, hidden_channels: int, channels: dict[str, int], activation: type[nn.Cell]
    ) -> None:
        super().__init__()
        self.hm = Head(in_channels, hidden_channels, channels["hm"], activation)
        self.wh = Head(in_channels, hidden_channels, channels["wh"], activation)
        self.id = Head(in_channels, hidden_channels, channels["id"], activation)
        self.reg = Head(in_channels, hidden_channels, channels["reg"], activation)

    def construct(self, features: Tensor, centres: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the four heads say of a map.

        Args:
            features: [B, C, H, W].
            centres: int32 [B, K] cells y * W + x; None: every cell.

        Returns:
            hm (logits), wh, id (not normalised), reg in the order of HEADS. hm is a map [B, channels, H, W]; the
            others are maps too, or their values at the centres alone, [B, K, channels]: the same numbers, gradients
            and parameters for a small part of the work.
        """
        if centres is None:
            return self.hm(features), self.wh(features), self.id(features), self.reg(features)
        return self.hm(features), *self.at(features, centres)

    def at(self, features: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What wh, id and reg say at cells [B, K] of a map [B, C, H, W]: each [B, K, channels]."""
        windows = windows_at(features, cells)
        return self.wh.at_windows(windows), self.id.at_windows(windows), self.reg.at_windows(windows)

    def embedding_at(self, features: Tensor, cells: Tensor) -> Tensor:
        """What id alone says there."""
        return self.id.at_windows(windows_at(features, cells))
