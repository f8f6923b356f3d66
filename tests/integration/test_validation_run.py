"""Validation inside a whole training run: it changes nothing, and the best checkpoint stays."""

import numpy as np
import pytest
from blob_sequences import write_sequence
from small_run import compose_config, curves, overrides, write_pictures

from fairmot.errors import ConfigError
from fairmot.weights.checkpoint import GROUPS, read_checkpoint, whole_checkpoints
from train.command import train
from train.report.record import read_metrics, read_records

NAMES = {"MOTA", "IDF1", "HOTA", "switches", "AP", "seconds"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pictures(root)
    write_sequence(root / "val" / "walk")
    return root


def words(root, run_dir, **changes):
    """Two epochs of five steps, validated after each, with a tracker that takes every detection."""
    return overrides(root, run_dir, data__validation="[val/*]", tracker__conf_thres=0.0, **changes)


def tensors(run_dir):
    checkpoint = read_checkpoint(run_dir)
    return {f"{group}/{name}": array for group in GROUPS for name, array in checkpoint.tensors(group).items()}


def validations(run_dir):
    """Epoch -> MOTA."""
    return dict(read_metrics(run_dir).get("epoch/validation/MOTA", []))


def assert_same_state(run_dir, reference):
    ours, theirs = tensors(run_dir), tensors(reference)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


@pytest.fixture(scope="module")
def validated(root, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("validated") / "run"
    train(compose_config(words(root, run_dir, validate_every_epochs=1)))
    return run_dir


@pytest.mark.slow
def test_training_is_bit_identical_with_and_without_validation(root, validated, tmp_path):
    train(compose_config(words(root, tmp_path / "run")))
    assert_same_state(tmp_path / "run", validated)
    assert curves(tmp_path / "run") == curves(validated)
    assert not (tmp_path / "run" / "validation").exists()
    assert not (tmp_path / "run" / "checkpoints" / "best").exists()


def test_every_epoch_is_validated_and_recorded(validated):
    metrics = read_metrics(validated)
    assert {name.rsplit("/", 1)[1] for name in metrics if name.startswith("epoch/validation/")} == NAMES
    assert list(validations(validated)) == [1, 2]
    sheets = [record["path"] for record, _ in read_records(validated) if record["kind"] == "image"]
    for epoch in (1, 2):
        path = validated / "validation" / f"epoch_{epoch:03d}" / f"validation_epoch_{epoch:03d}.png"
        assert path.is_file()
        assert str(path) in sheets


@pytest.mark.slow
def test_the_best_checkpoint_is_named_and_outlives_newer_ones(root, tmp_path):
    """MOTA here is far below 0 and differs from epoch to epoch; the best of four is still there at the end."""
    run_dir = tmp_path / "run"
    every_box = {"tracker__min_box_area": 0.0, "tracker__max_aspect": 1000.0}
    train(compose_config(words(root, run_dir, validate_every_epochs=1, epochs=4, keep_checkpoints=1, **every_box)))
    found = validations(run_dir)
    assert len(set(found.values())) > 1
    epoch = max(found, key=lambda epoch: (found[epoch], epoch))
    best = (run_dir / "checkpoints" / "best").read_text().strip()
    assert best == f"step_{5 * epoch:08d}"
    assert [path.name for path in whole_checkpoints(run_dir / "checkpoints")] == sorted({best, "step_00000020"})
    progress = read_checkpoint(run_dir).manifest["progress"]
    assert progress["best"] == {"MOTA": found[epoch]}
    assert progress["best_step"] == 5 * epoch


@pytest.mark.slow
def test_an_interrupted_run_validates_and_remembers_as_an_undisturbed_one(root, validated, tmp_path):
    """Stopped in the middle of the second epoch: one more validation there, replaced by that of the whole epoch."""
    run_dir = tmp_path / "run"
    train(compose_config(words(root, run_dir, validate_every_epochs=1, max_steps=7)))
    assert list(validations(run_dir)) == [1, 2]
    train(compose_config(words(root, run_dir, validate_every_epochs=1)))
    assert validations(run_dir) == validations(validated)
    assert_same_state(run_dir, validated)


@pytest.mark.slow
def test_a_finished_run_is_not_validated_again(root, tmp_path):
    run_dir = tmp_path / "run"
    train(compose_config(words(root, run_dir, validate_every_epochs=2)))
    assert list(validations(run_dir)) == [2]
    sheet = run_dir / "validation" / "epoch_002" / "validation_epoch_002.png"
    written = sheet.stat().st_mtime_ns
    train(compose_config(words(root, run_dir, validate_every_epochs=2)))
    assert sheet.stat().st_mtime_ns == written


def test_validation_needs_sequences(root, tmp_path):
    with pytest.raises(ConfigError, match=r"data.validation is empty"):
        compose_config(overrides(root, tmp_path, validate_every_epochs=1))
    with pytest.raises(ConfigError, match="best_metric"):
        compose_config(words(root, tmp_path, best_metric="switches"))


def test_the_engine_of_validation_changes_nothing_but_who_validates(root, validated, tmp_path, capfd):
    """Same weights and losses to the last bit; the scores are those of the same tracks."""
    run_dir = tmp_path / "run"
    train(compose_config(words(root, run_dir, validate_every_epochs=1, validation_engine="onnx")))
    said = capfd.readouterr().err
    assert said.count("validation by ONNX Runtime: exporting the network, once") == 1
    assert "validation goes on by MindSpore" not in said
    assert_same_state(run_dir, validated)
    assert curves(run_dir) == curves(validated)
    assert validations(run_dir) == pytest.approx(validations(validated), abs=1.0)
