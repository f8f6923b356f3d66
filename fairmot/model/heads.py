"""The four heads on the decoder's map."""

from mindspore import Tensor, nn

from fairmot.model.layers import conv

HEADS = ("hm", "wh", "id", "reg")
"""The order in which every network returns its maps."""


def head_channels(num_classes: int, ltrb: bool, reid_dim: int) -> dict[str, int]:
    """Channels of each head: one heatmap a class, 4 distances or 2 sizes, the embedding, the centre's fraction."""
    return {"hm": num_classes, "wh": 4 if ltrb else 2, "id": reid_dim, "reg": 2}


def head(in_channels: int, hidden_channels: int, out_channels: int, activation: type[nn.Cell]) -> nn.SequentialCell:
    """3x3 convolution, activation, 1x1 convolution (children 0, 1, 2); without hidden channels the 1x1 alone."""
    if hidden_channels == 0:
        return nn.SequentialCell(conv(in_channels, out_channels, 1, has_bias=True))
    return nn.SequentialCell(
        conv(in_channels, hidden_channels, 3, has_bias=True),
        activation(),
        conv(hidden_channels, out_channels, 1, has_bias=True),
    )


class Heads(nn.Cell):
    """Heatmap, box size, embedding and offset maps from one feature map."""

    def __init__(
        self, in_channels: int, hidden_channels: int, channels: dict[str, int], activation: type[nn.Cell]
    ) -> None:
        super().__init__()
        self.hm = head(in_channels, hidden_channels, channels["hm"], activation)
        self.wh = head(in_channels, hidden_channels, channels["wh"], activation)
        self.id = head(in_channels, hidden_channels, channels["id"], activation)
        self.reg = head(in_channels, hidden_channels, channels["reg"], activation)

    def construct(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[B, C, H, W] -> hm (logits), wh, id (not normalised), reg in the order of HEADS."""
        return self.hm(features), self.wh(features), self.id(features), self.reg(features)
