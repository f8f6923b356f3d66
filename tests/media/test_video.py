"""Sources of frames and what is written from them."""

import av
import cv2
import numpy as np
import pytest

from fairmot.errors import DataError
from fairmot.media.video import open_source
from fairmot.media.video_writer import FramesWriter, VideoWriter

SIZE_HW = (48, 64)


def shade(number, size_hw=SIZE_HW):
    """A frame that tells its number by its brightness."""
    return np.full((*size_hw, 3), 20 + 20 * number, np.uint8)


def number_of(frame):
    return round((frame.mean() - 20) / 20)


def write_pictures(folder, names, size_hw=SIZE_HW):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), shade(number, size_hw))


def write_video(path, count=8, frame_rate=12.5, size_hw=SIZE_HW):
    with VideoWriter(path, frame_rate, size_hw) as writer:
        for number in range(count):
            writer.write(shade(number, size_hw))
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_video_comes_back_with_rate_size_and_frames_in_order(tmp_path):
    source = open_source(str(write_video(tmp_path / "street.mp4")))
    assert (source.name, source.frame_rate, source.size_hw, source.length) == ("street", 12.5, SIZE_HW, 8)
    assert not source.is_live
    for _ in range(2):  # every iteration starts anew
        assert [number_of(frame) for frame in source] == list(range(8))


def test_a_folder_is_read_in_natural_order(tmp_path):
    write_pictures(tmp_path / "walk", ["2.png", "3.png", "10.png", "a1.jpg", "a02.jpg", "a10.jpg"])
    (tmp_path / "walk" / "notes.txt").write_text("no picture")
    (tmp_path / "walk" / "._2.png").write_bytes(b"left by another system")
    source = open_source(str(tmp_path / "walk"))
    assert (source.name, source.frame_rate, source.size_hw, source.length) == ("walk", None, SIZE_HW, 6)
    assert [number_of(frame) for frame in source] == list(range(6))


@pytest.mark.parametrize(
    ("ini", "frame_rate"), [("[Sequence]\nframeRate=14\n", 14.0), ("[Sequence]\n", None), (None, None)]
)
def test_a_motchallenge_sequence(tmp_path, ini, frame_rate):
    write_pictures(tmp_path / "MOT17-02" / "img1", ["000001.jpg", "000002.jpg"])
    if ini is not None:
        (tmp_path / "MOT17-02" / "seqinfo.ini").write_text(ini)
    source = open_source(str(tmp_path / "MOT17-02"))
    assert (source.name, source.frame_rate, source.length) == ("MOT17-02", frame_rate, 2)
    assert [number_of(frame) for frame in source] == [0, 1]


@pytest.mark.parametrize("ini", ["[Sequence]\nframeRate=0\n", "[Sequence]\nframeRate=fast\n", "frameRate=25\n"])
def test_a_broken_seqinfo_is_named(tmp_path, ini):
    write_pictures(tmp_path / "img1", ["1.jpg"])
    (tmp_path / "seqinfo.ini").write_text(ini)
    with pytest.raises(DataError, match="seqinfo.ini"):
        open_source(str(tmp_path))


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="source=.*nowhere.mp4: not there"):
        open_source(str(tmp_path / "nowhere.mp4"))
    with pytest.raises(DataError, match="camera /dev/video987"):
        open_source("987")
    (tmp_path / "img1").mkdir()
    with pytest.raises(DataError, match="img1: no pictures"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"this is no video"])
def test_a_file_that_is_no_video(tmp_path, content):
    (tmp_path / "broken.mp4").write_bytes(content)
    with pytest.raises(DataError, match="broken.mp4: no frame can be read"):
        open_source(str(tmp_path / "broken.mp4"))


def test_a_video_cut_short_says_how_much_is_left(tmp_path, caplog):
    path = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE_HW[::-1])
    rng = np.random.default_rng(0)
    for _ in range(20):
        writer.write(rng.integers(0, 256, (*SIZE_HW, 3), np.uint8))
    writer.release()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert 0 < len(list(open_source(str(path)))) < 20
    assert "cut.avi: only" in caplog.text


def test_pictures_of_two_sizes_are_both_named(tmp_path):
    write_pictures(tmp_path, ["1.png", "2.png"])
    write_pictures(tmp_path, ["3.png"], (50, 80))
    source = open_source(str(tmp_path))
    with pytest.raises(DataError, match=r"3.png: 80x50 pixels, but .*1.png has 64x48"):
        list(source)


def test_a_picture_that_cannot_be_decoded_is_named(tmp_path):
    write_pictures(tmp_path, ["1.jpg", "2.jpg"])
    content = (tmp_path / "2.jpg").read_bytes()
    (tmp_path / "2.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"2.jpg: JPEG file is cut short"):
        list(open_source(str(tmp_path)))


@pytest.mark.parametrize("size_hw", [(48, 64), (49, 65), (49, 64)])
def test_video_plays_in_a_browser(tmp_path, size_hw):
    """What browsers ask for: H.264, 4:2:0, the index before the pictures."""
    path = write_video(tmp_path / "out.mp4", count=30, frame_rate=29.97002997, size_hw=size_hw)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(30000 / 1001)
        assert (stream.height, stream.width) == (size_hw[0] + size_hw[0] % 2, size_hw[1] + size_hw[1] % 2)
        assert sum(1 for _ in container.decode(stream)) == 30
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_colours_survive_the_video(tmp_path):
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:, :32], frame[:, 32:64], frame[:, 64:] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    with VideoWriter(tmp_path / "c.mp4", 25, (64, 96)) as writer:
        writer.write(frame)
    with av.open(str(tmp_path / "c.mp4")) as container:
        read = next(container.decode(video=0)).to_ndarray(format="bgr24")
    for x in (16, 48, 80):
        np.testing.assert_allclose(read[32, x], frame[32, x], atol=8)


def test_an_interrupted_video_leaves_the_old_one_and_nothing_else(tmp_path):
    path = write_video(tmp_path / "out.mp4")
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, 10, SIZE_HW) as writer:
        writer.write(shade(1))
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert names(tmp_path) == ["out.mp4"]


def test_without_frames_there_is_no_file(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", 10, SIZE_HW):
        pass
    assert names(tmp_path) == []


def test_frames_of_another_size_are_refused(tmp_path):
    with pytest.raises(ValueError, match="a frame of"), VideoWriter(tmp_path / "out.mp4", 10, SIZE_HW) as writer:
        writer.write(shade(1, (10, 10)))
    assert names(tmp_path) == []


def test_a_folder_of_frames_appears_whole_and_replaces_the_old_one(tmp_path):
    for count in (3, 2):
        with FramesWriter(tmp_path / "frames") as writer:
            for number in range(count):
                writer.write(shade(number))
        assert names(tmp_path / "frames") == [f"{number:06d}.jpg" for number in range(1, count + 1)]
    with pytest.raises(KeyboardInterrupt), FramesWriter(tmp_path / "frames") as writer:
        writer.write(shade(0))
        raise KeyboardInterrupt
    assert names(tmp_path) == ["frames"]
    assert len(names(tmp_path / "frames")) == 2


@pytest.mark.parametrize("open_writer", [lambda path: VideoWriter(path, 10, SIZE_HW), FramesWriter])
def test_a_folder_that_refuses_is_named(tmp_path, open_writer):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="file/out.*cannot be written"):
        open_writer(tmp_path / "file" / "out.mp4")
