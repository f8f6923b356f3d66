"""Saving beside training: what is written is the state of the moment, and a failure is heard of."""

import os
import sys
import threading

import numpy as np
import pytest
from tiny import tiny_state

import train.saver
from fairmot.errors import CheckpointError, FairMOTError
from fairmot.weights.checkpoint import read_checkpoint
from train.distributed import World
from train.saver import Saver


@pytest.fixture
def state():
    state = tiny_state()
    state.progress.step = 4
    return state


def change(state):
    """Training goes on: other weights, in the same memory."""
    for parameter in state.network.trainable_params():
        parameter.set_data(parameter + 1)
    state.progress.step += 1


def test_training_goes_on_while_the_disk_works(tmp_path, state, monkeypatch):
    disk_is_free = threading.Event()

    def slowly(*args):
        assert disk_is_free.wait(30)
        return save_checkpoint(*args)

    save_checkpoint = train.saver.save_checkpoint
    monkeypatch.setattr(train.saver, "save_checkpoint", slowly)
    expected = state.tensors()["network"]
    with Saver(World(), tmp_path, state, "name: test\n", keep=3) as saver:
        saver.save()
        change(state)
        saver.check()
        assert not list(tmp_path.glob("checkpoints/step_*"))
        disk_is_free.set()
    saved = read_checkpoint(tmp_path)
    assert saved.manifest["progress"]["step"] == 4
    assert saved.path.name == "step_00000004"
    for name, array in saved.tensors("network").items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_writing_leaves_the_processors_to_the_steps(tmp_path, state, monkeypatch):
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    seen = []
    monkeypatch.setattr(train.saver, "save_checkpoint", lambda *_: seen.append(niceness()))
    before = niceness()
    with Saver(World(), tmp_path, state, "name: test\n", keep=3) as saver:
        saver.save()
    assert seen[0] > before
    assert niceness() == before


def test_the_next_save_waits_for_the_one_before_and_each_holds_its_own_moment(tmp_path, state):
    expected = {}
    with Saver(World(), tmp_path, state, "name: test\n", keep=3) as saver:
        for step in (4, 5, 6):
            expected[f"step_{step:08d}"] = state.tensors()["network"]
            saver.save()
            change(state)
    assert {path.name for path in (tmp_path / "checkpoints").glob("step_*")} == expected.keys()
    for checkpoint, arrays in expected.items():
        saved = read_checkpoint(tmp_path / "checkpoints" / checkpoint).tensors("network")
        for name, array in arrays.items():
            np.testing.assert_array_equal(saved[name], array, err_msg=f"{checkpoint} {name}")


def test_a_step_is_saved_once_and_amended_after_its_validation(tmp_path, state):
    with Saver(World(), tmp_path, state, "name: test\n", keep=3) as saver:
        saver.save(wait=True)
        tensors = (tmp_path / "checkpoints" / "step_00000004" / "network.safetensors").stat()
        state.progress.is_best("MOTA", 50.0)
        saver.save()
    assert read_checkpoint(tmp_path).manifest["progress"]["best"] == {"MOTA": 50.0}
    assert (tmp_path / "checkpoints" / "best").read_text() == "step_00000004\n"
    assert (tmp_path / "checkpoints" / "step_00000004" / "network.safetensors").stat() == tensors


def test_a_failure_is_heard_of_at_the_next_step(tmp_path, state):
    (tmp_path / "checkpoints").write_text("a file in the folder's place")
    with Saver(World(), tmp_path, state, "name: test\n", keep=3) as saver:
        saver.save()
        with pytest.raises(CheckpointError, match="step_00000004: the checkpoint could not be saved: Not a directory"):
            while True:
                saver.check()


def test_leaving_waits_and_says_what_failed(tmp_path, state):
    (tmp_path / "checkpoints").write_text("a file in the folder's place")
    saver = Saver(World(), tmp_path, state, "name: test\n", keep=3)
    with pytest.raises(CheckpointError, match="could not be saved"), saver:
        saver.save()


def test_leaving_for_another_reason_does_not_bury_it(tmp_path, state, capsys):
    (tmp_path / "checkpoints").write_text("a file in the folder's place")
    with (
        pytest.raises(FairMOTError, match="gradients"),
        Saver(World(), tmp_path, state, "name: test\n", keep=3) as saver,
    ):
        saver.save()
        raise FairMOTError("gradients are not finite")
    assert "warning: " in capsys.readouterr().err


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path, state):
    saver = Saver(World(), tmp_path / "run", state, "name: test\n", keep=3)
    with pytest.raises(FairMOTError, match=rf"^{tmp_path}/run: the run's folder.* was removed or renamed"), saver:
        saver.save()
    assert not list(tmp_path.iterdir())


def test_other_ranks_write_nothing(tmp_path, state):
    with Saver(World(rank=1, size=2), tmp_path, state, "", keep=3) as saver:
        saver.save()
    assert not list(tmp_path.iterdir())
