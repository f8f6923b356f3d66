"""The words of space=: which of the tracker's keys are searched, and how far."""

import pytest

from fairmot.errors import ConfigError
from fairmot.tracking.config import Cost, TrackerConfig
from fairmot.tune.space import default_space, parse_space


def test_words_become_dimensions():
    iou, buffer, byte, cost = parse_space(
        ["match_iou=0.3..0.9", "tracker.track_buffer = 10..60", "byte=true/false", "cost=embedding/iou"]
    )
    assert (iou.low, iou.high, iou.value(0.51249)) == (0.3, 0.9, 0.512)
    assert (buffer.low, buffer.high, buffer.value(20)) == (10, 60, 20)
    assert byte.value("true") is True and byte.drawn(False) == "false"
    assert cost.value("iou") is Cost.iou and cost.contains(Cost.embedding) and not cost.contains(Cost.giou_embedding)
    assert iou.contains(0.5) and not iou.contains(None)
    assert str(iou) == "match_iou=0.3..0.9" and str(byte) == "byte=true/false"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("mach_iou=0.1..0.5", "no key 'mach_iou': did you mean 'match_iou'"),
        ("match_iou=0.5..0.1", r"match_iou=0\.5\.\.0\.1: 0\.5 is not below 0\.1"),
        ("match_iou=0.5..1.5", "tracker.match_iou must be from 0 to 1, got 1.5"),
        ("match_iou=0.5", "one value is no choice"),
        ("match_iou", "write match_iou=low..high"),
        ("track_buffer=1.5..9", "'1.5' is no whole number"),
        ("byte=yes/no", "'yes' is neither true nor false"),
        ("cost=iou/giou", "'giou' is none of embedding"),
        ("frame_rate=10..30", "frame_rate cannot be searched"),
    ],
)
def test_what_cannot_be_searched_is_refused(word, message):
    with pytest.raises(ConfigError, match=message):
        parse_space([word])
    with pytest.raises(ConfigError, match="match_low is there twice"):
        parse_space(["match_low=0.1..0.2", "match_low=0.3..0.4"])


def test_the_default_space_holds_what_counts():
    boxes = {one.key for one in default_space(TrackerConfig(), embeddings=False, least_score=0)}
    assert "match_embedding" not in boxes and "low_thres" not in boxes
    both = {one.key: one for one in default_space(TrackerConfig(byte=True), embeddings=True, least_score=0.15)}
    assert {"match_embedding", "match_low"} <= both.keys()
    assert both["conf_thres"].low == both["low_thres"].low == 0.15
