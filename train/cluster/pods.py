"""The pods of an AscendJob, as Ascend Operator describes them to each of them in its environment.

An AscendJob has one Scheduler pod and further Worker pods. Where the Scheduler's pod has NPUs too, as here, all pods
are alike: the Scheduler's is number 0 and runs MindSpore's scheduler beside its ranks.

Source: the operator's code and documentation (MindCluster, "environment variables of Ascend Operator").
"""

from collections.abc import Mapping

from fairmot.errors import ConfigError
from train.cluster.allocation import Allocation, read_number

_MARK = "MS_LOCAL_WORKER"
"""Set by the operator, and by nobody else that starts MindSpore."""
_NUMBERS = {"MS_WORKER_NUM": 1, _MARK: 1, "MS_NODE_RANK": 0, "MS_SCHED_PORT": 1024}
"""Variables and their least value."""


def read_pods(environment: Mapping[str, str], num_ranks: int) -> Allocation | None:
    """The pods of this job; None where no operator has described any.

    Args:
        environment: of this process.
        num_ranks: ranks of all hosts, as the command line has them.

    Raises:
        ConfigError: a variable is missing, or they contradict each other or `num_ranks`; the message names it.
    """
    if _MARK not in environment:
        return None
    host = environment.get("MS_SCHED_HOST", "")
    if not host:
        raise ConfigError(f"{_MARK} is set, as Ascend Operator does, but not MS_SCHED_HOST: the scheduler's address")
    numbers = {}
    for name, least in _NUMBERS.items():
        number = read_number(environment, name, least)
        if number is None:
            text = environment.get(name, "")
            raise ConfigError(f"{name}={text}: must be a number, {least} or more, as Ascend Operator sets it")
        numbers[name] = number
    total, each, node_rank, port = numbers.values()
    if total != num_ranks:
        raise ConfigError(f"MS_WORKER_NUM={total}, but {num_ranks} ranks are asked for: start {total}")
    if total % each or node_rank >= total // each:
        raise ConfigError(
            f"MS_WORKER_NUM={total}, {_MARK}={each}, MS_NODE_RANK={node_rank}: pods are alike, so the first must be a "
            "multiple of the second, and there are so many pods, counted from 0"
        )
    role = environment.get("MS_ROLE", "")
    if (role == "MS_SCHED") != (node_rank == 0) or environment.get("NPU_POD") == "false":
        raise ConfigError(
            f"MS_ROLE={role}, MS_NODE_RANK={node_rank}: the Scheduler's pod has no NPUs; give it as many as a "
            "Worker's, as docs/examples/ascendjob.yaml does"
        )
    names = tuple(f"pod {number}" for number in range(total // each))
    return Allocation(names, each, node_rank, (host, port))
