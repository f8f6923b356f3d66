"""The launcher's work: it starts N ranks on the hosts of the table, or on this one, and stays until they have ended."""

import hashlib
import os
import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from fairmot.addresses import masked
from fairmot.device import find_device, say_device
from fairmot.errors import FairMOTError
from train.cluster.job import (
    RANK_TABLE_WARNING,
    Job,
    Starter,
    choose_starter,
    meeting_point,
    named_port,
    read_allocation,
)
from train.cluster.rank_table import SERVER_VARIABLE, find_server, read_rank_table
from train.config import TrainConfig
from train.distributed import ALONE
from train.launch.arguments import Arguments
from train.launch.cores import cores_near_npus
from train.launch.dry_run import describe, headline
from train.launch.hosts import Hosts
from train.launch.plan import HostPlan, plan_host
from train.launch.processes import given_environment
from train.launch.supervise import Limits, Signals, supervise
from train.launch.worker import SELFCHECK
from train.output import say
from train.preflight.run import run_preflight
from train.run_dir import make_logs_dir, make_run_dir, named_run_dir, parent_run_dir


def launch(arguments: Arguments, config: TrainConfig) -> int:
    """Start the job, or only check it, or print what would be started; returns the exit code.

    Args:
        arguments: the command line.
        config: what its overrides make of the training, or of the self-check.

    Raises:
        FairMOTError: something is refused, or the hosts do not come together.
        KeyboardInterrupt: a signal came before anything was started.
    """
    if config.preflight:
        return 0 if run_preflight(config, arguments.num_ranks, arguments.table) else FairMOTError.exit_code
    job = _job(arguments, config)
    if job.starter is Starter.rank_table:
        say(f"warning: {RANK_TABLE_WARNING}")
    say_device(config.device)
    cores = sorted(os.sched_getaffinity(0))
    near = cores_near_npus() if job.device == "ascend" and config.runtime.bind_cores else {}
    if arguments.dry_run:
        _show(masked(describe(job, cores, given_environment(), near)))
        return 0
    node_rank = _node_rank(job)
    run_dir = make_run_dir(config, ALONE)
    make_logs_dir(config, run_dir)
    job = replace(job, run_dir=str(run_dir))
    signals = Signals()
    hosts = _hosts(job, node_rank, run_dir)
    limits = Limits(config.runtime.max_restarts, config.runtime.hang_timeout_s, config.runtime.stop_grace_s)
    try:
        hosts.gather(lambda: bool(signals.names), lambda text: say(f"launch: {text}"))
        say(f"launch: {headline(job)}; logs in {run_dir}/logs")
        return supervise(partial(_prepare, job, node_rank, cores, near), run_dir, limits, hosts, signals)
    finally:
        hosts.close()


def _job(arguments: Arguments, config: TrainConfig) -> Job:
    """What the command line, the configuration and the environment ask for, seen as a whole.

    Raises:
        ConfigError: a faulty table, or something that contradicts something else.
    """
    table = read_rank_table(arguments.table, arguments.num_ranks) if arguments.table else None
    allocation = None if table else read_allocation(arguments.num_ranks)
    num_hosts = len(table.servers) if table else allocation.count if allocation else 1
    device, wanted = find_device(config.device).device.value, os.environ.get("LAUNCHER", "")
    return Job(
        starter=choose_starter(wanted, device, arguments.num_ranks, table is not None),
        num_ranks=arguments.num_ranks,
        table=table,
        words=[SELFCHECK, *arguments.words] if arguments.selfcheck else arguments.words,
        run_dir=named_run_dir(config, num_hosts, "hosts") or f"{parent_run_dir(config)}/<time>",
        device=device,
        master=meeting_point(table, allocation),
        hang_timeout_s=config.runtime.hang_timeout_s,
        divide_threads=not (config.runtime.threads or any("runtime.threads=" in word for word in arguments.words)),
        allocation=allocation,
    )


def _node_rank(job: Job) -> int:
    """This host's number in the job.

    Raises:
        ConfigError: the table does not tell which of its servers this is.
    """
    if job.table:
        return job.table.servers.index(find_server(job.table, os.environ.get(SERVER_VARIABLE)))
    return job.allocation.node_rank if job.allocation else 0


def _prepare(job: Job, node_rank: int, cores: list[int], near: dict[int, list[int]], folder: Path) -> HostPlan:
    """The plan of one attempt; on a single host each attempt has a port of its own."""
    if job.num_hosts == 1 and job.allocation is None and named_port() is None:
        with socket.socket() as probe:
            probe.bind(("", 0))
            job = replace(job, master=(job.master[0], probe.getsockname()[1]))
    return plan_host(job, node_rank, cores, given_environment(), folder, near)


def _hosts(job: Job, node_rank: int, run_dir: Path) -> Hosts:
    told = {
        "ranks": job.num_ranks,
        "device": job.device,
        "starter": job.starter.value,
        "overrides": masked(" ".join(job.words)),
    }
    if job.table:
        told["rank table sha256"] = hashlib.sha256(job.table.path.read_bytes()).hexdigest()[:12]
    return Hosts(job.host_names, node_rank, (job.master[0], job.master[1] + 1), told, run_dir)


def _show(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # head has seen enough; nothing may be written when Python ends either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
