"""Models, pictures, tables and data sets in a real MLflow store: each exactly once, however often it is sent."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow_server import run_id_of

from fairmot.weights.checkpoint import Checkpoint, checkpoint_name
from train.report.config import MlflowConfig
from train.report.data_sets import DataSet
from train.report.logger import RunLogger
from train.report.mlflow_delivery import follow
from train.report.mlflow_run import DELIVERED_NAME
from train.report.record import SPOOL_NAME

TRAINING = DataSet("mot17", "training", "/data", "1f" * 16, {"images": 11, "boxes": 24})
VALIDATION = DataSet("mot17/val/*", "validation", "/data", "2e" * 16, {"frames": 12, "boxes": 20})


def saved(run_dir: Path, step: int) -> Checkpoint:
    """As far as the record looks at one."""
    files = {"network.safetensors": {"bytes": 1, "sha256": f"{step:064x}"}}
    return Checkpoint(run_dir / "checkpoints" / checkpoint_name(step), {"files": files})


@pytest.fixture
def run_dir(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)  # MLflow's artifacts go to the working folder
    return tmp_path / "run"


def record(run_dir: Path, steps: Sequence[int], kept: Sequence[int], resumed_at_step: int | None = None) -> None:
    """A training that validates after each of `steps`; its MOTA is ten times the step."""
    logger = RunLogger(run_dir, MlflowConfig(enabled=False))
    logger.start({"optim": {"lr": 0.1}}, {}, [], resumed_at_step, total_steps=100)
    for data in (TRAINING, VALIDATION):
        logger.data_set(data)
    for epoch, step in enumerate(steps, start=1):
        sheet, table = run_dir / f"{epoch}.png", run_dir / "validation_scores.json"
        cv2.imwrite(str(sheet), np.full((300, 600, 3), 20 * epoch, np.uint8))
        table.write_text(json.dumps({"columns": ["sequence", "MOTA"], "data": [["walk", 10.0 * step]]}))
        logger.image(sheet, "validation", epoch)
        logger.table(table)
        logger.checkpoint(saved(run_dir, step), {"MOTA": 10.0 * step}, VALIDATION)
    for step in kept:
        logger.checkpoint(saved(run_dir, step), {}, None)
    logger.kept([saved(run_dir, step).path for step in kept])
    logger.close("FINISHED")


def seen(uri: str, run_dir: Path) -> tuple[MlflowClient, Run, dict[str, LoggedModel]]:
    client = MlflowClient(uri)
    run = client.get_run(run_id_of(run_dir))
    models = client.search_logged_models([run.info.experiment_id])
    assert len({model.name for model in models}) == len(models)
    return client, run, {model.name: model for model in models}


def test_everything_is_there_once_after_kills_and_resumes(run_dir, store_uri, capfd):
    config = MlflowConfig(tracking_uri=store_uri)
    record(run_dir, [1, 2], kept=[1, 2])
    follow(run_dir, config, parent_pid=None)
    (run_dir / DELIVERED_NAME).unlink()  # a kill before the note: all is sent again
    follow(run_dir, config, parent_pid=None)
    record(run_dir, [1, 2, 3], kept=[2, 3], resumed_at_step=0)  # trained again from the start, with the same outcome
    follow(run_dir, config, parent_pid=None)

    client, run, models = seen(store_uri, run_dir)
    assert client.get_experiment(run.info.experiment_id).name == "fairmot"
    assert run.data.params == {"optim.lr": "0.1"}
    assert set(models) == {checkpoint_name(2), checkpoint_name(3)}  # the first one's checkpoint is gone
    steps = {output.model_id: output.step for output in run.outputs.model_outputs}
    assert {name: steps[model.model_id] for name, model in models.items()} == {
        checkpoint_name(2): 2,
        checkpoint_name(3): 3,
    }
    for name, step in ((checkpoint_name(2), 2), (checkpoint_name(3), 3)):
        linked = [(each.key, each.value, each.step, each.dataset_name) for each in models[name].metrics]
        assert linked == [("MOTA", 10.0 * step, step, VALIDATION.name)]
        assert models[name].source_run_id == run.info.run_id
    history = client.get_metric_history(run.info.run_id, "MOTA")
    assert sorted((point.step, point.value) for point in history) == [(1, 10.0), (2, 20.0), (3, 30.0)]
    inputs = [(each.dataset.name, each.dataset.digest, each.tags[0].value) for each in run.inputs.dataset_inputs]
    assert sorted(inputs) == [(data.name, data.digest, data.context) for data in (TRAINING, VALIDATION)]
    assert json.loads(run.inputs.dataset_inputs[0].dataset.profile) in (TRAINING.counts, VALIDATION.counts)
    assert "warning" not in capfd.readouterr().err.lower()


def test_pictures_are_where_the_image_grid_looks_for_them(run_dir, store_uri):
    config = MlflowConfig(tracking_uri=store_uri)
    record(run_dir, [1, 2], kept=[])
    follow(run_dir, config, parent_pid=None)
    record(run_dir, [1], kept=[], resumed_at_step=0)
    follow(run_dir, config, parent_pid=None)
    client, run, _ = seen(store_uri, run_dir)
    names = sorted(each.path.removeprefix("images/") for each in client.list_artifacts(run.info.run_id, "images"))
    parts = [name.removesuffix(".webp").split("+") for name in names]
    # As MLflow's page takes them apart: key, "step", number, "timestamp", number, an id of its own.
    assert sorted((each[0], int(each[2]), each[6:]) for each in parts) == [
        *(("validation", 1, []), ("validation", 1, ["compressed"])),
        *(("validation", 2, []), ("validation", 2, ["compressed"])),
    ]
    assert {(each[1], each[3]) for each in parts} == {("step", "timestamp")}
    assert run.data.tags["mlflow.loggedImages"] == "True"
    folder = Path(run.info.artifact_uri, "images")
    sizes = {cv2.imread(str(folder / name)).shape[:2] for name in names}
    assert sizes == {(300, 600), (128, 256)}


def test_the_newest_table_is_the_one_that_is_compared(run_dir, store_uri):
    record(run_dir, [1, 2], kept=[])
    follow(run_dir, MlflowConfig(tracking_uri=store_uri), parent_pid=None)
    client, run, _ = seen(store_uri, run_dir)
    assert client.load_table(run.info.experiment_id, "validation_scores.json", [run.info.run_id]).to_dict("list") == {
        "sequence": ["walk"],
        "MOTA": [20.0],
    }


def registered(run_dir: Path, uri: str, step: int, value: str, validation: str = "2e") -> None:
    logger = RunLogger(run_dir, MlflowConfig(enabled=False))
    logger.start({}, {}, [], None, total_steps=100)
    logger.model(
        "fairmot-mine",
        saved(run_dir, step),
        {"best_metric": "MOTA", "best_value": value, "validation": validation},
    )
    logger.close("FINISHED")
    follow(run_dir, MlflowConfig(tracking_uri=uri), parent_pid=None)


@pytest.mark.slow
def test_the_alias_moves_to_what_is_better_or_not_comparable(run_dir, store_uri, capfd):
    record(run_dir, [1], kept=[1])
    client, where = MlflowClient(store_uri), []
    for name, step, value, data in (
        ("run", 1, "40.5", "2e"),
        ("run", 1, "40.5", "2e"),  # again
        ("second", 2, "39.9", "2e"),  # worse
        ("third", 3, "40.5", "2e"),  # as good, and newer
        ("fourth", 4, "12.0", "77"),  # of other data
    ):
        registered(run_dir.with_name(name), store_uri, step, value, data)
        where.append(client.get_model_version_by_alias("fairmot-mine", "best").version)
    assert [int(version) for version in where] == [1, 1, 1, 3, 4]
    first = client.get_model_version("fairmot-mine", "1")
    model = client.get_logged_model(first.source.removeprefix("models:/"))
    assert [(each.key, each.value) for each in model.metrics] == [("MOTA", 10.0)]
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "fairmot-mine", "version": 1}]
    assert first.tags["best_value"] == "40.5"
    record(run_dir, [5], kept=[5], resumed_at_step=1)
    follow(run_dir, MlflowConfig(tracking_uri=store_uri), parent_pid=None)
    assert client.get_logged_model(model.model_id).name == checkpoint_name(1)  # a registered one stays
    assert "warning" not in capfd.readouterr().err.lower()


@pytest.mark.slow
def test_a_checkpoint_recorded_by_an_older_version_is_registered_too(run_dir, store_uri, capfd):
    logger = RunLogger(run_dir, MlflowConfig(enabled=False))
    logger.start({}, {}, [], None, total_steps=100)
    logger.close("FINISHED")
    checkpoint = saved(run_dir, 4)
    older = {"kind": "model", "time_ms": 1, "name": "fairmot-mine", "path": str(checkpoint.path), "sha256": "ab"}
    with (run_dir / SPOOL_NAME).open("a") as stream:
        stream.write(json.dumps(older) + "\n")
    follow(run_dir, MlflowConfig(tracking_uri=store_uri), parent_pid=None)
    found = MlflowClient(store_uri).get_model_version("fairmot-mine", "1")
    assert found.description.startswith(
        f"The checkpoint after step 4, not validated. Its weights are at {checkpoint.path}"
    )
    assert "warning" not in capfd.readouterr().err.lower()
