"""The identity classifier with its rows shared out over the ranks, after Partial FC (An et al., 2021 and 2022).

Every rank holds the rows of some identities and computes their logits for the objects of all ranks. The softmax is put
together by collectives: the largest logit, then the sum of exponentials and the right logit. It is exact; that over a
sample of the rows is in `sharded_sample.py`. Gradients are written out, since what crosses ranks on the way back is not
what crosses them on the way forth.
"""

from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from fairmot.errors import ConfigError
from fairmot.losses.classifier import softmax_rows

NEVER = -1e30
"""Logit of a row that takes no part; finite, so that its gradient is 0 and not NaN."""
_MOST_IDENTITIES = 2**24
"""An identity travels as a float32 beside its embedding, exact up to here."""


@dataclass(frozen=True)
class Ranks:
    """What the ranks can do together. All must ask for the same, in the same order.

    Attributes:
        rank: number of this one.
        count: how many there are.
        gather: a cell: [n, ...] of every rank -> [count * n, ...], in the order of ranks.
        total: a cell: the sum over ranks.
        largest: a cell: the maximum over ranks, of a vector.
        scatter: a cell: [count * n, ...] -> this rank's [n, ...] of the sum over ranks.
    """

    rank: int
    count: int
    gather: nn.Cell
    total: nn.Cell
    largest: nn.Cell
    scatter: nn.Cell


class ShardedClassifier(nn.Cell):
    """This rank's rows of `fairmot.losses.classifier.Classifier`, with the cross entropy over the rows of all.

    Rank r holds rows r * ceil(nID / ranks) and on; past the last identity there are rows of zeros that take no part.

    Args:
        features: length of an embedding.
        identities: number of classes.
        half: multiply in fp16.
        seed: the initial values are those of `Classifier`.
        ranks: all of them.

    Raises:
        ConfigError: more identities than a float32 can count.
    """

    def __init__(self, features: int, identities: int, half: bool, seed: int, ranks: Ranks) -> None:
        super().__init__()
        self.weight, self.bias, never = own_rows(features, identities, seed, ranks)
        self.softmax = Softmax(ranks, Tensor(never), half)
        self.loss = _Loss(ranks, len(never), half)

    def construct(self, embeddings: Tensor, identities: Tensor) -> Tensor:
        """[N, D] float32 and [N] int32, as many on every rank -> cross entropy of each, [N] float32.

        Gradients of the rows are means over ranks, as an all-reduce would leave them; those of embeddings are whole.
        """
        found = self.softmax(
            ops.stop_gradient(embeddings), ops.stop_gradient(self.weight), ops.stop_gradient(self.bias), identities
        )
        losses, everyone, row, logits, normalizer = ops.stop_gradient(found)
        return self.loss(embeddings, self.weight, self.bias, losses, everyone, row, logits, normalizer)


def rows_a_rank(identities: int, ranks: int) -> int:
    """Rows that every rank holds, rounded up."""
    return -(-identities // ranks)


def own_rows(features: int, identities: int, seed: int, ranks: Ranks) -> tuple[Parameter, Parameter, np.ndarray]:
    """This rank's R rows, with the initial values that the whole classifier has there.

    Args:
        features: length of an embedding, D.
        identities: number of classes.
        seed: the initial values are those of `Classifier`.
        ranks: all of them.

    Returns:
        Weights [R, D], biases [R], and [R] float32 to add to a logit: 0 for a row of an identity, else what keeps it
        out of the softmax.

    Raises:
        ConfigError: more identities than a float32 can count.
    """
    if identities > _MOST_IDENTITIES:
        raise ConfigError(f"loss.classifier=sharded: {identities} identities; it can tell {_MOST_IDENTITIES} apart")
    rows = rows_a_rank(identities, ranks.count)
    first = min(ranks.rank * rows, identities)
    weight, bias = softmax_rows(features, identities, seed, first, min(rows, identities - first))
    padding = rows - len(bias)
    never = np.zeros(rows, np.float32)
    never[len(bias) :] = NEVER
    padded = Tensor(np.pad(weight, ((0, padding), (0, 0)))), Tensor(np.pad(bias, (0, padding)))
    return Parameter(padded[0], name="weight"), Parameter(padded[1], name="bias"), never


class Softmax(nn.Cell):
    """The way forth. M are the objects of all ranks, N of this one, R its rows.

    Args:
        ranks: all of them.
        never: [R] 0 for a row of an identity, else what keeps it out of the softmax.
        half: multiply in fp16.
    """

    def __init__(self, ranks: Ranks, never: Tensor, half: bool) -> None:
        super().__init__()
        self.gather, self.total, self.largest = ranks.gather, ranks.total, ranks.largest
        self.count, self.rank = ranks.count, Tensor(ranks.rank, ms.int32)
        self.never = never
        self.rows = never.shape[0]
        self.first = ranks.rank * self.rows  # the first row's identity
        self.type = ms.float16 if half else ms.float32
        self.logits_of = ops.MatMul(transpose_b=True)

    def construct(
        self, embeddings: Tensor, weight: Tensor, bias: Tensor, identities: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Losses [N]; embeddings [M, D], rows of the identities [M], logits [M, R], logarithms of their sums [M]."""
        sent = ops.concat((embeddings, identities.astype(ms.float32).expand_dims(1)), 1)
        everyone, wanted = ops.split(self.gather(sent), (embeddings.shape[1], 1), 1)
        row = wanted.squeeze(1).astype(ms.int32) - self.first
        logits = self.logits_of(everyone.astype(self.type), weight.astype(self.type)).astype(ms.float32)
        logits = logits + (bias + self.never)
        largest = self.largest(ops.amax(logits, 1))
        is_here = ops.logical_and(row >= 0, row < self.rows)
        safe_row = ops.select(is_here, row, ops.zeros_like(row))
        right = ops.gather_elements(logits, 1, safe_row.expand_dims(1)).squeeze(1) * is_here.astype(ms.float32)
        parts = self.total(ops.stack((ops.exp(logits - largest.expand_dims(1)).sum(1), right)))
        normalizer = largest + ops.log(parts[0])
        own = ops.gather((normalizer - parts[1]).reshape(self.count, -1), self.rank, 0)
        return own, everyone, row, logits, normalizer


class _Loss(nn.Cell):
    """The losses that `Softmax` has found, with their gradients."""

    def __init__(self, ranks: Ranks, rows: int, half: bool) -> None:
        super().__init__()
        self.gather, self.scatter, self.count = ranks.gather, ranks.scatter, ranks.count
        self.columns = Tensor(np.arange(rows, dtype=np.int32).reshape(1, -1))
        self.type = ms.float16 if half else ms.float32
        self.back_to_embeddings = ops.MatMul()
        self.back_to_rows = ops.MatMul(transpose_a=True)

    def construct(
        self,
        embeddings: Tensor,
        weight: Parameter,
        bias: Parameter,
        losses: Tensor,
        everyone: Tensor,
        row: Tensor,
        logits: Tensor,
        normalizer: Tensor,
    ) -> Tensor:
        return losses

    def bprop(
        self,
        embeddings: Tensor,
        weight: Parameter,
        bias: Parameter,
        losses: Tensor,
        everyone: Tensor,
        row: Tensor,
        logits: Tensor,
        normalizer: Tensor,
        out: Tensor,
        gradient: Tensor,
    ) -> tuple[Tensor, ...]:
        of_losses = self.gather(gradient).expand_dims(1)
        is_right = (row.expand_dims(1) == self.columns).astype(ms.float32)
        of_logits = (ops.exp(logits - normalizer.expand_dims(1)) - is_right) * of_losses
        low = of_logits.astype(self.type)
        share = self.back_to_embeddings(low, weight.astype(self.type)).astype(ms.float32)
        # Divided before the product: the sum over all ranks' objects might not fit into fp16.
        of_weight = self.back_to_rows(low, (everyone / self.count).astype(self.type)).astype(ms.float32)
        of_bias = of_logits.sum(0) / self.count
        found = (losses, everyone, row, logits, normalizer)
        nothing = tuple(ops.zeros_like(tensor) for tensor in found)
        return (self.scatter(share), of_weight, of_bias, *nothing)
