"""Rows shared out over the ranks, of which each draws some for a batch: Partial FC's sampling (An et al., 2022).

As in `sharded.py`, but a rank computes logits of drawn rows alone, which stand for all of its rows (Jean et al., 2015,
section 3), and of the right rows that it holds. Unlike Partial FC it corrects the normaliser for what was not drawn, as
`sampled.py` does without shards, so that it is right on average; with all rows drawn it is the exact softmax.
"""

import math

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from fairmot.losses.sharded import NEVER, Ranks, Softmax, own_rows


class SampledShardedClassifier(nn.Cell):
    """This rank's rows of `fairmot.losses.classifier.Classifier`, with the cross entropy over a sample of all rows.

    Args:
        features: length of an embedding, D.
        identities: number of classes.
        half: multiply the drawn rows in fp16; products with the right rows stay in fp32.
        seed: the initial values are those of `Classifier`.
        ranks: all of them.

    Raises:
        ConfigError: more identities than a float32 can count.
    """

    def __init__(self, features: int, identities: int, half: bool, seed: int, ranks: Ranks) -> None:
        super().__init__()
        self.weight, self.bias, never = own_rows(features, identities, seed, ranks)
        self.softmax = _SampledSoftmax(ranks, Tensor(never), half)
        self.loss = _Loss(ranks, half)

    def construct(self, embeddings: Tensor, identities: Tensor, drawn: Tensor) -> Tensor:
        """[N, D] float32, [N] int32, and numbers [S] int32 of own rows -> cross entropy of each, [N] float32.

        As many N and S on every rank, no row twice. Gradients of the rows are means over ranks, as an all-reduce
        would leave them, and 0 where a row was neither drawn nor right; those of embeddings are whole.
        """
        found = self.softmax(
            ops.stop_gradient(embeddings),
            ops.stop_gradient(self.weight),
            ops.stop_gradient(self.bias),
            identities,
            drawn,
        )
        losses, everyone, row, of_drawn, of_right = ops.stop_gradient(found)
        return self.loss(embeddings, self.weight, self.bias, losses, everyone, drawn, row, of_drawn, of_right)


class _SampledSoftmax(Softmax):
    """The way forth. M are the objects of all ranks, N of this one, R its rows, S those drawn."""

    def construct(  # type: ignore[override]  # the drawn rows come besides
        self, embeddings: Tensor, weight: Tensor, bias: Tensor, identities: Tensor, drawn: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Losses [N]; embeddings [M, D]; rows [M], 0 where another rank has it; gradients by logits [M, S] and [M]."""
        sent = ops.concat((embeddings, identities.astype(ms.float32).expand_dims(1)), 1)
        everyone, wanted = ops.split(self.gather(sent), (embeddings.shape[1], 1), 1)
        row = wanted.squeeze(1).astype(ms.int32) - self.first
        is_here = ops.logical_and(row >= 0, row < self.rows)
        others = self.logits_of(everyone.astype(self.type), ops.gather(weight, drawn, 0).astype(self.type))
        stands_for = math.log(self.rows / drawn.shape[0])
        others = others.astype(ms.float32) + (ops.gather(bias + self.never, drawn, 0) + stands_for)
        is_right = row.expand_dims(1) == drawn.expand_dims(0)
        others = ops.select(is_right, ops.full_like(others, NEVER), others)
        row = ops.select(is_here, row, ops.zeros_like(row))
        right = (everyone * ops.gather(weight, row, 0)).sum(1) + ops.gather(bias, row, 0)
        candidate = ops.select(is_here, right, ops.full_like(right, NEVER))
        largest = self.largest(ops.maximum(ops.amax(others, 1), candidate))
        exponentials = ops.exp(others - largest.expand_dims(1)).sum(1) + ops.exp(candidate - largest)
        here = is_here.astype(ms.float32)
        parts = self.total(ops.stack((exponentials, right * here)))
        normalizer = largest + ops.log(parts[0])
        own = ops.gather((normalizer - parts[1]).reshape(self.count, -1), self.rank, 0)
        of_right = (ops.exp(right - normalizer) - 1) * here
        return own, everyone, row, ops.exp(others - normalizer.expand_dims(1)), of_right


class _Loss(nn.Cell):
    """The losses that `_SampledSoftmax` has found, with their gradients."""

    def __init__(self, ranks: Ranks, half: bool) -> None:
        super().__init__()
        self.gather, self.scatter, self.count = ranks.gather, ranks.scatter, ranks.count
        self.type = ms.float16 if half else ms.float32
        self.back_to_embeddings = ops.MatMul()
        self.back_to_rows = ops.MatMul(transpose_a=True)
        self.into_rows = ops.UnsortedSegmentSum()

    def construct(
        self,
        embeddings: Tensor,
        weight: Parameter,
        bias: Parameter,
        losses: Tensor,
        everyone: Tensor,
        drawn: Tensor,
        row: Tensor,
        of_drawn: Tensor,
        of_right: Tensor,
    ) -> Tensor:
        return losses

    def bprop(
        self,
        embeddings: Tensor,
        weight: Parameter,
        bias: Parameter,
        losses: Tensor,
        everyone: Tensor,
        drawn: Tensor,
        row: Tensor,
        of_drawn: Tensor,
        of_right: Tensor,
        out: Tensor,
        gradient: Tensor,
    ) -> tuple[Tensor, ...]:
        of_losses = self.gather(gradient).expand_dims(1)
        others, right = of_drawn * of_losses, of_right.expand_dims(1) * of_losses
        low = others.astype(self.type)
        share = self.back_to_embeddings(low, ops.gather(weight, drawn, 0).astype(self.type)).astype(ms.float32)
        share = share + right * ops.gather(weight, row, 0)
        # Divided before the product: the sum over all ranks' objects might not fit into fp16.
        mean = everyone / self.count
        of_weight = self.back_to_rows(low, mean.astype(self.type)).astype(ms.float32)
        rows, number = ops.concat((drawn, row)), weight.shape[0]
        of_weight = self.into_rows(ops.concat((of_weight, right * mean)), rows, number)
        of_bias = self.into_rows(ops.concat((others.sum(0), right.squeeze(1))) / self.count, rows, number)
        found = (losses, everyone, drawn, row, of_drawn, of_right)
        nothing = tuple(ops.zeros_like(tensor) for tensor in found)
        return (self.scatter(share), of_weight, of_bias, *nothing)
