"""SLURM's lists of hosts: `node[001-003,7],gpu-a` means node001, node002, node003, node7 and gpu-a.

Source: https://slurm.schedmd.com/scontrol.html (hostlist) and the variables of https://slurm.schedmd.com/srun.html.
"""

import re
from itertools import product
from math import prod

from fairmot.errors import ConfigError, excerpt

_LONGEST = 1 << 16
_MOST_HOSTS = 1 << 14
_ITEM = re.compile(r"(?:[A-Za-z0-9._-]|\[[0-9,-]+\])+")
_PIECE = re.compile(r"\[([0-9,-]+)\]|([^\[\]]+)")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_SEPARATOR = re.compile(r",(?![^\[\]]*\])")  # a comma that no bracket closes behind


def expand_hosts(text: str, variable: str) -> list[str]:
    """The hosts of a list, in its order.

    Args:
        text: the list.
        variable: where it stands, for messages.

    Raises:
        ConfigError: it is none, names a host twice, or more hosts than a cluster has.
    """

    def refused(why: str) -> ConfigError:
        return ConfigError(f"{variable}={excerpt(text)!r}: {why}; SLURM writes such as node[001-003,7],gpu-a")

    if len(text) > _LONGEST:
        raise refused(f"{len(text)} characters, and the limit is {_LONGEST}")
    hosts: list[str] = []
    for item in _SEPARATOR.split(text):
        if not _ITEM.fullmatch(item):
            raise refused(f"{excerpt(item)!r} is no list of hosts")
        pieces = []
        for numbers, letters in _PIECE.findall(item):
            pieces.append([letters] if letters else _numbers(numbers))
        if not all(pieces):
            raise refused(f"{excerpt(item)!r} holds no range of numbers, or too many")
        if len(hosts) + prod(map(len, pieces)) > _MOST_HOSTS:
            raise refused(f"more than {_MOST_HOSTS} hosts")
        hosts += map("".join, product(*pieces))
    if len(set(hosts)) < len(hosts):
        raise refused("a host stands in it twice")
    return hosts


def _numbers(text: str) -> list[str]:
    """`001-003,7` as 001, 002, 003, 7; empty where it is no such list, or too long a one."""
    numbers: list[str] = []
    for part in text.split(","):
        found = _RANGE.fullmatch(part)
        if not found:
            return []
        first, last = found[1], found[2] or found[1]
        count = int(last) - int(first) + 1
        if not 0 < count <= _MOST_HOSTS - len(numbers):
            return []
        numbers += [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return numbers
