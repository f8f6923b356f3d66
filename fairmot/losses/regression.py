"""Box-size and offset losses over object slots."""

import mindspore as ms
from mindspore import Tensor, ops

_EPSILON = 1e-4


def masked_l1_loss(prediction: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """L1 over the objects, divided by the number of regressed values (the original's RegL1Loss).

    Args:
        prediction: [B, K, C] values gathered at the centres.
        mask: [B, K], 1 for a real object.
        target: [B, K, C].

    Returns:
        Scalar; 0 without objects.
    """
    weight = mask.astype(ms.float32).expand_dims(-1)
    total = (ops.abs(prediction.astype(ms.float32) - target) * weight).sum()
    return total / (weight.sum() * prediction.shape[-1] + _EPSILON)


def masked_smooth_l1_loss(prediction: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """Smooth L1 (knee at 1) over the objects, divided by the number of objects (the original's RegLoss).

    Shapes as `masked_l1_loss`.
    """
    weight = mask.astype(ms.float32).expand_dims(-1)
    distance = ops.abs(prediction.astype(ms.float32) - target)
    smooth = ops.select(distance < 1, 0.5 * distance * distance, distance - 0.5)
    return (smooth * weight).sum() / (weight.sum() + _EPSILON)
