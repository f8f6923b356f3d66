"""What the checks share."""

from dataclasses import dataclass
from pathlib import Path

from fairmot.data.index import LabelIndex
from fairmot.device import Device, FoundDevice, find_device, list_npus
from train.cluster.allocation import Allocation
from train.cluster.rank_table import RankTable, Server
from train.config import TrainConfig
from train.run_dir import named_run_dir, parent_run_dir


@dataclass
class Context:
    """What is checked, and what earlier checks have learnt for later ones.

    Attributes:
        config: of the run.
        ranks: processes of the whole job; 0: as many as the table lists, one without a table.
        table_path: the rank table; None: all ranks run on this host.
        table: its content, once read.
        server: this host's entry in it, once found.
        allocation: what a cluster's scheduler has given, once read.
        index: the labels, once read.
        checkpoint_bytes: size of one checkpoint, once the network has been built.
    """

    config: TrainConfig
    ranks: int
    table_path: Path | None
    table: RankTable | None = None
    server: Server | None = None
    allocation: Allocation | None = None
    index: LabelIndex | None = None
    checkpoint_bytes: int | None = None

    @property
    def hosts(self) -> int:
        """How many take part."""
        if self.table:
            return len(self.table.servers)
        return self.allocation.count if self.allocation else 1

    @property
    def ranks_here(self) -> int:
        """How many ranks run on this host."""
        if self.server:
            return len(self.server.devices)
        return self.allocation.ranks_each if self.allocation else max(self.ranks, 1)

    @property
    def device(self) -> FoundDevice:
        """Where the ranks would run, and why.

        Raises:
            ConfigError: NPUs are here, but MindSpore cannot use them.
        """
        return find_device(self.config.device)

    @property
    def wants_npus(self) -> bool:
        """Whether NPUs and CANN have to be there, also where they cannot be used yet."""
        return self.config.device is Device.ascend or (self.config.device is Device.auto and bool(list_npus()))

    @property
    def run_dir(self) -> Path:
        """The run directory, or the folder in which one is going to be made."""
        return Path(named_run_dir(self.config) or parent_run_dir(self.config))
