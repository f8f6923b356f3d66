"""A run whose disk is full or whose folder is removed: the loop with a step that computes nothing."""

import shutil
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from full_disk import FullDisk
from small_run import compose_config, overrides
from tiny import tiny_state

from fairmot.errors import CheckpointError, FairMOTError
from fairmot.weights.checkpoint import whole_checkpoints
from train.distributed import World
from train.heartbeat import HEARTBEAT_VARIABLE
from train.loop import Trainer, fit
from train.profiling import StepProfiler
from train.report.logger import RunLogger
from train.report.record import SPOOL_NAME, read_metrics
from train.saver import Saver
from train.step import SCALARS
from train.summary import summarize_end

STEPS = 12


class Step:
    """Losses of nothing; `at` is called with the number of every step."""

    def __init__(self, at):
        self._at, self._made = at, 0
        self.optimizer = SimpleNamespace(learning_rate=ms.Tensor(0.1))

    def set_train(self):
        pass

    def __call__(self, *_):
        self._made += 1
        self._at(self._made)
        return ms.Tensor(np.zeros(len(SCALARS), np.float32))


class Loader:
    steps_per_epoch = STEPS

    def steps_left(self, start_sample):
        return STEPS - start_sample // 2

    def epoch(self, epoch, start_sample=0):
        yield from ((ms.Tensor(0),) for _ in range(self.steps_left(start_sample)))


@pytest.fixture
def trainer(tmp_path):
    """Makes one of a run in tmp_path/run, given what happens at each step."""

    def make(at, **changes):
        run_dir = tmp_path / "run"
        config = compose_config(overrides(tmp_path, run_dir, epochs=1, **changes))
        world, state = World(), tiny_state()
        logger = RunLogger(run_dir, config.mlflow)
        saver = Saver(world, run_dir, state, "name: test\n", keep=3)
        profiler = StepProfiler(0, run_dir / "profile", config.device)
        return Trainer(config, world, Step(at), Loader(), state, saver, logger, profiler, system=None)

    return make


def end(trainer, run_dir, status):
    summarize_end(trainer.config, run_dir, trainer, status, began_at_s=0.0)


def test_a_full_disk_ends_a_run_when_a_save_is_due_and_not_before(tmp_path, trainer, monkeypatch, capsys):
    monkeypatch.setenv(HEARTBEAT_VARIABLE, str(tmp_path / "beat"))
    with FullDisk() as disk:
        made = trainer(lambda step: step == 3 and disk.fill(), log_every_steps=1, save_every_steps=8)
        with pytest.raises(
            CheckpointError, match=r"step_00000008: the checkpoint could not be saved: .*File too large"
        ):
            fit(made)
        end(made, tmp_path / "run", "FAILED")
    assert made.state.progress.step >= 8
    said = capsys.readouterr().out
    assert said.count("not written") == said.count("losses.png") == 1


def test_a_disk_with_room_again_loses_nothing(tmp_path, trainer, capsys):
    with FullDisk() as disk:
        happens = {3: disk.fill, 6: disk.empty}
        made = trainer(lambda step: happens.get(step, int)(), log_every_steps=1, save_every_steps=8)
        fit(made)
    end(made, tmp_path / "run", "FINISHED")
    assert [step for step, _ in read_metrics(tmp_path / "run")["loss"]] == list(range(1, STEPS + 1))
    assert [path.name for path in whole_checkpoints(tmp_path / "run/checkpoints")] == ["step_00000008", "step_00000012"]


@pytest.mark.parametrize("gone", ["folder", "record"])
@pytest.mark.parametrize("due", ["log_every_steps", "save_every_steps"])
def test_a_run_whose_folder_is_removed_ends_at_the_next_save_or_log(tmp_path, trainer, due, gone):
    run_dir = tmp_path / "run"

    def remove(step):
        if step == 3:
            shutil.rmtree(run_dir) if gone == "folder" else (run_dir / SPOOL_NAME).unlink()

    made = trainer(remove, **{"log_every_steps": 100, "save_every_steps": 100, due: 5})
    with pytest.raises(FairMOTError, match=rf"^{run_dir}: the run's folder.* was removed or renamed"):
        fit(made)
    assert made.state.progress.step == (STEPS if (due, gone) == ("save_every_steps", "record") else 5)
    end(made, run_dir, "FAILED")
    assert run_dir.exists() == (gone == "record")


def test_a_folder_removed_after_the_last_save_is_no_success(tmp_path, trainer):
    made = trainer(lambda step: None)
    fit(made)
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(FairMOTError, match="was removed or renamed"):
        end(made, tmp_path / "run", "FINISHED")
