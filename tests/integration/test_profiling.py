"""The profiler around a few steps of a real run."""

import pytest
from small_run import compose_config, overrides, write_pictures

from train.command import train
from train.report.record import read_metrics


@pytest.mark.slow
def test_profiled_steps_leave_files_and_the_run_its_times(tmp_path):
    write_pictures(tmp_path)
    train(compose_config(overrides(tmp_path, tmp_path / "run", epochs=1, runtime__profile_steps=1)))
    assert any(path.is_file() for path in (tmp_path / "run" / "profile" / "rank_0").rglob("*"))
    metrics = read_metrics(tmp_path / "run")
    for (_, whole), (_, waited), (_, called) in zip(
        metrics["step_ms"], metrics["data_wait_ms"], metrics["step_call_ms"], strict=True
    ):
        assert waited >= 0
        assert called > 0
        assert waited + called <= whole * 1.01
