"""Drawing: what must be on the picture, and what must be left alone."""

import numpy as np
import pytest

from fairmot.media.drawing import Painter, colour_of, sheet
from fairmot.structures import Tracks


def tracks(*rows):
    """Rows of id, left, top, right, bottom."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    count = len(table)
    return Tracks(table[:, 0].astype(np.int64), table[:, 1:], np.full(count, 0.75), np.zeros(count, np.int64))


def blank(size_hw=(240, 320), shade=127):
    return np.full((*size_hw, 3), shade, np.uint8)


def test_boxes_are_drawn_in_their_identitys_colour_and_the_frame_stays():
    frame = blank()
    picture = Painter().draw(frame, tracks((3, 40, 80, 90, 200), (4, 200, 90, 260, 210)))
    assert (frame == 127).all()
    for identity, (left, top, right, bottom) in ((3, (40, 80, 90, 200)), (4, (200, 90, 260, 210))):
        for y, x in ((top + 30, left), (top + 30, right), (bottom, left + 20)):
            assert tuple(picture[y, x]) == colour_of(identity)
    assert tuple(picture[230, 150]) == (127, 127, 127)


def test_colours_are_stable_and_neighbours_differ_clearly():
    colours = np.array([colour_of(identity) for identity in range(1, 200)], np.int64)
    assert colours.min() >= 0 and colours.max() <= 255
    assert colour_of(7) == colour_of(7)
    for distance in (1, 2, 3, 4):
        assert np.abs(colours[distance:] - colours[:-distance]).max(1).min() >= 40


def test_trails_follow_an_identity_and_end():
    painter = Painter(trail_frames=4)
    for step in range(4):
        picture = painter.draw(blank(), tracks((1, 40 + 20 * step, 100, 60 + 20 * step, 140)))
    # Where it was two frames ago, outside today's box; the line's border is smoothed.
    np.testing.assert_allclose(picture[120, 75].astype(int), colour_of(1), atol=40)
    for _ in range(5):
        painter.draw(blank(), tracks())
    picture = painter.draw(blank(), tracks((1, 200, 100, 220, 140)))
    assert tuple(picture[120, 75]) == (127, 127, 127)


def test_without_trails_only_the_box_is_there():
    painter = Painter(trail_frames=0)
    painter.draw(blank(), tracks((1, 40, 100, 60, 140)))
    picture = painter.draw(blank(), tracks((1, 140, 100, 160, 140)))
    assert (picture[115:125, 45:135] == 127).all()


def test_labels_stay_inside_and_boxes_far_outside_do_no_harm():
    rows = [(1, -50, -80, 30, 60), (2, 310, 5, 380, 90), (123456, 100, -30, 140, 900), (4, -1e12, -1e12, 1e12, 1e12)]
    picture = Painter(scores=True).draw(blank(), tracks(*rows), caption="frame 1")
    top_left_ink = picture[:20, :60].reshape(-1, 3)
    assert (top_left_ink > 200).all(1).any()  # the caption's letters
    assert picture.shape == (240, 320, 3)


@pytest.mark.parametrize("size_hw", [(60, 80), (480, 640), (2160, 3840)])
def test_lines_grow_with_the_picture(size_hw):
    height, width = size_hw
    box = (width // 4, height // 4, width // 2, height * 3 // 4)
    picture = Painter(trail_frames=0).draw(blank(size_hw), tracks((1, *box)))
    line = (picture[height * 5 // 8, : width * 3 // 8] != 127).any(1).sum()
    assert 1 <= line <= 10
    assert line >= width / 1000


def test_a_sheet_holds_all_frames_in_order():
    frames = [blank((60, 80), shade) for shade in (50, 100, 150, 200, 250)]
    picture = sheet(frames, columns=2, width_px=400)
    assert picture.shape[1] == 400
    centres = [(75, 100), (75, 300), (225, 100), (225, 300), (375, 100)]
    assert [int(picture[y, x, 0]) for y, x in centres] == [50, 100, 150, 200, 250]
    assert picture[375, 300, 0] < 50  # an empty place


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(ValueError, match="0 frames"):
        sheet([], columns=2)
