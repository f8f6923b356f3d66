"""Jobs of a sweep: what they are called, and how their runs hang together in MLflow."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from test_mlflow_delivery import run_id_of

from train.mlflow_delivery import MlflowConfig, follow
from train.run_logger import RunLogger
from train.run_record import RunRecord
from train.sweep import _job_name, _swept_values


def record_job(folder: Path, rate: str, status: str = "FINISHED") -> Path:
    run_dir = folder / f"optim.lr={rate}"
    logger = RunLogger(run_dir, MlflowConfig(enabled=False), total_steps=10)
    logger.start({"optim": {"lr": float(rate)}}, {}, [], None)
    logger.metrics(1, {"loss": 1.0})
    logger.close(status)
    return run_dir


@pytest.fixture
def sweep(tmp_path) -> Path:
    record = RunRecord(tmp_path / "sweep")
    record.append("params", values={"optim.lr": "1e-4,5e-4"})
    record.close()
    return tmp_path / "sweep"


def test_the_runs_of_a_sweep_are_children_of_one_parent(sweep, store_uri):
    config, client = MlflowConfig(tracking_uri=store_uri), MlflowClient(store_uri)
    jobs = [record_job(sweep, rate) for rate in ("0.0001", "0.0005")]
    for job in jobs:
        follow(job, config, parent_pid=None)
    parent = client.get_run(run_id_of(sweep))
    assert (parent.info.run_name, parent.info.status) == ("sweep", "FINISHED")
    assert parent.data.params == {"optim.lr": "1e-4,5e-4"}
    runs = client.search_runs([parent.info.experiment_id])
    assert {run.info.run_name: run.data.tags.get("mlflow.parentRunId") for run in runs} == {
        "sweep": None,
        "optim.lr=0.0001": parent.info.run_id,
        "optim.lr=0.0005": parent.info.run_id,
    }


def test_a_parent_says_failed_until_the_failed_job_is_mended(sweep, store_uri):
    config, client = MlflowConfig(tracking_uri=store_uri), MlflowClient(store_uri)
    follow(record_job(sweep, "0.0001", "FAILED"), config, parent_pid=None)
    follow(record_job(sweep, "0.0005"), config, parent_pid=None)
    assert client.get_run(run_id_of(sweep)).info.status == "FAILED"
    follow(record_job(sweep, "0.0001"), config, parent_pid=None)  # the same command again
    assert client.get_run(run_id_of(sweep)).info.status == "FINISHED"
    assert len(client.search_runs([client.get_run(run_id_of(sweep)).info.experiment_id])) == 3


def test_a_parent_is_found_again_after_its_id_was_lost(sweep, store_uri):
    config, client = MlflowConfig(tracking_uri=store_uri), MlflowClient(store_uri)
    follow(record_job(sweep, "0.0001"), config, parent_pid=None)
    first_id = run_id_of(sweep)
    (sweep / "mlflow_run_id").unlink()
    second = record_job(sweep, "0.0005")
    follow(second, config, parent_pid=None)
    assert run_id_of(sweep) == first_id
    assert client.get_run(run_id_of(second)).data.tags["mlflow.parentRunId"] == first_id


def test_only_what_is_swept_names_a_job():
    words = ["-m", "optim.lr=1e-4,5e-4", "data.root=/a", "data.input_size=[64,96]", "seed=range(3)"]
    assert _swept_values(words) == {"optim.lr": "1e-4,5e-4", "seed": "range(3)"}


def test_a_job_name_is_one_folder():
    assert _job_name(["optim.lr=0.0001", "data.root=/a/b"]) == "optim.lr=0.0001,data.root=%2Fa%2Fb"
    first, second = (_job_name([f"name={'x' * 300}{end}"]) for end in "ab")
    assert first != second
    assert len(first) == len(second) == 150
