"""Box-size and offset losses over object slots, each as a sum and the number to divide it by."""

import mindspore as ms
from mindspore import Tensor, ops


def masked_l1_loss(prediction: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """L1 over the objects, for a mean over regressed values (the original's RegL1Loss).

    Args:
        prediction: [B, K, C] values gathered at the centres.
        mask: [B, K], 1 for a real object.
        target: [B, K, C].

    Returns:
        The sum and the number of regressed values.
    """
    weight = mask.astype(ms.float32).expand_dims(-1)
    total = (ops.abs(prediction.astype(ms.float32) - target) * weight).sum()
    return total, weight.sum() * prediction.shape[-1]


def masked_smooth_l1_loss(prediction: Tensor, mask: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Smooth L1 (knee at 1) over the objects, for a mean over objects (the original's RegLoss).

    Shapes as `masked_l1_loss`.
    """
    weight = mask.astype(ms.float32).expand_dims(-1)
    distance = ops.abs(prediction.astype(ms.float32) - target)
    smooth = ops.select(distance < 1, 0.5 * distance * distance, distance - 0.5)
    return (smooth * weight).sum(), weight.sum()
