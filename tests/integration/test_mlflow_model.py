"""The best checkpoint in MLflow's registry, loaded from there and used."""

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
from blob_sequences import write_sequence
from mlflow import MlflowClient
from small_run import compose_config, overrides, write_pictures

from fairmot.data.index import build_index
from fairmot.device import Device
from fairmot.errors import CheckpointError
from fairmot.export.engine import Engine, open_with_engine
from fairmot.inference.tracks import track_frames
from fairmot.json_files import sealed
from fairmot.media.frame import counted
from fairmot.media.picture import read_image
from fairmot.tracking.config import TrackerConfig
from fairmot.tracking.tracker import Tracker, plausible
from fairmot.weights.checkpoint import read_checkpoint, save_checkpoint
from train.build import build_state
from train.command import train
from train.config import as_yaml
from train.report.config import MlflowConfig
from train.report.logger import RunLogger
from train.report.mlflow_delivery import follow


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MLflow's artifacts go to the working folder
    monkeypatch.setattr(sys, "path", list(sys.path))  # and the code of a model that is loaded stays in front of ours


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pictures(root)
    write_sequence(root / "walk")
    return root


@pytest.mark.slow
def test_a_run_registers_its_best_checkpoint_and_it_tracks_as_the_library_does(root, tmp_path, monkeypatch):
    store = f"sqlite:///{tmp_path}/mlflow.db"
    words = {"mlflow__enabled": "true", "mlflow__tracking_uri": store, "mlflow__register_model": "true"}
    words |= {"mlflow__flush_timeout_s": 90, "epochs": 1}
    words |= {"tracker__conf_thres": 0.0, "tracker__min_box_area": 0.0, "tracker__max_aspect": 1000.0}
    train(compose_config(overrides(root, tmp_path / "run", **words)))
    client = MlflowClient(store)
    (found,) = client.search_model_versions("name = 'fairmot-train'")
    run_id = (tmp_path / "run" / "mlflow_run_id").read_text().strip()
    checkpoint = read_checkpoint(tmp_path / "run")
    digest = checkpoint.network_sha256
    assert (found.run_id, found.tags) == (run_id, {"network_sha256": digest, "checkpoint": str(checkpoint.path)})
    assert not {"checkpoint", "network_sha256"} & set(client.get_run(run_id).data.params)

    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", None)
    mlflow.set_tracking_uri(store)
    model = mlflow.pyfunc.load_model(f"models:/fairmot-train/{found.version}")
    paths = sorted(map(str, (root / "walk" / "img1").iterdir()))
    table = model.predict(paths)
    assert [column.type.name for column in model.metadata.signature.inputs] == ["string"]
    assert model.metadata.signature.outputs.input_names() == list(table.columns)
    frames = [read_image(path) for path in paths]
    rules = TrackerConfig(conf_thres=0.0, min_box_area=0.0, max_aspect=1000.0)
    expected = [
        [number, *row]
        for number, _, _, _, every in track_frames(
            open_with_engine(checkpoint.path, Engine.auto, Device.cpu), counted(frames), Tracker(rules)
        )
        for tracks in [plausible(every, rules)]
        for row in zip(tracks.ids, *tracks.boxes_xyxy.T, tracks.scores, tracks.classes, strict=True)
    ]
    assert len(expected) > 12
    assert list(table.columns) == ["frame", "id", "left", "top", "right", "bottom", "score", "class"]
    np.testing.assert_allclose(table.to_numpy(float), np.array(expected, float), rtol=1e-6)

    (tmp_path / "run" / "mlflow_delivered_bytes").write_text("0\n")
    follow(tmp_path / "run", MlflowConfig(tracking_uri=store), parent_pid=None)  # everything is sent once more
    assert len(client.search_model_versions("name = 'fairmot-train'")) == 1

    checkpoint.manifest["files"]["network.safetensors"]["sha256"] = "0" * 64
    (checkpoint.path / "checkpoint.json").write_text(sealed(checkpoint.manifest))
    with pytest.raises(CheckpointError, match="not the checkpoint this model was registered with"):
        mlflow.pyfunc.load_model(f"models:/fairmot-train/{found.version}")


LOAD = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/fairmot-alone/1", model_config={"engine": "mindspore"})
import fairmot
print(fairmot.__file__)
"""


@pytest.mark.slow
def test_a_model_brings_its_own_code(root, tmp_path):
    words = [word for word in overrides(root, tmp_path / "run") if not word.startswith("model.name")]
    config = compose_config([*words, "model=dlaconv_34_narrow"])
    state = build_state(config, build_index(config.data.root, config.data.train, None).identities)
    saved = save_checkpoint(
        tmp_path / "run" / "checkpoints", 0, state.tensors(), state.manifest(None, 1), as_yaml(config), keep=1
    )
    logger = RunLogger(tmp_path / "run", MlflowConfig(enabled=False))
    logger.start({}, {}, [], None, total_steps=100)
    logger.model("fairmot-alone", read_checkpoint(saved), {})
    logger.close("FINISHED")
    store = f"sqlite:///{tmp_path}/mlflow.db"
    follow(tmp_path / "run", MlflowConfig(tracking_uri=store), parent_pid=None)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, store],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr
    code = Path(loaded.stdout.splitlines()[-1])
    assert code.parts[-3:] == ("code", "fairmot", "__init__.py")
