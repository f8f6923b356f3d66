"""What this machine and its installation are: the first thing to know of a report."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

import mindspore as ms

import fairmot
from train.preflight.finding import Status
from train.preflight.host import check_cann, check_versions
from train.selfcheck.check import Measurement, Session

_CPU_INFO = Path("/proc/cpuinfo")
_NODES = Path("/sys/devices/system/node")


def measure_versions(session: Session) -> Measurement:
    """Versions, chip, processor, cores and NUMA nodes; counts what is outside the declared ranges."""
    findings = [check_versions()]
    parts = [
        f"fairmot {fairmot.__version__}",
        f"MindSpore {importlib.metadata.version('mindspore')}",
        f"NumPy {importlib.metadata.version('numpy')}",
        f"Python {platform.python_version()}",
        *_processor(),
    ]
    if session.on_ascend:
        cann = check_cann()
        findings.append(cann)
        parts[2:2] = [cann.detail, f"chip {_chip()}"]
    faults = [finding.detail for finding in findings if finding.status is Status.failed]
    detail = "; ".join([*parts, *(f"FAULT {fault}" for fault in faults if fault not in parts)])
    return Measurement(float(len(faults)), 0.0, "faults", detail)


def _chip() -> str:
    """The NPU's name, as MindSpore has it."""
    try:
        return str(ms.hal.get_device_name(int(os.environ.get("DEVICE_ID", "0")), "Ascend"))
    except (RuntimeError, ValueError) as error:
        return f"unknown ({str(error).splitlines()[0]})"


def _processor() -> list[str]:
    """The host's processor, how much of it this process may use, and its NUMA nodes."""
    model = re.search(r"^model name\s*:\s*(.+)$", _text(_CPU_INFO), re.MULTILINE)
    nodes = sorted(_NODES.glob("node[0-9]*/cpulist"))
    numa = ", ".join(f"{path.parent.name} cores {_text(path).strip()}" for path in nodes)
    return [
        f"{model[1] if model else 'processor unknown'} ({platform.machine()})",
        f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores",
        f"NUMA: {numa or 'unknown'}",
        f"{platform.system()} {platform.release()}",
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
