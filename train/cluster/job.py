"""One job on one or more hosts: how its ranks are started, and where they meet."""

import os
from dataclasses import dataclass
from enum import Enum

from fairmot.errors import ConfigError
from train.cluster.allocation import Allocation
from train.cluster.pods import read_pods
from train.cluster.rank_table import RankTable
from train.cluster.slurm import read_slurm

DEFAULT_PORT = 8118
"""Where msrun's scheduler listens unless MASTER_PORT says otherwise; msrun's own default."""
RANK_TABLE_WARNING = (
    "LAUNCHER=rank_table: MindSpore then compiles with jit_level O2 through its deprecated graph engine GE, whatever "
    "runtime.jit_level asks for; without LAUNCHER the same table starts through msrun, kernel by kernel"
)


class Starter(Enum):
    """How ranks find each other: msrun's scheduler, HCCL's rank table, or one rank that has nobody to find."""

    msrun = "msrun"
    rank_table = "rank_table"
    alone = "alone"


@dataclass(frozen=True)
class Job:
    """What is to be started on all hosts together.

    Attributes:
        starter: how the ranks find each other.
        num_ranks: of all hosts.
        table: the hosts and devices; None for this host alone, or for `allocation`.
        words: overrides of `python -m train`.
        run_dir: the common run directory.
        device: cpu or ascend.
        master: address and port of msrun's scheduler.
        hang_timeout_s: the launcher's patience with a rank that makes no step.
        divide_threads: whether MindSpore's threads follow each rank's share of cores.
        allocation: the places that a cluster's scheduler has given; None elsewhere, and beside a table.
    """

    starter: Starter
    num_ranks: int
    table: RankTable | None
    words: list[str]
    run_dir: str
    device: str
    master: tuple[str, int]
    hang_timeout_s: int
    divide_threads: bool = True
    allocation: Allocation | None = None

    @property
    def num_hosts(self) -> int:
        """How many launchers work together."""
        return len(self.host_names)

    @property
    def host_names(self) -> list[str]:
        """What people call the hosts, the leading one first."""
        if self.table:
            return [server.server_id for server in self.table.servers]
        return list(self.allocation.names) if self.allocation else ["localhost"]


def choose_starter(wanted: str, device: str, num_ranks: int, has_table: bool) -> Starter:
    """The starter for a job.

    Args:
        wanted: the environment's LAUNCHER; empty leaves the choice to this function.
        device: cpu or ascend.
        num_ranks: of all hosts.
        has_table: whether a rank table was given.

    Raises:
        ConfigError: `wanted` is unknown, or impossible here.
    """
    if wanted not in ("", "msrun", "rank_table"):
        raise ConfigError(f"LAUNCHER={wanted}: must be msrun or rank_table")
    if wanted == "rank_table" and not (has_table and device == "ascend"):
        raise ConfigError("LAUNCHER=rank_table needs a rank table and device=ascend; msrun works everywhere")
    if wanted:
        return Starter(wanted)
    return Starter.msrun if num_ranks > 1 else Starter.alone


def named_port() -> int | None:
    """The port that MASTER_PORT of the environment names for msrun's scheduler; None where it names none.

    The port above it is the launchers', where there are several hosts.

    Raises:
        ConfigError: it names none that can be used.
    """
    text = os.environ.get("MASTER_PORT", "")
    if not text:
        return None
    if not text.isdecimal() or not 1024 <= int(text) < 65535:
        raise ConfigError(f"MASTER_PORT={text}: must be a number from 1024 to 65534")
    return int(text)


def read_allocation(num_ranks: int) -> Allocation | None:
    """What a cluster's scheduler says in the environment; None where there is none, or one host for itself.

    Args:
        num_ranks: of all hosts.

    Raises:
        ConfigError: it contradicts itself or `num_ranks`.
    """
    pods = read_pods(os.environ, num_ranks)
    return pods or read_slurm(os.environ, num_ranks, (os.environ.get("MASTER_ADDR", ""), named_port()))


def meeting_point(table: RankTable | None, allocation: Allocation | None = None) -> tuple[str, int]:
    """Address and port of msrun's scheduler: what the environment names, else the first host and the default.

    Args:
        table: the hosts; None for this one alone.
        allocation: what a cluster's scheduler has given, which says where msrun's is.

    Raises:
        ConfigError: MASTER_PORT names no port that can be used.
    """
    if allocation is not None:
        return allocation.scheduler
    address = os.environ.get("MASTER_ADDR") or (table.servers[0].address if table else "127.0.0.1")
    return address, named_port() or DEFAULT_PORT
