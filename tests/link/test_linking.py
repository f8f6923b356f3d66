"""Splitting and joining finished tracks: people who walk on straight lines, of whom it is known who they are."""

import numpy as np
import pytest

from fairmot.link.config import LinkConfig
from fairmot.link.linking import link

ANNA, BERT = np.eye(2, dtype=np.float32)


def walk(identity, who, frames, x=0.0, speed=2.0, class_id=-1):
    """Rows [F, 8] and embeddings of a person of 20 x 40 pixels who is at `x` in frame 0."""
    frames = np.asarray(frames, float)
    columns = [frames, identity, x + speed * frames, 100.0, 20.0, 40.0, 0.9, class_id]
    return np.column_stack(np.broadcast_arrays(*columns)), np.tile(who, (len(frames), 1))


def linked(*walks, **changes):
    rows, embeddings = (np.concatenate(parts) for parts in zip(*walks, strict=True))
    shuffled = np.random.default_rng(0).permutation(len(rows))
    return link(rows[shuffled], embeddings[shuffled], LinkConfig(**changes))


def test_one_person_found_again_is_one_track():
    result = linked(walk(1, ANNA, range(1, 21)), walk(7, ANNA, range(41, 52)))
    assert (result.splits, result.joins) == (0, 1)
    assert set(result.rows[:, 1]) == {1}
    assert result.rows[:, 0].tolist() == [*range(1, 21), *range(41, 52)]


@pytest.mark.parametrize(
    "second",
    [
        walk(7, BERT, range(41, 52)),
        walk(7, ANNA, range(41, 52), x=300),
        walk(7, ANNA, range(15, 52), x=4),
        walk(7, ANNA, range(141, 160)),
        walk(7, ANNA, range(41, 52), class_id=2),
    ],
    ids=["another person", "another place", "at the same time", "too late", "another class"],
)
def test_what_is_not_one_person_stays_apart(second):
    result = linked(walk(1, ANNA, range(1, 21)), second)
    assert result.joins == 0 and set(result.rows[:, 1]) == {1, 7}


def test_people_seen_together_who_look_alike_keep_others_apart():
    """The cosine distance of what may be joined is 0.1, that of two who are there at once 0.02."""
    later = np.array([0.9, np.sqrt(1 - 0.9**2)], np.float32)
    again = walk(1, ANNA, range(1, 21)), walk(7, later, range(41, 52))
    assert linked(*again).joins == 1
    like = np.array([0.98, np.sqrt(1 - 0.98**2)], np.float32)
    together = walk(3, ANNA, range(60, 70), x=900), walk(4, like, range(60, 70), x=1800)
    assert linked(*again, *together).joins == 0
    third = walk(5, BERT, range(60, 70), x=2700)
    assert linked(*again, *together, third, join_mistakes=0.5).joins == 1


def test_rows_without_an_embedding_neither_join_nor_split():
    rows, _ = walk(7, ANNA, range(41, 52))
    result = linked(walk(1, ANNA, range(1, 21)), (rows, np.full((len(rows), 2), np.nan, np.float32)))
    assert (result.splits, result.joins) == (0, 0)


def test_a_swap_of_two_people_is_undone():
    """They meet in frame 30, and the tracker goes on with the wrong one."""
    result = linked(
        walk(1, ANNA, range(1, 31), 0, 2), walk(1, BERT, range(31, 61), 120, -2),
        walk(2, BERT, range(1, 31), 120, -2), walk(2, ANNA, range(31, 61), 0, 2), split_distance=0.7,
    )  # fmt: skip
    assert (result.splits, result.joins) == (2, 2)
    for identity in np.unique(result.rows[:, 1]):
        x = result.rows[result.rows[:, 1] == identity, 2]
        assert len(x) == 60 and len(set(np.diff(x))) == 1
    assert linked(walk(1, ANNA, range(1, 31)), walk(1, BERT, range(31, 61))).splits == 0


def test_the_nearest_of_several_is_joined():
    result = linked(
        walk(1, ANNA, range(1, 21)), walk(2, ANNA, range(31, 41), x=30), walk(3, ANNA, range(31, 41), x=1)
    )  # fmt: skip
    assert result.joins == 1 and set(result.rows[:, 1]) == {1, 2}


def test_nothing_is_a_valid_result():
    assert len(linked((np.zeros((0, 8)), np.zeros((0, 2)))).rows) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("split_distance", 0.0),
        ("join_distance", 3.0),
        ("join_mistakes", 1.5),
        ("split_rows", 0),
        ("join_motion", float("inf")),
    ],
)
def test_limits_that_mean_nothing_are_refused(key, value):
    with pytest.raises(ValueError, match=f"link.{key} must be"):
        LinkConfig(**{key: value})
