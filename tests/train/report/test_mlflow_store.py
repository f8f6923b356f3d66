"""First contact with a store of MLflow that is not there yet: by several runs at once, and cut short."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import run_id_of

from train.report.config import MlflowConfig
from train.report.mlflow_delivery import follow
from train.report.mlflow_run import undelivered_lines
from train.report.mlflow_store import _file_of, connect
from train.report.record import RunRecord

_FORKING = multiprocessing.get_context("fork")  # MLflow is imported already, which takes seconds
_RUNS = 4


def _deliver_with_others(run_dir: Path, uri: str, together) -> None:
    together.wait(60)
    follow(run_dir, MlflowConfig(tracking_uri=uri, flush_timeout_s=90), parent_pid=None)


def _record(run_dir: Path, number: int) -> None:
    record = RunRecord(run_dir)
    record.append("start", resumed_at_step=None)
    for step in range(5):
        record.append("metrics", step=step, values={"loss": 100.0 * number + step})
    record.append("end", status="FINISHED")
    record.close()


@pytest.mark.slow
def test_runs_that_start_at_once_on_a_fresh_store_are_all_there_exactly_once(tmp_path, capfd):
    uri, together = f"sqlite:///{tmp_path}/stores/mlflow.db", _FORKING.Barrier(_RUNS)
    run_dirs = [tmp_path / f"run_{number}" for number in range(_RUNS)]
    for number, run_dir in enumerate(run_dirs):
        _record(run_dir, number)
    processes = [_FORKING.Process(target=_deliver_with_others, args=(each, uri, together)) for each in run_dirs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * _RUNS
    assert "warning" not in capfd.readouterr().err
    client = MlflowClient(uri)
    experiments = {experiment.name: experiment.experiment_id for experiment in client.search_experiments()}
    assert set(experiments) == {"Default", "fairmot"}
    assert len(client.search_runs([experiments["fairmot"]])) == _RUNS
    for number, run_dir in enumerate(run_dirs):
        assert undelivered_lines(run_dir) == 0
        history = client.get_metric_history(run_id_of(run_dir), "loss")
        assert sorted(point.value for point in history) == [100.0 * number + step for step in range(5)]
    assert {path.name for path in (tmp_path / "stores").iterdir()} == {"mlflow.db", ".mlflow.db.lock"}


@pytest.mark.slow
def test_a_store_whose_making_was_killed_is_made_anew(tmp_path, capfd):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    _record(tmp_path / "run", 0)
    process = _FORKING.Process(target=_make_half_a_store, args=(uri,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "mlflow.db").exists()
    follow(tmp_path / "run", MlflowConfig(tracking_uri=uri), parent_pid=None)
    assert undelivered_lines(tmp_path / "run") == 0
    assert not list(tmp_path.glob(".*.new*"))


def _make_half_a_store(uri: str) -> None:
    """Killed at a table of the middle, as the end of a training kills a delivery that takes too long."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "before_cursor_execute")
    def die(connection, cursor, statement, *_) -> None:
        if "_alembic_tmp_" in statement:
            os.kill(os.getpid(), signal.SIGKILL)

    connect(uri, print)


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        *(("sqlite:///mlflow.db", "mlflow.db"), ("sqlite:////data/a%20b.db?timeout=5", "/data/a%20b.db")),
        *(("sqlite:///:memory:", None), ("sqlite://", None), ("http://host:5000/sqlite:///a", None)),
        *(("postgresql://host/db", None), ("mlruns", None)),
    ],
)
def test_only_a_file_is_made_under_a_lock(uri, file):
    assert _file_of(uri) == (None if file is None else Path(file))
