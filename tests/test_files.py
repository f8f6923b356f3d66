"""Files and folders that the program makes: their permissions are the umask's."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fairmot.data.layout import Built, build_data_set
from fairmot.files import write_atomic
from fairmot.media.video_writer import FramesWriter, VideoWriter
from fairmot.weights.checkpoint import GROUPS, save_checkpoint
from train.launch import processes

FRAME = np.zeros((16, 16, 3), np.uint8)


@pytest.fixture(params=[0o077, 0o022, 0o002], ids=oct)
def umask(request) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _write_all(folder: Path) -> None:
    """One of each kind: whole files, checkpoints, videos, folders of frames, data sets, logs."""
    write_atomic(folder / "config.yaml", "seed: 1\n")
    tensors = {group: {"a": np.zeros(2, np.float32)} for group in GROUPS}
    save_checkpoint(folder / "checkpoints", 1, tensors, {}, "seed: 1\n", keep=1)
    with VideoWriter(folder / "street.mp4", 25.0, (16, 16)) as video:
        video.write(FRAME)
    with FramesWriter(folder / "frames") as frames:
        frames.write(FRAME)

    def build(made: Path) -> Built:
        write_atomic(made / "labels" / "1.txt", "")
        return Built({"mine.train": []}, [])

    build_data_set(folder / "data", "mine", {}, build)
    build_data_set(folder / "data", "mine", {"changed": True}, build, replace=True)
    process = processes.start(["/bin/true"], {}, folder / "rank_0.log")
    os.waitpid(process, 0)


def test_whatever_is_made_has_the_permissions_of_any_new_file(umask, tmp_path):
    _write_all(tmp_path / "run")
    made = list((tmp_path / "run").rglob("*"))
    assert len(made) > 20
    assert not [path.name for path in made if path.name.endswith(".tmp")]
    modes = {str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in made}
    expected = {name: (0o777 if (tmp_path / name).is_dir() else 0o666) & ~umask for name in modes}
    assert modes == expected
