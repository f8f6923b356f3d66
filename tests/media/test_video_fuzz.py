"""Damaged videos of every container: read on, or refused by name; never anything else."""

import random

import numpy as np
import pytest
from numbered_videos import CODECS, write_video

from fairmot.errors import DataError
from fairmot.media.video import open_source

ROUNDS = 4


def zeroed(content, at, dice):
    size = dice.randrange(1, max(2, len(content) // 8))
    return content[:at] + bytes(len(content[at : at + size])) + content[at + size :]


def noisy(content, at, dice):
    size = dice.randrange(1, 400)
    return content[:at] + dice.randbytes(len(content[at : at + size])) + content[at + size :]


def cut(content, at, dice):
    return content[:at]


def torn_out(content, at, dice):
    return content[:at] + content[at + dice.randrange(1, 2000) :]


def doubled(content, at, dice):
    return content[:at] + content[max(0, at - dice.randrange(1, 2000)) :]


@pytest.mark.parametrize("kind", CODECS)
def test_whatever_befalls_a_video(tmp_path, kind):
    path = write_video(tmp_path / kind, count=30)
    whole = path.read_bytes()
    refused = 0
    for seed in range(ROUNDS):
        for change in (zeroed, noisy, cut, torn_out, doubled):
            dice = random.Random(f"{kind} {seed} {change.__name__}")
            path.write_bytes(change(whole, dice.randrange(len(whole)), dice))
            try:
                frames = list(open_source(str(path)).read())
            except DataError as error:
                assert str(path) in str(error)
                refused += 1
                continue
            numbers, times_s = [frame.number for frame in frames], [frame.time_s for frame in frames]
            assert numbers == sorted(set(numbers)) and numbers[0] >= 1
            assert numbers[-1] < 200
            assert (np.diff(times_s) > 0).all()
            assert len({frame.picture.shape for frame in frames}) == 1
    assert refused < 5 * ROUNDS
