"""What the commands say of themselves: help, exit codes, refusals, what reaches log files."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fairmot.cli.command import CONF_DIR
from fairmot.cli.help import EXIT_CODES, help_text
from fairmot.cli.keys import all_keys, keys_of
from fairmot.prepare.config import PrepareConfig
from fairmot.tracking.config import TrackerConfig
from train.config import TrainConfig

REPOSITORY = Path(__file__).resolve().parents[2]


def run_module(*words, **environment):
    """Run a module; returns exit code, stdout, stderr."""
    clean = os.environ | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "100"} | environment
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=REPOSITORY, env=clean, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def commands():
    from configuration_page import COMMANDS

    return COMMANDS


def test_every_command_teaches(commands):
    for config_name, (command, schema) in commands.items():
        text = help_text(schema, CONF_DIR, config_name)
        purpose, examples = text.split("\n\n")[0], text.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
        assert len(purpose) > 60 and "can be told" not in purpose, config_name
        assert len(examples) >= 3, config_name
        assert sum(line.startswith(f"  {command} ") for line in examples) >= 2, config_name
        for key in keys_of(schema):
            assert key.meaning, key.name
            shown = f"  {key.name}.*" if key.group else f"  {key.name}="
            assert f"\n{shown}" in text, key.name
        for code in EXIT_CODES:
            assert re.search(rf"^  {code} ", text, re.MULTILINE), code


def test_examples_are_accepted(commands):
    """Every example of every command composes; the shell's quotes are taken off as a shell does."""
    import shlex

    from omegaconf import OmegaConf

    from fairmot.cli.command import compose

    by_module = {command.split()[2]: (name, schema) for name, (command, schema) in commands.items()}
    checked = 0
    for config_name in commands:
        for line in OmegaConf.load(CONF_DIR / f"{config_name}.yaml").hydra.help.footer.splitlines():
            _, _, module, *words = shlex.split(line, comments=True)
            if words[:1] == ["-m"]:  # a sweep: several configurations, of which Hydra composes each
                words = [word.partition(",")[0] for word in words[1:]]
            name, schema = by_module[module]  # some command's last example is what to do next
            assert isinstance(compose(words, schema, name), schema), line
            checked += 1
    assert checked >= 3 * len(commands)


HELP_OF_ALL = """
import contextlib, runpy, sys
for module in sys.argv[1:]:
    sys.argv = [module, "--help"]
    with contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__")
print(sorted({"mindspore", "mlflow", "scipy", "matplotlib", "onnx", "onnxruntime", "av"} & set(sys.modules)))
"""


def test_help_imports_nothing_that_takes_seconds(commands):
    modules = [*(command.split()[2] for command, _ in commands.values()), "train.launch"]
    done = subprocess.run(
        [sys.executable, "-c", HELP_OF_ALL, *modules],
        capture_output=True, text=True, timeout=120, cwd=REPOSITORY, check=True,
    )  # fmt: skip
    assert done.stdout.lower().count("exit codes:") == len(modules)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    text = help_text(TrainConfig, CONF_DIR, "train").partition("Examples:")[0]
    assert max(map(len, text.splitlines())) <= 90


def test_keys_come_from_docstrings():
    keys = {key.name: key for key in keys_of(TrackerConfig, "tracker.")}
    assert keys["tracker.track_buffer"].meaning.startswith("frames, at 30 frames a second, for which a lost track")
    cost = keys["tracker.cost"]
    assert (cost.kind, cost.default) == ("embedding | giou_embedding | iou | iou_embedding", "embedding")
    required = {key.name for key in keys_of(PrepareConfig) if key.default is None}
    assert "root" in required
    assert "sequences" not in required
    groups = [group.name for group, _ in all_keys(TrainConfig)]
    assert {"data.transforms", "data.synthetic", "runtime.loss_scale"} <= set(groups)


def test_a_command_from_outside():
    code, out, errors = run_module("fairmot.prepare", "-h")
    assert (code, errors) == (0, "")
    assert "root= (required)" in out
    assert max(map(len, out.partition("Examples")[0].splitlines())) <= 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "error: .*root=.* must be given; --help says"),
        (
            ["--dataset=mot17"],
            "error: --dataset=mot17: keys are written key=value; type python -m fairmot.prepare dataset=mot17$",
        ),
        (["mot17"], "error: mot17: not of the form key=value"),
    ],
)
def test_refusals_are_one_line(words, said):
    code, out, errors = run_module("fairmot.prepare", *words)
    assert (code, out) == (2, "")
    assert re.match(said, errors), errors
    assert len(errors.splitlines()) == 1


def test_no_color_is_honoured_on_a_terminal():
    """A terminal gets colours from the pre-flight alone, and not with NO_COLOR."""
    words = [sys.executable, "-c", "from train.preflight.finding import wants_colour; print(wants_colour())"]
    answers = []
    for environment in ({}, {"NO_COLOR": "1"}):
        leader, follower = pty.openpty()
        clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        subprocess.run(words, stdout=follower, cwd=REPOSITORY, env=clean | environment, timeout=60, check=True)
        os.close(follower)
        answers.append(os.read(leader, 1000).decode().strip())
        os.close(leader)
    assert answers == ["True", "False"]


def test_every_progress_bar_asks_whether_there_is_a_terminal():
    """Bars in log files are thousands of overwritten lines."""
    calls = []
    for path in [*REPOSITORY.glob("fairmot/**/*.py"), *REPOSITORY.glob("train/**/*.py")]:
        for call in re.findall(r"[^\w.]tqdm\((.*?)\)(?:\n| as)", path.read_text(encoding="utf-8"), re.DOTALL):
            calls.append((path.name, call))
    assert len(calls) >= 6
    careless = [name for name, call in calls if "disable=None" not in call and name != "console.py"]
    assert not careless


def test_scripts_are_clean():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    if not shellcheck.exists():
        pytest.skip("shellcheck is not installed: pip install '.[dev]'")
    scripts = [
        *sorted(REPOSITORY.glob("scripts/*.sh")),
        REPOSITORY / "scripts" / "completion.bash",
        REPOSITORY / ".ci" / "run",
    ]
    done = subprocess.run(
        [shellcheck, "-x", "-P", "SCRIPTDIR", *scripts],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
