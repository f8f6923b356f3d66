"""Where networks run."""

import ctypes
import os
from enum import Enum

import mindspore as ms

from fairmot.errors import ConfigError


class Device(Enum):
    """The hardware a network runs on."""

    cpu = "cpu"
    ascend = "ascend"


_TARGETS = {Device.cpu: "CPU", Device.ascend: "Ascend"}


def use_device(device: Device) -> None:
    """Let this process compile graphs for `device`; of a host's NPUs for the one that DEVICE_ID names, else the first.

    Both ways of starting ranks, rank table and msrun, number a host's processes by DEVICE_ID.

    Raises:
        ConfigError: it is not there, or DEVICE_ID is no number.
    """
    ms.set_context(mode=ms.GRAPH_MODE)
    if ms.get_context("device_target") == _TARGETS[device]:
        return  # once MindSpore has run something it refuses every choice, even the one it has
    try:
        if device is Device.ascend:
            ms.set_device(_TARGETS[device], int(os.environ.get("DEVICE_ID", "0")))
        else:
            ms.set_device(_TARGETS[device])
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"device={device.value} cannot be used: {str(error).splitlines()[0]}") from error


def return_unused_memory() -> None:
    """Give back to the system what compiling a graph leaves unused in this process's heap; glibc alone can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
