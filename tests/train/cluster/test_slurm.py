"""What srun says to its tasks, and what is refused; lists of hosts."""

import pytest

from fairmot.errors import ConfigError
from train.cluster.allocation import Allocation
from train.cluster.hostlist import expand_hosts
from train.cluster.slurm import read_slurm

ONE_A_HOST = {
    "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0", "SLURM_JOB_NUM_NODES": "3",
    "SLURM_JOB_NODELIST": "node[001-003]", "SLURM_STEP_NODELIST": "node[001,003]", "SLURMD_NODENAME": "node003",
    "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NODEID": "1", "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
}  # fmt: skip
ONE_A_RANK = ONE_A_HOST | {"SLURM_STEP_NUM_TASKS": "16", "SLURM_PROCID": "11", "SLURM_LOCALID": "3"}
BATCH_SCRIPT = {name: ONE_A_HOST[name] for name in ("SLURM_JOB_ID", "SLURM_JOB_NUM_NODES", "SLURM_JOB_NODELIST")}


def read(environment, num_ranks=16, named=("", None)):
    return read_slurm(environment, num_ranks, named, lambda host: f"10.0.0.{host[-1]}")


def test_one_task_a_host_starts_all_of_its_ranks():
    assert read(ONE_A_HOST) == Allocation(("node001", "node003"), 8, 1, ("10.0.0.1", 29422))
    assert read(ONE_A_HOST, named=("ib0.node001", 8118)).scheduler == ("ib0.node001", 8118)


def test_one_task_a_rank_takes_a_device_of_its_host_each():
    given = read(ONE_A_RANK)
    assert (given.count, given.ranks_each, given.node_rank, given.per_host) == (16, 1, 11, 8)
    assert given.names[7:9] == ("node001, task 7", "node003, task 0")
    assert [given.first_device(k) for k in (0, 7, 8, 11)] == [0, 7, 0, 3]
    two_ranks_a_task = read(ONE_A_RANK, num_ranks=32)
    assert (two_ranks_a_task.ranks_each, two_ranks_a_task.first_device(11)) == (2, 6)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        BATCH_SCRIPT | {"SLURM_JOB_NUM_NODES": "1"},
        ONE_A_HOST
        | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NUM_NODES": "1", "SLURM_NODEID": "0", "SLURM_PROCID": "0"},
    ],
)
def test_one_host_for_itself_needs_no_allocation(environment):
    assert read(environment) is None


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        (BATCH_SCRIPT, r"SLURM_JOB_NUM_NODES=3, but this is not a task of srun.*srun --ntasks-per-node=1"),
        (ONE_A_HOST | {"SLURM_PROCID": ""}, "SLURM_PROCID=: must be a number, 0 or more, as srun sets it"),
        (ONE_A_HOST | {"SLURM_STEP_NUM_NODES": "0"}, "SLURM_STEP_NUM_NODES=0: must be a number, 1 or more"),
        (ONE_A_HOST | {"SLURM_STEP_NUM_NODES": "²"}, "SLURM_STEP_NUM_NODES=²: must be"),
        (ONE_A_HOST | {"SLURM_STEP_NUM_TASKS": "3"}, "SLURM_STEP_NUM_TASKS=3, .*equally many tasks"),
        (ONE_A_HOST | {"SLURM_PROCID": "2"}, "SLURM_PROCID=2, .*equally many tasks"),
        (ONE_A_RANK | {"SLURM_PROCID": "7"}, "--distribution=block"),
        (ONE_A_HOST | {"SLURM_STEP_NODELIST": "node[001-003]"}, "names 3 hosts, but SLURM_STEP_NUM_NODES=2"),
        (ONE_A_HOST | {"SLURM_STEP_NODELIST": ""}, "SLURM_STEP_NODELIST='': '' is no list of hosts"),
        (ONE_A_HOST | {"SLURMD_NODENAME": "node001"}, "SLURMD_NODENAME=node001, but host 1 of .* is node003"),
        (ONE_A_HOST | {"SLURM_STEP_NUM_NODES": "16", "SLURM_STEP_NUM_TASKS": "32"}, "equally many tasks"),
    ],
)
def test_variables_that_contradict_each_other(environment, fault):
    with pytest.raises(ConfigError, match=fault):
        read(environment)


def test_ranks_that_the_tasks_cannot_share():
    with pytest.raises(ConfigError, match="SLURM_STEP_NUM_TASKS=2, but 15 ranks are asked for"):
        read(ONE_A_HOST, num_ranks=15)


@pytest.mark.parametrize("address", ["127.0.1.1", None])
def test_a_first_host_that_the_others_would_not_reach(address):
    def resolve(host):
        if address is None:
            raise OSError("Name or service not known")
        return address

    with pytest.raises(ConfigError, match="the first host, node001, .*MASTER_ADDR="):
        read_slurm(ONE_A_HOST, 16, ("", None), resolve)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("node[001-003,7],gpu-a", ["node001", "node002", "node003", "node7", "gpu-a"]),
        ("a", ["a"]),
        ("a.b_c,r[1-2]n[08-10]-x", ["a.b_c", *(f"r{rack}n{node}-x" for rack in (1, 2) for node in ("08", "09", "10"))]),
        ("[7,9]", ["7", "9"]),
        ("n[098-102]", ["n098", "n099", "n100", "n101", "n102"]),
    ],
)
def test_a_list_of_hosts(text, hosts):
    assert expand_hosts(text, "LIST") == hosts


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "a,", "a,,b", "a b", "a;b", "n[1-", "n[1]]", "n[[1]]", "n[]", "n[3-1]", "n[-1]", "n[1-2-3]", "n[a-b]",
        "n[1,]", "ä", "n[¹-3]", "n[0-99999999]", "n[0-999999999999]", "n[0-999]" * 3, "a,a", "n[1-2],n2", "n" * 70_000,
        ",".join(f"n{k}" for k in range(17_000)), "a\nb",
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_what_is_no_list_of_hosts(text):
    with pytest.raises(ConfigError, match="LIST=.*SLURM writes such as node"):
        expand_hosts(text, "LIST")
