"""scripts/run_distribute.sh with real ranks on this machine: how jobs end, and what is left of them."""

import json
import os
import signal
import time

import numpy as np
import pytest
from launched import Launched, free_port, is_free
from small_run import curves, write_pictures

from fairmot.weights.checkpoint import GROUPS, read_checkpoint, whole_checkpoints

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(900)]
LONG = {"epochs": 1000, "save_every_steps": 1}
# Its six steps take long enough to be interrupted.
NARROW = {"model": "dlaconv_34_narrow"}
# A core a rank wherever it runs: the last bits of MindSpore's sums depend on the number of threads.
CORES = sorted(os.sched_getaffinity(0))[:2]


def tensors(run_dir):
    checkpoint = read_checkpoint(run_dir)
    return {f"{group}/{name}": array for group in GROUPS for name, array in checkpoint.tensors(group).items()}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pictures(root, count=13)
    return root


@pytest.fixture
def launch(root):
    jobs = []

    def launch(*arguments, **options):
        jobs.append(Launched(root, *arguments, **options))
        return jobs[-1]

    yield launch
    for job in jobs:
        job.clear()


def on_cores(*cores):
    return "taskset", "-c", ",".join(map(str, cores))


needs_two_cores = pytest.mark.skipif(len(CORES) < 2, reason="needs two CPU cores")


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """An undisturbed training of two ranks."""
    job = Launched(root, tmp_path_factory.mktemp("whole") / "run", prefix=on_cores(*CORES), **NARROW)
    try:
        assert job.end() == 0, job.said()
    finally:
        job.clear()
    return job


def test_two_ranks_train_to_the_end(whole):
    assert whole.is_gone(within_s=1)
    assert list(curves(whole.run_dir)["loss"]) == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in (whole.run_dir / "logs").iterdir()) == [
        "rank_0.log", "rank_1.log", "scheduler.log",
    ]  # fmt: skip
    assert "step 6/6" in whole.said()
    assert "device         cpu, 2 rank(s)" in whole.said()
    assert read_checkpoint(whole.run_dir).manifest["world_size"] == 2


def test_a_killed_rank_ends_everything_at_once(launch, tmp_path):
    job = launch(tmp_path / "run", **LONG)
    job.wait_for("step 2/")
    port = job.port()
    assert len(job.processes()) == 3, job.processes()
    assert not is_free(port, within_s=0)
    cores = [os.sched_getaffinity(job.rank_pid(rank)) for rank in (0, 1)]
    killed_at_s = time.monotonic()
    os.kill(job.rank_pid(1), signal.SIGKILL)
    assert job.end(timeout_s=30) == 1
    took_s = time.monotonic() - killed_at_s
    assert job.is_gone(within_s=0), job.processes()
    assert is_free(port)
    assert "rank 1 was killed by signal 9 (SIGKILL" in job.said()
    assert f"last lines of {job.run_dir}/logs/rank_1.log" in job.said()
    assert whole_checkpoints(job.run_dir / "checkpoints")
    assert not cores[0] & cores[1] or len(CORES) < 2
    print(f"launcher left {took_s:.2f} s after the kill")


def test_no_rank_survives_a_killed_launcher(launch, tmp_path):
    job = launch(tmp_path / "run", **LONG)
    job.wait_for("step 1/")
    assert job.processes()
    job.process.kill()
    assert job.is_gone(within_s=5), job.processes()


def test_sigterm_saves_and_the_same_command_goes_on(launch, tmp_path):
    changes = {"epochs": 1000, "save_every_steps": 1000}
    job = launch(tmp_path / "run", **changes)
    job.wait_for("step 2/")
    job.process.terminate()
    assert job.end(timeout_s=60) == 130, job.said()
    assert job.is_gone(within_s=0), job.processes()
    steps = [
        read_checkpoint(path).manifest["progress"]["step"] for path in whole_checkpoints(job.run_dir / "checkpoints")
    ]
    assert len(steps) == 1
    assert steps[0] >= 2
    again = launch(tmp_path / "run", max_steps=steps[0] + 1, **changes)
    assert again.end() == 0, again.said()
    assert f"continues this run from step_{steps[0]:08d}" in again.said()


def test_a_failure_of_one_rank_is_shown_and_names_it(launch, root, tmp_path):
    """Rank 1 alone looks for the pictures where there are none."""
    (tmp_path / "data0").symlink_to(root)
    (tmp_path / "data1").mkdir()
    job = launch(tmp_path / "run", extra=[f"data.root={tmp_path}/data${{oc.env:RANK_ID,0}}"])
    assert job.end() == 1, job.said()
    assert "rank 1 ended with exit code 1" in job.said()
    assert f"{tmp_path}/data1" in job.said().split(f"last lines of {job.run_dir}/logs/rank_1.log")[1]
    assert job.is_gone(within_s=0), job.processes()


def test_a_refused_configuration_starts_nothing(launch, tmp_path):
    job = launch(tmp_path / "run", extra=["optim.learning_rte=1"])
    assert job.end() == 2
    assert "error: unknown key 'optim.learning_rte'" in job.said()
    assert not (tmp_path / "run").exists()


def test_a_hung_rank_is_reported_with_its_stack(launch, tmp_path):
    """Longer than MindSpore's own heartbeat would wait, so that it is the launcher that notices."""
    job = launch(tmp_path / "run", runtime__hang_timeout_s=60, **LONG)
    job.wait_for("step 2/")
    os.kill(job.rank_pid(1), signal.SIGSTOP)
    assert job.end(timeout_s=150) == 1, job.said()
    assert "a rank makes no steps" in job.said()
    assert "stopped (SIGSTOP)" in job.said()
    assert "/train/loop.py" in job.said().split("its stack ---")[1]
    assert job.is_gone(within_s=0), job.processes()


def test_a_death_in_one_pod_of_an_ascend_job_ends_the_other(launch, tmp_path):
    """Both pods are this machine; Ascend Operator's variables alone say who they are."""
    common = {
        "MS_SCHED_HOST": "127.0.0.1", "MS_SCHED_PORT": str(free_port()), "MS_WORKER_NUM": "2", "MS_LOCAL_WORKER": "1",
        "MS_SERVER_NUM": "0", "NPU_POD": "true",
    }  # fmt: skip
    roles = ({"MS_ROLE": "MS_SCHED", "MS_NODE_RANK": "0"}, {"MS_ROLE": "MS_WORKER", "MS_NODE_RANK": "1"})
    pods = [launch(tmp_path / "run", environment=common | role, **LONG) for role in roles]
    pods[0].wait_for("step 2/")
    assert pods[0].port() == int(common["MS_SCHED_PORT"])
    assert "device         cpu, 2 rank(s)" in pods[0].log(0)
    os.kill(pods[1].rank_pid(1), signal.SIGKILL)
    for pod in pods:
        assert pod.end(timeout_s=30) == 1, pod.said()
        assert "pod 1: rank 1 was killed by signal 9" in pod.said()
    assert pods[0].is_gone(within_s=1), pods[0].processes()
    assert whole_checkpoints(tmp_path / "run" / "checkpoints")


@needs_two_cores
def test_two_hosts_restart_together_and_lose_nothing(launch, whole, tmp_path):
    """Both 'hosts' are this machine, under two of its addresses; the rank of the second one is killed once."""
    table = {
        "version": "1.0", "server_count": "2", "status": "completed",
        "server_list": [
            {"server_id": f"127.0.0.{i + 1}", "device": [
                {"device_id": "0", "device_ip": f"192.168.0.{i + 1}", "rank_id": str(i)}]}
            for i in (0, 1)
        ],
    }  # fmt: skip
    (tmp_path / "table.json").write_text(json.dumps(table))
    port = str(free_port())
    hosts = [
        launch(
            tmp_path / "run", table=tmp_path / "table.json", runtime__max_restarts=1, save_every_steps=1,
            environment={"FAIRMOT_SERVER_ID": f"127.0.0.{i + 1}", "MASTER_PORT": port}, prefix=on_cores(CORES[i]),
            **NARROW,
        )
        for i in (0, 1)
    ]  # fmt: skip
    hosts[1].wait_for("step 3/", rank=0)
    os.kill(hosts[1].rank_pid(1), signal.SIGKILL)
    for host in hosts:
        assert host.end() == 0, host.said()
        assert "127.0.0.2: rank 1 was killed by signal 9" in host.said()
        assert "start 2 of at most 2" in host.said()
    assert hosts[0].is_gone(within_s=1), hosts[0].processes()
    assert "continues this run from step_0000000" in hosts[0].said()
    assert "step 6/6" not in hosts[1].said()
    assert curves(tmp_path / "run") == curves(whole.run_dir)
    ours, theirs = tensors(tmp_path / "run"), tensors(whole.run_dir)
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
