"""What people write by habit, and the line they get to type instead."""

import subprocess
import sys

import pytest
from blob_sequences import run_command_in_process

from fairmot.cli.command import CONF_DIR, compose
from fairmot.cli.help import group_help
from fairmot.cli.mistakes import meant
from fairmot.errors import ConfigError
from train.config import TrainConfig


@pytest.mark.parametrize(
    ("words", "mended"),
    [
        ("--experiment quickstart", "experiment=quickstart"),
        ("--experiment=quickstart seed=1", "experiment=quickstart seed=1"),
        ("--epochs 3 --batch-size-per-rank 4", "epochs=3 batch_size_per_rank=4"),
        ("--preflight", "preflight=true"),
        ("--preflight epochs=3", "preflight=true epochs=3"),
        ("--epochs", "epochs=..."),
        ("epochs = 3", "epochs=3"),
        ("epochs= 3", "epochs=3"),
        ("epochs =3", "epochs=3"),
        ("experiment quickstart epochs 3", "experiment=quickstart epochs=3"),
        ("data.input_size=[224, 384]", "data.input_size=[224,384]"),
        ("data.input_size=224,384", "data.input_size=[224,384]"),
        ("data.validation=a/*,b/*", "data.validation=[a/*,b/*]"),
    ],
)
def test_what_is_meant(words, mended):
    assert meant(words.split(" "), TrainConfig, CONF_DIR) == mended.split(" ")


@pytest.mark.parametrize(
    "words",
    [
        "experiment=quickstart epochs=3",
        "-m seed=1,2",
        "--multirun data.input_size=[64,96],[96,64]",
        "--cfg job",
        "-c job seed=1",
        "run_dir= seed=3",
        "weights=",
        "data.input_size=${other}",
        "+data.train.mine=mine.train",
        "--foo 3",
    ],
)
def test_what_is_left_alone(words):
    assert meant(words.split(" "), TrainConfig, CONF_DIR) == words.split(" ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--experiment quickstart", "error: --experiment quickstart: keys are written key=value; type "),
        ("--exeriment=quickstart", "error: --exeriment: no such key or option: did you mean 'experiment'?"),
        ("--lr 3", "error: --lr: no such key or option: did you mean 'optim.lr'?"),
        ("device=cuda", "error: device: Invalid value 'cuda', expected one of [auto, cpu, ascend]; CUDA "),
        ("data=custom data.train.mine=a", "error: data.train.mine: to add an entry put a + before it: +data"),
        ("mlflow.tracking_uri=localhost:5000", "error: mlflow.tracking_uri=localhost:5000: write http://localhost:5000"),
        ("/data/mot17", "error: /data/mot17: not of the form key=value; --help lists the keys"),
        ("--help optin", "error: --help optin: no group; there are: "),
    ],
)  # fmt: skip
def test_refusals(words, said, monkeypatch, capfd):
    assert run_command_in_process(monkeypatch, "train", words.split(" ")) == 2
    errors = capfd.readouterr().err
    assert errors.startswith(said)
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("epochs=three", "epochs: Value 'three' of type 'str' could not be converted to Integer"),
        ("epochs=0", "epochs=0: must be at least 1"),
        ("seed=-1", "seed=-1: must be at least 0"),
        ("batch_size=4", "unknown key 'batch_size': did you mean 'batch_size_per_rank'?"),
        ("epoch=3", "unknown key 'epoch': did you mean 'epochs'?"),
        ("optim.learning_rate=1", "unknown key 'optim.learning_rate': did you mean 'optim.lr'?"),
        ("learning_rate=1", "unknown key 'learning_rate': did you mean 'optim.lr'?"),
        ("mlflow.uri=http://h:5000", "unknown key 'mlflow.uri': did you mean 'mlflow.tracking_uri'?"),
        ("tracker.conf_thresh=0.4", "unknown key 'tracker.conf_thresh': did you mean 'tracker.conf_thres'?"),
        ("+foo=1", "unknown key 'foo'"),
        ("optim.lr=-1", "optim.lr=-1.0: must be above 0"),
        ("optim.lr=fast", "optim.lr: Value 'fast' of type 'str' could not be converted to Float"),
        ("optim.schedule=cosin", "optim.schedule: Invalid value 'cosin', expected one of [constant, step, cosine, "),
        ("best_metric=mota", "expected one of [MOTA, IDF1, HOTA, AP]: did you mean 'MOTA'?"),
        ("device=gpu", "expected one of [auto, cpu, ascend]; CUDA has no support here"),
        ("model=dla34", "unknown model 'dla34': did you mean 'dla_34'?; there are: dla_34, "),
        ("data=mot71", "unknown data 'mot71': did you mean 'mot17'?"),
        ("experiment=quikstart", "unknown experiment 'quikstart': did you mean 'quickstart'?"),
        ("data.input_size=[224]", "data.input_size=[224]: give [height,width] in pixels"),
        ("data.input_size=[100,100]", "sides must be multiples of 32; try [96, 96]"),
        ("data.input_size=224x384", "data.input_size: takes a list, such as data.input_size=[...,...]"),
        ("data.train=a.train", "data.train: holds entries of your own; add one: +data.train.mine=..."),
        ("data.workers=-1", "data.workers must be at least 1, got -1"),
        ("tracker.conf_thres=2", "tracker.conf_thres must be from 0 to 1, got 2.0"),
        ("mlflow.enabled=maybe", "mlflow.enabled: Value 'maybe' is not a valid bool"),
        ("mlflow.tracking_uri=", "mlflow.tracking_uri is empty: give a value or leave the key out"),
        ("validate_every_epochs=1 data=custom +data.train.a=b", "data.validation is empty: name folders of sequences"),
    ],
)
def test_refused_values(word, said):
    experiment = [] if "experiment" in word or "data=" in word else ["experiment=quickstart"]
    with pytest.raises(ConfigError) as refused:
        compose([*experiment, *word.split(" ")], TrainConfig, "train")
    assert said in str(refused.value)


def test_a_bare_command_shows_its_help_and_trains_nothing(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run_command_in_process(monkeypatch, "train", []) == 2
    said = capfd.readouterr()
    assert "Examples:" in said.out
    assert said.err.startswith("error: nothing was asked for")
    assert list(tmp_path.iterdir()) == []


def test_the_keys_of_a_group():
    text = group_help(TrainConfig, ["optim"])
    assert "optim.lr=" in text
    assert "runtime.loss_scale.enabled=" not in text
    assert "runtime.loss_scale." in group_help(TrainConfig, ["runtime"])


def test_the_trainer_under_the_other_commands_names():
    words = [sys.executable, "-m", "fairmot.train", "experiment=quickstart", "name=a b"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: type python -m train experiment=quickstart 'name=a b'\n"


def test_data_that_was_not_prepared(tmp_path):
    from fairmot.data.image_list import read_image_list
    from fairmot.errors import DataError

    with pytest.raises(DataError, match=r"mot17\.train: No such file .*python -m fairmot\.prepare --help"):
        read_image_list(str(tmp_path), "mot17", "mot17.train")


def test_a_key_without_its_group_is_named():
    with pytest.raises(ConfigError, match=r"unknown key 'lr': did you mean 'optim\.lr'"):
        compose(["lr=1"], TrainConfig, "train")
