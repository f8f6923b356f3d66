"""What a rank says of its own processor and memory."""

import os
import time

import pytest

from fairmot.device import Device
from train.distributed import World
from train.report.system_meter import SystemMeter, npu_usage

# The form of `npu-smi info -t usages -i 0` as its manual describes it; not taken from a device.
ANSWER = """
	NPU ID                         : 0
	Chip Count                     : 1

	DDR Capacity(MB)               : 15171
	DDR Usage Rate(%)              : 3
	HBM Capacity(MB)               : 32768
	HBM Usage Rate(%)              : 41
	Aicore Usage Rate(%)           : 97
	Aicpu Usage Rate(%)            : 0
	Ctrlcpu Usage Rate(%)          : 4
	DDR Bandwidth Usage Rate(%)    : 0
	HBM Bandwidth Usage Rate(%)    : 12
	Chip ID                        : 0
"""


def test_a_working_process_shows(tmp_path):
    meter = SystemMeter(World(), Device.cpu)
    ballast, until_s = bytearray(os.urandom(1)) * 50_000_000, time.process_time() + 0.2
    while time.process_time() < until_s:
        pass
    values = meter.read()
    assert set(values) == {
        *("system/rank_0/cpu_percent", "system/rank_0/memory_mb"),
        *("system/rank_0/host_cpu_percent", "system/rank_0/host_memory_percent"),
    }
    assert values["system/rank_0/cpu_percent"] > 5
    assert values["system/rank_0/memory_mb"] > len(ballast) / 1e6
    assert 0 < values["system/rank_0/host_memory_percent"] <= 100


def test_the_npus_answer_is_read():
    assert npu_usage(ANSWER) == {"npu_percent": 97, "npu_memory_percent": 41}
    assert npu_usage("This device does not support querying usages.") == {}


@pytest.fixture
def npu_smi(tmp_path, monkeypatch):
    """A program of that name which says of which NPU it was asked."""
    path = tmp_path / "npu-smi"
    path.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/asked\ncat <<'EOF'\n{ANSWER}\nEOF\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "asked"


def test_a_rank_asks_for_its_own_npu(npu_smi, monkeypatch):
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.setenv("DEVICE_ID", "1")
    meter = SystemMeter(World(), Device.ascend)
    deadline_s = time.monotonic() + 20
    while "system/rank_0/npu_percent" not in (values := meter.read()):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert values["system/rank_0/npu_percent"] == 97
    assert npu_smi.read_text().split() == ["info", "-t", "usages", "-i", "5"]
