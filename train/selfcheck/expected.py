"""Stored values: what the original PyTorch code computes from drawn weights and inputs.

`scripts/selfcheck_expected.py` cuts them out of the fixtures in tests/parity, whose README says how those were made.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from train.selfcheck.check import Session
from train.step_config import Precision

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

    On CPUs it is what the fixtures' tests demand. An NPU adds up in another order and has other approximations of exp
    and log: a thousandth leaves them room, and is less than what convolutions in HF32 make of a deep network. Half
    precision was measured on CPUs and may differ three to four times as much; HF32 keeps as many bits, bfloat16 three
    fewer.

    Args:
        cpu: in fp32 on a CPU.
        fp16: on either device.
        ascend: in fp32 on an NPU.
    """

    def __init__(self, cpu: float, fp16: float, ascend: float = 1e-3) -> None:
        self._cpu, self._fp16, self._ascend = cpu, fp16, max(ascend, cpu)

    def of(self, session: Session) -> float:
        """At the configured precision."""
        low = {Precision.fp16: self._fp16, Precision.bf16: 8 * self._fp16}
        return low.get(session.config.runtime.precision, self.in_fp32(session))

    def in_fp32(self, session: Session) -> float:
        """For what computes in fp32 at every precision."""
        if session.on_ascend:
            return self._fp16 if session.config.runtime.allow_hf32 else self._ascend
        return self._cpu


def rows(fixture: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `prefix`, by the rest of their names."""
    return {key.removeprefix(prefix): array for key, array in fixture.items() if key.startswith(prefix)}
