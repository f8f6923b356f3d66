"""Many tensors held as a few vectors: an accelerator's host then hands over a few kernels instead of hundreds."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.ops.auto_generate import InplaceAddExt

from fairmot.weights.checkpoint import Tensors


@dataclass(frozen=True, eq=False)
class Part:
    """One named tensor of those that a vector holds; stands where its own parameter would in a state.

    Attributes:
        name: as in a checkpoint.
        vector: holds it.
        start: its first element there.
        shape: its own.
    """

    name: str
    vector: Parameter
    start: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Of all elements."""
        return int(self.vector.itemsize) * self.size


def num_bytes(entries: Iterable[Parameter | Part]) -> int:
    """Of all elements of some entries of a state."""
    return sum(int(entry.nbytes) for entry in entries)


def whole_parameters(state: Mapping[str, Parameter | Part]) -> list[Parameter]:
    """The parameters of a state, each vector of parts once."""
    wholes = (entry.vector if isinstance(entry, Part) else entry for entry in state.values())
    return list({id(whole): whole for whole in wholes}.values())


def read_arrays(state: Mapping[str, Parameter | Part]) -> Tensors:
    """The arrays of a state; a vector of parts leaves its device once. They may change with the next step."""
    wholes = {id(whole): np.asarray(whole.asnumpy()) for whole in whole_parameters(state)}
    arrays = {}
    for name, entry in state.items():
        if isinstance(entry, Part):
            arrays[name] = wholes[id(entry.vector)][entry.start : entry.start + entry.size].reshape(entry.shape)
        else:
            arrays[name] = wholes[id(entry)]
    return arrays


def write_arrays(state: Mapping[str, Parameter | Part], arrays: Tensors) -> None:
    """Give the entries of a state the arrays of their names and shapes; an entry without one stays as it is."""
    for parameter, array in whole_arrays(state, arrays):
        parameter.set_data(Tensor(array))


def whole_arrays(state: Mapping[str, Parameter | Part], arrays: Tensors) -> Iterator[tuple[Parameter, np.ndarray]]:
    """The parameters that `arrays` are for, each with its new value; what a vector holds beside them stays."""
    vectors: dict[int, tuple[Parameter, np.ndarray]] = {}
    for name, entry in state.items():
        if name not in arrays:
            continue
        if isinstance(entry, Part):
            if id(entry.vector) not in vectors:
                vectors[id(entry.vector)] = entry.vector, entry.vector.asnumpy().copy()
            vectors[id(entry.vector)][1][entry.start : entry.start + entry.size] = arrays[name].ravel()
        else:
            yield entry, arrays[name].astype(ms.dtype_to_nptype(entry.dtype))
    yield from vectors.values()


_map = ops.HyperMap()
_flattened = ops.MultitypeFuncGraph("flattened")
_added = ops.MultitypeFuncGraph("added")
_add = InplaceAddExt()


@_flattened.register("Tensor")
def _flattened_tensor(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1)


@_added.register("Tensor", "Tensor")
def _added_to_tensor(tensor: Tensor, change: Tensor) -> Tensor:
    return _add(tensor, change.reshape(tensor.shape), 1)


def add_in_place(parameters: tuple[Parameter, ...], changes: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Add to each parameter a change of as many elements; a loop over hundreds would cost minutes of compiling."""
    return _map(_added, parameters, changes)


class Packing(nn.Cell):
    """Lays a fixed list of float32 tensors one after another into vectors.

    Args:
        parameters: have the tensors' names and shapes.
        shares: of all elements that each vector takes, in their order, as far as whole tensors allow; what they leave
            is the last one's.
        alone: of every parameter, whether it is a vector by itself, beside the shares; empty: none is.
    """

    def __init__(
        self, parameters: Sequence[Parameter], shares: Sequence[float] = (), alone: Sequence[bool] = ()
    ) -> None:
        super().__init__(auto_prefix=False)
        self.names = [parameter.name for parameter in parameters]
        self.shapes = [tuple(parameter.shape) for parameter in parameters]
        self.sizes = [int(parameter.size) for parameter in parameters]
        self.total = sum(self.sizes)
        single = [number for number, is_alone in enumerate(alone) if is_alone]
        divided = [0 if number in single else size for number, size in enumerate(self.sizes)]
        ends, wanted, last = np.cumsum(divided), np.cumsum(shares) * sum(divided), len(parameters)
        cuts = {0, *(min(int(np.searchsorted(ends, limit)) + 1, last) for limit in wanted), last}
        cuts |= {number + side for number in single for side in (0, 1)}
        self.buckets = tuple(itertools.pairwise(sorted(cuts)))
        self.local = tuple(first in single for first, _ in self.buckets) if single else ()

    def construct(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The tensors, of the shapes given, as vectors."""
        flat = _map(_flattened, tensors)
        vectors: tuple[Tensor, ...] = ()
        for first, end in self.buckets:
            vectors += (ops.concat(flat[first:end]) if end - first > 1 else flat[first],)
        return vectors

    def zeros(self) -> list[Tensor]:
        """One vector of zeros a bucket."""
        return [ops.zeros(sum(self.sizes[first:end]), ms.float32) for first, end in self.buckets]

    def parts(self, vector: Parameter, prefix: str) -> list[Part]:
        """The tensors in a vector of all of them, under their names with a prefix."""
        starts = itertools.accumulate(self.sizes[:-1], initial=0)
        rows = zip(self.names, starts, self.shapes, strict=True)
        return [Part(prefix + name, vector, start, shape) for name, start, shape in rows]
