"""The detector around a network, loading it from checkpoints, and tracking with it."""

import dataclasses
import json
import threading
from contextlib import closing

import mindspore as ms
import numpy as np
import pytest
from blob_network import INPUT_SIZE_HW, BlobNetwork, picture, walk

from fairmot.errors import CheckpointError, DataError, FairMOTError
from fairmot.inference.network import NetworkDetector
from fairmot.inference.pipeline import StageTimes
from fairmot.inference.tracks import track_frames
from fairmot.json_files import sealed
from fairmot.media.frame import counted
from fairmot.model.config import ModelConfig
from fairmot.model.network import build_network
from fairmot.tracking.config import TrackerConfig
from fairmot.tracking.tracker import Tracker
from fairmot.weights.checkpoint import GROUPS, save_checkpoint

NARROW = ModelConfig(width=0.25, head_conv=8, reid_dim=6)


@pytest.fixture(scope="module")
def detector():
    return NetworkDetector(BlobNetwork(batch_size=2), INPUT_SIZE_HW, max_objects=20, batch_size=2)


def strong(detections):
    return detections.select(detections.scores > 0.5)


@pytest.mark.parametrize("size_hw", [(96, 160), (480, 800), (480, 640), (100, 400)])
def test_objects_are_found_where_they_are(detector, size_hw):
    pixels_per_input_pixel = max(size_hw[0] / 96, size_hw[1] / 160)
    offsets = np.array([(42, 46), (118, 54)]) - (80, 48)
    centres = np.round(np.array(size_hw[::-1]) / 2 + offsets * pixels_per_input_pixel).astype(int)
    (found,) = detector.detect([picture(centres.tolist(), size_hw, side=int(8 * pixels_per_input_pixel))])
    found = strong(found)
    assert len(found) == 2
    boxes_xyxy = found.boxes_xyxy[np.argsort(found.boxes_xyxy[:, 0])]
    middles = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    np.testing.assert_allclose(middles, centres, atol=1.0)
    np.testing.assert_allclose(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 16 * pixels_per_input_pixel)


def test_any_number_of_frames_goes_through_one_batch_size(detector):
    frames = walk(5)  # the network itself refuses another batch than 2
    together = detector.detect(frames)
    assert len(together) == 5
    assert detector.detect([]) == []
    for frame, expected in zip(frames, together, strict=True):
        (alone,) = detector.detect([frame])
        for field in dataclasses.fields(alone):
            np.testing.assert_array_equal(getattr(alone, field.name), getattr(expected, field.name))


def test_the_heatmap_comes_with_the_same_objects(detector):
    batch = np.stack(walk(2))
    *found, heat = detector.run_with_heat(batch)
    for ours, expected in zip(found, detector.run(batch), strict=True):
        np.testing.assert_array_equal(ours, expected)
    _, scores, _, _, cells = found
    np.testing.assert_array_equal(heat.max((1, 2, 3)), scores[:, 0])
    np.testing.assert_array_equal(heat.reshape(2, -1).argmax(1), cells[:, 0])


def test_detections_descend_and_equal_scores_come_in_reading_order(detector):
    (found,) = detector.detect([picture([(122, 70), (42, 70), (122, 30), (42, 30)])])
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores > 0).all()
    first = found.boxes_xyxy[:4, :2]
    assert len(np.unique(found.scores[:4])) == 1
    assert np.lexsort((first[:, 0], first[:, 1])).tolist() == [0, 1, 2, 3]


def test_colours_reach_the_network_as_rgb(detector):
    frame = picture([(42, 42)])
    frame[..., :2] = 0  # what is left is red, which the network's heatmap reads first
    assert len(strong(detector.detect([frame])[0])) == 1
    blue = frame[..., ::-1].copy()
    assert len(strong(detector.detect([blue])[0])) == 0


@pytest.mark.parametrize("is_training", [True, False])
def test_a_network_in_training_is_left_as_it_was(is_training):
    network = BlobNetwork()
    network.set_train(is_training)
    before = {name: parameter.asnumpy().copy() for name, parameter in network.parameters_and_names()}
    names = [parameter.name for parameter in network.get_parameters()]
    NetworkDetector(network, INPUT_SIZE_HW).detect(walk(2))
    assert all(cell.training is is_training for _, cell in network.cells_and_names())
    assert names == [parameter.name for parameter in network.get_parameters()]
    for name, parameter in network.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), before[name])


def test_new_weights_of_a_live_network_are_seen():
    network = BlobNetwork()
    detector = NetworkDetector(network, INPUT_SIZE_HW)
    frame = picture([(42, 42)])
    assert len(strong(detector.detect([frame])[0])) == 1
    network.norm.gamma.set_data(ms.Tensor(np.zeros(3, np.float32)))
    assert len(strong(detector.detect([frame])[0])) == 0


def test_a_diverged_network_is_an_error_not_a_result():
    network = BlobNetwork()
    network.norm.gamma.set_data(ms.Tensor(np.full(3, np.nan, np.float32)))
    with pytest.raises(FairMOTError, match="not finite"):
        NetworkDetector(network, INPUT_SIZE_HW).detect(walk(1))


def save(folder, *, drop=(), **changes):
    """A checkpoint of the narrow network, some of its entries changed or left out."""
    network = build_network(NARROW, seed=5)
    tensors = {group: {} for group in GROUPS}
    tensors["network"] = {name: value.asnumpy() for name, value in network.state().items() if name not in drop}
    manifest = {"model": dataclasses.asdict(NARROW), "input_size": [64, 96], "num_classes": 1} | changes
    return save_checkpoint(folder / "checkpoints", 3, tensors, manifest, "", keep=1), network


def test_a_checkpoint_or_its_run_directory_gives_the_network_back(tmp_path):
    path, network = save(tmp_path)
    for place in (path, tmp_path):
        detector = NetworkDetector.from_checkpoint(place, batch_size=3)
        assert detector.input_size_hw == (64, 96)
        state = detector._network.state()
        for name, parameter in network.state().items():
            np.testing.assert_array_equal(state[name].asnumpy(), parameter.asnumpy())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_classes": 3},
            r"2 other shape: hm.2.weight: checkpoint \[1, 8, 1, 1\], this network \[3, 8, 1, 1\], hm.2.bias",
        ),
        ({"drop": ("wh.2.bias", "reg.0.weight")}, "2 missing: (wh.2.bias|reg.0.weight), "),
        ({"model": {**dataclasses.asdict(NARROW), "head_conv": 0}}, "8 unexpected: .*; 8 other shape: "),
        ({"model": {**dataclasses.asdict(NARROW), "name": "dla_60"}}, "cannot be built: model.name=dla_60"),
        ({"model": {**dataclasses.asdict(NARROW), "depth": 2}}, r"checkpoint.json: model: depth: is no key"),
    ],
)
def test_another_architecture_is_refused_with_its_differences(tmp_path, changes, message):
    path, _ = save(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=message):
        NetworkDetector.from_checkpoint(path)


def test_an_older_checkpoint_says_what_it_does_not_know(tmp_path):
    path, _ = save(tmp_path)
    manifest = json.loads((path / "checkpoint.json").read_text())
    del manifest["input_size"]
    (path / "checkpoint.json").write_text(sealed(manifest))
    with pytest.raises(CheckpointError, match="does not say 'input_size'"):
        NetworkDetector.from_checkpoint(path)


def test_tracks_keep_their_ids_and_frames_their_numbers(detector):
    times = StageTimes()
    frames = walk(9)
    tracked = list(track_frames(detector, counted(frames), Tracker(TrackerConfig(conf_thres=0.5)), times))
    assert [frame.number for frame in tracked] == list(range(1, 10))
    assert all(one.picture is frame for one, frame in zip(tracked, frames, strict=True))
    assert all(frame.tracks.ids.tolist() == [1, 2] for frame in tracked)
    assert all(np.count_nonzero(frame.detections.scores > 0.5) == 2 for frame in tracked)
    assert set(times.seconds) == {"read", "network", "tracker"}


def test_an_error_while_reading_ends_tracking_and_its_threads(detector):
    def frames():
        yield from walk(3)
        raise DataError("frame 4 is no picture")

    before = threading.active_count()
    seen = []
    with pytest.raises(DataError, match="frame 4 is no picture"):
        seen += track_frames(detector, counted(frames()), Tracker(TrackerConfig()))
    assert threading.active_count() == before


def test_stopping_early_ends_the_threads(detector):
    before = threading.active_count()
    with closing(track_frames(detector, counted(walk(40)), Tracker(TrackerConfig()))) as tracked:
        next(tracked)
    assert threading.active_count() == before
