from dataclasses import replace

import cv2
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from walkers import identities, nobody, people

from fairmot.cli.command import CONF_DIR
from fairmot.structures import Detections
from fairmot.tracking.config import Cost, TrackerConfig
from fairmot.tracking.tracker import Tracker

WHO = identities(4)
PLACE = np.array([[400.0, 300.0]])


def shifted(centres, right_px):
    return centres + np.array([right_px, 0.0])


def ids_of(tracker, detections, frame=None):
    return tracker.update(detections, frame).ids.tolist()


@pytest.mark.parametrize(("byte", "expected"), [(True, [[1]] * 4), (False, [[]] * 4)])
def test_weak_detections_continue_tracks(byte, expected):
    tracker = Tracker(TrackerConfig(byte=byte))
    for _ in range(5):
        tracker.update(people(PLACE, WHO[:1]))
    assert [ids_of(tracker, people(PLACE, WHO[1:2], score=0.3)) for _ in range(4)] == expected


@pytest.mark.parametrize(("byte_lost", "expected"), [(False, []), (True, [1])])
def test_weak_detections_start_no_tracks_and_find_lost_ones_where_they_may(byte_lost, expected):
    tracker = Tracker(TrackerConfig(byte=True, byte_lost=byte_lost))
    weak = people(PLACE, WHO[:1], score=0.3)
    assert [ids_of(tracker, weak) for _ in range(3)] == [[], [], []]
    for _ in range(3):
        tracker.update(people(PLACE, WHO[:1]))
    tracker.update(nobody())
    assert ids_of(tracker, weak) == expected
    assert ids_of(tracker, people(PLACE, WHO[:1], score=0.1)) == []
    assert ids_of(tracker, people(PLACE, WHO[:1])) == [1]


def test_strong_detections_choose_first():
    tracker = Tracker(TrackerConfig(byte=True))
    for _ in range(5):
        tracker.update(people(PLACE, WHO[:1]))
    tracks = tracker.update(people(np.concatenate([PLACE + 4, PLACE]), WHO[[0, 0]], score=np.array([0.8, 0.3])))
    assert tracks.ids.tolist() == [1]
    assert tracks.scores.tolist() == pytest.approx([0.8])


def test_weak_detections_leave_the_appearance_alone():
    tracker = Tracker(TrackerConfig(byte=True))
    for _ in range(5):
        tracker.update(people(PLACE, WHO[:1]))
    for _ in range(20):
        tracker.update(people(PLACE, WHO[1:2], score=0.3))
    # Out of reach of the overlap, within the motion model's gate: only the appearance can tell.
    assert ids_of(tracker, people(shifted(PLACE, 19.0), WHO[:1], size=(40, 100))) == [1]
    np.testing.assert_allclose(tracker._tracks.features[0], WHO[0], atol=1e-6)


@pytest.mark.parametrize(
    ("cost", "limit", "shift_px", "likeness", "expected"),
    [
        (Cost.embedding, 0.4, 1.0, 0.0, []),  # a stranger in the right place: only the product takes it
        (Cost.giou_embedding, 0.2, 1.0, 0.0, [1]),
        (Cost.giou_embedding, 0.2, 16.0, 0.0, []),  # a stranger half a body away
        (Cost.giou_embedding, 0.2, 16.0, 1.0, [1]),
    ],
)
def test_the_product_weighs_place_against_appearance(cost, limit, shift_px, likeness, expected):
    tracker = Tracker(TrackerConfig(cost=cost, match_embedding=limit, match_iou=0.01))
    for _ in range(4):
        tracker.update(people(PLACE, WHO[:1]))
    assert ids_of(tracker, people(shifted(PLACE, shift_px), likeness * WHO[:1] + (1 - likeness) * WHO[1:2])) == expected


@pytest.mark.parametrize(
    ("cost", "right_px", "expected"),
    [
        (Cost.iou, 5.0, [1]),  # the nearer of the two
        (Cost.iou_embedding, 5.0, [2]),  # the one it looks like
        (Cost.iou_embedding, 60.0, []),  # nobody is there, whatever it looks like
    ],
)
def test_appearance_says_which_of_those_that_overlap_enough(cost, right_px, expected):
    tracker = Tracker(TrackerConfig(cost=cost, match_iou=0.7, appearance_weight=0.6))
    for _ in range(3):
        tracker.update(people(np.concatenate([PLACE, shifted(PLACE, 12.0)]), WHO[:2]))
    assert ids_of(tracker, people(shifted(PLACE, right_px), WHO[1:2])) == expected


@pytest.mark.parametrize("config", [TrackerConfig(), TrackerConfig(cost=Cost.iou)])
def test_boxes_alone_are_followed_by_overlap_also_out_of_sight(config):
    """Whether there are no embeddings or they are not looked at, two who swap them keep their ids."""
    reid = WHO[:2] if config.cost is Cost.iou else np.zeros((2, 0))
    tracker, apart = Tracker(config), np.concatenate([PLACE, shifted(PLACE, 100.0)])
    for step in range(5):
        assert ids_of(tracker, people(apart + step, reid)) == [1, 2]
    for _ in range(3):
        assert ids_of(tracker, Detections(np.zeros((0, 4)), np.zeros(0), reid[:0])) == []
    assert ids_of(tracker, people(apart + 8, reid[::-1])) == [1, 2]
    assert ids_of(tracker, people(apart + 400, reid)) == []


def test_boxes_with_and_without_embeddings_in_one_sequence_are_refused():
    tracker = Tracker(TrackerConfig())
    tracker.update(people(PLACE, WHO[:1]))
    with pytest.raises(ValueError, match="must have 16 columns as in the sequence's earlier frames, got 0"):
        tracker.update(Detections(np.array([[0.0, 0, 9, 9]]), np.array([0.9])))


def test_weaker_detections_continue_tracks_than_start_them():
    tracker = Tracker(TrackerConfig(start_thres=0.6))
    assert ids_of(tracker, people(PLACE, WHO[:1], score=0.5)) == []
    assert ids_of(tracker, people(PLACE, WHO[:1], score=0.7)) == []
    assert ids_of(tracker, people(PLACE, WHO[:1], score=0.5)) == [1]


@pytest.mark.parametrize(
    ("match_lost", "right_px", "expected"), [(None, 24.0, [2]), (0.7, 24.0, [1]), (0.7, 60.0, [2]), (0.5, 60.0, [])]
)
def test_lost_tracks_choose_after_followed_ones_by_a_limit_of_their_own(match_lost, right_px, expected):
    """One is followed at 0, one lost at 42, boxes 40 wide: 24 is at IoU 16/64 and 22/58, 60 at nothing and 22/58."""
    tracker = Tracker(TrackerConfig(cost=Cost.iou, match_iou=0.9, match_lost=match_lost))
    tracker.update(people(np.concatenate([PLACE, shifted(PLACE, 42.0)]), WHO[:2]))
    assert ids_of(tracker, people(PLACE, WHO[:1])) == [1]
    assert ids_of(tracker, people(shifted(PLACE, right_px), WHO[:1])) == expected


def test_classes_are_followed_apart_under_one_numbering():
    tracker = Tracker(TrackerConfig())
    both = np.concatenate([PLACE, PLACE + 3])
    for _ in range(3):
        tracks = tracker.update(people(both, WHO[[0, 0]], classes=(0, 1)))
        assert tracks.ids.tolist() == [1, 2]
        assert tracks.classes.tolist() == [0, 1]
    tracks = tracker.update(people(both[::-1], WHO[[0, 0]], classes=(0, 1)))
    assert dict(zip(tracks.ids.tolist(), tracks.classes.tolist(), strict=True)) == {1: 0, 2: 1}
    tracker.update(people(PLACE, WHO[:1], classes=(1,)))
    assert (tracker.n_tracked, tracker.n_lost) == (1, 1)  # of two classes: no duplicates


def textured(shift_px):
    """A view of a random wall, `shift_px` further to the right."""
    wall = np.random.default_rng(5).integers(0, 255, (30, 60)).astype(np.uint8)
    return cv2.resize(wall, (720, 360), interpolation=cv2.INTER_CUBIC)[:, shift_px : shift_px + 640]


@pytest.mark.parametrize(("camera_motion", "expected"), [(True, [1]), (False, [])])
def test_a_jerk_of_the_camera_is_followed(camera_motion, expected):
    tracker = Tracker(TrackerConfig(camera_motion=camera_motion))
    for _ in range(6):
        tracker.update(people(PLACE, WHO[:1]), textured(0))
    assert ids_of(tracker, people(shifted(PLACE, -24.0), WHO[1:2]), textured(24)) == expected


def test_camera_motion_without_pictures_is_refused():
    with pytest.raises(ValueError, match=r"tracker\.camera_motion"):
        Tracker(TrackerConfig(camera_motion=True)).update(nobody())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conf_thres", 1.1),
        ("conf_thres", float("nan")),
        ("start_thres", 1.5),
        ("track_buffer", -1),
        ("frame_rate", 0.0),
        ("match_embedding", -0.1),
        ("match_iou", 1.5),
        ("match_lost", 1.5),
        ("match_unconfirmed", -1.0),
        ("match_duplicate", 2.0),
        ("match_low", 2.0),
        ("appearance_weight", 1.01),
        ("smoothing", -0.1),
        ("low_thres", -0.2),
        ("min_box_area", float("inf")),
        ("max_aspect", 0.0),
    ],
)
def test_an_impossible_value_names_its_key(key, value):
    with pytest.raises(ValueError, match=rf"tracker\.{key} "):
        TrackerConfig(**{key: value})


def test_weak_must_be_weaker_than_strong():
    with pytest.raises(ValueError, match=r"tracker\.low_thres must be less than tracker\.conf_thres"):
        TrackerConfig(byte=True, low_thres=0.4)
    TrackerConfig(conf_thres=0.1)  # without byte nobody asks


def test_every_file_of_the_group_composes():
    GlobalHydra.instance().clear()
    ConfigStore.instance().store(name="tracker_room_schema", node={"tracker": TrackerConfig})
    made = {}
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        for file in sorted((CONF_DIR / "tracker").glob("*.yaml")):
            composed = compose("tracker_room_schema", [f"+tracker={file.stem}"])
            made[file.stem] = OmegaConf.to_object(composed).get("tracker")
    assert made["default"] == TrackerConfig()
    assert made["byte"] == TrackerConfig(byte=True, cost=Cost.iou, match_iou=0.8, start_thres=0.5)
    assert made["boxes"] == TrackerConfig(cost=Cost.iou, match_iou=0.7, match_lost=0.4, byte=True, byte_lost=True)
    assert made["boxes_embedding"] == replace(made["boxes"], cost=Cost.iou_embedding, appearance_weight=0.9)
    assert made["camera_motion"] == TrackerConfig(camera_motion=True)
    assert made["giou_embedding"] == TrackerConfig(cost=Cost.giou_embedding, match_embedding=0.2)
    assert made["mot20"] == TrackerConfig(conf_thres=0.3)
