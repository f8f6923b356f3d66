"""Which NPU each rank holds, and which executor it has, by MindSpore's own Ascend backend, for every way of starting.

The ranks are real processes that find each other through msrun's real scheduler; stand-ins take the place of CANN, so
that they end where HCCL would begin.
"""

import dataclasses
import json
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from ascend_process import needs_tools
from launched import free_port
from rank_tables import table_of

from train.cluster.allocation import Allocation
from train.cluster.job import Job, Starter, meeting_point
from train.launch import plan
from train.launch.plan import plan_host, whole_environment
from train.simulate.stand_ins import cann_paths, cann_variables

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(300), needs_tools]
REPOSITORY = Path(__file__).resolve().parents[2]
PROBE = Path(__file__).with_name("device_probe.py")


def surroundings():
    """The user's environment on a host with CANN, and what makes MindSpore say how it executes graphs."""
    of_a_job = re.compile("MS_|RANK_|DEVICE_ID|ASCEND_RT")
    kept = {name: value for name, value in os.environ.items() if not of_a_job.match(name)}
    return kept | {
        **cann_variables(*cann_paths(dict(os.environ)), REPOSITORY, {}),
        "FAIRMOT_SIMULATED_SOC": "Ascend910B2",
        "GLOG_v": "1",
    }


class Started:
    """The processes of one job on this machine, host by host."""

    def __init__(self, job, folder):
        self.folders, self.processes = [], []
        for node_rank in range(job.num_hosts):
            self.folders.append(folder / f"host_{node_rank}")
            self.folders[-1].mkdir()
            self.start(plan_host(job, node_rank, sorted(os.sched_getaffinity(0)), surroundings(), self.folders[-1]))

    def start(self, host):
        folder = self.folders[-1]
        launch = {"node_rank": host.node_rank, "ranks": [dataclasses.asdict(rank) for rank in host.ranks]}
        (folder / "launch.json").write_text(json.dumps(launch))
        for local_rank in range(len(host.ranks)) if host.starts_each else [None]:
            environment = whole_environment(host, surroundings(), local_rank)
            with (folder / f"output_{local_rank}.log").open("w") as output:
                process = subprocess.Popen(
                    host.command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT
                )
            self.processes.append(process)

    def logs(self):
        return "".join(
            path.read_text(errors="replace") for folder in self.folders for path in sorted(folder.rglob("*.log"))
        )

    def said(self, num_ranks):
        """What the ranks say, once all have spoken."""
        until_s = time.monotonic() + 200
        while len(files := sorted(path for folder in self.folders for path in folder.glob("*.said"))) < num_ranks:
            assert time.monotonic() < until_s, self.logs()[-4000:]
            time.sleep(0.2)
        return [path.read_text() for path in files]

    def end(self):
        for folder in self.folders:
            for path in folder.glob("scheduler.pid"):
                with suppress(ProcessLookupError):
                    os.kill(int(path.read_text()), signal.SIGKILL)
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("way", "devices", "jit_level"),
    [("msrun", [0, 1], "O0"), ("msrun and table", [6, 4], "O0"), ("rank table", [6, 4], "O2"), ("pods", [0, 0], "O0")],
)
def test_each_rank_holds_its_device(way, devices, jit_level, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "WORKER", PROBE)
    pods = (
        Allocation(names=("pod 0", "pod 1"), ranks_each=1, node_rank=0, scheduler=("127.0.0.1", free_port()))
        if way == "pods"
        else None
    )
    given = table_of(tmp_path / "table.json", *devices) if "table" in way else None
    job = Job(
        Starter.rank_table if way == "rank table" else Starter.msrun, 2, given, [], "/run", "ascend",
        meeting_point(given, pods) if pods else ("127.0.0.1", free_port()), 1800, divide_threads=False, allocation=pods,
    )  # fmt: skip
    started = Started(job, tmp_path)
    try:
        assert started.said(2) == [f"rank {rank}: device {device}" for rank, device in enumerate(devices)]
        levels = set(re.findall(r"The jit_level is: (O\d)", started.logs()))
        assert levels == {jit_level}
        assert ("Set jit level to O2 for rank table startup method" in started.logs()) == (way == "rank table")
    finally:
        started.end()
