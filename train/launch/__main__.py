"""The launcher's command: `python -m train.launch N [rank_table.json] [--dry-run] key=value ...`.

Starts N ranks of `python -m train key=value ...` on the hosts of the table, or on this one, and stays until they have
ended. Exit codes: 0 done, 1 failed, 2 refused arguments or configuration, 130 ended by a signal.
"""

import hashlib
import os
import socket
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fairmot.addresses import masked
from fairmot.cli.command import compose
from fairmot.device import find_device, say_device
from fairmot.errors import ConfigError, FairMOTError
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
from train.launch.cores import cores_near_npus
from train.launch.dry_run import describe, headline
from train.launch.hosts import Hosts
from train.launch.plan import HostPlan, plan_host
from train.launch.processes import given_environment
from train.launch.supervise import INTERRUPTED, Limits, Signals, say, supervise
from train.launch.worker import SELFCHECK
from train.preflight.run import run_preflight
from train.run_dir import make_logs_dir, make_run_dir, named_run_dir, parent_run_dir
from train.selfcheck.config import SelfcheckConfig

_USAGE = """usage: bash scripts/run_distribute.sh N [rank_table.json] [--selfcheck] [--dry-run] key=value ...
  N                number of ranks on all hosts
  rank_table.json  the hosts and their devices; without it all ranks are on this host, in the pods of an
                   AscendJob, or where srun starts this
  --selfcheck      python -m train.selfcheck instead: what the devices compute, how fast ranks exchange gradients
  --dry-run        print every process's environment and command, start nothing
  key=value        overrides of python -m train, such as experiment=mot20_finetune
exit codes: 0 done, 1 failed, 2 refused arguments or configuration, 130 ended by a signal
environment: LAUNCHER=msrun|rank_table, FAIRMOT_SERVER_ID, MASTER_ADDR, MASTER_PORT (see docs/distributed.md)
examples:
  bash scripts/run_distribute.sh 2 experiment=quickstart                              two ranks on this machine's CPU
  bash scripts/run_distribute.sh 8 experiment=mot20_finetune device=ascend            this host's eight NPUs
  bash scripts/run_distribute.sh 16 rank_table.json run_dir=/shared/a device=ascend   on each of two hosts"""


@dataclass(frozen=True)
class Arguments:
    """The command line.

    Attributes:
        num_ranks: of all hosts.
        table: path of the rank table.
        dry_run: only print.
        words: overrides of `python -m train`.
        selfcheck: the ranks make the self-check instead of training.
    """

    num_ranks: int
    table: Path | None
    dry_run: bool
    words: list[str]
    selfcheck: bool = False


def parse(words: list[str]) -> Arguments:
    """Understand the command line.

    Raises:
        ConfigError: it is not of the form that the usage text shows.
    """
    dry_run, selfcheck = "--dry-run" in words, SELFCHECK in words
    words = [word for word in words if word not in ("--dry-run", SELFCHECK)]
    if not words or not words[0].isdecimal() or int(words[0]) < 1:
        raise ConfigError(f"the first word must be the number of ranks\n{_USAGE}")
    num_ranks, rest = int(words[0]), words[1:]
    table = Path(rest.pop(0)) if rest and "=" not in rest[0] and not rest[0].startswith(("-", "~")) else None
    for word in rest:
        if "=" not in word and not word.startswith("~"):
            raise ConfigError(f"{word}: not of the form key=value\n{_USAGE}")
    return Arguments(num_ranks, table, dry_run, rest, selfcheck)


def launch(arguments: Arguments) -> int:
    """Start the job, or only check it, or print what would be started; returns the exit code.

    Raises:
        FairMOTError: something is refused, or the hosts do not come together.
        KeyboardInterrupt: a signal came before anything was started.
    """
    config: TrainConfig = (
        compose(arguments.words, SelfcheckConfig, "selfcheck")
        if arguments.selfcheck
        else compose(arguments.words, TrainConfig, "train")
    )
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


def main() -> int:
    """The command; returns the exit code."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(_USAGE)
        return 0
    try:
        return launch(parse(sys.argv[1:]))
    except FairMOTError as error:
        say(f"error: {error}")
        return error.exit_code
    except OSError as error:  # such as a full disk, or a folder that is gone
        say(f"error: {str(error) or type(error).__name__}")
        return FairMOTError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
