"""Exponential moving average of weights."""

import contextlib
from collections.abc import Iterator, Sequence

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops


class WeightAverage(nn.Cell):
    """Averages `weights` after every step; young averages forget faster (decay (1 + n) / (10 + n) at step n).

    Args:
        weights: the parameters to follow.
        decay: share of the old average that stays, once it is old.
    """

    def __init__(self, weights: Sequence[Parameter], decay: float) -> None:
        super().__init__(auto_prefix=False)
        self.decay = decay
        self.weights = ParameterTuple(weights)
        self.averages = ParameterTuple(
            Parameter(Tensor(weight.asnumpy()), name=f"ema.{weight.name}", requires_grad=False) for weight in weights
        )
        self.updates = Parameter(Tensor(0.0, ms.float32), name="ema.updates", requires_grad=False)

    def construct(self) -> Tensor:
        """Take the weights' newest values; returns how often that has been done."""
        updates = self.updates + 1
        new_share = 1 - ops.minimum(self.decay, (1 + updates) / (10 + updates))
        for average, weight in zip(self.averages, self.weights):
            ops.assign_add(average, (weight - average) * new_share)
        ops.assign(self.updates, updates)
        return updates

    def reset(self) -> None:
        """Begin again from the weights as they are."""
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.set_data(Tensor(weight.asnumpy()))
        self.updates.set_data(Tensor(0.0, ms.float32))

    @contextlib.contextmanager
    def in_place_of_weights(self) -> Iterator[None]:
        """Within the body the network computes with the averages."""
        values = [weight.asnumpy().copy() for weight in self.weights]
        for average, weight in zip(self.averages, self.weights, strict=True):
            weight.set_data(Tensor(average.asnumpy()))
        try:
            yield
        finally:
            for value, weight in zip(values, self.weights, strict=True):
                weight.set_data(Tensor(value))
