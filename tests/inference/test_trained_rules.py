"""track, evaluate and submit follow the tracker's rules that the checkpoint's training validated by."""

import pytest

from fairmot.cli.command import compose
from fairmot.errors import ConfigError
from fairmot.evaluate.config import EvaluateConfig
from fairmot.inference.trained_rules import say_whose_rules
from fairmot.submit.config import SubmitConfig
from fairmot.track.config import TrackConfig
from fairmot.tracking.config import Cost, TrackerConfig
from fairmot.weights.checkpoint import GROUPS, save_checkpoint

CONFIG = "tracker:\n  match_iou: 0.7\n  conf_thres: 0.6\n  cost: giou_embedding\n"


@pytest.fixture
def run(tmp_path):
    save_checkpoint(tmp_path / "run/checkpoints", 3, {group: {} for group in GROUPS}, {}, CONFIG, keep=1)
    return tmp_path / "run"


def tracker_of(run, *words):
    return compose([f"checkpoint={run}", "source=a", "output=b", *words], TrackConfig, "track").tracker


@pytest.mark.parametrize(
    ("words", "schema", "name"),
    [
        (["source=a"], TrackConfig, "track"),
        (["gt=a"], EvaluateConfig, "evaluate"),
        (["root=a"], SubmitConfig, "submit"),
    ],
)
def test_the_rules_come_from_the_checkpoint(run, capsys, words, schema, name):
    config = compose([*words, f"checkpoint={run}", "output=b"], schema, name)
    assert config.tracker == TrackerConfig(match_iou=0.7, conf_thres=0.6, cost=Cost.giou_embedding)
    assert tracker_of("elsewhere") == TrackerConfig()  # one composition leaves nothing to the next
    assert capsys.readouterr().err == ""  # a command may still be refused, and then says that alone


def test_whose_rules_they_are_is_said(run, tmp_path, capsys):
    say_whose_rules(run)
    which, whose = capsys.readouterr().err.splitlines()
    assert which.endswith("step_00000003 (step 3)")
    assert "step_00000003/config.yaml" in whose
    say_whose_rules(tmp_path / "elsewhere")
    assert capsys.readouterr().err == ""


def test_what_the_command_line_says_wins_even_where_it_says_the_default(run):
    rules = tracker_of(run, "tracker.match_iou=0.5", "tracker=mot20")
    assert (rules.match_iou, rules.conf_thres, rules.cost) == (0.5, 0.3, Cost.giou_embedding)
    assert tracker_of(run, "conf_thres=0.2").conf_thres == 0.2
    assert tracker_of(run, "tracker.low_thres=0.5", "tracker.byte=true").low_thres == 0.5  # below the checkpoint's 0.6


def test_a_file_or_a_checkpoint_without_configuration_leaves_the_defaults(run, tmp_path):
    (tmp_path / "converted.safetensors").write_bytes(b"weights")
    assert tracker_of(tmp_path / "converted.safetensors") == TrackerConfig()
    (run / "checkpoints/step_00000003/config.yaml").unlink()
    assert tracker_of(run) == TrackerConfig()


def test_rules_that_cannot_be_used_are_named(run):
    (run / "checkpoints/step_00000003/config.yaml").write_text("tracker:\n  match_iuo: 0.7\n")
    with pytest.raises(ConfigError, match=r"config.yaml: .*match_iuo"):
        tracker_of(run)


def test_results_need_no_checkpoint():
    assert compose(["results=a", "output=b"], SubmitConfig, "submit").tracker == TrackerConfig()
