"""Which CPU cores each rank of a host gets: those near its NPU first, as many for every rank.

A process on the wrong socket reaches its NPU and its memory through the other one. MindSpore's own binding
(mindspore.runtime.set_cpu_affinity) comes after its threads have started and moves the main one alone; msrun's
(--bind_core) takes a host's devices to be 0, 1, ... So ranks are bound here, before they import anything.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from itertools import pairwise

_PATIENCE_S = 30
_ROW = re.compile(r"^NPU(\d+)\s.*\s(\d[\d,-]*)$", re.MULTILINE)
"""NPU0       X          HCCS       ...       HCCS       144-167"""


def cores_near_npus() -> dict[int, list[int]]:
    """The column "CPU Affinity" of `npu-smi info -t topo`, by device; nothing where there is no such answer."""
    program = shutil.which("npu-smi")
    if program is None:
        return {}
    try:
        command = [program, "info", "-t", "topo"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}  # the pre-flight says what is wrong with it
    return {int(device): _expanded(cores) for device, cores in _ROW.findall(answer.stdout)}


def _expanded(text: str) -> list[int]:
    """`0-3,8` -> 0, 1, 2, 3, 8."""
    cores: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return cores


def divide_cores(
    cores: Sequence[int], devices: Sequence[int], near: Mapping[int, Sequence[int]]
) -> list[tuple[int, ...]]:
    """Each rank's share.

    Args:
        cores: those that may be used, ascending.
        devices: the host's own number of each rank's NPU.
        near: the cores near each NPU. Where one of `devices` has none among `cores`, shares are cut from `cores` in
            order, as on a CPU.

    Returns:
        As many cores for every rank, or one more for some where they are cut in order and do not divide evenly; where
        there are fewer cores than ranks, ranks share them.
    """
    usable = set(cores)
    allowed = {device: [core for core in near.get(device, ()) if core in usable] for device in devices}
    count = len(devices)
    if len(cores) < count or not all(allowed.values()):
        bounds = [number * len(cores) // count for number in range(count + 1)]
        return [tuple(cores[first : max(last, first + 1)]) for first, last in pairwise(bounds)]
    size = len(cores) // count
    shares: list[list[int]] = []
    for number, device in enumerate(devices):
        neighbours = [i for i, other in enumerate(devices) if allowed[other] == allowed[device]]
        place, among = neighbours.index(number), len(neighbours)
        theirs = allowed[device]
        shares.append(theirs[place * len(theirs) // among : (place + 1) * len(theirs) // among][:size])
    left = sorted(usable.difference(*shares))
    for share, device in zip(shares, devices, strict=True):
        last = allowed[device][-1]
        # Cores near no NPU: the next ones by number, mostly those of the same socket.
        following = [core for core in left if core > last] + [core for core in left if core < last]
        share.extend(following[: size - len(share)])
        left = [core for core in left if core not in share]
    return [tuple(sorted(share)) for share in shares]
