"""Where a cluster's scheduler has put the launchers of a job, as its environment tells each of them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Allocation:
    """All places of a job that a launcher runs in, and which of them this is. Each has equally many ranks.

    Attributes:
        names: what people call them; the first one leads.
        ranks_each: ranks of each.
        node_rank: this one's number; 0 leads.
        scheduler: address and port of MindSpore's scheduler, as this place reaches it.
        per_host: how many places one host has, in a row.
    """

    names: tuple[str, ...]
    ranks_each: int
    node_rank: int
    scheduler: tuple[str, int]
    per_host: int = 1

    @property
    def count(self) -> int:
        """How many places there are."""
        return len(self.names)

    def first_device(self, node_rank: int) -> int:
        """The number of a place's first device on its host."""
        return node_rank % self.per_host * self.ranks_each


def read_number(environment: Mapping[str, str], name: str, least: int) -> int | None:
    """A variable's whole number; None where it is no number, or below `least`."""
    text = environment.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and int(text) >= least else None
