"""The training objective: detection and identity losses, balanced by learned uncertainties."""

import math

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from fairmot.losses.classifier import Classifier
from fairmot.losses.config import (
    ClassifierRows,
    HeatmapLoss,
    IdentityLoss,
    LossConfig,
    MultiLoss,
    Normalizers,
    RegressionLoss,
)
from fairmot.losses.focal import heatmap_focal_loss, heatmap_mse_loss
from fairmot.losses.identity import identity_cross_entropy, identity_focal_loss, safe_identities
from fairmot.losses.regression import masked_l1_loss, masked_smooth_l1_loss
from fairmot.losses.sampled import IdentitySampler, sampled_cross_entropy
from fairmot.losses.sharded import Ranks, ShardedClassifier, rows_a_rank
from fairmot.losses.sharded_sample import SampledShardedClassifier
from fairmot.ops import l2_normalize

SCALARS = ("loss", "hm_loss", "wh_loss", "off_loss", "id_loss", "det_loss", "s_det", "s_id")
"""What `FairMOTLoss` reports, in this order."""

FIXED_ID_WEIGHT = 0.1
REGRESSION_EPSILON = 1e-4
"""What the original adds to the number of regressed values before it divides."""


class FairMOTLoss(nn.Cell):
    """All losses of one batch (paper, section 4.3). Its classifier, s_det and s_id are trained with the network.

    Args:
        config: weights and kinds.
        num_identities: nID, the classes of the identity classifier.
        reid_dim: length of the embedding.
        seed: decides the classifier's initial values.
        mean_over_ranks: a cell that turns a vector into its mean over the ranks; None for counts of this rank alone.
        num_ranks: how many there are.
        ranks: these ranks, for loss.classifier=sharded; None for one alone, which holds all rows.
    """

    def __init__(
        self,
        config: LossConfig,
        num_identities: int,
        reid_dim: int,
        seed: int,
        mean_over_ranks: nn.Cell | None = None,
        num_ranks: int = 1,
        ranks: Ranks | None = None,
    ) -> None:
        super().__init__()
        self.mean_over_ranks = mean_over_ranks if config.normalizers is Normalizers.world else None
        # A mean of counts over ranks times their number is the count of a single rank with all their samples.
        self.epsilon = REGRESSION_EPSILON / (num_ranks if self.mean_over_ranks is not None else 1)
        self.hm_weight, self.wh_weight, self.off_weight = config.hm_weight, config.wh_weight, config.off_weight
        self.heatmap_loss = heatmap_focal_loss if config.heatmap is HeatmapLoss.focal else heatmap_mse_loss
        self.regression_loss = masked_l1_loss if config.regression is RegressionLoss.l1 else masked_smooth_l1_loss
        self.identity_loss = identity_cross_entropy if config.identity is IdentityLoss.ce else identity_focal_loss
        self.identity_slots = config.identity_slots
        self.num_identities = num_identities
        self.uncertainty = config.multi_loss is MultiLoss.uncertainty
        # A single identity (nID 2) would give a scale of 0 and embeddings without gradient.
        self.emb_scale = math.sqrt(2) * math.log(max(num_identities - 1, 2))
        half, sigmoid = config.fp16_classifier, config.identity is IdentityLoss.focal
        self.is_sharded = config.classifier is ClassifierRows.sharded and ranks is not None
        rows, samples, rank = num_identities, config.identity_samples, 0
        if config.classifier is ClassifierRows.sharded and ranks is not None:
            kind = SampledShardedClassifier if samples else ShardedClassifier
            self.classifier = kind(reid_dim, num_identities, half, seed, ranks)
            rows, samples, rank = rows_a_rank(rows, ranks.count), -(-samples // ranks.count), ranks.rank
        else:
            self.classifier = Classifier(reid_dim, num_identities, half, seed, sigmoid)
        self.sampler = IdentitySampler(rows, samples, seed, rank) if samples else None
        self.s_det = Parameter(Tensor(np.full(1, -1.85, np.float32)), name="s_det", requires_grad=self.uncertainty)
        self.s_id = Parameter(Tensor(np.full(1, -1.05, np.float32)), name="s_id", requires_grad=self.uncertainty)

    @property
    def shards(self) -> list[Parameter]:
        """The parameters of which this rank holds its rows alone; empty where every rank holds all."""
        return self.classifier.trainable_params() if self.is_sharded else []

    def construct(
        self,
        outputs: tuple[Tensor, Tensor, Tensor, Tensor],
        hm: Tensor,
        reg_mask: Tensor,
        wh: Tensor,
        reg: Tensor,
        ids: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """What the heads say, and targets, to the loss.

        Args:
            outputs: the map hm [B, C, h, w] of logits; at the centres wh [B, K, 4 or 2], id [B, K, D], reg [B, K, 2].
            hm: [B, C, h, w] target heatmap.
            reg_mask: [B, K] 1 for a real object.
            wh: [B, K, 4 or 2] in cells.
            reg: [B, K, 2] fraction of each centre.
            ids: [B, K] identity, -1 without one.

        Returns:
            The scalar loss and the vector of SCALARS, both fp32.
        """
        out_hm, out_wh, out_id, out_reg = outputs
        hm_sum, positives = self.heatmap_loss(out_hm, hm)
        wh_sum, wh_values = self.regression_loss(out_wh, reg_mask, wh)
        off_sum, off_values = self.regression_loss(out_reg, reg_mask, reg)
        id_sum, identified = self.identity(out_id, reg_mask, ids)
        if self.mean_over_ranks is not None:
            counts = ops.stop_gradient(ops.stack((positives, wh_values, off_values, identified)))
            counts = self.mean_over_ranks(counts)
            positives, wh_values, off_values, identified = counts[0], counts[1], counts[2], counts[3]
        hm_loss, id_loss = hm_sum / _or_one(positives), id_sum / _or_one(identified)
        wh_loss, off_loss = wh_sum / (wh_values + self.epsilon), off_sum / (off_values + self.epsilon)
        det_loss = self.hm_weight * hm_loss + self.wh_weight * wh_loss + self.off_weight * off_loss
        s_det, s_id = self.s_det.squeeze(0), self.s_id.squeeze(0)
        if self.uncertainty:
            loss = 0.5 * (ops.exp(-s_det) * det_loss + ops.exp(-s_id) * id_loss + s_det + s_id)
        else:
            loss = det_loss + FIXED_ID_WEIGHT * id_loss
        return loss, ops.stack((loss, hm_loss, wh_loss, off_loss, id_loss, det_loss, s_det, s_id))

    def identity(self, embeddings: Tensor, reg_mask: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """[B, K, D] embeddings at the centres, [B, K] mask and identities -> sum and the slots with an identity."""
        embeddings = embeddings.reshape(-1, embeddings.shape[-1]).astype(ms.float32)
        ids = ids.reshape(-1)
        valid = ops.logical_and(reg_mask.reshape(-1) > 0, ids >= 0).astype(ms.float32)
        if 0 < self.identity_slots < valid.shape[0]:
            valid, filled = ops.topk(valid, self.identity_slots)
            embeddings, ids = ops.gather(embeddings, filled, 0), ops.gather(ids, filled, 0)
        embeddings = self.emb_scale * l2_normalize(embeddings)
        if self.is_sharded:
            sample = () if self.sampler is None else (self.sampler(),)
            return (self.classifier(embeddings, safe_identities(ids, valid), *sample) * valid).sum(), valid.sum()
        if self.sampler is None:
            return self.identity_loss(self.classifier(embeddings), ids, valid)
        ids, drawn = safe_identities(ids, valid), self.sampler()
        own, others = self.classifier.of(embeddings, ids), self.classifier.among(embeddings, drawn)
        return sampled_cross_entropy(own, others, drawn, ids, valid, self.num_identities)


def _or_one(count: Tensor) -> Tensor:
    """A sum over nothing stays what it is: 0, or the original's undivided heatmap loss."""
    return ops.select(count > 0, count, ops.ones_like(count))
