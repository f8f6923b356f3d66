"""What `checkpoint=` may say besides a path."""

import os
from pathlib import Path

import pytest

from fairmot.errors import CheckpointError
from fairmot.weights.checkpoint import checkpoint_name
from fairmot.weights.named import located, say_which


def make_run(run_dir: Path, steps: list[int], best: int | None, written_at_s: int) -> None:
    folder = run_dir / "checkpoints"
    for step in steps:
        (folder / checkpoint_name(step)).mkdir(parents=True)
        (folder / checkpoint_name(step) / "checkpoint.json").write_text("{}")
    (folder / "latest").write_text(f"{checkpoint_name(steps[-1])}\n")
    os.utime(folder / "latest", (written_at_s, written_at_s))
    if best is not None:
        (folder / "best").write_text(f"{checkpoint_name(best)}\n")


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_run(Path("runs/old/a"), [3], None, 100)
    make_run(Path("runs/new/b"), [5, 7, 9], 7, 200)
    return Path("runs")


@pytest.mark.parametrize(
    ("named", "step"),
    [
        ("best", 7),
        ("newest", 9),
        ("runs/new/b", 9),
        ("runs/new/b/checkpoints", 9),
        ("runs/new/b/best", 7),
        ("runs/new/b/checkpoints/best", 7),
        ("runs/new/b/checkpoints/latest", 9),
        ("runs/old/a/newest", 3),
        ("runs/new/b/checkpoints/step_00000005", 5),
    ],
)
def test_the_checkpoint_that_is_meant(runs, capsys, named, step):
    found = located(Path(named))
    assert found.name == checkpoint_name(step)
    say_which(Path(named))
    said = "" if found == Path(named) else f"checkpoint: {found} (step {step})\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("named", ["weights.safetensors", "model.onnx", "nowhere"])
def test_other_paths_are_what_they_are(runs, named):
    assert located(Path(named)) == Path(named)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("runs/old/a/best", r"best: not there: no checkpoint of this run was validated; write newest"),
        ("runs/none/newest", r"newest: no checkpoint there"),
        ("runs", r"runs: no checkpoint there; give a step_\.\.\. directory or the run directory above"),
    ],
)
def test_refusals(runs, named, said):
    with pytest.raises(CheckpointError, match=said):
        located(Path(named))


def test_a_pointer_to_nothing_and_no_run_at_all(runs, monkeypatch):
    (runs / "new" / "b" / "checkpoints" / "best").write_text("../../../secret")
    with pytest.raises(CheckpointError, match=r"says '\.\./\.\./\.\./secret', which is no checkpoint beside it"):
        located(Path("best"))
    monkeypatch.chdir(runs / "old")
    with pytest.raises(CheckpointError, match=r"best: no run below .*; write <run directory>/best"):
        located(Path("best"))
