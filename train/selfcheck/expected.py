"""Stored values: what the original PyTorch code computes from drawn weights and inputs.

`scripts/selfcheck_expected.py` cuts them out of the fixtures in tests/parity, whose README says how those were made.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fairmot.device import Device
from train.precision import Precision
from train.selfcheck.config import SelfcheckConfig

_FOLDER = Path(__file__).with_name("expected")


def load(name: str) -> dict[str, np.ndarray]:
    """The arrays of one file.

    Raises:
        FileNotFoundError: this installation lacks it.
    """
    with np.load(_FOLDER / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


class Tolerance:
    """The largest difference that passes, as a share of the largest value of each array.

    On CPUs it is what the fixtures' tests demand. An NPU adds up in another order and has other approximations of exp and
    log: a thousandth leaves them room, and is less than what convolutions in HF32 (ten bits of mantissa) make of a deep
    network. Half precision was measured on CPUs and given three times as much; bfloat16 has three bits less.

    Args:
        cpu: in fp32 on a CPU.
        fp16: on either device.
        ascend: in fp32 on an NPU.
    """

    def __init__(self, cpu: float, fp16: float, ascend: float = 1e-3) -> None:
        self._fp32 = {Device.cpu: cpu, Device.ascend: max(ascend, cpu)}
        self._low = {Precision.fp16: fp16, Precision.bf16: 8 * fp16}

    def of(self, config: SelfcheckConfig) -> float:
        """For the device and precision of a configuration."""
        return self._low.get(config.runtime.precision, self._fp32[config.device])

    def in_fp32(self, config: SelfcheckConfig) -> float:
        """For what computes in fp32 at any precision."""
        return self._fp32[config.device]


def rows(fixture: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, by the rest of their names."""
    return {key.removeprefix(prefix): array for key, array in fixture.items() if key.startswith(prefix)}
