"""Videos as people have them: codecs, phones held upright, changing rates, damage."""

import logging

import numpy as np
import pytest
from numbered_videos import CODECS, damage, number_of, numbered, turn, write_video

from fairmot.media.video import open_source
from fairmot.media.video_reader import SameSize, upright

GROUP = 12  # pictures from one that can be decoded alone to the next


def read(path):
    return list(open_source(str(path)).read())


@pytest.mark.parametrize("kind", CODECS)
def test_every_codec_gives_all_frames_in_order_with_their_times(tmp_path, kind, caplog):
    source = open_source(str(write_video(tmp_path / kind)))
    frames = list(source.read())
    assert (source.frame_rate, source.size_hw) == (25.0, (96, 160))
    assert [number_of(frame.picture) for frame in frames] == list(range(1, 49))
    assert [frame.number for frame in frames] == list(range(1, 49))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(48) / 25, atol=1e-6)
    assert not caplog.messages


@pytest.mark.parametrize("kind", ["h264.mp4", "hevc10.mp4", "vp9.webm", "prores.mov", "mjpeg.avi"])
def test_colours_are_right(tmp_path, kind):
    picture = read(write_video(tmp_path / kind, count=2))[0].picture
    np.testing.assert_allclose(picture[65, 10].astype(int), (40, 160, 220), atol=14)
    np.testing.assert_allclose(picture[88, 150].astype(int), (90, 90, 90), atol=4)


@pytest.mark.parametrize(
    ("matrix", "rule"),
    [
        ((1, 0, 0, 1), lambda picture: picture),
        ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),  # a quarter turn clockwise, what phones write
        ((-1, 0, 0, -1), lambda picture: np.rot90(picture, 2)),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, 1), np.fliplr),  # a mirror's picture, as of some front cameras
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda picture: picture.transpose(1, 0, 2)),
    ],
)
def test_pictures_stand_upright_as_the_file_says(tmp_path, matrix, rule):
    path = write_video(tmp_path / "h264.mp4", count=2)
    lying = read(path)[0].picture
    turn(path, matrix)
    source = open_source(str(path))
    standing = next(iter(source))
    assert source.size_hw == standing.shape[:2]
    np.testing.assert_array_equal(standing, rule(lying))


def test_a_slanted_matrix_takes_the_nearest_quarter_turn():
    picture = numbered(5)
    slanted = np.array([[0.1, 0.99, 0], [-0.99, 0.1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(upright(picture, slanted), np.rot90(picture, -1))


@pytest.mark.parametrize("kind", ["h264.mp4", "h264.mkv"])
def test_times_are_the_frames_own_where_the_rate_changes(tmp_path, kind, caplog):
    waits = [33] * 20 + [100, 7, 250, 33, 34, 500, 40] + [66] * 20
    ticks = np.cumsum([0, *waits]).tolist()
    frames = read(write_video(tmp_path / kind, len(ticks), frame_rate=30, ticks=ticks))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.array(ticks) / 1000, atol=1e-3)
    assert [frame.number for frame in frames] == list(range(1, len(ticks) + 1))
    assert not caplog.messages


def check_numbers_and_times(frames, most_wrong):
    """What was decoded from damaged pictures may show others; the rest bears its own number and time."""
    numbers = [frame.number for frame in frames]
    wrong = [number for number, frame in zip(numbers, frames, strict=True) if number_of(frame.picture) != number]
    assert len(wrong) <= most_wrong and numbers == sorted(set(numbers))
    assert wrong == [] or max(wrong) - min(wrong) < GROUP
    np.testing.assert_allclose([frame.time_s for frame in frames], (np.array(numbers) - 1) / 25, atol=2e-3)


@pytest.mark.parametrize("kind", sorted(set(CODECS) - {"h264.ts"}))
@pytest.mark.parametrize(("first", "last"), [(20, 23), (13, 13), (2, 2), (46, 46)])
def test_damage_in_the_middle_is_read_over(tmp_path, kind, first, last, caplog):
    path = write_video(tmp_path / kind)
    # The heads of blocks stay: without them FFmpeg goes on with the next cluster, and these files have but one.
    damage(path, first, last, spare_bytes=24 if kind.endswith(("mkv", "webm")) else 0)
    frames = read(path)
    assert len(frames) >= 30
    check_numbers_and_times(frames, most_wrong=GROUP)
    if lost := 48 - len(frames):
        assert f"damaged: {lost} frames are lost" in caplog.text
    else:
        assert "guesses of the decoder" in caplog.text or kind == "vp9.webm"


@pytest.mark.parametrize(("kind", "head_bytes"), [("h264.ts", 0), ("h264.mp4", 0), ("mjpeg.avi", 8), ("mpeg4.avi", 8)])
def test_packets_that_vanish_leave_a_gap_in_the_numbers(tmp_path, kind, head_bytes, caplog):
    path = write_video(tmp_path / kind)
    damage(path, 20, 23, spare_bytes=-head_bytes)
    frames = read(path)
    check_numbers_and_times(frames, most_wrong=2)
    assert (len(frames), frames[-1].number) == (44, 48)
    assert "damaged: 4 frames are lost" in caplog.text or "only 44 of the 48 frames" in caplog.text


def test_the_end_that_is_missing_is_said(tmp_path, caplog):
    path = write_video(tmp_path / "vp9.webm")
    damage(path, 20, 20)
    assert [frame.number for frame in read(path)] == list(range(1, 20))
    assert "damaged or cut short: pictures end after 0.7 of 1.9 s" in caplog.text


@pytest.mark.parametrize("name", ["av1.mp4", "hevc10.mp4", "mjpeg.avi", "prores.mov", "vp9.webm"])
def test_the_codecs_of_the_cases(shared, name):
    frames = read(shared / "cases" / "av1_video" / name)
    assert len(frames) == 10 and frames[0].picture.shape == (224, 384, 3)
    np.testing.assert_allclose(frames[0].picture.mean((0, 1)), (85.3, 88.9, 86.8), atol=2.5)


def test_the_phone_of_the_cases_stands_upright(shared):
    """The same pictures once as they are shown and once lying, with a matrix that turns them."""
    lying, standing = (read(shared / "cases" / "rotated_video" / name) for name in ("plain.mp4", "phone.mp4"))
    assert len(lying) == len(standing) == 20
    for one, two in zip(lying, standing, strict=True):
        np.testing.assert_array_equal(np.rot90(one.picture, -1), two.picture)


def test_a_picture_of_another_size_is_brought_to_the_first_ones(caplog):
    same_size = SameSize("camera", (96, 160))
    for _ in range(2):
        assert same_size(numbered(1, (192, 320))).shape == (96, 160, 3)
    assert [record.getMessage() for record in caplog.records] == [
        "camera: the pictures' size changes to 320x192; they are brought to 160x96"
    ]


def test_a_damaged_beginning_keeps_the_numbers_behind_it(tmp_path, caplog):
    path = write_video(tmp_path / "h264.mp4")
    damage(path, 1, 1)
    frames = read(path)
    assert [number_of(frame.picture) for frame in frames] == [frame.number for frame in frames]
    assert frames[0].number > 1 and frames[0].time_s == pytest.approx((frames[0].number - 1) / 25)
    assert "frames are lost" in caplog.text


def test_reading_may_stop_early(tmp_path, caplog):
    path = write_video(tmp_path / "h264.mp4")
    damage(path, 5, 5)
    caplog.set_level(logging.WARNING)
    frames = open_source(str(path)).read()
    for _ in range(10):
        next(frames)
    frames.close()
    assert "frames are lost" in caplog.text
