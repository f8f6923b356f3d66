"""Exponential moving average of weights."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from train.packing import Part, add_in_place, read_arrays, whole_parameters, write_arrays

_map = ops.HyperMap()
_difference = ops.MultitypeFuncGraph("difference")


@_difference.register("Tensor", "Tensor", "Tensor")
def _share_of_difference(share: Tensor, weight: Tensor, average: Tensor) -> Tensor:
    return (weight - average) * share


class WeightAverage(nn.Cell):
    """Averages `weights` after every step; young averages forget faster (decay (1 + n) / (10 + n) at step n).

    Args:
        weights: what to follow, by name; of a vector, the average is a vector too.
        decay: share of the old average that stays, once it is old.
    """

    def __init__(self, weights: Mapping[str, Parameter | Part], decay: float) -> None:
        super().__init__(auto_prefix=False)
        self.decay = decay
        self.weights = weights
        self.followed = ParameterTuple(whole_parameters(weights))
        self.held = ParameterTuple(
            Parameter(ops.zeros_like(whole), name=f"ema.{whole.name}", requires_grad=False) for whole in self.followed
        )
        self.updates = Parameter(Tensor(0.0, ms.float32), name="ema.updates", requires_grad=False)
        self.reset()

    @property
    def averages(self) -> dict[str, Parameter | Part]:
        """The averages by their weights' names."""
        held = {id(whole): average for whole, average in zip(self.followed, self.held, strict=True)}
        return {
            name: replace(entry, vector=held[id(entry.vector)]) if isinstance(entry, Part) else held[id(entry)]
            for name, entry in self.weights.items()
        }

    def construct(self, finite: Tensor) -> Tensor:
        """Take the weights' newest values if `finite`, a bool scalar; returns how often that has been done."""
        # A share of 0 instead of a branch, at which an accelerator's host would wait for the device.
        applied = finite.astype(ms.float32)
        updates = self.updates.add_(applied)
        new_share = (1 - ops.minimum(self.decay, (1 + updates) / (10 + updates))) * applied
        add_in_place(self.held, _map(ops.partial(_difference, new_share), self.followed, self.held))
        return updates

    def reset(self) -> None:
        """Begin again from the weights as they are."""
        write_arrays(self.averages, read_arrays(self.weights))
        self.updates.set_data(Tensor(0.0, ms.float32))

    @contextlib.contextmanager
    def in_place_of_weights(self) -> Iterator[None]:
        """Within the body the network computes with the averages."""
        values = {name: array.copy() for name, array in read_arrays(self.weights).items()}
        write_arrays(self.weights, read_arrays(self.averages))
        try:
            yield
        finally:
            write_arrays(self.weights, values)
