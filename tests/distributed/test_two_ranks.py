"""What two real ranks learn, and that they learn the same."""

import numpy as np
import pytest
from ranks import START, run_ranks, tensors, train_on
from small_run import curves, overrides, write_pictures

from fairmot.weights.checkpoint import read_checkpoint

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(900)]

OTHER_SEED_ON_RANK_1 = """
import os, sys
sys.argv.append("seed=" + os.environ.get("RANK_ID", "0"))
"""
NOTE_EVERY_SAMPLE = """
import hashlib, os, threading
from fairmot.data.dataset import JointDataset
write = JointDataset.write
def noted(self, i, columns, row):
    write(self, i, columns, row)
    if threading.current_thread() is threading.main_thread():
        return  # the picture of samples that is drawn before the first step
    with open(os.environ["SAMPLES"] + "-" + os.environ.get("RANK_ID", "0"), "a") as stream:
        stream.write(f"{self.epoch} {i} {hashlib.sha256(columns[0][row].tobytes()).hexdigest()}\\n")
JointDataset.write = noted
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pictures(root, count=13)
    return root


def test_ranks_stay_identical_and_an_interrupted_run_resumes_bit_identically(root, tmp_path):
    """13 pictures, 2 ranks x 2: three steps an epoch; the ranks' parameters are compared after every one.

    With averaged weights.
    """
    changes = {"runtime.check_ranks_every_steps": 1, "epochs": 2, "optim.ema_decay": 0.9}
    train_on(2, overrides(root, tmp_path / "whole", **changes), tmp_path / "whole_logs")
    train_on(2, overrides(root, tmp_path / "parts", **changes, max_steps=2), tmp_path / "first_logs")
    train_on(2, overrides(root, tmp_path / "parts", **changes), tmp_path / "second_logs")
    assert list(curves(tmp_path / "whole")["loss"]) == [1, 2, 3, 4, 5, 6]
    assert curves(tmp_path / "parts") == curves(tmp_path / "whole")
    ours, theirs = tensors(tmp_path / "parts"), tensors(tmp_path / "whole")
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
    whole, parts = read_checkpoint(tmp_path / "whole"), read_checkpoint(tmp_path / "parts")
    assert whole.manifest["world_size"] == 2
    for name, array in whole.tensors("ema").items():
        np.testing.assert_array_equal(parts.tensors("ema")[name], array, err_msg=name)


def test_ranks_that_start_differently_are_refused(root, tmp_path):
    code, logs = run_ranks(2, overrides(root, tmp_path / "run"), tmp_path / "logs", OTHER_SEED_ON_RANK_1 + START)
    assert code != 0
    assert "parameters differ at start: ranks [1] do not hold what rank 0 holds" in logs


def test_two_ranks_with_common_normalizers_learn_what_one_with_both_batches_does(root, tmp_path):
    """So do two with the classifier's rows shared out, whose run goes on with one that has them all, or with four.

    Six identities on four ranks: the last one's rows are nobody's.
    """
    changes = {
        "batch_norm": "frozen", "loss.normalizers": "world", "loss.fp16_classifier": "false", "optim": "sgd",
        "optim.warmup_steps": 0, "optim.lr": 1e-3, "optim.clip_norm": 0.5, "max_steps": 5,
        "runtime.check_ranks_every_steps": 1,
    }  # fmt: skip
    train_on(1, overrides(root, tmp_path / "one", batch_size_per_rank=4, **changes), tmp_path / "one_logs")
    train_on(2, overrides(root, tmp_path / "two", batch_size_per_rank=2, **changes), tmp_path / "two_logs")
    assert_same_run(tmp_path / "two", tmp_path / "one", from_step=1)
    sharded = changes | {"loss.classifier": "sharded"}
    train_on(2, overrides(root, tmp_path / "shared", **sharded | {"max_steps": 2}), tmp_path / "shared_logs")
    for ranks, words in ((1, changes), (4, sharded)):
        name, more = f"on_{ranks}", {"batch_size_per_rank": 4 // ranks, "resume_from": tmp_path / "shared"}
        train_on(ranks, overrides(root, tmp_path / name, **words, **more), tmp_path / f"{name}_logs")
        assert_same_run(tmp_path / name, tmp_path / "one", from_step=3)


def assert_same_run(ours, theirs, from_step):
    """Curves and what training ends with, to 1e-5."""
    found, wanted = curves(ours), curves(theirs)
    assert list(wanted["loss"]) == [1, 2, 3, 4, 5]
    assert list(found["loss"]) == list(range(from_step, 6))
    for name, values in found.items():
        np.testing.assert_allclose(
            list(values.values()), [wanted[name][step] for step in values], rtol=1e-5, err_msg=name
        )
    found, wanted = tensors(ours), tensors(theirs)
    for name, array in wanted.items():
        distance = np.linalg.norm((found[name] - array).ravel())
        assert distance <= 1e-5 * np.linalg.norm(array.ravel()), name


def samples_of(folder, pattern):
    """Epoch and index of every sample that a run's ranks took from the data set."""
    lines = [line.split() for path in folder.glob(pattern) for line in path.read_text().splitlines()]
    return [(int(epoch), int(index)) for epoch, index, _ in lines]


def test_what_two_ranks_began_one_or_four_end_and_no_sample_comes_twice(root, tmp_path, monkeypatch):
    """13 pictures: two ranks take 4 of the first epoch; one rank, or four of them, take the other 9 or 8.

    A run reads ahead: what counts is what the first part's steps used, the head of its order.
    """
    from fairmot.data.sampler import epoch_order

    program = NOTE_EVERY_SAMPLE + START
    order = epoch_order(13, 317, 0).tolist()
    monkeypatch.setenv("SAMPLES", str(tmp_path / "first"))
    train_on(2, overrides(root, tmp_path / "first", max_steps=1), tmp_path / "first_logs", program)
    assert set(order[:4]) <= {index for epoch, index in samples_of(tmp_path, "first-*") if epoch == 0}
    for ranks, batch, left in ((1, 1, 9), (4, 2, 8)):
        name = f"on_{ranks}"
        monkeypatch.setenv("SAMPLES", str(tmp_path / name))
        changes = {"resume_from": tmp_path / "first", "epochs": 1, "batch_size_per_rank": batch}
        logs = train_on(ranks, overrides(root, tmp_path / name, **changes), tmp_path / f"{name}_logs", program)
        planned = 1 + left // (ranks * batch)
        assert f"step {planned}/{planned} " in logs
        assert sorted(samples_of(tmp_path, f"{name}-*")) == sorted((0, index) for index in order[4 : 4 + left])
        assert read_checkpoint(tmp_path / name).manifest["progress"]["epoch"] == 1


def test_ranks_augment_differently(tmp_path, monkeypatch):
    """Thirteen copies of one picture: no two samples are alike, on one rank or between ranks."""
    write_pictures(tmp_path, count=13)
    first = tmp_path / "small" / "images" / "000.jpg"
    for path in first.parent.iterdir():
        path.write_bytes(first.read_bytes())
    monkeypatch.setenv("SAMPLES", str(tmp_path / "seen"))
    words = overrides(tmp_path, tmp_path / "run", data__augmentation="reference", max_steps=3)
    train_on(2, words, tmp_path / "logs", NOTE_EVERY_SAMPLE + START)
    digests = [line.split()[2] for path in tmp_path.glob("seen-*") for line in path.read_text().splitlines()]
    assert len(digests) >= 12
    assert len(set(digests)) == len(digests)
