"""Exponential moving average of weights."""

import contextlib
from collections.abc import Iterator, Sequence

import mindspore as ms
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from train.packing import Packing, Part, add_in_place, read_arrays, write_arrays

_map = ops.HyperMap()
_difference = ops.MultitypeFuncGraph("difference")


@_difference.register("Tensor", "Tensor", "Tensor")
def _share_of_difference(share: Tensor, weight: Tensor, average: Tensor) -> Tensor:
    return (weight - average) * share


class WeightAverage(nn.Cell):
    """Averages `weights` after every step; young averages forget faster (decay (1 + n) / (10 + n) at step n).

    On an accelerator the averages are one vector, for which a handful of kernels does.

    Args:
        weights: the parameters to follow.
        decay: share of the old average that stays, once it is old.
        flat: whether the averages are one vector; None: on all devices but CPUs.
    """

    def __init__(self, weights: Sequence[Parameter], decay: float, flat: bool | None = None) -> None:
        super().__init__(auto_prefix=False)
        self.decay = decay
        self.weights = ParameterTuple(weights)
        is_flat = ms.get_context("device_target") != "CPU" if flat is None else flat
        self.pack = Packing(weights) if is_flat else None
        held = self.pack.zeros() if self.pack is not None else [ops.zeros_like(weight) for weight in weights]
        names = ["ema"] if is_flat else [f"ema.{weight.name}" for weight in weights]
        self.held = ParameterTuple(Parameter(zeros, name=name, requires_grad=False) for name, zeros in zip(names, held))
        self.updates = Parameter(Tensor(0.0, ms.float32), name="ema.updates", requires_grad=False)
        self.reset()

    @property
    def averages(self) -> dict[str, Parameter | Part]:
        """The averages by their weights' names."""
        parts = self.held if self.pack is None else self.pack.parts(self.held[0], "")
        return {weight.name: part for weight, part in zip(self.weights, parts, strict=True)}

    def construct(self, finite: Tensor) -> Tensor:
        """Take the weights' newest values if `finite`, a bool scalar; returns how often that has been done."""
        # A share of 0 instead of a branch, at which an accelerator's host would wait for the device.
        applied = finite.astype(ms.float32)
        updates = self.updates.add_(applied)
        new_share = (1 - ops.minimum(self.decay, (1 + updates) / (10 + updates))) * applied
        newest = self.weights if self.pack is None else self.pack(self.weights)
        add_in_place(self.held, _map(ops.partial(_difference, new_share), newest, self.held))
        return updates

    def reset(self) -> None:
        """Begin again from the weights as they are."""
        write_arrays(self.averages, read_arrays({weight.name: weight for weight in self.weights}))
        self.updates.set_data(Tensor(0.0, ms.float32))

    @contextlib.contextmanager
    def in_place_of_weights(self) -> Iterator[None]:
        """Within the body the network computes with the averages."""
        weights = {weight.name: weight for weight in self.weights}
        values = {name: array.copy() for name, array in read_arrays(weights).items()}
        write_arrays(weights, read_arrays(self.averages))
        try:
            yield
        finally:
            write_arrays(weights, values)
