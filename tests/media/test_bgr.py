"""From decoded frames to BGR: right colours, and memory that is used again while nobody's picture changes."""

import gc

import av
import numpy as np
import pytest
from numbered_videos import write_video

from fairmot.media.bgr import BgrConverter
from fairmot.media.video import open_source

RED = (0, 0, 255)
BT601, BT709, UNKNOWN = 5, 1, 2
LIMITED, FULL = 1, 2


def plain(planes, pixels="yuv420p", matrix=UNKNOWN, value_range=LIMITED, size_wh=(64, 48)):
    """A frame of one colour; `planes`: the value of each plane."""
    frame = av.VideoFrame(*size_wh, pixels)
    for plane, value in zip(frame.planes, planes, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace, frame.color_range = matrix, value_range
    return frame


# Red by ITU-R BT.601-7 and BT.709-6, section 3: Y, Cb and Cr of 8 bits.
REDS = {
    "BT.709": {"planes": (63, 102, 240), "matrix": BT709},
    "BT.601": {"planes": (81, 90, 240), "matrix": BT601},
    "unknown, as BT.601": {"planes": (81, 90, 240)},
    "BT.601, full range": {"planes": (76, 85, 255), "matrix": BT601, "value_range": FULL},
    "full range by its name": {"planes": (76, 85, 255), "pixels": "yuvj420p", "value_range": FULL},
    "BT.709, 4:4:4, odd size": {"planes": (63, 102, 240), "pixels": "yuv444p", "matrix": BT709, "size_wh": (61, 47)},
    "RGB": {"planes": (0, 0, 255), "pixels": "gbrp", "matrix": 0, "value_range": FULL},
}


def test_colours_follow_the_frames_own_matrix_and_range_which_may_change():
    convert = BgrConverter()
    for name, kind in [*REDS.items(), *reversed(REDS.items())]:
        width, height = kind.get("size_wh", (64, 48))
        picture = convert(plain(**kind))
        assert (picture.shape, picture.dtype) == ((height, width, 3), np.uint8)
        assert abs(picture.astype(int) - RED).max() <= 2, name


def test_the_two_fields_of_an_interlaced_picture_keep_their_own_colours(tmp_path):
    """The lines of 4:2:0 come in turn from the two fields, those of colours too: even ones red, odd ones blue."""
    frame = plain((0, 0, 0))
    for plane, red, blue in zip(frame.planes, (81, 90, 240), (41, 240, 110), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        rows[::2], rows[1::2] = red, blue
    path = tmp_path / "interlaced.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "1", "x264-params": "tff=1"})
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        container.mux([*stream.encode(frame), *stream.encode(None)])
    picture = next(iter(open_source(str(path)))).astype(int)
    assert abs(picture[::2] - RED).max() <= 4 and abs(picture[1::2] - (255, 0, 0)).max() <= 4


def test_a_frame_without_a_way_to_bgr_is_refused_and_the_next_one_is_read():
    convert = BgrConverter()
    with pytest.raises(av.FFmpegError):
        convert(plain((63, 102, 240), matrix=8))  # YCgCo, which swscale does not know
    np.testing.assert_allclose(convert(plain(**REDS["BT.709"]))[0, 0], RED, atol=2)


def test_pictures_in_hand_stay_as_they_are_and_others_memory_is_used_again(tmp_path):
    path = str(write_video(tmp_path / "h264.mp4"))
    passing = {picture.ctypes.data for picture in open_source(path)}
    assert len(passing) <= 6
    kept = list(open_source(path))
    as_they_were = [picture.copy() for picture in open_source(path)]
    assert len({picture.ctypes.data for picture in kept}) == len(kept) == 48
    np.testing.assert_array_equal(kept, as_they_were)


def test_the_decoders_frames_do_not_wait_for_the_garbage_collector(tmp_path):
    source = open_source(str(write_video(tmp_path / "h264.mp4")))
    gc.collect()
    gc.disable()
    try:
        assert sum(1 for _ in source) == 48
        assert sum(type(thing) is av.VideoFrame for thing in gc.get_objects()) <= 8
    finally:
        gc.enable()
