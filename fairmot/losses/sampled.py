"""Softmax over a sample of the identities, for data with so many that logits for all of them do not fit."""

import math

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

_NEVER = -1e30
"""Logit of a class that takes no part; finite, so that its gradient is 0 and not NaN."""


class IdentitySampler(nn.Cell):
    """Draws the next `count` identities of a shuffled deck without end: all come up equally often, none twice at once.

    Its place in the deck is a parameter, so that a resumed run draws what an uninterrupted one would.

    Args:
        identities: how many there are.
        count: how many are drawn at a time, at most all.
        seed: of the shuffle.
        rank: where each rank draws from rows of its own, which one this is.
    """

    def __init__(self, identities: int, count: int, seed: int, rank: int = 0) -> None:
        super().__init__()
        order = np.random.Generator(np.random.PCG64([seed, identities, rank])).permutation(identities)
        self.count = min(count, identities)
        self.identities = identities
        self.deck = Tensor(order.astype(np.int32))
        self.hand = Tensor(np.arange(self.count, dtype=np.int32))
        self.place = Parameter(Tensor(0, ms.int32), name="place", requires_grad=False)

    def construct(self) -> Tensor:
        """Returns [count] int32 identities."""
        place = self.place + 0
        ops.assign(self.place, (place + self.count) % self.identities)
        return ops.gather(self.deck, (place + self.hand) % self.identities, 0)


def sampled_cross_entropy(
    own: Tensor, others: Tensor, drawn: Tensor, identities: Tensor, valid: Tensor, num_identities: int
) -> tuple[Tensor, Tensor]:
    """Cross entropy whose normaliser is estimated from a sample (Jean et al., 2015, section 3).

    A drawn identity stands for num_identities / count of them, so that the normaliser is right on average; with all
    drawn it is `identity_cross_entropy`. The right identity always takes part, once.

    Args:
        own: [N] logits of the right identities.
        others: [N, count] logits of the drawn ones.
        drawn: [count] int32.
        identities: [N] int32; any value where `valid` is 0.
        valid: [N] float32, 1 for an object with an identity.
        num_identities: of which were drawn.

    Returns:
        The sum and the number of valid slots.
    """
    weight = math.log(num_identities / others.shape[1])
    is_own = identities.expand_dims(1) == drawn.expand_dims(0)
    others = ops.select(is_own, ops.full_like(others, _NEVER), others + weight)
    loss = ops.logsumexp(ops.concat((own.expand_dims(1), others), 1), 1) - own
    return (loss * valid).sum(), valid.sum()
