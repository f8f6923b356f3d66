"""Where networks run, and with which settings of MindSpore's executor.

Configurations name devices, and help prints configurations: MindSpore is imported by the functions that use it.
"""
# ruff: noqa: PLC0415

import ctypes
import functools
import os
import sys
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from fairmot.errors import ConfigError


class Device(Enum):
    """The hardware a network runs on; auto is an NPU where one is found, else the CPU."""

    auto = "auto"
    cpu = "cpu"
    ascend = "ascend"


class FoundDevice(NamedTuple):
    """What `device=` means on this machine.

    Attributes:
        device: cpu or ascend.
        reason: why, in a few words.
    """

    device: Device
    reason: str


DEVICES = Path("/dev")
"""Where the driver shows NPUs, as davinci0 and so on."""
_CALL_DEPTH = 5000
"""Of MindSpore's compiler: it nests the parameters that a step writes in one another, and HRNet has 984 of them."""
_TARGETS = {Device.cpu: "CPU", Device.ascend: "Ascend"}

JitLevel = Enum("JitLevel", {"O0": "O0", "O1": "O1"})
"""How a graph is turned into kernels on an NPU: O0 one by one, O1 with neighbouring elementwise ones fused."""


class OverflowMode(Enum):
    """What an NPU's arithmetic makes of a number too large for its type."""

    infnan = "INFNAN_MODE"
    saturation = "SATURATION_MODE"


@dataclass
class ExecutorConfig:
    """How graphs are executed on an NPU; without effect on a CPU.

    Attributes:
        jit_level: on an NPU: O0 launches the operators as they are, MindSpore's own choice; O1 fuses neighbouring
            elementwise ones into fewer kernels, which takes longer to compile.
        allow_hf32: on an NPU: let fp32 convolutions and matrix products round their inputs to 11 bits of mantissa
            (HF32). Faster; off, because losses are then comparable with a CPU's. CANN alone does it for convolutions.
        deterministic: on an NPU: the same inputs give the same bits, in operators and in the all-reduce (it also sets
            HCCL_DETERMINISTIC). On, because only then a resumed run equals one that was not interrupted; costs speed.
        op_compile: on an NPU: compile operators of the old interface (aclop) for their shapes at the first step. Off:
            CANN's prebuilt ones, where it has them, make the first step shorter.
        overflow_mode: on an NPU: infnan follows IEEE 754; saturation stops at the largest number, as a 910A always
            does, and is slower to test. Wins over MS_ASCEND_CHECK_OVERFLOW_MODE.
    """

    jit_level: JitLevel = JitLevel.O0
    allow_hf32: bool = False
    deterministic: bool = True
    op_compile: bool = False
    overflow_mode: OverflowMode = OverflowMode.infnan


def list_npus(devices: Path | None = None) -> list[Path]:
    """The NPUs that the driver shows to this process, such as /dev/davinci0; none of them is opened."""
    return sorted((devices or DEVICES).glob("davinci[0-9]*"))


def find_device(wanted: Device, devices: Path | None = None) -> FoundDevice:
    """Say which device `wanted` is here, without holding one.

    Args:
        wanted: as configured.
        devices: where the driver shows NPUs; None: /dev.

    Raises:
        ConfigError: it is auto, NPUs are there, but MindSpore cannot use them; to train on the CPU instead, for days,
            is nothing to be decided in silence.
    """
    if wanted is not Device.auto:
        return FoundDevice(wanted, "as asked")
    if os.environ.get("MS_SIMULATION_LEVEL"):
        return FoundDevice(Device.ascend, "MindSpore simulates an NPU (MS_SIMULATION_LEVEL)")
    npus = list_npus(devices)
    if not npus:
        return FoundDevice(Device.cpu, f"no NPU here: no {devices or DEVICES}/davinci0")
    from mindspore.device_context import ascend

    if not ascend.is_available():
        raise ConfigError(
            f"device=auto: {len(npus)} NPU(s) are here ({npus[0]}), but MindSpore cannot load CANN; its "
            "warning above names the library. Source CANN's set_env.sh, or install CANN (preflight=true of python -m "
            "train says more); or say device=cpu"
        )
    return FoundDevice(Device.ascend, f"{len(npus)} NPU(s) here, and CANN is loaded")


def say_device(wanted: Device) -> None:
    """One line for people, where the device was not theirs to choose."""
    if wanted is Device.auto:
        found = find_device(wanted)
        print(f"device=auto: {found.device.value} ({found.reason})", file=sys.stderr)


def device_in_use() -> Device:
    """What this process's graphs are compiled for, once `use_device` was called."""
    import mindspore as ms

    return next(device for device, target in _TARGETS.items() if target == ms.get_context("device_target"))


def use_device(device: Device, executor: ExecutorConfig | None = None) -> None:
    """Let this process compile graphs for `device`; of a host's NPUs for the one that DEVICE_ID names, else the first.

    Both ways of starting ranks, rank table and msrun, number a host's processes by DEVICE_ID.

    Args:
        device: where graphs run; auto as `find_device` says.
        executor: settings for an NPU; None: the defaults. To be given before ranks are connected.

    Raises:
        ConfigError: it is not there, DEVICE_ID is no number, or this process has set up its NPU otherwise.
    """
    import mindspore as ms

    device = find_device(device).device
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        if device is Device.ascend:
            # Also where Ascend is the target already, as it is wherever MindSpore finds CANN: it has no number yet.
            ms.set_device(_TARGETS[device], int(os.environ.get("DEVICE_ID", "0")))
            ms.set_recursion_limit(_CALL_DEPTH)
            executor = executor or ExecutorConfig()
            if ms.get_context("device_target") == _TARGETS[device]:  # MindSpore puts msrun's scheduler on the CPU
                _set_executor(*(getattr(executor, field.name) for field in fields(ExecutorConfig)))
        elif ms.get_context("device_target") != _TARGETS[device]:
            ms.set_device(_TARGETS[device])  # once MindSpore has run something it refuses even the one it has
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"device={device.value} cannot be used: {str(error).splitlines()[0]}") from error


@functools.cache  # MindSpore takes most of them once a process, and refuses even the same again
def _set_executor(
    jit_level: JitLevel, allow_hf32: bool, deterministic: bool, op_compile: bool, overflow_mode: OverflowMode
) -> None:
    """Hand the settings to MindSpore, after the device and before anything runs on it.

    Raises:
        ConfigError: this process has others already.
    """
    import mindspore as ms
    from mindspore.device_context import ascend

    try:
        ascend.op_precision.conv_allow_hf32(allow_hf32)
        ascend.op_precision.matmul_allow_hf32(allow_hf32)
        ascend.op_tuning.op_compile(op_compile)
        if deterministic:
            ms.set_deterministic(True)
        ms.set_context(jit_config={"jit_level": jit_level.value})
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            "device=ascend: an NPU's settings (runtime.jit_level, allow_hf32, deterministic, op_compile) are fixed for "
            f"a process, so no sweep can go over them; start a process for each ({reason})"
        ) from error
    os.environ["MS_ASCEND_CHECK_OVERFLOW_MODE"] = overflow_mode.value


def return_unused_memory() -> None:
    """Give back to the system what compiling a graph leaves unused in this process's heap; glibc alone can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
