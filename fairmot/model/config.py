"""Which network to build."""

from dataclasses import dataclass

MOST_CHANNELS = 4096
"""Of one head: more is a slip, and would fill the memory."""


@dataclass
class ModelConfig:
    """Which network to build.

    Attributes:
        name: the network, as the original names it: dla_34 is the paper's, DLA-34 with deformable convolutions in its
            neck; dlaconv_34 has plain ones there.
        width: scales the channels of encoder and decoder; 1.0 is the paper's network.
        down_ratio: input pixels to a cell of the output maps: 2, 4, 8 or 16.
        head_conv: hidden channels of each head; 0 leaves the 1x1 convolution alone.
        reid_dim: length of the embedding.
        ltrb: regress the distances to the four sides instead of width and height.
    """

    name: str = "dlaconv_34"
    width: float = 1.0
    down_ratio: int = 4
    head_conv: int = 256
    reid_dim: int = 128
    ltrb: bool = True

    def __post_init__(self) -> None:
        if self.down_ratio not in (2, 4, 8, 16):
            raise ValueError(f"model.down_ratio={self.down_ratio}: choose 2, 4, 8 or 16")
        if not 0 < self.width <= 4:
            raise ValueError(f"model.width={self.width}: choose a factor above 0 and at most 4")
        if not 0 <= self.head_conv <= MOST_CHANNELS:
            raise ValueError(
                f"model.head_conv={self.head_conv}: choose 0 (no hidden layer) or up to {MOST_CHANNELS} channels"
            )
        if not 1 <= self.reid_dim <= MOST_CHANNELS:
            raise ValueError(f"model.reid_dim={self.reid_dim}: choose 1 to {MOST_CHANNELS} dimensions")
