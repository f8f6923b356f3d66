"""What Ascend Operator says of an AscendJob's pods, and what is refused."""

import pytest

from fairmot.errors import ConfigError
from train.cluster.allocation import Allocation
from train.cluster.job import meeting_point
from train.cluster.pods import read_pods

WORKER = {
    "MS_SCHED_HOST": "10.96.0.7",
    "MS_SCHED_PORT": "2222",
    "MS_WORKER_NUM": "16",
    "MS_LOCAL_WORKER": "8",
    "MS_NODE_RANK": "1",
    "MS_ROLE": "MS_WORKER",
    "MS_SERVER_NUM": "0",
    "NPU_POD": "true",
}
SCHEDULER = WORKER | {"MS_SCHED_HOST": "172.16.0.4", "MS_NODE_RANK": "0", "MS_ROLE": "MS_SCHED"}


def test_worker_and_scheduler_are_pods_alike():
    worker, scheduler = read_pods(WORKER, 16), read_pods(SCHEDULER, 16)
    assert worker == Allocation(names=("pod 0", "pod 1"), ranks_each=8, node_rank=1, scheduler=("10.96.0.7", 2222))
    assert scheduler == Allocation(names=("pod 0", "pod 1"), ranks_each=8, node_rank=0, scheduler=("172.16.0.4", 2222))
    assert worker.count == 2
    assert meeting_point(None, worker) == ("10.96.0.7", 2222)


def test_what_msrun_sets_describes_no_pods():
    of_msrun = {name: WORKER[name] for name in ("MS_SCHED_HOST", "MS_SCHED_PORT", "MS_WORKER_NUM", "MS_ROLE")}
    assert read_pods(of_msrun, 8) is None


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"MS_SCHED_HOST": ""}, "but not MS_SCHED_HOST"),
        ({"MS_SCHED_PORT": "80"}, "MS_SCHED_PORT=80: must be a number, 1024 or more"),
        ({"MS_WORKER_NUM": "many"}, "MS_WORKER_NUM=many: must be a number"),
        ({"MS_NODE_RANK": ""}, "MS_NODE_RANK=: must be a number, 0 or more"),
        ({"MS_WORKER_NUM": "8"}, "MS_WORKER_NUM=8, but 16 ranks are asked for: start 8"),
        ({"MS_LOCAL_WORKER": "5"}, "MS_WORKER_NUM=16, MS_LOCAL_WORKER=5, MS_NODE_RANK=1: pods are alike"),
        ({"MS_NODE_RANK": "2"}, "there are so many pods, counted from 0"),
        ({"MS_NODE_RANK": "0"}, "MS_ROLE=MS_WORKER, MS_NODE_RANK=0: the Scheduler's pod has no NPUs"),
        ({"MS_ROLE": "MS_SCHED"}, "MS_ROLE=MS_SCHED, MS_NODE_RANK=1: the Scheduler's pod has no NPUs"),
        (SCHEDULER | {"NPU_POD": "false"}, "give it as many as a Worker's, as docs/examples/ascendjob.yaml does"),
    ],
)
def test_variables_that_describe_no_such_job(changes, fault):
    with pytest.raises(ConfigError, match=fault):
        read_pods(WORKER | changes, 16)
