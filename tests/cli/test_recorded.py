"""What a recorded configuration shows of the environment, and of passwords."""

import dataclasses
import shlex

import pytest
from omegaconf import OmegaConf
from small_run import compose_config

from fairmot.cli.command import known_keys, run_command, to_config
from fairmot.cli.keys import all_keys, keys_of
from fairmot.cli.recorded import recorded
from train.config import TrainConfig, as_yaml
from train.report.config import MlflowConfig
from train.report.logger import RunLogger, flatten
from train.step_config import Precision
from train.sweep import _job_name

SECRET = "s3cret"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("MY_SECRET", SECRET)
    monkeypatch.setenv("MY_SEED", "7654321")


def config_of(*words):
    return compose_config(["data=custom", "+data.train.mine=mine.train", *words])


@pytest.mark.parametrize(
    ("key", "words", "value"),
    [
        ("data.root", "/data/${oc.env:MY_SECRET}", f"/data/{SECRET}"),
        ("name", "${oc.env:NOT_THERE,${oc.env:MY_SECRET}}", SECRET),
        ("data.train.mine", "${oc.env:MY_SECRET}.train", f"{SECRET}.train"),
        ("data.validation", "[val/*,${oc.env:MY_SECRET}/*]", ["val/*", f"{SECRET}/*"]),
        ("seed", "${oc.env:MY_SEED}", 7654321),
        ("optim.lr", "${oc.env:MY_SEED}", 7654321.0),
        ("runtime.precision", "${oc.env:NOT_THERE,fp16}", Precision.fp16),
    ],
)
def test_what_the_environment_gives_is_used_and_recorded_as_written(key, words, value):
    config = config_of(f"{key}={words}")
    used, seen = config, recorded(config)
    for name in key.split("."):
        used, seen = used[name] if isinstance(used, dict) else getattr(used, name), seen[name]
    assert used == value
    assert seen == (words if isinstance(seen, str) else words.strip("[]").split(","))
    assert not [each for each in flatten(recorded(config)).values() if SECRET in each or "7654321" in each]
    # The same file in the same environment says the same again.
    read_back = OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.create(as_yaml(config)))
    assert to_config(read_back, TrainConfig) == config


def test_what_refers_to_such_a_value_stays_as_written_too():
    config = config_of("data.root=/${oc.env:MY_SECRET}", "weights=${data.root}/a.safetensors", "name=mine_${seed}")
    assert config.weights == f"/{SECRET}/a.safetensors"
    seen = recorded(config)
    assert seen["weights"] == "${data.root}/a.safetensors"
    assert seen["name"] == "mine_317", "of the configuration alone: what it is"


def test_what_is_written_is_no_key_and_makes_no_difference():
    names = {key.name for key in keys_of(TrainConfig)} | {key.name for _, keys in all_keys(TrainConfig) for key in keys}
    assert not [name for name in (*names, *known_keys(TrainConfig)) if "as_written" in name]
    plain = config_of("seed=7654321")
    assert plain.as_written == {}
    assert config_of("seed=${oc.env:MY_SEED}") == plain
    assert OmegaConf.to_container(OmegaConf.create(as_yaml(plain))) == recorded(plain)
    assert flatten(recorded(plain)) == flatten(
        {key: value for key, value in dataclasses.asdict(plain).items() if key != "as_written"}
    )


def test_a_resumed_run_has_changed_nothing_where_the_words_are_the_same(tmp_path, monkeypatch):
    for seed in ("1", "2"):
        monkeypatch.setenv("MY_SEED", seed)
        logger = RunLogger(tmp_path, MlflowConfig(enabled=False))
        logger.start(recorded(config_of("seed=${oc.env:MY_SEED}")), {}, [], None if seed == "1" else 1, total_steps=100)
        logger.close("FINISHED")
    assert "resumed_param" not in (tmp_path / "mlflow_spool.jsonl").read_text()


def test_passwords_in_any_value_are_masked():
    config = config_of("weights=https://me:s3cret@host/a.safetensors", f"name=hf_{'a' * 34}")
    assert recorded(config)["weights"] == "https://***@host/a.safetensors"
    assert recorded(config)["name"] == "***"


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["-c", "job", "--resolve"], ["--cfg=job", "-p", "mlflow"]])
def test_what_hydra_prints_is_masked(monkeypatch, capsys, flags):
    address = "https://me:s3cret@host/?token=s3cret"
    monkeypatch.setattr("sys.argv", ["train", f"mlflow.tracking_uri={address}", *flags])
    run_command(lambda config: None, TrainConfig, "train")
    shown = capsys.readouterr().out
    assert "tracking_uri: https://***@host/?token=***" in shown
    assert SECRET not in shown


def test_a_jobs_folder_is_not_named_by_a_password():
    names = [_job_name([f"weights=https://me:{password}@host/a"]) for password in (SECRET, "other")]
    assert names[0] != names[1]
    assert SECRET not in shlex.join(names)
