"""Resumed equals uninterrupted, whatever stopped the run."""

import signal
import time

import numpy as np
import pytest
from far_server import FarServer
from small_run import compose_config, curves, overrides, run_training, start_training, write_pictures

from fairmot.data import far_store
from fairmot.data.index import build_index
from fairmot.data.pack_writer import write_pack
from fairmot.weights.checkpoint import GROUPS, read_checkpoint, whole_checkpoints
from train.command import train

STEPS = 10  # two epochs of five
KILLS = 3
SECRET = "named-by-the-environment"


def tensors(run_dir):
    checkpoint = read_checkpoint(run_dir)
    return {f"{group}/{name}": array for group in GROUPS for name, array in checkpoint.tensors(group).items()}


def assert_same_run(run_dir, reference):
    assert curves(run_dir) == curves(reference)
    ours, theirs = tensors(run_dir), tensors(reference)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pictures(root)
    return root


@pytest.fixture(scope="module")
def undisturbed(root, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    (root / f"{SECRET}.train").write_bytes((root / "small.train").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_LIST", SECRET)
        words = [word for word in overrides(root, run_dir) if not word.startswith("+data.train")]
        train(compose_config([*words, "+data.train.small=${oc.env:MY_LIST}.train"]))
    return run_dir


def test_the_run_is_complete(undisturbed):
    recorded = curves(undisturbed)
    assert list(recorded["loss"]) == list(range(1, STEPS + 1))
    assert list(recorded["epoch/loss"]) == [1, 2]
    assert recorded["epoch/loss"][1] == pytest.approx(np.mean([recorded["loss"][step] for step in range(1, 6)]))
    assert [path.name for path in whole_checkpoints(undisturbed / "checkpoints")] == [
        f"step_{step:08d}" for step in (6, 8, 10)
    ]
    assert (undisturbed / "losses.png").stat().st_size > 10_000


def test_a_run_records_nothing_of_the_environment(undisturbed):
    files = [path for path in undisturbed.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert [path.parent.name for path in files if b"${oc.env:MY_LIST}.train" in path.read_bytes()].count("run") == 2


@pytest.mark.slow
def test_another_seed_differs(root, undisturbed, tmp_path):
    train(compose_config(overrides(root, tmp_path / "run", seed=2, max_steps=2)))
    assert curves(tmp_path / "run")["loss"][1] != curves(undisturbed)["loss"][1]


@pytest.mark.slow
def test_same_seed_is_bit_identical_for_other_workers_and_a_faulty_pack_far_away(
    root, undisturbed, tmp_path, monkeypatch
):
    write_pack(build_index(str(root), {"small": "small.train"}, progress=False), tmp_path / "pack", 30_000, False)
    monkeypatch.setattr(far_store, "_FIRST_PAUSE_S", 0.01)
    with FarServer(tmp_path / "pack") as server:
        faults = (503, "cut", "wrong")
        server.fault = lambda file, number: faults[number % 3] if file.endswith("zip") and number % 4 == 1 else None
        pack = {"packed": server.address, "pack_cache__folder": tmp_path / "cache", "pack_cache__gigabytes": 6e-5}
        changes = {f"data__{key}": value for key, value in ({"workers": 1} | pack).items()}
        words = overrides(tmp_path / "elsewhere", tmp_path / "run", **changes)
        train(compose_config(words))
    assert_same_run(tmp_path / "run", undisturbed)
    assert len(server.requests) > 11  # two shards of four are kept, images of the others asked for in both epochs


@pytest.mark.slow
def test_resume_in_the_middle_of_an_epoch(root, undisturbed, tmp_path):
    train(compose_config(overrides(root, tmp_path / "run", max_steps=3)))
    train(compose_config(overrides(root, tmp_path / "run", max_steps=5)))
    train(compose_config(overrides(root, tmp_path / "run")))
    assert_same_run(tmp_path / "run", undisturbed)


@pytest.mark.slow
def test_resume_from_continues_in_a_new_run(root, undisturbed, tmp_path):
    train(compose_config(overrides(root, tmp_path / "first", max_steps=3)))
    train(compose_config(overrides(root, tmp_path / "second", resume_from=tmp_path / "first")))
    assert list(curves(tmp_path / "second")["loss"]) == list(range(4, STEPS + 1))
    ours, theirs = tensors(tmp_path / "second"), tensors(undisturbed)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_starting_a_finished_run_again_changes_nothing(root, undisturbed, tmp_path):
    train(compose_config(overrides(root, tmp_path / "run")))
    train(compose_config(overrides(root, tmp_path / "run")))
    assert_same_run(tmp_path / "run", undisturbed)


@pytest.mark.slow
def test_accumulation_resumes_too(root, tmp_path):
    changes = {"optim__accumulation": 2, "epochs": 3}
    train(compose_config(overrides(root, tmp_path / "whole", **changes)))
    train(compose_config(overrides(root, tmp_path / "parts", max_steps=3, **changes)))
    train(compose_config(overrides(root, tmp_path / "parts", **changes)))
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def kill_at_a_random_moment(process, run_dir, kind, generator):
    """Kind 0: while it starts; 1: while it writes a checkpoint; 2: between two steps. Was it in time?"""
    checkpoints, began_with = run_dir / "checkpoints", recorded_step(run_dir)
    ready_at_s = time.monotonic() + generator.uniform(0.5, 8) if kind == 0 else None
    while process.poll() is None:
        if kind == 1 and any(checkpoints.glob(".unfinished-*/*")):
            time.sleep(generator.uniform(0, 0.02))
            break
        if kind == 2 and ready_at_s is None and recorded_step(run_dir) > began_with:
            ready_at_s = time.monotonic() + generator.uniform(0, 2)
        if ready_at_s is not None and time.monotonic() > ready_at_s:
            break
        time.sleep(0.001)
    in_time = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return in_time


def recorded_step(run_dir):
    return max(curves(run_dir).get("loss", {0: 0.0}))


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_kill_9_at_random_moments(root, tmp_path):
    """Three kills; whatever they hit, at most a save interval is lost and the end is that of an undisturbed run."""
    generator = np.random.default_rng(2026)
    # Not the network of one convolution: a save would take it several steps.
    changes = {"model": "dlaconv_34_narrow", "epochs": 10, "save_every_steps": 3}
    code, output = run_training(overrides(root, tmp_path / "undisturbed", **changes))
    assert code == 0, output
    run_dir, words = tmp_path / "run", overrides(root, tmp_path / "run", **changes)
    kills = 0
    for kill in range(KILLS):
        kills += kill_at_a_random_moment(start_training(words), run_dir, kill % 3, generator)
        whole = whole_checkpoints(run_dir / "checkpoints")
        for path in whole:
            for group in GROUPS:
                read_checkpoint(path).tensors(group)  # raises if any file is not what was saved
        newest = int(whole[-1].name.removeprefix("step_")) if whole else 0
        reached = recorded_step(run_dir)
        assert reached - newest <= changes["save_every_steps"], f"kill {kill}: step {reached}, checkpoint {newest}"
    assert kills >= KILLS - 2, "most kills must hit a living process"
    code, output = run_training(words)
    assert code == 0, output
    assert_same_run(run_dir, tmp_path / "undisturbed")
