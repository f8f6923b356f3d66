"""World(rank, size): the only caller of MindSpore's communication and parallel-context interfaces."""

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.communication import get_group_size, get_rank, init

from fairmot.device import Device, ExecutorConfig, find_device, use_device
from fairmot.errors import FairMOTError
from fairmot.files import write_atomic
from fairmot.losses.sharded import Ranks
from train.shared_storage import is_listed, wait_until

_READY, _FAILED = ".ready-", ".failed-"


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

    def gradient_reducer(self, local: Sequence[bool] = ()) -> nn.Cell | None:
        """A cell that turns a tuple of gradients into their means, one collective each; None when alone.

        Args:
            local: of every gradient, whether it is of what this rank alone holds and stays as it is; empty: none is.
        """
        if self.size == 1:
            return None
        return _SharedGradientMean(self.size, tuple(local)) if local else _GradientMean(self.size)

    def all_reduce_ms(self, gradients: Iterable[Tensor], local: Sequence[bool] = ()) -> float | None:
        """Milliseconds that the all-reduce of all gradients takes by itself; None when alone.

        Args:
            gradients: of the step's shapes, with whatever values.
            local: see `gradient_reducer`.
        """
        reducer = self.gradient_reducer(local)
        if reducer is None:
            return None
        gradients = tuple(gradients)
        times_s = []
        for _ in range(4):  # the first one compiles
            began_at_s = time.perf_counter()
            for reduced in reducer(gradients):
                reduced.asnumpy()
            times_s.append(time.perf_counter() - began_at_s)
        return min(times_s[1:]) * 1e3

    def vector_reducer(self) -> nn.Cell | None:
        """A cell that turns a vector into its mean over ranks; None when alone."""
        return None if self.size == 1 else _VectorMean(self.size)

    def row_ranks(self) -> Ranks | None:
        """What a classifier whose rows are shared out needs of the ranks; None when alone."""
        if self.size == 1:
            return None
        gather, total = _Collective(ops.AllGather()), _Collective(ops.AllReduce(ops.ReduceOp.SUM))
        if ms.get_context("device_target") == "CPU":  # which knows no other collectives than these two
            return Ranks(self.rank, self.size, gather, total, _GatheredMaximum(), _SummedShare(self.rank, self.size))
        largest, scatter = _Collective(ops.AllReduce(ops.ReduceOp.MAX)), _Collective(ops.ReduceScatter())
        return Ranks(self.rank, self.size, gather, total, largest, scatter)

    def clean_up(self, folder: Path) -> None:
        """Remove what killed processes left of `lead_first`."""
        for pattern in (f"{_READY}*", f"{_FAILED}*"):
            for path in folder.glob(pattern):
                path.unlink(missing_ok=True)

    def barrier(self) -> None:
        """Wait until every rank is here; for waits that may be long there is `lead_first`."""
        if self.size > 1:
            ops.AllReduce()(Tensor(np.zeros(1, np.float32))).asnumpy()

    def agree(self, number: int) -> int:
        """The lead rank's `number`, from 0 to 2^48, on every rank."""
        if self.size == 1:
            return number
        return _from_words(self.gather(_to_words(number))[0])

    def gather(self, numbers: np.ndarray) -> np.ndarray:
        """A few numbers of every rank on all of them: float32 [n], as many on each -> [ranks, n]."""
        if self.size == 1:
            return numbers[None]
        return ops.AllGather()(Tensor(numbers.reshape(1, -1))).asnumpy()

    @contextlib.contextmanager
    def lead_first(self, folder: Path, what: str, patience_s: float) -> Iterator[None]:
        """The body runs on the lead rank, then on all others; what the lead has written is there for them.

        The others watch for a file: a collective operation would end in a time-out of its own.

        Args:
            folder: on storage that all ranks share.
            what: the body's work, for messages.
            patience_s: how long the others wait.

        Raises:
            FairMOTError: the lead failed, or took too long.
        """
        if self.size == 1:
            yield
            return
        token = self.agree(time.time_ns() // 2**20)
        ready, failed = folder / f"{_READY}{token}", folder / f"{_FAILED}{token}"
        if self.is_lead:
            try:
                yield
            except BaseException as error:
                write_atomic(failed, f"{error}", sync=False)
                raise
            write_atomic(ready, "", sync=False)
        else:
            wait_until(lambda: is_listed(ready) or is_listed(failed), f"rank 0: {what}", patience_s)
            if is_listed(failed):
                raise FairMOTError(f"rank {self.rank}: ended because rank 0 failed: {what}: {failed.read_text()}")
            yield
        self.barrier()
        if self.is_lead:
            ready.unlink()

    def differing_ranks(self, digest: str) -> list[int]:
        """The ranks that have another digest than rank 0: one collective of 16 bytes a rank.

        Args:
            digest: hexadecimal, of which the first 96 bits are compared.
        """
        everyone = self.gather(_to_words(int(digest[:24], 16), count=4))
        return [rank for rank in range(self.size) if not np.array_equal(everyone[rank], everyone[0])]

    def check_identical(self, arrays: Iterable[np.ndarray], moment: str) -> None:
        """Make sure that all ranks hold bit-identical parameters.

        Args:
            arrays: the parameters' values, in the same order on every rank.
            moment: for the message, such as "at start".

        Raises:
            FairMOTError: the digests differ; the message names the ranks.
        """
        if self.size == 1:
            return
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(array.tobytes())
        if others := self.differing_ranks(digest.hexdigest()):
            raise FairMOTError(
                f"rank {self.rank}: parameters differ {moment}: ranks {others} do not hold what rank 0 holds. "
                "Give every rank the same seed, weights, checkpoint and version."
            )


def _to_words(number: int, count: int = 2) -> np.ndarray:
    """A number that is not negative as `count` float32 of 24 bits: exact, and the one type every backend gathers."""
    return np.array([(number >> (24 * i)) & 0xFFFFFF for i in range(count)], np.float32)


def _from_words(words: np.ndarray) -> int:
    return sum(int(word) << (24 * i) for i, word in enumerate(words))


_map = ops.HyperMap()
_mean = ops.MultitypeFuncGraph("mean")


@_mean.register("Function", "Tensor", "Tensor")
def _mean_of_tensor(all_reduce: ops.AllReduce, share: Tensor, gradient: Tensor) -> Tensor:
    return all_reduce(gradient) * share


class _GradientMean(nn.Cell):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)
        self.share = Tensor(1 / size, ms.float32)

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return _map(ops.partial(_mean, self.all_reduce, self.share), gradients)


_shared_mean = ops.MultitypeFuncGraph("shared_mean")


@_shared_mean.register("Function", "Tensor", "Bool", "Tensor")
def _shared_mean_of_tensor(all_reduce: ops.AllReduce, share: Tensor, is_local: bool, gradient: Tensor) -> Tensor:
    return gradient if is_local else all_reduce(gradient) * share


class _SharedGradientMean(_GradientMean):
    """Leaves what is this rank's alone as it is."""

    def __init__(self, size: int, local: tuple[bool, ...]) -> None:
        super().__init__(size)
        self.local = local

    def construct(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return _map(ops.partial(_shared_mean, self.all_reduce, self.share), self.local, gradients)


class _Collective(nn.Cell):
    """A collective as a cell."""

    def __init__(self, operator: nn.Cell) -> None:
        super().__init__()
        self.operator = operator

    def construct(self, tensor: Tensor) -> Tensor:
        return self.operator(tensor)


class _GatheredMaximum(nn.Cell):
    """The maximum over ranks of a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.gather = ops.AllGather()

    def construct(self, vector: Tensor) -> Tensor:
        return ops.amax(self.gather(vector.expand_dims(0)), 0)


class _SummedShare(nn.Cell):
    """This rank's share of the rows of a sum over ranks."""

    def __init__(self, rank: int, size: int) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)
        self.rank, self.size = rank, size

    def construct(self, tensor: Tensor) -> Tensor:
        rows = tensor.shape[0] // self.size
        return self.all_reduce(tensor)[self.rank * rows : (self.rank + 1) * rows]


class _VectorMean(nn.Cell):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce(ops.ReduceOp.SUM)
        self.size = size

    def construct(self, vector: Tensor) -> Tensor:
        return self.all_reduce(vector) / self.size


ALONE = World()
"""One process that trains by itself."""


def connect(device: Device, threads: int = 0, executor: ExecutorConfig | None = None) -> World:
    """Prepare this process for graph mode on `device` and join the other ranks, if a launcher started any.

    Args:
        device: cpu, ascend, or auto as `find_device` says.
        threads: CPU threads for the operators; 0 leaves MindSpore's choice.
        executor: settings for an NPU; None: the defaults.

    Raises:
        ConfigError: the device is not there.
        FairMOTError: the ranks did not find each other.
    """
    device = find_device(device).device
    use_device(device, executor)
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

    In MindSpore's dry run RANK_SIZE and RANK_ID alone say which rank of how many is simulated.

    One of msrun's processes is the scheduler: it too must call init, which serves the ranks and then ends it.
    """
    if os.environ.get("MS_SIMULATION_LEVEL") and int(os.environ.get("RANK_SIZE", "1")) > 1:
        return True
    return "MS_ROLE" in os.environ or {"RANK_ID", "RANK_TABLE_FILE"} <= os.environ.keys()
