"""Values of text keys: taken as they stand on the command line."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fairmot.cli.command import CONF_DIR, compose
from fairmot.cli.words import literal_words
from fairmot.convert.config import ConvertConfig
from fairmot.errors import ConfigError
from fairmot.prepare.config import PrepareConfig
from fairmot.track.config import TrackConfig
from train.config import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[2]
VALUES = [
    "2024_05_02",
    "0012",
    "1e3",
    "true",
    "/x/视频.mp4",
    "a b",
    " ",
    "runs/optim.lr=0.0001,seed=1",
    "(final) #2 [old]!~",
    "it's",
    "'quoted'",
    '"quoted"',
    "{a: b}",
    "choice(a,b)",
    "back\\slash\\",
    "\\'",
    "$HOME",
    "${ (1)",
    "a${b",
    "rtsp://admin:p@ss=1,2#3@10.0.0.2:554/live?channel=1&subtype=0",
    "日本語/видео",
    "null",
    "",
]


def run(*words, cwd=REPOSITORY):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, env=environment, check=False)


def track_config(*words):
    return compose(["source=a", "checkpoint=b", "output=c", *words], TrackConfig, "track")


@pytest.mark.parametrize("value", VALUES)
def test_text_is_taken_as_it_stands(value):
    config = track_config(f"source={value}", f"output={value}")
    assert (config.source, config.output) == (value, value)


@pytest.mark.parametrize("value", [value for value in VALUES if value != "null"])
def test_so_is_text_that_may_be_missing_and_text_in_groups(value):
    words = [f"weights={value}", f"data.cache_dir={value}", "data=custom", f"+data.train.mine={value}"]
    config = compose(words, TrainConfig, "train")
    assert (config.weights, config.data.cache_dir, config.data.train) == (value, value, {"mine": value})


def test_interpolations_stay_interpolations(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_DATA", "/data/视频")
    config = track_config("source=${oc.env:MY_DATA}/a (1).mp4", "output=${source}_${oc.env:MISSING,out}")
    assert (config.source, config.output) == ("/data/视频/a (1).mp4", "/data/视频/a (1).mp4_out")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "${source}").mkdir()
    assert track_config("output=${source}").output == "${source}"


def test_null_is_nothing_where_nothing_is_allowed():
    assert compose(["weights=null", "run_dir=null"], TrainConfig, "train").weights is None


def test_home_is_found():
    home = str(Path.home())
    assert track_config("source=~/street.mp4").source == f"{home}/street.mp4"
    assert track_config("source=~").source == home
    assert track_config("source=~street.mp4").source == "~street.mp4"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[MOT17-02,视频]", ["MOT17-02", "视频"]),
        ("[2024_05_02, a b ,it's]", ["2024_05_02", "a b", "it's"]),
        ("['a, b',\"c\"]", ["a, b", "c"]),
        ("[(x)=#!~]", ["(x)=#!~"]),
        ("[]", []),
    ],
)
def test_lists_of_texts(value, expected):
    assert (
        compose(["dataset=mot17", "root=a", "output=b", f"sequences={value}"], PrepareConfig, "prepare").sequences
        == expected
    )
    assert compose(["source=a", "output=b.pth", f"skip={value}"], ConvertConfig, "convert").skip == expected


def test_other_keys_are_read_as_before():
    config = compose(["experiment=quickstart", "data.input_size=[64,96]", "optim.lr=1e-3"], TrainConfig, "train")
    assert (config.name, config.data.input_size, config.optim.lr) == ("quickstart", [64, 96], 1e-3)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sorce=/x/视频.mp4", "unknown key 'sorce': did you mean 'source'"),
        ("batch_size=视频", "batch_size=视频: the value cannot be read; --help says what batch_size takes"),
        ("batch_size=(", r"batch_size=\(: the value cannot be read"),
    ],
)
def test_refusals_speak_of_the_key(word, said):
    with pytest.raises(ConfigError, match=said) as refused:
        track_config(word)
    assert "\n" not in str(refused.value)


def test_a_command_gets_what_the_shell_hands_it(tmp_path):
    name = "视频 (1) #2,[x]='y'!"
    done = run("fairmot.track", f"source={tmp_path / name}.mp4", "checkpoint=runs", "output=2024_05_02", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: source={tmp_path / name}.mp4: not there")
    assert done.stderr.count("\n") == 1


def test_no_refusal_shows_a_password(tmp_path):
    done = run("fairmot.track", "rtsp://me:secret@h/a", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: rtsp://***@h/a: not of the form key=value")


def test_in_a_sweep_commas_part_what_is_no_path(tmp_path):
    there = tmp_path / "optim.lr=0.1,seed=1"
    there.mkdir()
    words = ["-m", "name=a,b", f"weights={there}", "run_dir=2024_05_02", "name=choice(a,b)", "seed=1,2"]
    expected = ["-m", "name=a,b", f"weights='{there}'", "run_dir='2024_05_02'", "name=choice(a,b)", "seed=1,2"]
    assert literal_words(words, TrainConfig, CONF_DIR) == expected


def test_the_shells_quotes_and_these_do_not_meet():
    """A printed command, pasted, says the same again."""
    value = "runs/a b/optim.lr=0.1,seed='1'"
    (word,) = shlex.split(shlex.quote(f"checkpoint={value}"))
    assert track_config(word).checkpoint == value
