"""Two real ranks share the validation sequences."""

import pytest
from blob_sequences import write_sequence
from ranks import train_on
from small_run import overrides, write_pictures

from fairmot.weights.checkpoint import read_checkpoint
from train.report.record import read_metrics

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(900)]


def test_two_ranks_track_their_shares_and_the_lead_reports(tmp_path):
    write_pictures(tmp_path, count=9)
    for name, frames in (("a", 4), ("b", 30), ("c", 4)):
        write_sequence(tmp_path / "val" / name, frames)
    run_dir = tmp_path / "run"
    words = overrides(
        tmp_path, run_dir, data__validation="[val/*]", validate_every_epochs=1, tracker__conf_thres=0.0,
        runtime__check_ranks_every_steps=1, runtime__profile_steps=1, runtime__log_system_every_steps=2,
        log_pictures_every_epochs=1,
    )  # fmt: skip
    train_on(2, words, tmp_path / "logs")
    assert [epoch for epoch, _ in read_metrics(run_dir)["epoch/validation/MOTA"]] == [1, 2]
    assert read_metrics(run_dir)["all_reduce_ms"][0][1] > 0
    for rank in (0, 1):
        steps, memory_mb = zip(*read_metrics(run_dir)[f"system/rank_{rank}/memory_mb"], strict=True)
        assert steps == (2, 4)
        assert min(memory_mb) > 50  # a process with MindSpore in it
    assert {path.name for path in (run_dir / "pictures").iterdir()} == {
        "training_samples.jpg", "epoch_001.jpg", "epoch_002.jpg",
    }  # fmt: skip
    for epoch in (1, 2):
        folder = run_dir / "validation" / f"epoch_{epoch:03d}"
        expected = {f"{name}{ending}" for name in "abc" for ending in (".txt", ".mp4")}
        assert expected <= {path.name for path in folder.iterdir()}
        assert not list(folder.glob(".*"))
        assert "OVERALL" in (folder / "metrics.txt").read_text()
    best = (run_dir / "checkpoints" / "best").read_text().strip()
    assert read_checkpoint(run_dir / "checkpoints" / best).manifest["progress"]["best"]
