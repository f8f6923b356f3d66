"""CPU cores near NPUs: what npu-smi says of them, and how they are divided."""

import os
from pathlib import Path

import pytest

from train.cluster.job import Job, Starter
from train.launch.cores import cores_near_npus, divide_cores
from train.launch.plan import plan_host

# Eight NPUs of an Atlas A2 host with 192 cores; the cores 24-47, 72-95, 120-143 and 168-191 are near none.
NEAR = {0: "144-167", 1: "0-23", 2: "144-167", 3: "0-23", 4: "96-119", 5: "48-71", 6: "96-119", 7: "48-71"}
HEADER = "\t   " + "       ".join(f"NPU{number}" for number in range(8)) + "       CPU Affinity\n"
LEGEND = "\nLegend:\n\n  X    = Self\n  SYS  = Path traversing PCIe and NUMA nodes.\n"


def topology():
    rows = [
        f"NPU{number}       "
        + "       ".join("X   " if other == number else "HCCS" for other in range(8))
        + f"   {near}\n"
        for number, near in NEAR.items()
    ]
    return HEADER + "".join(rows) + LEGEND


@pytest.fixture
def npu_smi(tmp_path, monkeypatch):
    """Writes down what npu-smi shall answer."""
    program = tmp_path / "npu-smi"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def answers(text, code=0):
        (tmp_path / "answer").write_text(text)
        program.write_text(f'#!/bin/sh\n[ "$*" = "info -t topo" ] || exit 9\ncat {tmp_path}/answer\nexit {code}\n')
        program.chmod(0o755)

    return answers


def test_npu_smi_says_which_cores_are_near(npu_smi):
    npu_smi(topology())
    near = cores_near_npus()
    assert sorted(near) == list(range(8))
    assert near[0] == list(range(144, 168))
    assert near[7] == list(range(48, 72))


def test_lists_of_ranges_are_understood(npu_smi):
    npu_smi("\tNPU0       NPU1       CPU Affinity\nNPU0       X          HCCS       0-2,8,10-11\nNPU1  HCCS  X  7\n")
    assert cores_near_npus() == {0: [0, 1, 2, 8, 10, 11], 1: [7]}


@pytest.mark.parametrize("answer", ["", "This device does not support querying topo.\n", HEADER + "NPU0  X  NA\n"])
def test_another_answer_says_nothing(npu_smi, answer):
    npu_smi(answer, code=1)
    assert cores_near_npus() == {}


def test_a_host_without_npu_smi(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert cores_near_npus() == {}


def test_near_cores_come_first_and_all_get_as_many(npu_smi):
    npu_smi(topology())
    near = cores_near_npus()
    shares = divide_cores(list(range(192)), list(range(8)), near)
    assert [len(share) for share in shares] == [24] * 8
    assert sorted(core for share in shares for core in share) == list(range(192))
    for device, share in enumerate(shares):
        assert len(set(share) & set(near[device])) == 12  # two NPUs share 24 near cores
    sockets = [{core // 96 for core in share} for share in shares]
    assert sockets == [{near[device][0] // 96} for device in range(8)]


def test_devices_of_a_table_get_their_own_near_cores(npu_smi):
    npu_smi(topology())
    near = cores_near_npus()
    shares = divide_cores(list(range(192)), [7, 0], near)
    assert [len(share) for share in shares] == [96, 96]
    assert set(near[7]) <= set(shares[0])
    assert set(near[0]) <= set(shares[1])
    assert not set(shares[0]) & set(shares[1])


@pytest.mark.parametrize(
    ("cores", "near"),
    [
        (range(8), {}),
        (range(8), {0: [6, 7]}),  # of NPU 1 nothing is known
        (range(8), {0: [6, 7], 1: [100, 101]}),  # taskset or a container has left none of them
    ],
)
def test_what_is_not_known_leaves_shares_in_order(cores, near):
    assert divide_cores(cores, [0, 1], near) == [(0, 1, 2, 3), (4, 5, 6, 7)]


def test_more_ranks_than_cores_share_them():
    assert divide_cores([3, 5], [0, 1, 2], {0: [3], 1: [3], 2: [5]}) == [(3,), (3,), (5,)]


def test_the_plan_follows_the_devices_that_ranks_see():
    job = Job(Starter.msrun, 2, None, [], "/run", "ascend", ("127.0.0.1", 8118), 1800)
    near = {4: [0, 1], 5: [2, 3], 0: [6], 1: [7]}
    visible = {"ASCEND_RT_VISIBLE_DEVICES": "5,4"}
    host = plan_host(job, 0, [0, 1, 2, 3], visible, Path("/tmp/launch"), near)
    assert [rank.cores for rank in host.ranks] == [(2, 3), (0, 1)]
    host = plan_host(job, 0, [0, 1, 6, 7], {}, Path("/tmp/launch"), near)
    assert [rank.cores for rank in host.ranks] == [(0, 6), (1, 7)]
