"""`python -m train -m`: jobs of a sweep, in this process, with everything they leave in MLflow."""

import json
import os
import signal
import threading
import time

import pytest
from blob_sequences import run_command_in_process, write_sequence
from mindspore.common.api import _CellGraphExecutor
from mlflow import MlflowClient
from small_run import overrides, write_pictures

from fairmot.weights.checkpoint import read_checkpoint, whole_checkpoints
from train.report.record import read_metrics


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MLflow's artifacts go to the working folder
    write_pictures(tmp_path / "data")
    write_sequence(tmp_path / "data" / "val" / "walk")
    return tmp_path / "data"


def words(root, sweep, *more, **changes):
    store = f"sqlite:///{root.parent}/mlflow.db"
    seen = {"mlflow__enabled": "true", "mlflow__tracking_uri": store, "mlflow__flush_timeout_s": 90}
    return ["-m", *overrides(root, sweep, epochs=1, **seen, **changes), *more]


def runs_by_name(root):
    client = MlflowClient(f"sqlite:///{root.parent}/mlflow.db")
    experiment = client.get_experiment_by_name("fairmot")
    return client, {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def compilations(monkeypatch):
    """Names of the classes of the cells that MindSpore compiles from now on, one an occasion."""
    names, compile_if_new = [], _CellGraphExecutor.compile

    def compile_and_note(self, cell, *arguments, **settings):
        phase, is_new = compile_if_new(self, cell, *arguments, **settings)
        names.extend([type(cell).__name__] * is_new)
        return phase, is_new

    monkeypatch.setattr(_CellGraphExecutor, "compile", compile_and_note)
    return names


@pytest.mark.slow
def test_a_sweep_leaves_everything_a_comparison_needs(root, tmp_path, monkeypatch):
    sweep = tmp_path / "sweep"
    more = {"data__validation": "[val/*]", "tracker__conf_thres": 0.0, "validate_every_epochs": 1}
    more |= {"log_pictures_every_epochs": 1, "runtime__log_system_every_steps": 2}
    compiled = compilations(monkeypatch)
    assert run_command_in_process(monkeypatch, "train", words(root, sweep, "optim.lr=1e-4,5e-3", **more)) == 0
    assert compiled.count("TrainOneStep") == 2
    names = ["optim.lr=0.0001", "optim.lr=0.005"]
    assert sorted(path.name for path in sweep.iterdir() if path.is_dir()) == names
    client, runs = runs_by_name(root)
    parent = runs["sweep"]
    assert set(runs) == {"sweep", *names}
    assert parent.data.tags["mlflow.source.name"] == "python -m train"
    for name in names:
        run, run_dir = runs[name], sweep / name
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params["optim.lr"] == f"{float(name.partition('=')[2])}"
        tags = {key: run.data.tags[key] for key in ("experiment", "backbone", "data", "world_size", "global_batch")}
        assert tags == {
            "experiment": "train", "backbone": "one_convolution", "data": "small",
            "world_size": "1", "global_batch": "2",
        }  # fmt: skip
        checkpoint = read_checkpoint(run_dir)
        assert run.data.tags["best_checkpoint"] == str(checkpoint.path)
        digest = checkpoint.manifest["files"]["network.safetensors"]["sha256"]
        assert run.data.tags["best_checkpoint_sha256"] == digest
        listed = json.loads((run_dir / "checkpoints.json").read_text())
        assert [each["files"]["network.safetensors"]["sha256"] for each in listed if each["best"]] == [digest]
        metrics = read_metrics(run_dir)
        assert metrics["best/MOTA"][-1][1] == metrics["epoch/validation/MOTA"][-1][1] == run.data.metrics["best/MOTA"]
        for metric in ("MOTA", "IDF1", "HOTA", "AP"):
            assert run.data.tags[f"best_{metric}"] == f"{metrics[f'best/{metric}'][-1][1]:.1f}"
        assert [step for step, _ in metrics["system/rank_0/memory_mb"]] == [2, 4]
        files = {
            f"{folder}/{found.path.rpartition('/')[2]}"
            for folder in ("", "validation/epoch_001")
            for found in client.list_artifacts(run.info.run_id, folder)
            if not found.is_dir
        }
        assert files == {
            *("/config.yaml", "/data_summary.yaml", "/losses.png", "/checkpoints.json", "/validation_scores.json"),
            *(f"validation/epoch_001/walk_{kind}.png" for kind in ("frames", "tracks", "identities")),
            *(f"validation/epoch_001/{name}" for name in ("walk.mp4", "metrics.txt", "metrics.csv")),
        }
        images = {found.path.partition("+")[0] for found in client.list_artifacts(run.info.run_id, "images")}
        assert images == {f"images/{key}" for key in ("training samples", "network view", "validation")}
        inputs = [(each.dataset.name, each.tags[0].value) for each in run.inputs.dataset_inputs]
        assert sorted(inputs) == [("small", "training"), ("val/*", "validation")]
        note = run.data.tags["mlflow.note.content"]
        assert "- **data small**: 11 images, 24 boxes, 5 ids\n" in note
        assert "- **validation**: val/*, every 1 epochs; the best checkpoint by MOTA" in note
        models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
        assert sorted(model.name for model in models) == [
            path.name for path in whole_checkpoints(run_dir / "checkpoints")
        ]
        (scored,) = [model for model in models if model.name == checkpoint.path.name]
        assert {each.key: each.value for each in scored.metrics}["MOTA"] == run.data.metrics["best/MOTA"]
    assert parent.data.metrics["best/MOTA"] == max(runs[name].data.metrics["best/MOTA"] for name in names)


@pytest.mark.slow
def test_a_job_that_fails_leaves_the_others_and_ends_the_sweep_with_its_reason(root, tmp_path, monkeypatch, capfd):
    sweep = tmp_path / "sweep"
    sweeping = ["-m", *overrides(root, sweep, max_steps=1), f"weights={tmp_path}/nowhere,null"]
    assert run_command_in_process(monkeypatch, "train", sweeping) == 1
    errors = capfd.readouterr().err
    assert errors.count("error: ") == 1
    assert "error: weights=%2F" in errors
    assert "Traceback" not in errors
    assert read_checkpoint(sweep / "weights=null").manifest["progress"]["step"] == 1


@pytest.mark.slow
def test_a_stopped_sweep_saves_its_job_and_starts_no_other(root, tmp_path, monkeypatch):
    sweep = tmp_path / "sweep"
    first, second = sweep / "seed=1", sweep / "seed=2"

    def stop_after_some_steps() -> None:
        while len(read_metrics(first).get("loss", [])) < 3:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=stop_after_some_steps, daemon=True)
    watcher.start()
    words = ["-m", *overrides(root, sweep, epochs=500, save_every_steps=1000), "seed=1,2"]
    assert run_command_in_process(monkeypatch, "train", words) == 130
    watcher.join()
    assert read_checkpoint(first).manifest["progress"]["step"] >= 3
    assert not second.exists()


def test_ranks_of_a_launcher_do_not_sweep(root, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("FAIRMOT_RUN_DIR", str(tmp_path / "common"))
    assert run_command_in_process(monkeypatch, "train", words(root, tmp_path / "sweep", "seed=1,2")) == 2
    assert capfd.readouterr().err.count("start its jobs one by one by the launcher") == 2
