"""What a host starts: which processes, with which environment and command. Computed, nothing is started here."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from train.cluster.job import Job, Starter
from train.launch.cores import divide_cores
from train.run_dir import RUN_DIR_VARIABLE

WORKER = Path(__file__).resolve().with_name("worker.py")
FIRST_STEP_FACTOR = 3
"""The launcher's patience with a rank that has not made its first step, which compiles, is so many times longer."""

_SCHEDULER_PATIENCE_S = 600
_SMALL_CLUSTER = 64
_HCCL_CONNECT_LIMITS_S = (120, 7200)
_HCCL_LONGEST_S = 17340
_NOT_INHERITED = ("RANK_TABLE_FILE", "RANK_ID", "RANK_SIZE", "MS_ROLE", "MS_NODE_ID")
_VISIBLE = "ASCEND_RT_VISIBLE_DEVICES"
"""CANN counts devices among those it lists; a table means the host's own numbers."""


@dataclass(frozen=True)
class RankPlan:
    """One rank of a host.

    Attributes:
        rank: among all ranks.
        cores: the CPU cores it may use.
        environment: what is set for this rank alone.
    """

    rank: int
    cores: tuple[int, ...]
    environment: dict[str, str]


@dataclass(frozen=True)
class HostPlan:
    """What one host starts.

    Attributes:
        name: its address in the table, or its name in the scheduler's allocation; localhost without either.
        node_rank: its number among the hosts.
        ranks: its ranks, ascending.
        environment: what is set for all its processes.
        command: msrun's, which starts all ranks; otherwise that of every rank.
        starts_each: whether `command` is started once a rank.
        not_inherited: variables of the surrounding shell that none of its processes gets.
    """

    name: str
    node_rank: int
    ranks: tuple[RankPlan, ...]
    environment: dict[str, str]
    command: list[str]
    starts_each: bool
    not_inherited: tuple[str, ...]


def plan_host(
    job: Job,
    node_rank: int,
    cores: list[int],
    inherited: Mapping[str, str],
    folder: Path,
    near: Mapping[int, list[int]] | None = None,
) -> HostPlan:
    """What the host `node_rank` starts.

    Args:
        job: the whole job.
        node_rank: the host's number.
        cores: its CPU cores, to be divided among its ranks.
        inherited: the environment it was started in, whose values win over this module's defaults.
        folder: of the launcher's temporary files.
        near: which of the cores are near which of its NPUs; None: not to be heeded.
    """
    server = job.table.servers[node_rank] if job.table else None
    count = len(server.devices) if server else job.num_ranks // job.num_hosts
    devices = [device.device_id for device in server.devices] if server else _seen_devices(count, inherited)
    shares = divide_cores(cores, devices, near or {})
    ranks = []
    for local_rank in range(count):
        device = server.devices[local_rank] if server else None
        rank = device.rank if device else node_rank * count + local_rank
        environment = {}
        if job.starter is not Starter.alone:
            environment["RANK_ID"] = str(rank)
        if job.starter is Starter.msrun:
            # Msrun numbers as if all hosts had equally many devices; the table knows better.
            environment["MS_NODE_ID"] = str(rank)
        if job.device == "ascend" and device:
            # Msrun takes devices 0, 1, ...; the table says which.
            environment["DEVICE_ID"] = str(device.device_id)
        elif job.device == "ascend" and job.allocation and job.allocation.per_host > 1:
            # The host has several launchers, each with an msrun that would begin with device 0.
            environment["DEVICE_ID"] = str(job.allocation.first_device(node_rank) + local_rank)
        ranks.append(RankPlan(rank, shares[local_rank], environment))
    threads = max(1, len(cores) // count)
    words = [*job.words, f"runtime.threads={threads}"] if job.divide_threads else job.words
    return HostPlan(
        name=job.host_names[node_rank],
        node_rank=node_rank,
        ranks=tuple(ranks),
        environment=_environment(job, threads, inherited, folder),
        command=_command(job, node_rank, count, words, inherited, folder),
        starts_each=job.starter is not Starter.msrun,
        not_inherited=(*_NOT_INHERITED, *([_VISIBLE] if job.device == "ascend" and server else [])),
    )


def _seen_devices(count: int, inherited: Mapping[str, str]) -> list[int]:
    """The host's own numbers of devices 0, 1, ... as ranks see them."""
    seen = inherited.get(_VISIBLE, "").split(",")
    if len(seen) >= count and all(text.isdecimal() for text in seen):
        return [int(text) for text in seen[:count]]
    return list(range(count))


def whole_environment(host: HostPlan, inherited: Mapping[str, str], local_rank: int | None) -> dict[str, str]:
    """The complete environment of one process of the host.

    Args:
        host: the plan.
        inherited: the launcher's own environment.
        local_rank: which of its ranks; None for msrun.
    """
    kept = {name: value for name, value in inherited.items() if name not in host.not_inherited}
    environment = kept | host.environment
    if local_rank is not None:
        environment |= host.ranks[local_rank].environment | {"FAIRMOT_LOCAL_RANK": str(local_rank)}
    return environment


def _command(
    job: Job, node_rank: int, count: int, words: list[str], inherited: Mapping[str, str], folder: Path
) -> list[str]:
    if job.starter is not Starter.msrun:
        return [sys.executable, str(WORKER), *words]
    address, port = job.master
    return [
        str(Path(sys.executable).with_name("msrun")),
        f"--worker_num={job.num_ranks}",
        f"--local_worker_num={count}",
        f"--master_addr={address}",
        f"--master_port={port}",
        f"--node_rank={node_rank}",
        f"--cluster_time_out={_SCHEDULER_PATIENCE_S}",
        f"--log_dir={folder / 'msrun'}",
        str(WORKER),
        *words,
    ]


def _environment(job: Job, threads: int, inherited: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What is set for all processes of a host: what must be, and defaults for what the user has not set."""
    environment = {
        RUN_DIR_VARIABLE: job.run_dir,
        "FAIRMOT_LAUNCH_FOLDER": str(folder),
    }
    if job.starter is Starter.rank_table and job.table:
        environment |= {"RANK_TABLE_FILE": str(job.table.path.absolute()), "RANK_SIZE": str(job.num_ranks)}
    if job.starter is Starter.msrun:
        # Msrun starts the first `python` of the PATH.
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    defaults = _defaults(job, threads)
    return environment | {name: value for name, value in defaults.items() if name not in inherited}


def _defaults(job: Job, threads: int) -> dict[str, str]:
    """Defaults of environment variables, with the reason of each."""
    # The launcher is the one judge of hangs. Whoever waits for a hung rank must still be waiting when the launcher
    # loses patience, or its own time-out would be taken for the cause.
    patience_s = FIRST_STEP_FACTOR * job.hang_timeout_s + 300
    defaults = {
        # One thread a core: MindSpore's operators follow runtime.threads, the libraries below it this.
        "OMP_NUM_THREADS": str(threads),
        # The last words of a killed process are in its log, not in a buffer.
        "PYTHONUNBUFFERED": "1",
    }
    if job.starter is Starter.msrun:
        defaults |= {
            # How long the scheduler and the ranks go without each other's sign of life (30 s by default).
            "MS_NODE_TIMEOUT": str(patience_s),
            "MS_HEARTBEAT_RETRY_TIMEOUT": str(patience_s),
            # How long a collective operation on CPU waits for the other ranks.
            "MS_CPU_COMM_OP_TIMEOUT": str(patience_s),
        }
        if job.num_ranks <= _SMALL_CLUSTER:
            # Ranks find each other in 2-4 s instead of 5-8 s; a large cluster spares its scheduler.
            defaults |= {"MS_RETRY_INTERVAL_LOWER": "1", "MS_RETRY_INTERVAL_UPPER": "1"}
    if job.device == "ascend":
        shortest_s, longest_s = _HCCL_CONNECT_LIMITS_S
        defaults |= {
            # The same on Ascend (1836 s by default; CANN's documentation gives 17340 s as the limit of Atlas A1).
            "HCCL_EXEC_TIMEOUT": str(min(patience_s, _HCCL_LONGEST_S)),
            # How long ranks wait for the first connection: one may still be indexing labels (120 s by default).
            "HCCL_CONNECT_TIMEOUT": str(min(max(patience_s, shortest_s), longest_s)),
        }
    return defaults
