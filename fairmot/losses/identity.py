"""Identity classification losses over object slots, each as a sum and the number to divide it by."""

import mindspore as ms
from mindspore import Tensor, ops

FOCAL_ALPHA = 0.25
FOCAL_GAMMA = 2.0


def identity_cross_entropy(logits: Tensor, identities: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy over the slots that hold an object with an identity.

    Args:
        logits: [N, nID]; the softmax is taken in fp32.
        identities: [N] int32; any value where `valid` is 0.
        valid: [N] float32, 1 for an object with an identity.

    Returns:
        The sum and the number of valid slots (the original takes a mean over nothing, NaN, when there are none).
    """
    logits = logits.astype(ms.float32)
    picked = ops.gather_elements(logits, 1, safe_identities(identities, valid).expand_dims(1)).squeeze(1)
    loss = ops.logsumexp(logits, 1) - picked
    return (loss * valid).sum(), valid.sum()


def identity_focal_loss(logits: Tensor, identities: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Sigmoid focal loss over all identities (alpha 0.25, gamma 2).

    Shapes as `identity_cross_entropy`. Slots without identity take no part; the original's indexing fails on them.
    """
    logits = logits.astype(ms.float32)
    one_hot = ops.one_hot(safe_identities(identities, valid), logits.shape[1], ms.Tensor(1.0), ms.Tensor(0.0))
    probability = ops.sigmoid(logits)
    # log(1 + exp(-|x|)) keeps the cross entropy finite for large logits.
    cross_entropy = ops.relu(logits) - logits * one_hot + ops.log1p(ops.exp(-ops.abs(logits)))
    miss = probability + one_hot - 2 * probability * one_hot
    weight = FOCAL_ALPHA * one_hot + (1 - FOCAL_ALPHA) * (1 - one_hot)
    loss = (weight * miss * miss * cross_entropy).sum(1)
    return (loss * valid).sum(), valid.sum()


def safe_identities(identities: Tensor, valid: Tensor) -> Tensor:
    """Identity 0, which can be looked up, where there is none."""
    return (identities * valid.astype(ms.int32)).astype(ms.int32)
