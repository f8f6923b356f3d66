"""The hosts of a SLURM job, as srun describes them to each task in its environment.

A task starts a launcher: one task a host whose launcher starts all ranks of the host, or several tasks a host, at most
one a rank, each with the cores that SLURM has given it.

Source: https://slurm.schedmd.com/srun.html, "output environment variables".
"""

import ipaddress
import socket
from collections.abc import Callable, Mapping

from fairmot.errors import ConfigError
from train.cluster.allocation import Allocation, read_number
from train.cluster.hostlist import expand_hosts

_JOB, _STEP = "SLURM_JOB_ID", "SLURM_STEP_ID"
_JOB_HOSTS = "SLURM_JOB_NUM_NODES"
_LIST, _HOST_NAME = "SLURM_STEP_NODELIST", "SLURMD_NODENAME"
_HOSTS, _TASKS = "SLURM_STEP_NUM_NODES", "SLURM_STEP_NUM_TASKS"
_HOST, _TASK, _LOCAL_TASK = "SLURM_NODEID", "SLURM_PROCID", "SLURM_LOCALID"
_NUMBERS = {_JOB: 0, _HOSTS: 1, _TASKS: 1, _HOST: 0, _TASK: 0, _LOCAL_TASK: 0}
"""Variables and their least value."""
_FIRST_PORT, _PORTS = 20000, 10000
_ADVICE = "start the launcher by srun --ntasks-per-node=1, or give a rank table"


def read_slurm(
    environment: Mapping[str, str],
    num_ranks: int,
    named: tuple[str, int | None],
    resolve: Callable[[str], str] = socket.gethostbyname,
) -> Allocation | None:
    """The tasks of this step; None outside of SLURM, and where a single task has a single host for itself.

    Args:
        environment: of this process.
        num_ranks: ranks of all hosts, as the command line has them.
        named: address and port that MASTER_ADDR and MASTER_PORT name, empty and None where they name none.
        resolve: from a host's name to its address.

    Raises:
        ConfigError: a variable is missing, or they contradict each other or `num_ranks`; the message names it.
    """
    if _JOB not in environment:
        return None
    if _STEP not in environment:
        if (read_number(environment, _JOB_HOSTS, 1) or 1) > 1:
            raise ConfigError(
                f"{_JOB_HOSTS}={environment[_JOB_HOSTS]}, but this is not a task of srun: the other hosts would stay "
                f"idle; {_ADVICE}, or use srun --nodes=1 --ntasks=1 for one host"
            )
        return None
    numbers = {name: _number(environment, name, least) for name, least in _NUMBERS.items()}
    tasks, per_host = numbers[_TASKS], _tasks_a_host(numbers)
    if tasks == 1:
        return None
    hosts = _hosts(environment, numbers)
    if num_ranks % tasks:
        raise ConfigError(
            f"{_TASKS}={tasks}, but {num_ranks} ranks are asked for: each task starts equally many; give a multiple "
            "of the tasks, or srun another --ntasks-per-node="
        )
    port = named[1] or _FIRST_PORT + 2 * numbers[_JOB] % _PORTS
    address = named[0] or _address(hosts, resolve)
    names = [host if per_host == 1 else f"{host}, task {task}" for host in hosts for task in range(per_host)]
    return Allocation(tuple(names), num_ranks // tasks, numbers[_TASK], (address, port), per_host)


def _number(environment: Mapping[str, str], name: str, least: int) -> int:
    number = read_number(environment, name, least)
    if number is None:
        raise ConfigError(
            f"{name}={environment.get(name, '')}: must be a number, {least} or more, as srun sets it where {_STEP} is "
            f"set; {_ADVICE}"
        )
    return number


def _tasks_a_host(numbers: Mapping[str, int]) -> int:
    """How many tasks each host has, in a row: only so can a task know where the others are."""
    hosts, tasks, task = numbers[_HOSTS], numbers[_TASKS], numbers[_TASK]
    per_host = max(tasks // hosts, 1)
    if tasks % hosts or task >= tasks or divmod(task, per_host) != (numbers[_HOST], numbers[_LOCAL_TASK]):
        said = ", ".join(f"{name}={numbers[name]}" for name in _NUMBERS if name != _JOB)
        raise ConfigError(
            f"{said}: every host must have equally many tasks, numbered host by host; give srun "
            "--ntasks-per-node= and --distribution=block"
        )
    return per_host


def _hosts(environment: Mapping[str, str], numbers: Mapping[str, int]) -> list[str]:
    hosts = expand_hosts(environment.get(_LIST, ""), _LIST)
    if len(hosts) != numbers[_HOSTS]:
        raise ConfigError(f"{_LIST}={environment[_LIST]} names {len(hosts)} hosts, but {_HOSTS}={numbers[_HOSTS]}")
    here = environment.get(_HOST_NAME, hosts[numbers[_HOST]])
    if here != hosts[numbers[_HOST]]:
        raise ConfigError(
            f"{_HOST_NAME}={here}, but host {numbers[_HOST]} of {_LIST}={environment[_LIST]} is {hosts[numbers[_HOST]]}"
        )
    return hosts


def _address(hosts: list[str], resolve: Callable[[str], str]) -> str:
    """Where the first host is reached."""
    advice = "name an address that all hosts reach by MASTER_ADDR="
    try:
        address = resolve(hosts[0])
    except OSError as error:
        raise ConfigError(f"{_LIST}: the first host, {hosts[0]}, has no address here ({error}); {advice}") from error
    if len(hosts) > 1 and ipaddress.ip_address(address).is_loopback:
        raise ConfigError(
            f"{_LIST}: the first host, {hosts[0]}, is {address} here, where other hosts do not reach it; {advice}"
        )
    return address
