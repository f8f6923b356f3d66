"""Stages in threads: order, errors, bounds, and no thread left behind."""

import threading
import time
from contextlib import closing
from itertools import count

import pytest

from fairmot.inference.pipeline import StageTimes, in_background


def test_items_keep_their_order():
    assert list(in_background(range(100), ahead=3)) == list(range(100))


def test_an_error_arrives_after_the_items_before_it():
    def items():
        yield 1
        raise OSError("the disk is gone")

    made = in_background(items(), ahead=5)
    assert next(made) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(made)


def test_never_more_than_a_few_ahead():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    with closing(in_background(items(), ahead=3)) as background:
        next(background)
        time.sleep(0.3)
        assert len(made) <= 1 + 3 + 1  # taken, ready, in work


def test_closing_ends_nested_threads_of_endless_work():
    before = threading.active_count()
    with closing(in_background(count(), 2)) as inner, closing(in_background(map(str, inner), 2)) as outer:
        assert [next(outer) for _ in range(3)] == ["0", "1", "2"]
        assert threading.active_count() == before + 2
    assert threading.active_count() == before


def test_stages_really_overlap_and_times_are_counted():
    times = StageTimes()

    def slow():
        for number in range(5):
            time.sleep(0.05)
            yield number

    start = time.perf_counter()
    for _ in in_background(times.each(slow(), "read"), 2):
        with times.measure("write"):
            time.sleep(0.05)
    elapsed_s = time.perf_counter() - start
    assert times.seconds["read"] >= 0.25 and times.seconds["write"] >= 0.25
    assert elapsed_s < 0.45
