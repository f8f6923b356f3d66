"""Weights and kinds of the losses."""

import math
from dataclasses import dataclass
from enum import Enum


class HeatmapLoss(Enum):
    """focal: on the sigmoid of the map (the paper). mse: on the raw map, with MSRA Gaussians as targets."""

    focal = "focal"
    mse = "mse"


class RegressionLoss(Enum):
    """l1: mean over regressed values (the paper). sl1: smooth L1, mean over objects."""

    l1 = "l1"
    sl1 = "sl1"


class IdentityLoss(Enum):
    """ce: softmax cross entropy (the paper). focal: sigmoid focal loss."""

    ce = "ce"
    focal = "focal"


class ClassifierRows(Enum):
    """replicated: every rank holds all rows of the identity classifier. sharded: each holds its share of them."""

    replicated = "replicated"
    sharded = "sharded"


class MultiLoss(Enum):
    """uncertainty: detection and identity weighted by learned s_det, s_id (the paper). fix: det + 0.1 id."""

    uncertainty = "uncertainty"
    fix = "fix"


class Normalizers(Enum):
    """rank: each rank divides by its own counts (the original's data parallel). world: by those of all ranks."""

    rank = "rank"
    world = "world"


@dataclass
class LossConfig:
    """Weights and kinds of the losses.

    Attributes:
        hm_weight: weight of the heatmap loss within the detection loss.
        wh_weight: weight of the box-size loss within the detection loss.
        off_weight: weight of the offset loss within the detection loss.
        heatmap: heatmap loss.
        regression: box-size and offset loss.
        identity: identity loss.
        multi_loss: how detection and identity are balanced.
        normalizers: whose positives, objects and identities the sums are divided by: rank, or world, where N ranks
            with batches of B learn what one rank with a batch of N * B would.
        classifier: where the identity classifier's rows are: all of them on every rank (replicated), or shared out
            (sharded), for identities by the hundred thousand; losses and gradients are the same.
        fp16_classifier: multiply by the identity classifier in fp16; its softmax stays in fp32.
        identity_slots: how many of a batch's object slots are classified, those with an identity first; 0: all. A
            limit saves memory where identities are many: a row of logits for every slot, most of them empty.
        identity_samples: how many identities, drawn anew for every batch, the softmax compares the right ones with;
            0: all of them, the exact softmax. Saves memory and time where identities are a hundred thousand. With
            loss.classifier=sharded each rank draws its part of them, rounded up, among its own rows.
    """

    hm_weight: float = 1.0
    wh_weight: float = 0.1
    off_weight: float = 1.0
    heatmap: HeatmapLoss = HeatmapLoss.focal
    regression: RegressionLoss = RegressionLoss.l1
    identity: IdentityLoss = IdentityLoss.ce
    multi_loss: MultiLoss = MultiLoss.uncertainty
    normalizers: Normalizers = Normalizers.rank
    classifier: ClassifierRows = ClassifierRows.replicated
    fp16_classifier: bool = True
    identity_slots: int = 0
    identity_samples: int = 0

    def __post_init__(self) -> None:
        for key in ("hm_weight", "wh_weight", "off_weight"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"loss.{key}={value}: a weight is a number of at least 0")
        if self.identity_slots < 0:
            raise ValueError(f"loss.identity_slots={self.identity_slots}: must be at least 1, or 0 for all")
        if self.identity_samples < 0:
            raise ValueError(f"loss.identity_samples={self.identity_samples}: must be at least 1, or 0 for all")
        if self.identity_samples and self.identity is IdentityLoss.focal:
            raise ValueError("loss.identity_samples: there is no softmax in loss.identity=focal; set it to 0")
        if self.classifier is ClassifierRows.sharded and self.identity is IdentityLoss.focal:
            raise ValueError("loss.classifier=sharded: knows the softmax alone; set loss.identity=ce")
