"""Which device a process takes, and what it tells MindSpore's executor; the real Ascend backend is asked for both."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from ascend_process import needs_tools, run_with_ascend
from mindspore.device_context import ascend

from fairmot import device as device_module
from fairmot.device import Device, FoundDevice, device_in_use, find_device, say_device, use_device
from fairmot.errors import ConfigError
from fairmot.model.config import ModelConfig
from fairmot.model.network import build_network
from fairmot.weights.weights_file import weights_file

SIMULATED = {"MS_SIMULATION_LEVEL": "1", "RANK_SIZE": "1", "RANK_ID": "0", "DEVICE_ID": "5"}
ASK = """
import dataclasses, json, os
import mindspore as ms
from mindspore._c_expression import AscendOpPrecisionConf, AscendOpTuningConf, DeviceManagerConf, MSContext
from mindspore._c_expression import ms_ctx_param
from fairmot.errors import ConfigError
from fairmot.device import Device, ExecutorConfig, JitLevel, OverflowMode, use_device
executor = EXECUTOR
for _ in range(2):  # the second time nothing is left to do
    use_device(Device.ascend, executor)
try:
    use_device(Device.ascend, dataclasses.replace(executor, jit_level=JitLevel.O1, allow_hf32=False))
    refused = ""
except ConfigError as error:
    refused = str(error)
precision = AscendOpPrecisionConf.get_instance()
print(json.dumps({
    "device": list(ms.get_current_device()),
    "jit_level": MSContext.get_instance().get_param(ms_ctx_param.jit_level),
    "hf32": [precision.conv_allow_hf32(), precision.matmul_allow_hf32()],
    "deterministic": DeviceManagerConf.get_instance().is_deterministic_configured(),
    "hccl": os.environ.get("HCCL_DETERMINISTIC"),
    "op_compile": AscendOpTuningConf.get_instance().jit_compile(),
    "overflow": os.environ["MS_ASCEND_CHECK_OVERFLOW_MODE"],
    "refused": refused,
}))
"""


@needs_tools
@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (
            "ExecutorConfig()",
            {
                "device": ["Ascend", 5],
                "jit_level": "O0",
                "hf32": ["0", "0"],
                "deterministic": True,
                "hccl": "true",
                "op_compile": "0",
                "overflow": "INFNAN_MODE",
            },
        ),
        (
            "ExecutorConfig(JitLevel.O1, allow_hf32=True, deterministic=False, op_compile=True, "
            "overflow_mode=OverflowMode.saturation)",
            {
                "device": ["Ascend", 5],
                "jit_level": "O1",
                "hf32": ["1", "1"],
                "deterministic": False,
                "hccl": None,
                "op_compile": "1",
                "overflow": "SATURATION_MODE",
            },
        ),
    ],
    ids=["defaults", "others"],
)
def test_the_settings_reach_mindspore(tmp_path, executor, expected):
    said = json.loads(run_with_ascend(ASK.replace("EXECUTOR", executor), tmp_path, **SIMULATED).splitlines()[-1])
    assert "are fixed for a process, so no sweep can go over them" in said.pop("refused")
    assert said == expected


SCHEDULER = """
import os
import mindspore as ms
from fairmot.device import Device, use_device
use_device(Device.ascend)
print(ms.get_context("device_target"), os.environ.get("HCCL_DETERMINISTIC"))
"""


@needs_tools
def test_msruns_scheduler_needs_no_settings(tmp_path):
    """MindSpore keeps it on the CPU, where it would complain of each of them."""
    addresses = {"MS_WORKER_NUM": "1", "MS_SCHED_HOST": "127.0.0.1", "MS_SCHED_PORT": "8118"}
    said = run_with_ascend(SCHEDULER, tmp_path, MS_ROLE="MS_SCHED", **addresses)
    assert said.splitlines()[-1] == "CPU None"


def npus_below(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_without_an_npu_auto_is_the_cpu_and_says_so(tmp_path, monkeypatch, capsys):
    npus_below(tmp_path, "davinci_manager", "null")  # the driver's own node is no NPU
    expected = FoundDevice(Device.cpu, f"no NPU here: no {tmp_path}/davinci0")
    assert find_device(Device.auto, tmp_path) == expected
    monkeypatch.setattr(device_module, "DEVICES", tmp_path)
    use_device(Device.auto)
    assert device_in_use() is Device.cpu
    say_device(Device.auto)
    say_device(Device.cpu)  # nothing to be said: somebody chose it
    assert capsys.readouterr().err == f"device=auto: cpu ({expected.reason})\n"


@pytest.mark.skipif(ascend.is_available(), reason="CANN is installed here")
def test_npus_without_cann_are_refused_and_not_replaced_by_the_cpu(tmp_path, monkeypatch):
    npus_below(tmp_path, "davinci0", "davinci1", "davinci_manager")
    message = f"device=auto: 2 NPU(s) are here ({tmp_path}/davinci0), but MindSpore cannot load CANN"
    with pytest.raises(ConfigError, match=re.escape(message) + r".*set_env\.sh.*device=cpu"):
        find_device(Device.auto, tmp_path)
    monkeypatch.setattr(device_module, "DEVICES", tmp_path)
    with pytest.raises(ConfigError, match="cannot load CANN"):
        use_device(Device.auto)
    assert find_device(Device.cpu, tmp_path) == FoundDevice(Device.cpu, "as asked")


def test_in_a_simulated_world_auto_is_the_npu(tmp_path, monkeypatch):
    monkeypatch.setenv("MS_SIMULATION_LEVEL", "1")
    assert find_device(Device.auto, tmp_path).device is Device.ascend


FIND = """
from pathlib import Path
from mindspore._c_expression import DeviceManagerConf
from fairmot.device import Device, find_device
print(find_device(Device.auto, Path(".")), DeviceManagerConf.get_instance().is_device_enable())
"""


@needs_tools
def test_an_npu_is_found_and_not_taken(tmp_path):
    """MindSpore loads the stand-ins for CANN without simulation, as it would load CANN itself."""
    npus_below(tmp_path, "davinci0", "davinci15")
    said = run_with_ascend(FIND, tmp_path).splitlines()[-1]
    assert said.startswith("FoundDevice(device=<Device.ascend: 'ascend'>, reason='2 NPU(s) here, and CANN is loaded')")
    assert said.endswith(" False")


CONVERT = """
from fairmot.convert.command import convert
from fairmot.cli.command import compose
from fairmot.convert.config import ConvertConfig
convert(compose(["source=source.safetensors", "output=output.pth"], ConvertConfig, "convert"))
from mindspore._c_expression import DeviceContextManager
npu = DeviceContextManager.get_instance().get_device_context("Ascend")
print("opened", npu is not None and npu.initialized())
"""


@needs_tools
def test_weights_are_converted_without_opening_an_npu(tmp_path):
    """Where MindSpore finds CANN, even some of a network's first values are made on an NPU, unless told otherwise."""
    config = ModelConfig(name="dla_34", width=0.0625, head_conv=8, reid_dim=8)
    state = build_network(config, seed=0).state()
    manifest = {"model": dataclasses.asdict(config), "num_classes": 1, "input_size": [64, 96], "progress": {"epoch": 1}}
    (tmp_path / "source.safetensors").write_bytes(
        weights_file({name: tensor.asnumpy() for name, tensor in state.items()}, manifest)
    )
    assert run_with_ascend(CONVERT, tmp_path).splitlines()[-1] == "opened False"
    assert (tmp_path / "output.pth").is_file()
