"""Every kind of bad input ends in one clear error, before the first step."""

import os
import subprocess
import time

import cv2
import numpy as np
import pytest
from small_run import compose_config, overrides, run_training, write_pictures

from fairmot.errors import CheckpointError, ConfigError, DataError, FairMOTError
from train.command import train


@pytest.fixture
def root(tmp_path):
    write_pictures(tmp_path / "data")
    return tmp_path / "data"


def start(root, tmp_path, **changes):
    changes = {"run_dir": tmp_path / "run", "max_steps": 1, **changes}
    train(compose_config(overrides(root, **changes)))


def test_missing_root(tmp_path):
    with pytest.raises(DataError, match="data.root=.*nowhere is not a folder"):
        start(tmp_path / "nowhere", tmp_path)


def test_empty_list(root, tmp_path):
    (root / "small.train").write_text("\n\n")
    with pytest.raises(DataError, match="small.train"):
        start(root, tmp_path)


def test_listed_image_is_missing(root, tmp_path):
    (root / "small/images/004.jpg").unlink()
    with pytest.raises(DataError, match=r"small.train:5.*004.jpg"):
        start(root, tmp_path)


def test_truncated_jpg(root, tmp_path):
    path = root / "small/images/003.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"003.jpg"):
        train(compose_config(overrides(root, tmp_path / "run", epochs=2, save_every_steps=100)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 1 0.5 0.5 0.1", "5 "),
        ("0 1 0.5 nan 0.1 0.2", "nan|NaN|finite"),
        ("0 1 0.5 half 0.1 0.2", "number"),
        ("0 1 320 240 60 120", "pixels"),
        ("0 -2 0.5 0.5 0.1 0.2", "-2"),
    ],
)
def test_bad_label_row(root, tmp_path, row, message):
    path = root / "small/labels_with_ids/002.txt"
    path.write_text(path.read_text() + row + "\n")
    line = len(path.read_text().splitlines())
    with pytest.raises(DataError, match=f"002.txt:{line}.*({message})"):
        start(root, tmp_path)


def test_a_box_wholly_outside_is_kept_but_said(root, tmp_path, caplog):
    (root / "small/labels_with_ids/002.txt").write_text("0 1 1.4 0.5 0.1 0.2\n")
    start(root, tmp_path)
    assert "002.txt:1" in caplog.text


def test_batch_larger_than_the_data(root, tmp_path):
    with pytest.raises(ConfigError, match=r"batch_size_per_rank=12 = 12, but there are 11 images"):
        start(root, tmp_path, batch_size_per_rank=12)


def test_more_micro_batches_than_an_epoch_has(root, tmp_path):
    with pytest.raises(ConfigError, match="optim.accumulation=6: an epoch has only 5 batches"):
        start(root, tmp_path, optim__accumulation=6)


def test_unwritable_run_folder(root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FairMOTError, match="run_dir=.*file/run: cannot be written"):
        start(root, tmp_path, run_dir=tmp_path / "file" / "run")


def test_wrong_checkpoint(root, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        start(root, tmp_path, resume_from=tmp_path)
    with pytest.raises(CheckpointError, match=r"weights=.*none.safetensors does not exist"):
        start(root, tmp_path, weights=tmp_path / "none.safetensors")


@pytest.mark.slow
def test_gradients_that_stay_infinite_end_the_run(root, tmp_path):
    with pytest.raises(FairMOTError, match="the gradients of the last 50 steps were not finite"):
        train(
            compose_config(
                overrides(
                    root, tmp_path / "run", epochs=40, optim__lr=1e20, optim__schedule="constant", save_every_steps=999
                )
            )
        )


REFUSED = [
    ("epoch=3", "unknown key 'epoch': did you mean 'epochs'?"),
    ("experiment=tuds", "unknown experiment 'tuds': did you mean 'tud'?"),
    ("optim.lr=-1", "optim.lr=-1.0"),
]
REFUSED_TOO = [
    ("optim.learning_rate=1", "unknown key 'optim.learning_rate': did you mean 'optim"),
    ("lr=1", "unknown key 'lr': did you mean 'optim.lr'?"),
    ("optim.lr=abc", "optim.lr"),
    ("optim.name=adm", "optim.name"),
    ("data.input_size=[100,100]", "data.input_size"),
    ("model.name=dla_60", "model.name=dla_60"),
    ("data.train={mine: mine.train}", "data.train: to add an entry put a + before it"),
]


@pytest.mark.parametrize(
    ("word", "message"), [*REFUSED, *(pytest.param(*case, marks=pytest.mark.slow) for case in REFUSED_TOO)]
)
def test_refused_words_exit_with_2_and_one_line(root, tmp_path, word, message):
    code, output = run_training([*overrides(root, tmp_path / "run"), word])
    assert code == 2, output
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in output


def test_bad_data_exits_with_1_within_seconds(tmp_path):
    began = time.monotonic()
    code, output = run_training(overrides(tmp_path / "nowhere", tmp_path / "run"))
    assert code == 1
    assert output.strip().splitlines()[-1].startswith("error: data.root=")
    assert time.monotonic() - began < 60


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_fills_up_while_saving_ends_with_the_reason(root, tmp_path):
    mount = tmp_path / "small_disk"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", mount], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        code, output = run_training(overrides(root, mount / "run", save_every_steps=1, model="dlaconv_34_narrow"))
        assert code == 1
        assert "No space left on device" in output
        assert "the newest whole checkpoint is step_" in output or "there is no older checkpoint" in output
        assert not list((mount / "run/checkpoints").glob(".unfinished*"))
    finally:
        subprocess.run(["umount", mount], check=True)


def test_pictures_of_another_size_and_greyscale_train(root, tmp_path):
    cv2.imwrite(str(root / "small/images/001.jpg"), np.full((200, 90), 128, np.uint8))
    start(root, tmp_path)
