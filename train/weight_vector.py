"""A network's weights as one vector, from which its layers read their pieces: one kernel then updates them all.

To the compiler all the readings are the same split, so it is made once a step, and in half precision one cast stands
before it in place of one a layer. Gradients are asked for by the layers' own parameters, as everywhere.
"""

from collections.abc import Callable, Iterator

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.ops.auto_generate import SplitWithSize

from train.packing import Packing, Part


class WeightVector(nn.Cell):
    """Takes the values of some parameters, which from now on stand for their names, shapes and gradients alone.

    They are filled with NaN, so that nobody takes them for weights: `parts` says where those are.

    Args:
        parameters: in the order in which the vector holds them; at least one.
    """

    def __init__(self, parameters: list[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.members = tuple(parameters)
        values = np.concatenate([parameter.asnumpy().ravel() for parameter in parameters])
        self.vector = Parameter(Tensor(values), name="weight_vector", requires_grad=False)
        for parameter in parameters:
            parameter.set_data(Tensor(np.full(parameter.shape, np.nan, np.float32)))
        self.parts = {part.name: part for part in Packing(parameters).parts(self.vector, "")}
        self.sizes = tuple(part.size for part in self.parts.values())
        self.split = SplitWithSize()

    def construct(self, dtype: ms.Type) -> tuple[Tensor, ...]:
        """Every member's values, flat, in the precision wanted."""
        return self.split(self.vector.astype(dtype), self.sizes, 0)

    def attach(self, network: nn.Cell) -> None:
        """Let the layers of `network` read their members here."""
        places = {id(parameter): index for index, parameter in enumerate(self.members)}
        piece = _Piece()
        for cell, attribute, parameter in _read_from_outside(network):
            if id(parameter) in places:
                setattr(
                    cell, f"read_{attribute}", _reader(self, piece, places[id(parameter)], self.parts[parameter.name])
                )


def members_of(network: nn.Cell) -> list[Parameter]:
    """The trainable parameters that a vector can hold: those that their layers read by `read_<attribute>`."""
    found = {id(parameter): parameter for _, _, parameter in _read_from_outside(network) if parameter.requires_grad}
    return list(found.values())


def _read_from_outside(network: nn.Cell) -> Iterator[tuple[nn.Cell, str, Parameter]]:
    """Cells with the name of an attribute that can be read from outside, and the parameter there."""
    for _, cell in network.cells_and_names():
        for attribute, parameter in cell.parameters_and_names(expand=False):
            if hasattr(cell, f"read_{attribute}"):
                yield cell, attribute, parameter


class _Piece(nn.Cell):
    """A member's values; their gradient is the member's.

    Through the split it would be a vector of zeros a layer with one piece filled in, and their sum.
    """

    def construct(self, member: Parameter, values: Tensor) -> Tensor:
        return values

    def bprop(self, member: Parameter, values: Tensor, out: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient.astype(member.dtype), ops.zeros_like(values)


def _reader(vector: WeightVector, piece: _Piece, index: int, part: Part) -> Callable[[Parameter, ms.Type], Tensor]:
    # A function: a cell would become the layer's child, and take the network's precision.
    shape = part.shape

    def read(member: Parameter, dtype: ms.Type) -> Tensor:
        return piece(member, ops.stop_gradient(vector(dtype)[index].reshape(shape)))

    return read
