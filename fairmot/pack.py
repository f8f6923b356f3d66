"""Put a data set's images and labels into a few large files: python -m fairmot.pack data=mot17 output=packed/mot17."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from fairmot.cli.command import run_command
from fairmot.data.dataset import DataConfig
from fairmot.data.index import build_index
from fairmot.data.packed import check_pack, write_pack


@dataclass
class PackConfig:
    """What is packed, and where to.

    Attributes:
        data: the training data: its root and lists.
        output: the pack's folder; training is given it as data.packed.
        shard_mb: size of a shard, megabytes.
        check: only read the pack from end to end and compare its digests.
    """

    data: DataConfig = field(default_factory=DataConfig)
    output: str = MISSING
    shard_mb: int = 1024
    check: bool = False

    def __post_init__(self) -> None:
        if not self.output.strip():
            raise ValueError("output is empty: name a folder")
        if self.shard_mb < 1:
            raise ValueError(f"shard_mb={self.shard_mb}: must be at least 1")


def pack(config: PackConfig) -> None:
    """Write a pack, or check one.

    Raises:
        DataError: the data cannot be used, the output cannot be written, or a pack is damaged.
    """
    folder = Path(config.output)
    if config.check:
        print(f"{folder}: {check_pack(folder)} images, all digests fit")
        return
    index = build_index(config.data.root, config.data.train, config.data.cache_dir)
    if write_pack(index, folder, config.shard_mb * 1_000_000):
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{folder}: {len(index)} images in {size / 1e6:.0f} MB; train with data.packed={folder}")
    else:
        print(f"{folder} was complete already: nothing changed")


if __name__ == "__main__":
    run_command(pack, PackConfig, "pack")
