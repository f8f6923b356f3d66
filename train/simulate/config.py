"""What the dry run is asked for, and what is known of the chips it can take the place of."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

Chip = Enum("Chip", {"910a": "910a", "910b": "910b", "910b4": "910b4", "a3": "a3"})
"""NPUs: 910a, the first training series; 910b and 910b4, Atlas A2; a3, Atlas A3."""


class ChipFacts(NamedTuple):
    """What the dry run must know of a chip.

    Attributes:
        soc_name: as CANN calls it.
        memory_gb: of one device, GiB.
        devices_per_host: in the servers that hold it.
    """

    soc_name: str
    memory_gb: int
    devices_per_host: int


CHIPS = {
    Chip["910a"]: ChipFacts("Ascend910A", 32, 8),
    Chip["910b"]: ChipFacts("Ascend910B2", 64, 8),
    Chip["910b4"]: ChipFacts("Ascend910B4", 32, 8),
    Chip["a3"]: ChipFacts("Ascend910_9391", 64, 16),
}


@dataclass
class SimulateConfig:
    """The Ascend dry run: compile for an NPU without one, count, train nothing. docs/ascend.md says what that proves.

    Attributes:
        chip: the NPU to compile for; null: no dry run.
        ranks: how many there would be in all; above one host's NPUs a multiple of them.
        rank: which of them is compiled, from 0 on.
        report: file for the report as JSON; null: it is only printed.
        identities: of the classifier where the data is not there to be counted.
        objects: slots of a sample where neither the data is there nor data.max_objects given.
        time_limit_s: after so long without an end the compiling is given up.
    """

    chip: Chip | None = None
    ranks: int = 1
    rank: int = 0
    report: str | None = None
    identities: int = 1000
    objects: int = 128
    time_limit_s: int = 7200

    def __post_init__(self) -> None:
        for key in ("ranks", "identities", "objects", "time_limit_s"):
            if getattr(self, key) < 1:
                raise ValueError(f"simulate.{key}={getattr(self, key)}: must be at least 1")
        if not 0 <= self.rank < self.ranks:
            raise ValueError(f"simulate.rank={self.rank}: must lie between 0 and simulate.ranks - 1 = {self.ranks - 1}")
        if self.chip is not None:
            a_host = CHIPS[self.chip].devices_per_host
            if self.ranks > a_host and self.ranks % a_host:
                raise ValueError(
                    f"simulate.ranks={self.ranks}: hosts with {self.chip.value} have {a_host} NPUs; give a multiple "
                    f"of {a_host}, or at most {a_host}"
                )
