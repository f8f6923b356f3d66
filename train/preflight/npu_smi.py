"""What `npu-smi info` prints: health and processes of each device.

    | 4     Ascend910           | OK            | 170.7 ...    an NPU
    | 0     8                   | 0000:8D:00.0  | 0     ...    its chip, and the number of the device
    | 4       0                 | 12345         | python ...   a process, by NPU and chip

On Atlas A3 an NPU has two chips, each a device. Before, it has one, and the number of the device is not printed but
that of the NPU.
"""

import re
from typing import NamedTuple

_NPU = re.compile(r"\|\s*(\d+)\s+[\w-]*[A-Za-z][\w-]*\s*\|\s*([A-Za-z]\w*)")
_CHIP = re.compile(r"\|\s*(\d+)(?:\s+(\d+))?\s*\|\s*(?:[0-9A-Fa-f]+:)+[0-9A-Fa-f]+\.")
_PROCESS = re.compile(r"\|\s*(\d+)\s+(\d+)\s*\|\s*(\d+)\s*\|")


class DevicesSeen(NamedTuple):
    """What npu-smi says of this host's devices, which are numbered as in /dev/davinci<number>.

    Attributes:
        health: in its word, by device.
        processes: device and process id of everything that uses one.
    """

    health: dict[int, str]
    processes: list[tuple[int, int]]


def read_answer(text: str) -> DevicesSeen:
    """Understand the whole answer; rows of another form are left out."""
    seen = DevicesSeen({}, [])
    devices: dict[tuple[int, int], int] = {}
    npu, health = -1, ""
    for row in text.splitlines():
        if found := _NPU.match(row):
            npu, health = int(found[1]), found[2]
        elif found := _CHIP.match(row):
            device = npu if found[2] is None else int(found[2])
            devices[npu, int(found[1])] = device
            seen.health[device] = health
        elif found := _PROCESS.match(row):
            key = int(found[1]), int(found[2])
            seen.processes.append((devices.get(key, key[0]), int(found[3])))
    return seen
