"""Jobs of a sweep: what they are called, and how their runs hang together in MLflow."""

import os
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import run_id_of

from train.deliver import DeliverConfig, deliver
from train.report.config import MlflowConfig
from train.report.logger import RunLogger
from train.report.mlflow_delivery import follow
from train.report.record import RunRecord
from train.sweep import _job_name, _swept_values


def record_job(folder: Path, rate: str, status: str = "FINISHED") -> Path:
    run_dir = folder / f"optim.lr={rate}"
    logger = RunLogger(run_dir, MlflowConfig(enabled=False))
    logger.start({"optim": {"lr": float(rate)}}, {}, [], None, total_steps=100)
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


def looks(store_uri: str) -> dict[str, tuple]:
    """What a user sees of the runs, by name."""
    client = MlflowClient(store_uri)
    runs = client.search_runs([client.get_experiment_by_name("fairmot").experiment_id])
    names = {run.info.run_id: run.info.run_name for run in runs}
    own = ("mlflow.parentRunId", "fairmot.record_id")
    return {
        run.info.run_name: (
            names.get(run.data.tags.get("mlflow.parentRunId")),
            (run.info.status, run.info.start_time, run.info.end_time),
            (run.data.params, run.data.metrics),
            {key: value for key, value in run.data.tags.items() if key not in own},
        )
        for run in runs
    }


@pytest.mark.parametrize("statuses", [("FINISHED", "FINISHED"), ("FAILED", "FINISHED"), ("FINISHED", "KILLED")])
def test_a_sweep_delivered_later_looks_like_one_delivered_at_once(sweep, empty_store, tmp_path, capfd, statuses):
    for rate, status in zip(("0.0001", "0.0005"), statuses, strict=True):
        record_job(sweep, rate, status)
    RunRecord(sweep / "optim.lr=0").close()  # failed before it began: it is in neither
    stores = {}
    for name in ("at_once", "later"):
        (tmp_path / name).mkdir()
        shutil.copy(empty_store, tmp_path / name / "mlflow.db")
        stores[name] = f"sqlite:///{tmp_path}/{name}/mlflow.db"
    shutil.copytree(sweep, tmp_path / "at_once" / "sweep")
    for job in sorted((tmp_path / "at_once" / "sweep").glob("*=0.*")):
        follow(job, MlflowConfig(tracking_uri=stores["at_once"]), parent_pid=None)

    later = DeliverConfig(os.path.relpath(sweep), MlflowConfig(tracking_uri=stores["later"]))
    deliver(later)
    assert capfd.readouterr().out.count("delivered 6 lines of") == 2
    assert looks(stores["later"]) == looks(stores["at_once"])
    assert looks(stores["later"])["sweep"][1][0] == max(statuses, key=["FINISHED", "KILLED", "FAILED"].index)
    assert set(looks(stores["later"])) == {"sweep", "optim.lr=0.0001", "optim.lr=0.0005"}
    deliver(later)  # nothing is left, and nothing changes
    assert capfd.readouterr().out.count("delivered 0 lines of") == 2
    assert looks(stores["later"]) == looks(stores["at_once"])


def test_only_what_is_swept_names_a_job():
    words = ["-m", "optim.lr=1e-4,5e-4", "data.root=/a", "data.input_size=[64,96]", "seed=range(3)"]
    assert _swept_values(words) == {"optim.lr": "1e-4,5e-4", "seed": "range(3)"}


def test_a_job_name_is_one_folder():
    assert _job_name(["optim.lr=0.0001", "data.root=/a/b"]) == "optim.lr=0.0001,data.root=%2Fa%2Fb"
    first, second = (_job_name([f"name={'x' * 300}{end}"]) for end in "ab")
    assert first != second
    assert len(first) == len(second) == 150
