"""Checkpoint directories: whole or absent, kept and removed, refused when they do not belong."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import call, tiny_batch, tiny_state, values

from fairmot.data.identities import IdentityTable
from fairmot.errors import CheckpointError
from fairmot.json_files import sealed
from fairmot.weights.checkpoint import (
    GROUPS,
    amend_checkpoint,
    clean_up,
    read_checkpoint,
    save_checkpoint,
    whole_checkpoints,
)
from train.state import Progress, load_weights
from train.step import SCALARS, TrainOneStep

TENSORS = {group: {"a": np.arange(4, dtype=np.float32), "count": np.array(3, np.int32)} for group in GROUPS}


def save(directory, step, keep=3, **manifest):
    return save_checkpoint(directory, step, TENSORS, manifest, "name: test\n", keep)


def test_what_is_saved_is_read_back(tmp_path):
    path = save(tmp_path / "checkpoints", 12, note="x")
    assert path.name == "step_00000012"
    assert (path.parent / "latest").read_text().strip() == path.name
    assert (path / "config.yaml").read_text() == "name: test\n"
    for place in (path, path.parent, tmp_path):
        checkpoint = read_checkpoint(place)
        assert checkpoint.path == path
        assert checkpoint.manifest["note"] == "x"
    for group in GROUPS:
        tensors = checkpoint.tensors(group)
        for name, array in TENSORS[group].items():
            np.testing.assert_array_equal(tensors[name], array)
            assert tensors[name].dtype == array.dtype


def test_the_network_file_is_loadable_alone(tmp_path):
    assert set(load_file(save(tmp_path, 1) / "network.safetensors")) == {"a", "count"}


def test_only_the_newest_are_kept(tmp_path):
    for step in (5, 10, 15, 20):
        save(tmp_path, step, keep=2)
    assert [path.name for path in whole_checkpoints(tmp_path)] == ["step_00000015", "step_00000020"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step_00000015", "step_00000020"]


def test_protected_checkpoints_stay(tmp_path):
    for step in (5, 10, 15):
        save_checkpoint(tmp_path, step, TENSORS, {}, "", keep=1, protect=frozenset({"step_00000005"}))
    assert [path.name for path in whole_checkpoints(tmp_path)] == ["step_00000005", "step_00000015"]


def test_saving_a_step_again_replaces_it(tmp_path):
    save(tmp_path, 5, note="first")
    save(tmp_path, 5, note="second")
    assert read_checkpoint(tmp_path).manifest["note"] == "second"
    assert len(whole_checkpoints(tmp_path)) == 1


def test_an_unfinished_one_is_never_found_and_is_cleaned_up(tmp_path):
    save(tmp_path, 5)
    (tmp_path / ".unfinished-step_00000010-77").mkdir()
    (tmp_path / ".unfinished-step_00000010-77" / "network.safetensors").write_bytes(b"half")
    (tmp_path / "step_00000010").mkdir()  # without its manifest, as a copy cut short leaves it
    assert read_checkpoint(tmp_path).path.name == "step_00000005"
    clean_up(tmp_path)
    assert not list(tmp_path.glob(".unfinished*"))


@pytest.mark.parametrize(
    "name", ["step_00000009.bak", "step_00000009 (copy)", "step_best", "step_00000009_1", "step_9", "step_0000000٩"]
)
def test_what_has_another_name_is_no_checkpoint(tmp_path, name):
    path = save(tmp_path, 5)
    shutil.copytree(path, tmp_path / name)
    assert whole_checkpoints(tmp_path) == [path]
    save(tmp_path, 6, keep=1)
    assert (tmp_path / name).is_dir()


def test_checkpoints_come_by_their_steps(tmp_path):
    for step in (99_999_999, 100_000_000):
        save(tmp_path, step)
    assert [path.name for path in whole_checkpoints(tmp_path)] == ["step_99999999", "step_100000000"]


def flipped(path, place, bit=0):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["network.safetensors", "checkpoint.json"])
def test_the_advice_for_a_damaged_one_works(tmp_path, name):
    """The older one that is whole is named, and with the command the run directory is read again."""
    whole, broken, newest = (save(tmp_path, step) for step in (5, 10, 15))
    flipped(broken / "optimizer.safetensors", -1)
    flipped(newest / name, -9)
    with pytest.raises(CheckpointError, match=f"{newest}/{name}: .* the older {whole}, which is") as refused:
        read_checkpoint(tmp_path).tensors("network")
    command = str(refused.value).rpartition("continues: ")[2]
    subprocess.run(command, shell=True, check=True)
    assert read_checkpoint(tmp_path).path == whole


def test_without_an_older_one_a_damaged_one_is_put_aside(tmp_path):
    path = save(tmp_path, 5)
    flipped(path / "checkpoint.json", 100)
    with pytest.raises(CheckpointError, match=f"no older one that is whole.* mv {path} {path}.damaged"):
        read_checkpoint(tmp_path)


def test_every_flipped_bit_of_the_manifest_is_noticed(tmp_path):
    """Also by who only adds to it; what older versions wrote has no digest and is opened."""
    manifest = save(tmp_path, 5, progress={"epoch": 3}) / "checkpoint.json"
    content = manifest.read_bytes()
    read_checkpoint(tmp_path)
    for place in range(0, len(content), 5):
        flipped(manifest, place, place % 8)
        if b'"digest"' in manifest.read_bytes():
            with pytest.raises(CheckpointError, match=f"^{manifest}: "):
                read_checkpoint(tmp_path)
        manifest.write_bytes(content)
    older = {key: value for key, value in json.loads(content).items() if key != "digest"}
    manifest.write_text(json.dumps(older))
    assert read_checkpoint(tmp_path).manifest == older
    amend_checkpoint(tmp_path, 5, {"progress": {"epoch": 4}})
    assert read_checkpoint(tmp_path).manifest["progress"] == {"epoch": 4}
    flipped(manifest, 300)
    with pytest.raises(CheckpointError, match=f"^{manifest}: "):
        amend_checkpoint(tmp_path, 5, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": {}}, "files: lacks network, loss, optimizer"),
        ({"files": [1]}, "files: Input should be an object"),
        ({"files": {"network.safetensors": {"bytes": "7"}}}, r"files: network.safetensors.bytes: .* integer"),
        ({"format_version": "1"}, "format_version: Input should be a valid integer"),
    ],
)
def test_a_manifest_of_other_content_is_refused(tmp_path, changes, message):
    manifest = save(tmp_path, 5) / "checkpoint.json"
    manifest.write_text(sealed({**json.loads(manifest.read_text()), **changes}))
    with pytest.raises(CheckpointError, match=f"^{manifest}: {message}"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("progress", {"epoch": -1}, "progress: epoch=-1: must be from 0"),
        ("progress", {"step": 10**60}, "progress: step=10+: must be from 0"),
        ("progress", {"steps": 1}, "progress: steps: is no key"),
        ("progress", 5, "progress: Input should be an object"),
        ("identities", {"names": ["one"]}, "identities: counts: is missing"),
        ("model", {"head_conv": 10**12}, "model: model.head_conv=10+: choose"),
        ("model", {"ltrb": "yes"}, "model: ltrb: Input should be a valid boolean"),
        ("random", {"seed": 1.5}, "random: seed: Input should be a valid integer"),
        ("random", None, "random: Input should be an object"),
    ],
)
def test_a_state_is_restored_from_what_a_state_says_alone(tmp_path, key, value, message):
    state = tiny_state()
    manifest = {**state.manifest(None, 1), key: value}
    path = save_checkpoint(tmp_path, 1, state.tensors(), manifest, "", 3) / "checkpoint.json"
    with pytest.raises(CheckpointError, match=f"^{path}: {message}"):
        state.restore(read_checkpoint(tmp_path))


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_file_is_refused_by_name(tmp_path, damage):
    path = save(tmp_path, 5) / "loss.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(content[:-3])
    elif damage == "flip":
        content[-1] ^= 1
        path.write_bytes(content)
    else:
        path.unlink()
    with pytest.raises(CheckpointError, match="loss.safetensors"):
        read_checkpoint(tmp_path).tensors("loss")


def test_nothing_there_and_newer_formats_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        read_checkpoint(tmp_path)
    manifest = save(tmp_path, 5) / "checkpoint.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format_version": 99}))
    with pytest.raises(CheckpointError, match="format version 99"):
        read_checkpoint(tmp_path)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from fairmot.weights.checkpoint import GROUPS
from fairmot.weights.checkpoint import save_checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
tensors = {group: {"a": np.zeros(100_000, np.float32)} for group in GROUPS}
save_checkpoint(Path(sys.argv[1]), 10, tensors, {}, "", 3)
"""


def test_a_disk_that_refuses_leaves_the_older_checkpoint_whole(tmp_path):
    """A file-size limit makes the kernel refuse the write as a full disk does."""
    save(tmp_path, 5)
    run = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=False)
    assert "CheckpointError" in run.stderr
    assert "step_00000010: the checkpoint could not be saved:" in run.stderr
    assert "File too large" in run.stderr and "It needs 1 MB" in run.stderr
    assert "the newest whole checkpoint is step_00000005" in run.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step_00000005"]
    assert set(read_checkpoint(tmp_path).tensors("network")) == {"a", "count"}


def test_a_really_full_disk(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a one-megabyte tmpfs needs root")
    try:
        save(tmp_path, 5)
        big = {group: {"a": np.zeros(200_000, np.float32)} for group in GROUPS}
        with pytest.raises(CheckpointError, match=r"No space left on device.* It needs 2 MB, \d MB are free"):
            save_checkpoint(tmp_path, 10, big, {}, "", 3)
        assert [path.name for path in whole_checkpoints(tmp_path)] == ["step_00000005"]
        assert not list(tmp_path.glob(".unfinished*"))
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def save_state(directory, state):
    return save_checkpoint(directory, state.progress.step, state.tensors(), state.manifest("abc", 1), "", 3)


def step_of(state):
    return TrainOneStep(state.network, state.loss, state.optimizer, state.loss_scale)


def test_a_restored_state_continues_bit_identically(tmp_path):
    ms.set_context(mode=ms.GRAPH_MODE)
    undisturbed = tiny_state()
    step = step_of(undisturbed)
    for i in range(3):
        call(step, tiny_batch(i))
    undisturbed.progress = Progress(epoch=1, samples_in_epoch=4, step=3, epoch_steps=1, epoch_sums=[0.1] * len(SCALARS))
    save_state(tmp_path, undisturbed)
    expected = [call(step, tiny_batch(i)) for i in range(3, 6)]

    resumed = tiny_state(network_seed=99)
    resumed.restore(read_checkpoint(tmp_path))
    assert resumed.progress == undisturbed.progress
    step_again = step_of(resumed)
    assert [call(step_again, tiny_batch(i)) for i in range(3, 6)] == expected
    for name, value in values(step).items():
        np.testing.assert_array_equal(values(step_again)[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"identities": IdentityTable(["one", "two"], [5, 4])}, "two"),
        ({"identities": IdentityTable(["one"], [8])}, "two"),
        ({"name": "hrnet_18"}, "model.name: checkpoint dlaconv_34, this run hrnet_18"),
        ({"ltrb": False}, "model.ltrb: checkpoint True, this run False"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_with_the_differences(tmp_path, other, message):
    save_state(tmp_path, tiny_state())
    state = tiny_state(network_seed=5, **other)
    before = state.tensors()
    with pytest.raises(CheckpointError, match="does not belong to this run") as refused:
        state.restore(read_checkpoint(tmp_path))
    assert message in str(refused.value)
    for group, tensors in state.tensors().items():
        for name, array in tensors.items():
            np.testing.assert_array_equal(array, before[group][name])


def test_tensors_that_differ_are_listed(tmp_path):
    state = tiny_state()
    tensors = state.tensors()
    tensors["network"]["hm.weight"] = np.zeros((2, 3, 1, 1), np.float32)
    del tensors["network"]["reg.bias"]
    tensors["loss"]["extra"] = np.zeros(1, np.float32)
    save_checkpoint(tmp_path, 1, tensors, state.manifest(None, 1), "", 3)
    with pytest.raises(CheckpointError) as refused:
        state.restore(read_checkpoint(tmp_path))
    text = str(refused.value)
    assert "network: 1 missing: reg.bias" in text
    assert "network: 1 other shape: hm.weight: checkpoint [2, 3, 1, 1], this network [1, 3, 1, 1]" in text
    assert "loss: 1 unexpected: extra" in text


def test_weights_alone_report_what_they_took(tmp_path):
    network = tiny_state().network
    fitting = {name: np.ones(network.state()[name].shape, np.float32) for name in ("hm.weight", "hm.bias", "reg.bias")}
    found = {
        **fitting,
        "wh.weight": np.ones((9, 3, 1, 1), np.float32),
        "fc": np.ones(1, np.float32),
    }
    save_file(found, tmp_path / "w.safetensors")
    kept = network.state()["wh.weight"].asnumpy().copy()
    report = load_weights(network.state(), tmp_path / "w.safetensors")
    assert sorted(report.taken) == sorted(fitting)
    assert report.other_shape == ["wh.weight"]
    assert report.unknown == ["fc"]
    assert "wh.bias" in report.left_at_init
    assert "3 tensors taken; 1 skipped, other shape (wh.weight); 1 skipped, not in this network (fc)" in str(report)
    assert (network.state()["hm.weight"].asnumpy() == 1).all()
    np.testing.assert_array_equal(network.state()["wh.weight"].asnumpy(), kept)


def test_weights_from_a_checkpoint(tmp_path):
    source = tiny_state(network_seed=3)
    save_state(tmp_path, source)
    target = tiny_state(network_seed=4)
    report = load_weights(target.parameters("network"), tmp_path)
    assert not report.left_at_init
    for name, parameter in source.network.state().items():
        np.testing.assert_array_equal(target.network.state()[name].asnumpy(), parameter.asnumpy())


@pytest.mark.parametrize(("content", "message"), [(None, "does not exist"), (b"no safetensors", "not a readable")])
def test_unusable_weights_are_refused(tmp_path, content, message):
    path = tmp_path / "w.safetensors"
    if content:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_weights(tiny_state().network.state(), Path(path))


@pytest.mark.parametrize("name", ["x", "hm.bias"])
def test_weights_that_fit_badly_are_refused_and_nothing_is_taken(tmp_path, name):
    state = tiny_state().network.state()
    kept = state["hm.bias"].asnumpy().copy()
    save_file({name: np.full(kept.shape, 7, np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=rf"only [01] of this network's {len(state)} tensors .* model="):
        load_weights(state, tmp_path / "w.safetensors")
    np.testing.assert_array_equal(state["hm.bias"].asnumpy(), kept)
