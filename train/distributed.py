"""World(rank, size): the only caller of MindSpore's communication and parallel-context interfaces."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.communication import get_group_size, get_rank, init

from fairmot.device import Device, use_device
from fairmot.errors import FairMOTError


@dataclass(frozen=True)
class World:
    """This process among the processes that train together.

    Attributes:
        rank: number of this process, 0 leads.
        size: how many processes there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_lead(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0

    def gradient_reducer(self, parameters: Iterable[Parameter]) -> nn.Cell | None:
        """A cell that turns gradients of `parameters`, in their order, into their means; None when alone."""
        if self.size == 1:
            return None
        return nn.DistributedGradReducer(list(parameters), mean=True, degree=self.size)

    def vector_reducer(self) -> nn.Cell | None:
        """A cell that turns a vector into its mean over ranks; None when alone."""
        return None if self.size == 1 else _VectorMean(self.size)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            ops.AllReduce()(Tensor(np.zeros(1, np.float32))).asnumpy()

    def check_identical(self, parameters: Iterable[Parameter], moment: str) -> None:
        """Make sure that all ranks hold bit-identical parameters.

        Args:
            parameters: in the same order on every rank.
            moment: for the message, such as "at start".

        Raises:
            FairMOTError: the digests differ; the message names the ranks.
        """
        if self.size == 1:
            return
        digest = hashlib.sha256()
        for parameter in parameters:
            digest.update(parameter.asnumpy().tobytes())
        # 24 bits fit a float32 exactly, the one type every backend gathers.
        mine = np.frombuffer(digest.digest()[:12], np.uint8).reshape(4, 3)
        words = (mine.astype(np.float32) @ np.array([65536, 256, 1], np.float32)).reshape(1, 4)
        everyone = ops.AllGather()(Tensor(words)).asnumpy()
        others = [rank for rank in range(self.size) if not np.array_equal(everyone[rank], everyone[0])]
        if others:
            raise FairMOTError(
                f"rank {self.rank}: parameters differ {moment}: ranks {others} do not hold what rank 0 holds. "
                "Give every rank the same seed, weights, checkpoint and version."
            )


class _VectorMean(nn.Cell):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)
        self.size = size

    def construct(self, vector: Tensor) -> Tensor:
        return self.all_reduce(vector) / self.size


def connect(device: Device, threads: int = 0) -> World:
    """Prepare this process for graph mode on `device` and join the other ranks, if a launcher started any.

    Args:
        device: cpu or ascend.
        threads: CPU threads for the operators; 0 leaves MindSpore's choice.

    Raises:
        ConfigError: the device is not there.
        FairMOTError: the ranks did not find each other.
    """
    use_device(device)
    if threads > 0:
        ms.set_context(runtime_num_threads=threads)
    if not _started_by_launcher():
        return World()
    try:
        init("hccl" if device is Device.ascend else "mccl")
        world = World(get_rank(), get_group_size())
    except (RuntimeError, ValueError) as error:
        raise FairMOTError(f"the ranks did not find each other: {str(error).splitlines()[0]}") from error
    if world.size > 1:
        ms.set_auto_parallel_context(
            parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=world.size
        )
    return world


def _started_by_launcher() -> bool:
    """Msrun gives its processes MS_ROLE; the rank-table start gives RANK_ID and RANK_TABLE_FILE.

    One of msrun's processes is the scheduler: it too must call init, which serves the ranks and then ends it.
    """
    return "MS_ROLE" in os.environ or {"RANK_ID", "RANK_TABLE_FILE"} <= os.environ.keys()
