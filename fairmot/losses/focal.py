"""Heatmap losses, each as a sum and the number to divide it by."""

import mindspore as ms
from mindspore import Tensor, ops

CLAMP = 1e-4
"""Probabilities stay this far from 0 and 1. In fp16 1 - 1e-4 would round to 1: always in fp32."""


def heatmap_focal_loss(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Penalty-reduced pixel-wise focal loss (CornerNet, CenterNet; alpha 2, beta 4).

    Args:
        logits: [B, C, h, w].
        target: [B, C, h, w] in [0, 1]; a cell is positive where it is exactly 1.

    Returns:
        The sum over the batch and the number of positives (the original divides by 1 when there are none).
    """
    probability = ops.clamp(ops.sigmoid(logits.astype(ms.float32)), CLAMP, 1 - CLAMP)
    positive = (target == 1).astype(ms.float32)
    missed = 1 - probability
    away = 1 - target
    away_squared = away * away
    hit_loss = ops.log(probability) * missed * missed * positive
    # Where a cell is positive `away` is 0, so the negatives need no mask.
    miss_loss = ops.log(missed) * probability * probability * away_squared * away_squared
    return -(hit_loss.sum() + miss_loss.sum()), positive.sum()


def heatmap_mse_loss(values: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Squared error of the raw map, [B, C, h, w] twice -> its sum and the number of cells (the original's mse_loss)."""
    difference = values.astype(ms.float32) - target
    return (difference * difference).sum(), Tensor(difference.size, ms.float32)
