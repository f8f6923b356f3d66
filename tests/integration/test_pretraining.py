"""CrowdHuman's self-supervised pre-training, every box an identity, and fine-tuning from it."""

import numpy as np
import pytest
from small_run import compose_config, curves, overrides, write_pictures

from fairmot.data.index import build_index
from fairmot.data.labels import format_labels, read_labels
from fairmot.weights.checkpoint import read_checkpoint
from train.build import build_state
from train.command import train
from train.start import choose_start


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two sets in which every box is an identity of its own, and one in which five people return."""
    root = tmp_path_factory.mktemp("data")
    for name, count in (("crowdhuman", 7), ("crowdhuman_val", 5)):
        write_pictures(root, count, name)
        boxes = 0
        for path in sorted((root / name / "labels_with_ids").iterdir()):
            rows = read_labels(str(path))
            rows[:, 1] = boxes + np.arange(len(rows))
            boxes += len(rows)
            path.write_text(format_labels(rows))
    (root / "crowdhuman_val.train").rename(root / "crowdhuman.val")
    write_pictures(root)
    return root


def words(root, run_dir, experiment, **changes):
    """The recipe with a network of one convolution, without the weights it names."""
    return [f"experiment={experiment}", *overrides(root, run_dir, **({"weights": "null"} | changes))]


@pytest.fixture(scope="module")
def pretrained(root, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("crowdhuman") / "run"
    given = words(root, run_dir, "crowdhuman_dla34", max_steps=3, loss__identity_slots=8)
    train(compose_config([word for word in given if not word.startswith(("data=", "+data.train"))]))
    return run_dir


def fine_tuning(root, run_dir, weights):
    return compose_config(words(root, run_dir, "mix_ft_ch_dla34", weights=weights, epochs=1, max_steps=2))


def test_every_box_is_a_class_of_its_own(root, pretrained):
    losses = curves(pretrained)["id_loss"]
    assert list(losses) == [1, 2, 3]
    assert np.isfinite(list(losses.values())).all()
    checkpoint = read_checkpoint(pretrained)
    counts = checkpoint.manifest["identities"]["counts"]
    assert checkpoint.manifest["identities"]["names"] == ["crowdhuman", "crowdhuman_val"]
    files = [sorted((root / name / "labels_with_ids").iterdir()) for name in ("crowdhuman", "crowdhuman_val")]
    assert counts == [sum(len(read_labels(str(path))) for path in paths) for paths in files]
    assert checkpoint.tensors("loss")["classifier.weight"].shape == (sum(counts) + 1, 16)


def test_fine_tuning_keeps_the_network_and_rebuilds_the_classifier(root, pretrained, tmp_path):
    config = fine_tuning(root, tmp_path / "run", pretrained)
    identities = build_index(config.data.root, config.data.train, progress=False).identities
    state, fresh = build_state(config, identities), build_state(config, identities)
    message = choose_start(config, tmp_path / "run", state)
    before, ours = read_checkpoint(pretrained), state.tensors()
    assert ours["network"].keys() == before.tensors("network").keys()
    for name, array in before.tensors("network").items():
        np.testing.assert_array_equal(ours["network"][name], array, err_msg=name)
    for group in ("loss", "optimizer"):  # as if nothing had been trained before
        for name, array in fresh.tensors()[group].items():
            np.testing.assert_array_equal(ours[group][name], array, err_msg=name)
    assert ours["loss"]["classifier.weight"].shape == (6, 16)
    assert before.tensors("loss")["classifier.weight"].shape[0] != 6
    assert (state.progress.step, state.progress.epoch) == (0, 0)
    taken = len(ours["network"])
    assert message == (
        f"weights of {before.path} (step 3): {taken} tensors taken; 0 skipped, other shape; "
        "0 skipped, not in this network; 0 left at their initial values; "
        "the classifier, for 6 identities, s_det and s_id start anew"
    )


@pytest.mark.slow
def test_fine_tuning_trains_on_the_new_identities(root, pretrained, tmp_path):
    train(fine_tuning(root, tmp_path / "run", pretrained))
    checkpoint = read_checkpoint(tmp_path / "run")
    assert checkpoint.manifest["identities"] == {"names": ["small"], "counts": [5]}
    assert checkpoint.tensors("loss")["classifier.weight"].shape == (6, 16)
    moved = [
        name
        for name, array in read_checkpoint(pretrained).tensors("network").items()
        if (array != checkpoint.tensors("network")[name]).any()
    ]
    assert moved
