"""Ranks that read different labels find out before the first step."""

from pathlib import Path

import numpy as np
import pytest
from small_data import person, rows, write_data_set

from fairmot.data.dataset import DataConfig
from fairmot.data.index import build_index
from fairmot.data.pack_writer import write_pack
from fairmot.errors import DataError
from train.build import open_data
from train.config import TrainConfig
from train.distributed import World


class TakingTurns(World):
    """Three ranks, one after the other: what the earlier ones gave is there for the last."""

    given: list[np.ndarray] = []  # noqa: RUF012

    def gather(self, numbers: np.ndarray) -> np.ndarray:
        self.given.append(numbers)
        return np.stack([*self.given, *[self.given[0]] * self.size][: self.size])


@pytest.mark.parametrize("packed", [False, True])
def test_a_rank_with_other_labels_is_named(packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(rank: int, identity: int) -> None:
        root = tmp_path / f"host_of_{rank}"
        root.mkdir()
        lists = write_data_set(root, "a", [rows(person(0)), rows(person(identity))])
        config = TrainConfig(data=DataConfig(root=str(root), train=lists), validate_every_epochs=0)
        if packed:
            write_pack(build_index(str(root), lists, progress=False), root / "pack", 1 << 20, progress=False)
            config.data.packed = str(root / "pack")
        world = TakingTurns(rank, 3)
        open_data(config, world, tmp_path)

    lead_first = World.lead_first
    monkeypatch.setattr(TakingTurns, "lead_first", lambda self, *given: lead_first(World(), *given))
    monkeypatch.setattr(TakingTurns, "given", [])
    opened(0, identity=1)
    opened(1, identity=1)
    with pytest.raises(DataError, match=r"rank 2: labels differ: ranks \[2\] .*data\.(packed|root)"):
        opened(2, identity=2)


def test_ranks_of_one_launcher_look_at_loose_labels_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = write_data_set(tmp_path / "data", "a", [rows(person(0)), rows(person(3))])
    config = TrainConfig(data=DataConfig(root=str(tmp_path / "data"), train=lists), validate_every_epochs=0)
    monkeypatch.setenv("FAIRMOT_LAUNCH_FOLDER", str(tmp_path))
    first = open_data(config, World(), tmp_path)
    (tmp_path / "data/a/labels_with_ids/001.txt").unlink()
    assert open_data(config, World(), tmp_path).digest == first.digest, "the second rank looked for itself"
    monkeypatch.delenv("FAIRMOT_LAUNCH_FOLDER")
    assert open_data(config, World(), tmp_path).digest != first.digest
