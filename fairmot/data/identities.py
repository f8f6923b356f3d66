"""Which identity is whose when several data sets train one classifier."""

from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class IdentityTable:
    """The data sets of a mix in order, each with the number of identities it claims.

    The k-th data set's ids are shifted by the counts before it, as the original does. A checkpoint
    keeps this table: a classifier's rows mean nothing under another one.

    Attributes:
        names: data sets, in the order of the configuration.
        counts: largest id + 1 of each, 0 for a data set without identities.
    """

    names: list[str]
    counts: list[int]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.counts):
            raise ValueError(f"identity table: {len(self.names)} names but {len(self.counts)} counts")
        if below := [name for name, count in zip(self.names, self.counts, strict=True) if count < 0]:
            raise ValueError(f"identity table: {below[0]} is below 0")

    @property
    def offsets(self) -> list[int]:
        """What is added to the ids of each data set."""
        return list(accumulate(self.counts, initial=0))[:-1]

    @property
    def num_identities(self) -> int:
        """Classes of the classifier. One more than there are ids, as in the original (its nID)."""
        return sum(self.counts) + 1

    def differences(self, other: "IdentityTable") -> list[str]:
        """How a checkpoint's table, `other`, differs from this run's; nothing when ids mean the same in both."""
        mine, theirs = (dict(zip(table.names, table.counts, strict=True)) for table in (self, other))
        found = [
            f"data set '{name}': the checkpoint lacks it, this run has it" for name in self.names if name not in theirs
        ]
        found += [
            f"data set '{name}': the checkpoint has it, this run lacks it" for name in other.names if name not in mine
        ]
        found += [
            f"identities of data set '{name}': checkpoint {theirs[name]}, this run {mine[name]}"
            for name in self.names
            if name in theirs and theirs[name] != mine[name]
        ]
        if not found and self.names != other.names:
            found.append(
                f"order of the data sets: checkpoint {', '.join(other.names)}, this run {', '.join(self.names)}"
            )
        return found
