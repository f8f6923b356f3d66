"""The one-shot network: encoder, decoder, heads."""

from collections.abc import Callable
from contextlib import nullcontext

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.nn.utils import no_init_parameters

from fairmot.errors import ConfigError
from fairmot.model.backbone import Backbone, scaled
from fairmot.model.config import MOST_CHANNELS, ModelConfig
from fairmot.model.deform_conv import DeformConv
from fairmot.model.dla import DLA, DLA34_CHANNELS
from fairmot.model.heads import Heads, head_channels
from fairmot.model.hrnet import HRNet
from fairmot.model.init import initialize
from fairmot.model.neck import DLAUp, IDAUp, NodeConv, plain_node_conv
from fairmot.model.resnet import DeconvResNet, PyramidResNet
from fairmot.model.yolo import YOLO

_LAST_LEVEL = 5
"""The decoder's final merge takes the maps of the levels below this one (the original's last_level)."""


class DLASeg(Backbone):
    """DLA encoder and its two-stage aggregation decoder.

    Args:
        channels: channels of the encoder's six levels.
        down_ratio: stride of the resulting map.
        node_conv: the convolution of the decoder's nodes.
    """

    down_ratios = (2, 4, 8, 16)

    def __init__(self, channels: tuple[int, ...], down_ratio: int, node_conv: NodeConv) -> None:
        super().__init__()
        self.first_level = int(np.log2(down_ratio))
        kept = channels[self.first_level :]
        merged = _LAST_LEVEL - self.first_level
        self.base = DLA(channels)
        self.dla_up = DLAUp(kept, node_conv)
        self.ida_up = IDAUp(kept[0], kept[:merged], tuple(2**i for i in range(merged)), node_conv)
        self.merged = merged
        self.out_channels = kept[0]

    def construct(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, out_channels, H / down_ratio, W / down_ratio]."""
        maps = self.dla_up(self.base(image)[self.first_level :])
        return self.ida_up(maps[: self.merged])[-1]


class FairMOT(nn.Cell):
    """A backbone with the four heads.

    Args:
        backbone: turns [B, 3, H, W] into one map at the output stride.
        config: the settings it was built from.
        num_classes: heatmap channels.
    """

    def __init__(self, backbone: Backbone, config: ModelConfig, num_classes: int = 1) -> None:
        super().__init__()
        self.backbone = backbone
        channels = head_channels(num_classes, config.ltrb, config.reid_dim)
        self.heads = Heads(backbone.out_channels, config.head_conv, channels, backbone.head_activation)

    def construct(self, image: Tensor, centres: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images to what the heads say of them.

        Args:
            image: uint8 [B, H, W, 3] RGB as the loader gives it, or float32 [B, 3, H, W] already scaled to [0, 1].
            centres: int32 [B, K] cells y * w + x where training reads wh, id and reg; None: whole maps.

        Returns:
            hm logits [B, classes, h, w], wh [B, 4 or 2, h, w] in cells, id [B, reid_dim, h, w], reg [B, 2, h, w]; all
            float32, whatever the precision inside. With centres wh, id and reg are [B, K, 4 or 2], [B, K, reid_dim]
            and [B, K, 2].
        """
        hm, wh, embedding, reg = self.heads(self.features(image), centres)
        return hm.astype(ms.float32), wh.astype(ms.float32), embedding.astype(ms.float32), reg.astype(ms.float32)

    # In parts, for whoever looks for peaks before it asks the other heads (fairmot/inference/network.py). Each gives
    # what the whole gives.

    def features(self, image: Tensor) -> Tensor:
        """Images as above to the map that the heads read, [B, C, h, w]."""
        if image.dtype == ms.uint8:
            image = ops.transpose(image, (0, 3, 1, 2)).astype(ms.float32) / 255.0
        return self.backbone(image)

    def heat(self, features: Tensor) -> Tensor:
        """The hm logits [B, classes, h, w]."""
        return self.heads.hm(features).astype(ms.float32)

    def at(self, features: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """At int32 [B, K] cells: wh, id and reg, each [B, K, channels]."""
        wh, embedding, reg = self.heads.at(features, cells)
        return wh.astype(ms.float32), embedding.astype(ms.float32), reg.astype(ms.float32)

    def embedding_at(self, features: Tensor, cells: Tensor) -> Tensor:
        """At int32 [B, K] cells: id alone."""
        return self.heads.embedding_at(features, cells).astype(ms.float32)

    def embedding_map(self, features: Tensor) -> Tensor:
        """The whole id map [B, reid_dim, h, w]."""
        return self.heads.id(features).astype(ms.float32)

    def state(self) -> dict[str, ms.Parameter]:
        """Parameters and batch-norm buffers under the names checkpoints use: the original's, without our modules' own.

        `backbone.` and `heads.` are cut off, so that base.level2.tree1.conv1.weight and hm.2.bias stand as in the
        original; batch-norm entries keep MindSpore's gamma, beta, moving_mean, moving_variance.
        """
        return {name.split(".", 1)[1]: parameter for name, parameter in self.parameters_and_names()}


def _dla_34(config: ModelConfig, node_conv: NodeConv) -> Backbone:
    channels = tuple(scaled(count, config.width) for count in DLA34_CHANNELS)
    return DLASeg(channels, config.down_ratio, node_conv)


BACKBONES: dict[str, Callable[[ModelConfig], Backbone]] = {
    "dlaconv_34": lambda config: _dla_34(config, plain_node_conv),
    "dla_34": lambda config: _dla_34(config, DeformConv),
    "hrnet_18": lambda config: HRNet(18, config.width),
    "hrnet_32": lambda config: HRNet(32, config.width),
    "resdcn_34": lambda config: DeconvResNet(34, config.width, DeformConv),
    "resdcn_50": lambda config: DeconvResNet(50, config.width, DeformConv),
    "resfpndcn_34": lambda config: PyramidResNet(34, config.width, DeformConv),
    "yolov5s": lambda config: YOLO(config.width),
}
"""Network name -> how to build its encoder and decoder."""


def build_network(config: ModelConfig, seed: int | None, num_classes: int = 1) -> FairMOT:
    """Build and initialise a network; the same seed gives the same values on every rank and machine.

    Args:
        config: which network.
        seed: of its first weights; None: they are read from a file, so that none are made and no memory is taken yet.
        num_classes: heatmap channels.

    Raises:
        ConfigError: `model.name` is none of the networks there are, or has no output at `model.down_ratio`; or no such
            number of classes.
    """
    if not 1 <= num_classes <= MOST_CHANNELS:
        raise ConfigError(f"num_classes={num_classes}: a network tells 1 to {MOST_CHANNELS} classes apart")
    if config.name not in BACKBONES:
        raise ConfigError(
            f"model.name={config.name} cannot be built by this version; there are: {', '.join(BACKBONES)}. "
            "The recipes' other networks are listed in docs/recipes.md."
        )
    with nullcontext() if seed is not None else no_init_parameters():
        backbone = BACKBONES[config.name](config)
        if config.down_ratio not in backbone.down_ratios:
            raise ConfigError(
                f"model.down_ratio={config.down_ratio}: {config.name} has its output at one cell to "
                f"{' or '.join(map(str, backbone.down_ratios))} pixels; choose that"
            )
        network = FairMOT(backbone, config, num_classes)
    state = network.state()
    for name, parameter in state.items():
        parameter.name = name  # the optimiser names its moments after it
    if seed is not None:
        weights = {name: parameter.shape for name, parameter in state.items() if name.endswith(".weight")}
        initialize(state, seed, backbone.small_weights(weights))
    return network
