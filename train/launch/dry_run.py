"""What a job would start, in words."""

from collections.abc import Mapping
from pathlib import Path
from shlex import join, quote

from train.cluster.job import Job, Starter
from train.launch.plan import RankPlan, plan_host

_FOLDER = Path("/tmp/fairmot-launch-XXXXXXXX")


def headline(job: Job) -> str:
    """The job in half a sentence."""
    ways = {
        Starter.rank_table: f"by rank table {job.table.path if job.table else ''}",
        Starter.msrun: f"through msrun{f', devices of {job.table.path}' if job.table else ''}",
        Starter.alone: "alone",
    }
    each = job.allocation.per_host if job.allocation else 1
    tasks = f" in {job.num_hosts} tasks" if each > 1 else ""
    hosts = f"{job.num_hosts // each} host(s){tasks}"
    return f"{job.num_ranks} rank(s) on {hosts}, device={job.device}, {ways[job.starter]}"


def describe(
    job: Job, cores: list[int], inherited: Mapping[str, str], near: Mapping[int, list[int]] | None = None
) -> str:
    """Every process of every host: what the launcher sets in its environment, and its command.

    Args:
        job: the whole job.
        cores: CPU cores of this host; the others are shown as if they had the same.
        inherited: the launcher's environment; what the user set there wins over the defaults, and is not shown.
        near: which cores are near which NPU of this host.
    """
    lines = [f"{headline(job)}; run directory {job.run_dir}"]
    for node_rank in range(job.num_hosts):
        host = plan_host(job, node_rank, cores, inherited, _FOLDER, near)
        lines += ["", f"host {host.name} (number {node_rank})", "  environment of every process:"]
        lines += [f"    {name}={quote(value)}" for name, value in sorted(host.environment.items())]
        command = f"    $ {join(host.command)}"
        if not host.starts_each:
            lines += ["  msrun:", command]
        for local_rank, rank in enumerate(host.ranks):
            lines += [f"  {_title(rank, job)}"]
            settings = rank.environment | ({"FAIRMOT_LOCAL_RANK": str(local_rank)} if host.starts_each else {})
            lines += [f"    {name}={quote(value)}" for name, value in sorted(settings.items())]
            lines += [command] if host.starts_each else []
    return "\n".join(lines)


def _title(rank: RankPlan, job: Job) -> str:
    cores = ",".join(map(str, rank.cores))
    return f"rank {rank.rank}: CPU cores {cores}; log {job.run_dir}/logs/rank_{rank.rank}.log"
