import pickle

import numpy as np
import pytest
from walkers import REID_DIM, identities, nobody, people

from fairmot.structures import Detections
from fairmot.tracking.config import TrackerConfig
from fairmot.tracking.tracker import Tracker, plausible

WHO = identities(6)
PLACES = np.array([[100.0, 200], [300, 220], [500, 240], [700, 200], [900, 300], [1100, 300]])


def shifted(centres, right_px):
    return centres + np.stack(np.broadcast_arrays(right_px, 0.0), axis=-1)


def tracker(**changes):
    return Tracker(TrackerConfig(**changes))


def step(ours, frame, who=(0, 1, 2)):
    """People walk 3 px a frame to the right."""
    chosen = list(who)
    return ours.update(people(shifted(PLACES[chosen], 3.0 * frame), WHO[chosen]))


def test_the_first_frame_starts_tracks_at_once_from_id_1():
    ours = tracker()
    tracks = step(ours, 0)
    assert tracks.ids.tolist() == [1, 2, 3]
    np.testing.assert_allclose(tracks.boxes_xyxy[0], [80, 150, 120, 250])
    assert (ours.n_frames, ours.n_tracked, ours.n_lost, ours.n_removed) == (1, 3, 0, 0)


def test_later_tracks_need_a_second_hit():
    ours = tracker()
    step(ours, 0)
    assert step(ours, 1, (0, 1, 2, 3)).ids.tolist() == [1, 2, 3]
    assert ours.n_tracked == 4
    assert step(ours, 2, (0, 1, 2, 3)).ids.tolist() == [1, 2, 3, 4]


def test_a_track_seen_once_is_given_up():
    ours = tracker()
    step(ours, 0)
    step(ours, 1, (0, 1, 2, 3))
    step(ours, 2)
    assert (ours.n_tracked, ours.n_lost, ours.n_removed) == (3, 0, 1)
    assert step(ours, 3, (0, 1, 2, 3)).ids.tolist() == [1, 2, 3]
    assert step(ours, 4, (0, 1, 2, 3)).ids.tolist() == [1, 2, 3, 5]


def test_nobody_in_the_first_frames():
    ours = tracker()
    for _ in range(3):
        assert len(ours.update(nobody(width=0))) == 0
    assert len(step(ours, 3)) == 0
    assert step(ours, 4).ids.tolist() == [1, 2, 3]


def test_nobody_ever_again():
    ours = tracker()
    step(ours, 0)
    for _ in range(40):
        assert len(ours.update(nobody())) == 0
    assert (ours.n_tracked, ours.n_lost) == (0, 0)


def test_one_object_alone():
    ours = tracker()
    for frame in range(10):
        assert step(ours, frame, (4,)).ids.tolist() == [1]


@pytest.mark.parametrize(("hidden_frames", "same"), [(10, True), (30, True), (31, True), (32, False)])
def test_a_lost_track_is_found_again_within_the_buffer(hidden_frames, same):
    # Lost for more than 30 frames it is given up, but the frame after can still find it: the original's rule.
    ours = tracker()
    still = people(PLACES[:1], WHO[:1])
    for _ in range(5):
        ours.update(still)
    for _ in range(hidden_frames):
        ours.update(nobody())
    ours.update(still)
    assert (ours.update(still).ids.tolist() == [1]) is same


def test_the_buffer_follows_the_frame_rate():
    ours = tracker(frame_rate=10.0)
    still = people(PLACES[:1], WHO[:1])
    ours.update(still)
    for _ in range(12):
        ours.update(nobody())
    assert ours.n_lost == 0


def test_a_track_given_up_and_found_is_forgotten_when_lost_again():
    ours = tracker(track_buffer=2)
    still = people(PLACES[:1], WHO[:1])
    for seen in (True, False, False, False, True):
        tracks = ours.update(still if seen else nobody())
    assert tracks.ids.tolist() == [1]
    ours.update(nobody())
    assert (ours.n_tracked, ours.n_lost, ours.n_removed) == (0, 0, 1)


def test_appearance_keeps_crossing_people_apart():
    ours, ids = tracker(), []
    for frame in range(60):
        centres = [(300 + 4 * frame, 300), (540 - 4 * frame, 306)]
        ids.append(ours.update(people(centres, WHO[:2])).ids.tolist())
    assert ids == [[1, 2]] * 60


def test_overlap_rescues_a_spoilt_embedding():
    ours = tracker()
    for frame in range(5):
        step(ours, frame)
    spoilt = people(shifted(PLACES[:3], 15.0), np.stack([WHO[0], WHO[5], WHO[2]]))
    assert ours.update(spoilt).ids.tolist() == [1, 2, 3]


@pytest.mark.parametrize(("score", "followed"), [(0.4, 0), (0.41, 1)])
def test_only_detections_above_the_threshold_count(score, followed):
    assert len(tracker().update(people(PLACES[:1], WHO[:1], score=score))) == followed


def test_a_new_track_on_a_lost_one_goes():
    ours = tracker()
    for _ in range(10):
        ours.update(people(PLACES[:1], WHO[:1]))
    ours.update(nobody())
    for _ in range(5):  # a stranger exactly where the lost one is expected
        assert len(ours.update(people(PLACES[:1], WHO[1:2]))) == 0
        assert (ours.n_tracked, ours.n_lost) == (0, 1)


def test_a_lost_track_on_an_older_one_goes():
    ours = tracker()
    both = shifted(PLACES[[0, 0]], np.array([0.0, 1.0]))
    for count in (1, 1, 1, 1, 2, 2, 2):
        tracks = ours.update(people(both[:count], WHO[:count]))
    assert tracks.ids.tolist() == [1, 2]
    assert ours.update(people(both[:1], WHO[:1])).ids.tolist() == [1]
    assert ours.n_lost == 0


def test_sequences_do_not_know_of_each_other():
    alone = [step(ours, frame).ids.tolist() for ours in [tracker()] for frame in range(5)]
    first, second = tracker(), tracker()
    for frame, expected in enumerate(alone):
        assert step(first, frame).ids.tolist() == expected
        assert step(second, frame, (5, 4)).ids.tolist() == [1, 2]


def test_boxes_without_area_are_ignored():
    boxes_xyxy = np.array([[10.0, 10, 10, 60], [10, 10, 40, 10], [60, 60, 20, 20], [100, 100, 140, 200]])
    ours = tracker()
    for _ in range(3):
        tracks = ours.update(Detections(boxes_xyxy, np.ones(4), WHO[:4]))
        assert tracks.ids.tolist() == [1]
        assert np.isfinite(tracks.boxes_xyxy).all()


def test_an_embedding_of_zeros_does_no_harm():
    ours = tracker()
    for frame in range(4):
        tracks = ours.update(people(shifted(PLACES[:1], 3.0 * frame), np.zeros((1, REID_DIM))))
    assert tracks.ids.tolist() == [1]
    assert np.isfinite(tracks.boxes_xyxy).all()


def test_a_change_of_the_embeddings_length_is_refused_and_harmless():
    ours = tracker()
    step(ours, 0)
    with pytest.raises(ValueError, match=r"detections\.embeddings must have 16 columns .* got 8"):
        ours.update(people(PLACES[:3], WHO[:3, :8]))
    assert step(ours, 1).ids.tolist() == [1, 2, 3]


def test_what_was_returned_and_given_stays_as_it_is():
    ours, given = tracker(), people(PLACES[:3], WHO[:3] * 7)
    embeddings = given.embeddings.copy()
    tracks = ours.update(given)
    before = tracks.boxes_xyxy.copy(), tracks.scores.copy()
    for frame in range(1, 5):
        step(ours, frame)
    np.testing.assert_array_equal(tracks.boxes_xyxy, before[0])
    np.testing.assert_array_equal(tracks.scores, before[1])
    np.testing.assert_array_equal(given.embeddings, embeddings)


def test_only_plausible_boxes_are_reported():
    ours, config = tracker(), TrackerConfig()
    boxes_xyxy = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10.2], [0, 0, 160, 100], [0, 0, 161, 100], [0, 0, 40, 100]])
    tracks = ours.update(Detections(boxes_xyxy + 200 * np.arange(5)[:, None], np.ones(5), identities(5)))
    assert plausible(tracks, config).ids.tolist() == [2, 3, 5]


def test_memory_stays_bounded_in_an_endless_stream():
    """Four people at a time, each for 25 frames, then strangers; gaps and clutter in between."""
    rng = np.random.default_rng(0)
    ours, sizes_bytes, alive = tracker(), [], []
    for frame in range(3000):
        if frame % 25 == 0:
            who = rng.normal(size=(4, REID_DIM))
        place = np.stack([150 + 400 * np.arange(4) + 3.0 * (frame % 25), np.full(4, 300.0)], axis=1)
        seen = rng.random(4) > 0.2
        centres = np.concatenate([place[seen], rng.random((2, 2)) * (1900, 1000)])
        ours.update(people(centres, np.concatenate([who[seen], rng.normal(size=(2, REID_DIM))])))
        sizes_bytes.append(len(pickle.dumps(ours)))
        alive.append(ours.n_tracked + ours.n_lost)
    assert ours.n_removed > 1000
    assert max(alive) < 30
    assert max(sizes_bytes[1000:]) < 1.2 * max(sizes_bytes[:1000])
