"""Which checkpoint `weights=` and `resume_from=` mean, and what the start says of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_state

from fairmot.data.dataset import DataConfig
from fairmot.errors import CheckpointError
from fairmot.weights.checkpoint import checkpoint_name, save_checkpoint
from train.config import TrainConfig
from train.distributed import ALONE
from train.start import choose_start


@dataclass
class AnotherLead:
    """The first of two ranks chose this step; storage may show this rank others."""

    step: int
    size = 2

    def agree(self, number: int) -> int:
        return self.step + 1 if number else 0


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run that has checkpoints after steps 3, which is the best, and 6, whose networks differ."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "runs" / "first" / "checkpoints"
    for step in (3, 6):
        state = tiny_state(network_seed=step)
        state.progress.step = step
        save_checkpoint(folder, step, state.tensors(), state.manifest(None, 1), "", 3)
    (folder / "best").write_text(f"{checkpoint_name(3)}\n")
    return home


@pytest.fixture
def run(home, monkeypatch):
    monkeypatch.chdir(home)
    return Path("runs/first")


def started(key: str, named: str, world=ALONE) -> tuple[int, str]:
    """The step whose network was taken, and what the start says."""
    state = tiny_state()
    config = TrainConfig(**{key: named}, data=DataConfig(train={"one": "one.train"}))
    said = choose_start(config, Path("runs/second"), state, world)
    taken = state.network.state()["hm.weight"].asnumpy()
    (step,) = [
        step for step in (3, 6) if np.array_equal(taken, tiny_state(network_seed=step).network.state()["hm.weight"])
    ]
    return step, said


@pytest.mark.parametrize("key", ["weights", "resume_from"])
@pytest.mark.parametrize(
    ("named", "step"),
    [
        ("best", 3),
        ("newest", 6),
        ("runs/first", 6),
        ("runs/first/best", 3),
        ("runs/first/checkpoints/latest", 6),
        ("runs/first/checkpoints/step_00000003", 3),
    ],
)
def test_what_is_named_is_taken_and_the_step_is_said(run, key, named, step):
    taken, said = started(key, named)
    path = run / "checkpoints" / checkpoint_name(step)
    assert taken == step
    assert f"{path}{'' if named == str(path) else f' (step {step})'}" in said


def test_all_ranks_take_what_the_first_has_chosen(run):
    assert started("weights", "runs/first", AnotherLead(3))[0] == 3


@pytest.mark.parametrize("key", ["weights", "resume_from"])
@pytest.mark.parametrize(
    ("named", "said"), [("runs/second/best", "write newest"), ("runs", "no checkpoint there"), ("gone", "gone")]
)
def test_what_is_not_there_is_refused_by_name(run, key, named, said):
    with pytest.raises(CheckpointError, match=said):
        started(key, named)
