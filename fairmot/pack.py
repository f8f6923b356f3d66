"""Put a data set's images and labels into a few large files: python -m fairmot.pack data=mot17 output=packed/mot17."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from fairmot.addresses import is_address, masked_address
from fairmot.cli.command import run_command
from fairmot.data.dataset import DataConfig
from fairmot.data.index import build_index
from fairmot.data.pack_writer import write_pack
from fairmot.data.packed import check_pack


@dataclass
class PackConfig:
    """What is packed, and where to.

    Attributes:
        data: the training data: its root and lists.
        output: the pack's folder; training is given it as data.packed. With check also an address.
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
        if is_address(self.output) and not self.check:
            raise ValueError(
                f"output={masked_address(self.output)}: packs are written to folders; copy the folder there then, "
                "manifest.json last"
            )
        if self.shard_mb < 1:
            raise ValueError(f"shard_mb={self.shard_mb}: must be at least 1")


def pack(config: PackConfig) -> None:
    """Write a pack, or check one.

    Raises:
        DataError: the data cannot be used, the output cannot be written, or a pack is damaged.
    """
    if config.check:
        images = check_pack(config.output, config.data.pack_cache)
        print(f"{masked_address(config.output)}: {images} images, all digests fit")
        return
    folder = Path(config.output)
    index = build_index(config.data.root, config.data.train, config.data.cache_dir)
    if write_pack(index, folder, config.shard_mb * 1_000_000):
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{folder}: {len(index)} images in {size / 1e6:.0f} MB; train with data.packed={folder}")
    else:
        print(f"{folder} was complete already: nothing changed")


if __name__ == "__main__":
    run_command(pack, PackConfig, "pack")
