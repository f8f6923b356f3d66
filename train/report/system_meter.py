"""What each rank takes of its host: processor, memory, and the NPU where there is one."""

import math
import os
import re
import shutil
import subprocess
import threading
import time

import numpy as np
import psutil

from fairmot.device import Device
from train.distributed import World

NAMES = ("cpu_percent", "memory_mb", "host_cpu_percent", "host_memory_percent", "npu_percent", "npu_memory_percent")
"""The first two of the rank's process (100 percent are one core), the next two of its host."""

_NPU_PERIOD_S = 10.0
_NPU_SMI_S = 15.0
_NPU_ROWS = {
    "npu_percent": re.compile(r"Aicore Usage Rate\(%\)\s*:\s*(\d+)"),
    "npu_memory_percent": re.compile(r"HBM Usage Rate\(%\)\s*:\s*(\d+)"),
}


class SystemMeter:
    """Every rank looks at itself; rank 0 gets all the numbers.

    `npu-smi` takes about a second to answer, so a thread asks it now and then and its newest answer counts.

    Args:
        world: this rank among all.
        device: cpu or ascend.
    """

    def __init__(self, world: World, device: Device) -> None:
        self._world = world
        self._process = psutil.Process()
        self._npu: dict[str, float] = {}
        for first_call in (self._process.cpu_percent, psutil.cpu_percent):  # it has nothing to compare with
            first_call()
        program = shutil.which("npu-smi")
        if device is Device.ascend and program is not None:
            threading.Thread(target=self._ask_npu_smi, args=(program,), daemon=True).start()

    def read(self) -> dict[str, float]:
        """`system/rank_<k>/<name>` of all ranks since the last reading; every rank must call it after the same step."""
        readings = {
            "cpu_percent": self._process.cpu_percent(),
            "memory_mb": self._process.memory_info().rss / 1e6,
            "host_cpu_percent": psutil.cpu_percent(),
            "host_memory_percent": psutil.virtual_memory().percent,
            **self._npu,
        }
        rows = self._world.gather(np.array([readings.get(name, math.nan) for name in NAMES], np.float32))
        return {
            f"system/rank_{rank}/{name}": float(value)
            for rank, row in enumerate(rows)
            for name, value in zip(NAMES, row, strict=True)
            if not math.isnan(value)
        }

    def _ask_npu_smi(self, program: str) -> None:
        command = [program, "info", "-t", "usages", "-i", _npu_number()]
        while True:
            try:
                answer = subprocess.run(command, capture_output=True, text=True, timeout=_NPU_SMI_S, check=True).stdout
            except (OSError, subprocess.SubprocessError):
                return  # it will not answer the next time either, and training does not depend on it
            self._npu = npu_usage(answer)
            time.sleep(_NPU_PERIOD_S)


def npu_usage(answer: str) -> dict[str, float]:
    """The numbers in what `npu-smi info -t usages` prints; what it does not print is left out."""
    found = {name: pattern.search(answer) for name, pattern in _NPU_ROWS.items()}
    return {name: float(match.group(1)) for name, match in found.items() if match}


def _npu_number() -> str:
    """This rank's NPU as npu-smi counts: ranks number those that are visible to them."""
    number = int(os.environ.get("DEVICE_ID", "0"))
    visible = os.environ.get("ASCEND_RT_VISIBLE_DEVICES", "").split(",")
    return visible[number] if number < len(visible) and visible[number] else str(number)
