"""The identity classifier."""

import math

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

FOCAL_PRIOR = 0.01


class Classifier(nn.Cell):
    """Linear identity classifier whose matrix product may run in fp16.

    Args:
        features: length of an embedding.
        identities: number of classes.
        half: multiply in fp16.
        seed: the initial values are a pure function of it.
        sigmoid: every class starts from a prior of 0.01 (sigmoid focal loss), else as PyTorch's Linear (softmax).
    """

    def __init__(self, features: int, identities: int, half: bool, seed: int, sigmoid: bool = False) -> None:
        super().__init__()
        if sigmoid:
            generator = np.random.Generator(np.random.PCG64([seed, features, identities]))
            weight = generator.normal(0, 0.01, (identities, features)).astype(np.float32)
            bias = np.full(identities, -math.log((1 - FOCAL_PRIOR) / FOCAL_PRIOR), np.float32)
        else:
            weight, bias = softmax_rows(features, identities, seed, 0, identities)
        self.weight = Parameter(Tensor(weight), name="weight")
        self.bias = Parameter(Tensor(bias), name="bias")
        self.type = ms.float16 if half else ms.float32
        self.matmul = ops.MatMul(transpose_b=True)

    def construct(self, embeddings: Tensor) -> Tensor:
        """[N, D] float32 -> logits [N, nID] float32."""
        return self._logits(embeddings, self.weight, self.bias)

    def among(self, embeddings: Tensor, identities: Tensor) -> Tensor:
        """[N, D] float32 and [S] int32 -> logits of these identities alone, [N, S] float32."""
        return self._logits(embeddings, ops.gather(self.weight, identities, 0), ops.gather(self.bias, identities, 0))

    def of(self, embeddings: Tensor, identities: Tensor) -> Tensor:
        """[N, D] float32 and [N] int32 -> the logit of each row's own identity, [N] float32."""
        return (embeddings * ops.gather(self.weight, identities, 0)).sum(1) + ops.gather(self.bias, identities, 0)

    def _logits(self, embeddings: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return self.matmul(embeddings.astype(self.type), weight.astype(self.type)).astype(ms.float32) + bias


def softmax_rows(features: int, identities: int, seed: int, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Initial values of some rows, as PyTorch's Linear draws them.

    Args:
        features: length of an embedding.
        identities: number of classes.
        seed: the values are a pure function of it and of the two before.
        first: of the rows wanted.
        count: how many; the others are passed over, not drawn.

    Returns:
        Weights [count, features] and biases [count], float32.
    """
    bound = 1 / math.sqrt(features)
    source = np.random.PCG64([seed, features, identities])
    generator = np.random.Generator(source)
    source.advance(first * features)  # a uniform value takes one draw
    weight = generator.uniform(-bound, bound, (count, features))
    source.advance((identities - first - count) * features + first)
    bias = generator.uniform(-bound, bound, count)
    return weight.astype(np.float32), bias.astype(np.float32)
