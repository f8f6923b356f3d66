"""Tensors whose rows are shared out over the ranks: whole in a checkpoint, one rank's rows in its state."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter

from fairmot.losses.sharded import rows_a_rank
from train.distributed import ALONE, World


@dataclass(frozen=True)
class RowShards:
    """Which tensors of a checkpoint are shared out, and the way there and back.

    Attributes:
        world: this rank among all.
        names: of the parameters; the optimiser's moments end with them.
        num_rows: of the whole tensors; each rank holds as many, the last ones' are filled up with zeros.
    """

    world: World
    names: tuple[str, ...]
    num_rows: int

    @classmethod
    def of(cls, parameters: Sequence[Parameter], num_rows: int, world: World) -> "RowShards":
        """For these parameters; for none where every rank holds everything."""
        return cls(world, tuple(parameter.name for parameter in parameters), num_rows)

    def holds(self, name: str) -> bool:
        """Whether the tensor of this name, in whatever file of a checkpoint, is shared out."""
        return any(name == shard or name.endswith(f".{shard}") for shard in self.names)

    def whole_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of a state's tensor, as a checkpoint has it."""
        return (self.num_rows, *shape[1:]) if self.holds(name) else shape

    def own(self, name: str, array: np.ndarray) -> np.ndarray:
        """What this rank holds of a checkpoint's tensor."""
        if not self.holds(name):
            return array
        rows = rows_a_rank(self.num_rows, self.world.size)
        mine = array[self.world.rank * rows : (self.world.rank + 1) * rows]
        return np.pad(mine, ((0, rows - len(mine)), *((0, 0) for _ in array.shape[1:])))

    def whole(self, array: np.ndarray) -> np.ndarray:
        """All ranks' rows of a shared-out tensor; every rank must ask for the same one at the same time."""
        gathered = self.world.gather(np.ascontiguousarray(array).reshape(-1))
        return gathered.reshape(-1, *array.shape[1:])[: self.num_rows]


NO_SHARDS = RowShards(ALONE, (), 0)
"""Every rank holds everything."""
