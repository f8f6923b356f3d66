"""The command python -m fairmot.tune: it finds rules that track better, and the network runs once."""

import numpy as np
import pytest
import yaml
from blob_sequences import BOX_PX, gt_text, write_sequence

from fairmot.cli.command import compose
from fairmot.errors import ConfigError, DataError
from fairmot.evaluation.sequences import find_ground_truth
from fairmot.inference.detector import Detector
from fairmot.track.config import TrackConfig
from fairmot.tracking.config import TrackerConfig
from fairmot.tune import subjects
from fairmot.tune.command import tune
from fairmot.tune.config import TuneConfig
from fairmot.tune.search import search
from fairmot.tune.space import parse_space

pytest.importorskip("optuna", reason="the extra `tune` is not installed")


class SameEverywhere(Detector):
    """Finds one object in the middle of every picture."""

    def run(self, batch):
        count = len(batch)
        boxes_xyxy, embeddings = (
            np.tile(np.float32([18, 10, 22, 14]), (count, 1, 1)),
            np.ones((count, 1, 3), np.float32),
        )
        none = np.zeros((count, 1), np.int64)
        return [boxes_xyxy, np.full((count, 1), 0.9, np.float32), none, embeddings, none]


@pytest.fixture
def root(tmp_path):
    """Two sequences; their detector scores people 0.3, and something that is nobody 0.15."""
    for name in ("day", "night"):
        folder = write_sequence(tmp_path / "gt" / name)
        nobody = "".join(f"{frame},-1,{120 - 4 * frame},50,{BOX_PX},{BOX_PX},0.15\n" for frame in range(1, 13))
        (folder / "det").mkdir()
        (folder / "det" / "det.txt").write_text(gt_text(columns="0.3,-1,-1,-1").replace(",-1,-1,-1\n", "\n") + nobody)
    return tmp_path / "gt"


def config(root, output, **changes):
    settings = {"detections": str(root), "trials": 6, "space": ["conf_thres=0.1..0.5"]}
    return TuneConfig(gt=str(root), output=str(root.parent / output), **(settings | changes))


def test_better_rules_are_found_written_and_taken(root, capsys):
    tune(config(root, "tuned", held_out=["night"], trials=12))
    said, output = capsys.readouterr().out, root.parent / "tuned"
    rules = yaml.safe_load((output / "tracker" / "tuned.yaml").read_text())
    assert 0.15 <= rules["conf_thres"] < 0.3
    assert "held out, night:" in said and f"--config-dir={output} tracker=tuned" in said
    assert f"tracker.conf_thres={rules['conf_thres']}" in said
    rows = [row.split() for row in (output / "trials.txt").read_text().splitlines()[1:]]
    assert float(rows[0][1]) > 95 and ["start", "0.00"] in [row[:2] for row in rows]
    assert (output / "trials.png").read_bytes()[:4] == b"\x89PNG"
    words = ["source=a", "checkpoint=b", "output=c", "tracker=tuned", f"hydra.searchpath=[file://{output}]"]
    assert compose(words, TrackConfig, "track").tracker == TrackerConfig(conf_thres=rules["conf_thres"])


@pytest.mark.slow
def test_mlflow_gets_a_run_with_a_child_for_every_trial(root):
    from mlflow.tracking import MlflowClient

    store = f"sqlite:///{root.parent}/mlflow.db"
    tune(config(root, "tuned", mlflow_uri=store))
    client = MlflowClient(store)
    runs = client.search_runs([client.get_experiment_by_name("fairmot-tune").experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert len(runs) == 1 + 7
    assert {run.data.tags.get("mlflow.parentRunId") for run in runs} == {None, parent.info.run_id}
    assert parent.data.metrics["HOTA"] == max(run.data.metrics["HOTA"] for run in runs)
    assert parent.data.params["space.conf_thres"] == "0.1..0.5"
    assert {each.path for each in client.list_artifacts(parent.info.run_id)} >= {"trials.png", "tuned.yaml"}


def test_the_same_seed_draws_the_same_trials(root):
    space = parse_space(["conf_thres=0.1..0.5", "byte=true/false", "low_thres=0.1..0.4"])
    found = subjects.subjects_of_files(find_ground_truth(root)[0], str(root), None)
    drawn = []
    for seed in (1, 1, 2):
        done = search(found, TrackerConfig(), space, "IDF1", 8, seed, lambda _: None)
        assert len(done.trials) + done.refused == 9
        drawn.append([(trial.rules, trial.figures["IDF1"]) for trial in done.trials])
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_network_of_a_checkpoint_runs_once(root, monkeypatch):
    opened = []

    def open_detector(path, device, *, batch_size):
        opened.append(path)
        return SameEverywhere((96, 160), 4, batch_size, num_classes=1)

    monkeypatch.setattr(subjects, "open_detector", open_detector)
    checkpoint = root.parent / "network.safetensors"
    checkpoint.write_bytes(b"the first")
    settings = {"detections": None, "checkpoint": str(checkpoint), "trials": 2, "overwrite": True}
    tune(config(root, "tuned", **settings))
    stored = {path.name: path.read_bytes() for path in (root.parent / "tuned" / "detections").iterdir()}
    assert sorted(stored) == ["day_detections.safetensors", "night_detections.safetensors"]
    tune(config(root, "tuned", **settings))
    assert len(opened) == 1
    checkpoint.write_bytes(b"another one")
    tune(config(root, "tuned", **settings))
    assert len(opened) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": ["conf_tres=0.1..0.2"]}, "did you mean 'conf_thres'"),
        ({"held_out": ["nigth"]}, "no sequence 'nigth' in .*: did you mean 'night'"),
        ({"detections": "nowhere"}, "detections=nowhere: not there"),
    ],
)
def test_what_cannot_be_searched_is_one_clear_error(root, changes, message):
    with pytest.raises((ConfigError, DataError), match=message):
        tune(config(root, "tuned", **changes))
    assert not (root.parent / "tuned").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "run"}, "both were given"),
        ({"trials": 0}, "trials=0: must be at least 1"),
        ({"seed": -1}, "seed=-1"),
        ({"tracker": TrackerConfig(camera_motion=True)}, "camera_motion=true: needs pictures"),
        ({"mlflow_uri": "http://me:secret@host"}, "mlflow_uri holds a user's name"),
    ],
)
def test_refused_values_name_their_key(root, changes, message):
    with pytest.raises(ValueError, match=message):
        config(root, "tuned", **changes)
