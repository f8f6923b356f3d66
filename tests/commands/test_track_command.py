"""The command python -m fairmot.track: what it writes, what it refuses, how it ends."""

import dataclasses
import signal
import subprocess
import sys
import threading
import time

import av
import cv2
import numpy as np
import pytest
from blob_network import INPUT_SIZE_HW, BlobNetwork, picture, walk
from blob_sequences import result_text, write_sequence
from hydra import compose, initialize_config_dir
from numbered_videos import damage
from stream_servers import HttpServer

from fairmot.cli.command import CONF_DIR, register, to_config
from fairmot.errors import CheckpointError, ConfigError, DataError
from fairmot.inference.network import NetworkDetector
from fairmot.media import live
from fairmot.media.video import open_source
from fairmot.media.video_writer import VideoWriter
from fairmot.model.config import ModelConfig
from fairmot.model.network import build_network
from fairmot.mot.rows import read_results
from fairmot.track.command import STAGES, track
from fairmot.track.config import TrackConfig
from fairmot.tracking.config import Cost, Interpolation, InterpolationConfig, TrackerConfig
from fairmot.weights.checkpoint import GROUPS, save_checkpoint


@pytest.fixture
def blobs(monkeypatch):
    """The command with the stand-in network: only the checkpoint's reading is replaced."""

    def from_checkpoint(path, device, *, max_objects, batch_size):
        return NetworkDetector(BlobNetwork(batch_size), INPUT_SIZE_HW, max_objects=max_objects, batch_size=batch_size)

    monkeypatch.setattr(NetworkDetector, "from_checkpoint", from_checkpoint)


def config(tmp_path, source, **changes):
    settings = {"checkpoint": "run", "output": str(tmp_path / "out"), "tracker": TrackerConfig(conf_thres=0.5)}
    return TrackConfig(source=str(source), **(settings | changes))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_walk(path, frames=None, frame_rate=12.0):
    with VideoWriter(path, frame_rate, INPUT_SIZE_HW) as writer:
        for frame in walk(12) if frames is None else frames:
            writer.write(frame)
    return path


def test_a_video_becomes_rows_a_video_and_pictures(tmp_path, blobs):
    source = write_walk(tmp_path / "street.mp4")
    report = track(config(tmp_path, source, frames=True, batch_size=5))
    rows = read_results(tmp_path / "out" / "street.txt")
    assert len(rows) == 24 and set(rows.ids) == {1, 2}
    assert rows.frames.tolist() == sorted([*range(1, 13)] * 2)
    first = rows.boxes_xywh[rows.ids == 1]
    np.testing.assert_allclose(first[:, 2:], 16, atol=0.5)
    assert first[-1, 0] - first[0, 0] == pytest.approx(44, abs=1)
    video = open_source(str(tmp_path / "out" / "street.mp4"))
    assert (video.frame_rate, video.size_hw, video.length) == (12.0, INPUT_SIZE_HW, 12)
    assert np.abs(next(iter(video)).astype(int) - walk(1)[0]).max() > 100  # something is drawn
    assert len(names(tmp_path / "out" / "street_frames")) == 12
    assert all(report.stage_s[stage] > 0 for stage in STAGES) and report.processor_s > 0
    assert "2 identities, 24 boxes in 12 frames" in str(report)
    assert names(tmp_path / "out") == ["street.mp4", "street.txt", "street_frames"]


def test_nothing_found_is_a_valid_empty_result(tmp_path, blobs):
    source = write_walk(tmp_path / "empty.mp4", [picture([])] * 3)
    track(config(tmp_path, source))
    assert len(read_results(tmp_path / "out" / "empty.txt")) == 0
    assert open_source(str(tmp_path / "out" / "empty.mp4")).length == 3


def test_max_frames_and_no_video(tmp_path, blobs):
    source = write_walk(tmp_path / "street.mp4")
    track(config(tmp_path, source, video=False, max_frames=4, batch_size=3))
    assert names(tmp_path / "out") == ["street.txt"]
    assert read_results(tmp_path / "out" / "street.txt").frames.max() == 4


def test_gaps_are_filled_when_asked(tmp_path, blobs):
    frames = walk(12)
    frames[6] = picture([(42 + 4 * 6, 70)])  # the first one is hidden
    source = write_walk(tmp_path / "gap.mp4", frames)
    counts = []
    for method in (Interpolation.none, Interpolation.linear):
        changes = {"interpolation": InterpolationConfig(method=method), "overwrite": True, "video": False}
        track(config(tmp_path, source, **changes))
        counts.append(len(read_results(tmp_path / "out" / "gap.txt")))
    assert counts == [23, 24]


def test_the_sources_frame_rate_sets_how_long_a_track_is_remembered(tmp_path, blobs):
    """Hidden for 8 frames: remembered at 30 frames a second and track_buffer 9, forgotten at 12."""
    frames = [frame if t < 4 or t > 11 else picture([]) for t, frame in enumerate([picture([(42, 42)])] * 16)]
    identities = []
    for frame_rate in (30.0, 12.0):
        source = write_walk(tmp_path / "hidden.mp4", frames, frame_rate)
        tracker = TrackerConfig(conf_thres=0.5, track_buffer=9)
        track(config(tmp_path, source, tracker=tracker, overwrite=True, video=False))
        identities.append(len(set(read_results(tmp_path / "out" / "hidden.txt").ids)))
    assert identities == [1, 2]


def write_changing_rate(path):
    """The walk, of which the pictures from the fifth on come four times more slowly."""
    ticks_ms = [50 * number for number in range(4)] + [200 + 200 * number for number in range(8)]
    with VideoWriter(path, 10.0, INPUT_SIZE_HW) as writer:
        for frame, tick_ms in zip(walk(12), ticks_ms, strict=True):
            writer.write(frame, tick_ms / 1000)
    return path, ticks_ms


def test_the_written_video_keeps_the_times_of_a_changing_rate(tmp_path, blobs):
    source, ticks_ms = write_changing_rate(tmp_path / "phone.mp4")
    track(config(tmp_path, source))
    written = list(open_source(str(tmp_path / "out" / "phone.mp4")).read())
    np.testing.assert_allclose([1000 * frame.time_s for frame in written], ticks_ms, atol=0.2)


def test_stored_detections_give_the_same_tracks_without_the_network(tmp_path, blobs):
    source = write_walk(tmp_path / "street.mp4")
    track(config(tmp_path, source, store_detections=True))
    stored = tmp_path / "out" / "street_detections.safetensors"
    again = {"checkpoint": None, "detections": str(stored), "output": str(tmp_path / "again")}
    track(config(tmp_path, source, **again))
    assert names(tmp_path / "again") == ["street.mp4", "street.txt"]
    assert (tmp_path / "again" / "street.txt").read_bytes() == (tmp_path / "out" / "street.txt").read_bytes()
    with pytest.raises(ConfigError, match=r"conf_thres=0\.05: .*holds only detections that score at least 0\.1"):
        track(config(tmp_path, source, **again, overwrite=True, conf_thres=0.05))
    tall = tmp_path / "tall.mp4"
    with VideoWriter(tall, 12.0, (192, 160)) as writer:
        writer.write(np.zeros((192, 160, 3), np.uint8))
    with pytest.raises(DataError, match="of pictures of 160x96 pixels, but those of tall have 160x192"):
        track(config(tmp_path, tall, **again))


def test_boxes_of_a_detector_are_tracked(tmp_path):
    sequence = write_sequence(tmp_path / "seq")
    (sequence / "det").mkdir()
    (sequence / "det" / "det.txt").write_text(result_text())
    outputs = []
    for video in (True, False):  # without pictures none is read
        boxes = {"checkpoint": None, "detections": str(tmp_path), "video": video, "overwrite": True}
        report = track(config(tmp_path, sequence, **boxes))
        assert (report.n_frames, report.n_identities, report.n_boxes) == (12, 2, 24)
        outputs.append((tmp_path / "out" / "seq.txt").read_text())
    assert outputs[0] == outputs[1]


def test_the_detections_that_are_read_are_never_replaced(tmp_path):
    sequence = write_sequence(tmp_path / "seq")
    text = tmp_path / "boxes" / "seq.txt"
    text.parent.mkdir()
    text.write_text(result_text())
    places = {"checkpoint": None, "detections": str(text.parent), "output": str(text.parent)}
    with pytest.raises(ConfigError, match=r"would replace .*seq\.txt"):
        track(config(tmp_path, sequence, **places, overwrite=True))
    assert text.read_text() == result_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detections": "det.txt"}, "either checkpoint=.* or detections=.*; both were given"),
        ({"checkpoint": None}, "neither was given"),
        ({"checkpoint": None, "detections": "a", "store_detections": True}, "store_detections=true: with checkpoint="),
        ({"store_least_score": 1.5}, "store_least_score=1.5: must be from 0 to 1"),
        ({"score_range": [5.0, 1.0]}, "score_range="),
    ],
)
def test_keys_of_detections_that_do_not_fit_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        config(tmp_path, "street.mp4", **changes)


@pytest.mark.parametrize(("wait_s", "identities"), [(0.5, 1), (2.0, 2)])
def test_how_long_a_track_is_remembered_goes_by_the_clock(tmp_path, blobs, wait_s, identities):
    """Hidden in six frames that stand for half a second, and for two."""
    person = picture([(42, 42)])
    times_s = [0.0, 0.1, 0.2, *(0.3 + wait_s * part for part in np.linspace(0, 1, 7)), 0.4 + wait_s]
    with VideoWriter(tmp_path / "hidden.mp4", 10.0, INPUT_SIZE_HW) as writer:
        for number, time_s in enumerate(times_s):
            writer.write(picture([]) if 3 <= number < 9 else person, time_s)
    track(config(tmp_path, tmp_path / "hidden.mp4", video=False, tracker=TrackerConfig(conf_thres=0.5)))
    assert len(set(read_results(tmp_path / "out" / "hidden.txt").ids)) == identities


def test_damaged_frames_leave_gaps_in_the_rows_and_in_the_pictures(tmp_path, blobs, caplog):
    source = tmp_path / "walk.avi"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = *INPUT_SIZE_HW, "yuvj420p"
        for _ in range(12):
            frame = av.VideoFrame.from_ndarray(picture([(42, 42)]), format="bgr24")
            container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    damage(source, 6, 7)
    report = track(config(tmp_path, source, frames=True, video=False))
    numbers = [1, 2, 3, 4, 5, 8, 9, 10, 11, 12]
    assert report.n_frames == 10
    assert sorted(set(read_results(tmp_path / "out" / "walk.txt").frames)) == numbers
    assert names(tmp_path / "out" / "walk_frames") == [f"{number:06d}.jpg" for number in numbers]
    assert "walk.avi: damaged: 2 frames are lost" in caplog.text


def test_a_camera_is_tracked_until_nothing_comes_any_more(tmp_path, blobs, monkeypatch):
    monkeypatch.setattr(live, "READ_TIMEOUT_S", 1.0)
    monkeypatch.setattr(live, "_WAITS_S", (0.1,))
    with HttpServer(live_frames=40) as server:
        address = f"http://me:secret@127.0.0.1:{server.port}/live.ts"
        report = track(config(tmp_path, address, reconnect_s=2, max_frames=50))
    assert report.n_frames == 50
    assert names(tmp_path / "out") == ["live.mp4", "live.txt"]


def test_results_are_not_overwritten_unasked(tmp_path, blobs):
    source = write_walk(tmp_path / "street.mp4")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "street.mp4").write_text("mine")
    with pytest.raises(ConfigError, match="street.mp4 exists; .*overwrite=true"):
        track(config(tmp_path, source))
    assert names(tmp_path / "out") == ["street.mp4"]
    track(config(tmp_path, source, overwrite=True, max_frames=2))
    assert open_source(str(tmp_path / "out" / "street.mp4")).length == 2


def test_the_source_is_never_replaced(tmp_path, blobs):
    source = write_walk(tmp_path / "street.mp4")
    before = source.read_bytes()
    with pytest.raises(ConfigError, match="would replace the source"):
        track(config(tmp_path, source, output=str(tmp_path), overwrite=True))
    assert source.read_bytes() == before


def test_an_unreadable_frame_ends_the_job_and_leaves_no_result(tmp_path, blobs):
    folder = tmp_path / "walk"
    folder.mkdir()
    for number, frame in enumerate(walk(6)):
        cv2.imwrite(str(folder / f"{number}.png"), frame)
    content = (folder / "4.png").read_bytes()
    (folder / "4.png").write_bytes(content[: len(content) // 2])
    before = threading.active_count()
    with pytest.raises(DataError, match="4.png: PNG file is cut short"):
        track(config(tmp_path, folder, frames=True))
    assert names(tmp_path / "out") == []
    assert threading.active_count() == before


def test_a_full_disk_while_writing_ends_the_job(tmp_path, blobs, monkeypatch):
    def refuse(self, *frame):
        raise DataError("street.mp4: cannot be written (No space left on device)")

    monkeypatch.setattr(VideoWriter, "write", refuse)
    source = write_file_of_pictures(tmp_path / "street")
    before = threading.active_count()
    with pytest.raises(DataError, match="No space left"):
        track(config(tmp_path, source))
    assert names(tmp_path / "out") == []
    assert threading.active_count() == before


def write_file_of_pictures(folder):
    folder.mkdir()
    for number, frame in enumerate(walk(6)):
        cv2.imwrite(str(folder / f"{number}.png"), frame)
    return folder


def composed(*words):
    register("track", TrackConfig)
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return to_config(compose("track", list(words)), TrackConfig)


def test_the_command_line_reaches_the_tracker():
    words = ["source=0", "checkpoint=run", "output=out"]
    assert composed(*words).tracker == TrackerConfig()
    assert composed(*words).source == "0"
    assert composed(*words, "conf_thres=0.6").tracker.conf_thres == 0.6
    chosen = composed(*words, "tracker=byte", "tracker.low_thres=0.3", "interpolation.method=linear")
    byte = TrackerConfig(byte=True, cost=Cost.iou, match_iou=0.8, start_thres=0.5, low_thres=0.3)
    assert chosen.tracker == byte
    assert chosen.interpolation.method is Interpolation.linear


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["conf_thres=1.5"], "tracker.conf_thres must be from 0 to 1, got 1.5"),
        (["tracker=byte", "conf_thres=0.1"], "tracker.low_thres must be less than tracker.conf_thres"),
        (["batch_size=0"], "batch_size=0: must be at least 1"),
        (["max_frames=0"], "max_frames=0: must be at least 1"),
    ],
)
def test_refused_values_name_their_key(words, message):
    with pytest.raises(ConfigError, match=message):
        composed("source=a.mp4", "checkpoint=run", "output=out", *words)


def test_a_missing_checkpoint_is_one_clear_error(tmp_path):
    source = write_walk(tmp_path / "street.mp4")
    with pytest.raises(CheckpointError, match="nothing_here: no checkpoint there"):
        track(config(tmp_path, source, checkpoint=str(tmp_path / "nothing_here")))
    assert not (tmp_path / "out").exists()


def run_track(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "fairmot.track", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def narrow_run(tmp_path_factory):
    """A run directory with an untrained narrow network."""
    run_dir = tmp_path_factory.mktemp("run")
    model = ModelConfig(width=0.25, head_conv=16, reid_dim=8)
    tensors = {group: {} for group in GROUPS}
    tensors["network"] = {name: value.asnumpy() for name, value in build_network(model, seed=2).state().items()}
    manifest = {"model": dataclasses.asdict(model), "input_size": list(INPUT_SIZE_HW), "num_classes": 1}
    save_checkpoint(run_dir / "checkpoints", 1, tensors, manifest, "", keep=1)
    return run_dir


@pytest.mark.slow
def test_the_command_end_to_end(tmp_path, narrow_run):
    source = write_walk(tmp_path / "street.mp4")
    words = (f"source={source}", f"checkpoint={narrow_run}", f"output={tmp_path / 'out'}")
    first = run_track(*words, "conf_thres=0.05", "tracker.max_aspect=100")
    out, err = first.communicate(timeout=300)
    assert first.returncode == 0, err
    assert "12 frames" in out
    assert (tmp_path / "out" / "street.txt").is_file() and (tmp_path / "out" / "street.mp4").is_file()
    again = run_track(*words)
    _, err = again.communicate(timeout=300)
    assert again.returncode == 2
    assert err.startswith("error: ") and "overwrite=true" in err and "Traceback" not in err


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_half_written(tmp_path, narrow_run):
    source = write_walk(tmp_path / "street.mp4", [walk(1)[0]] * 3000)
    process = run_track(f"source={source}", f"checkpoint={narrow_run}", f"output={tmp_path / 'out'}")
    deadline_s = time.monotonic() + 240
    while not (tmp_path / "out").is_dir() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "error: interrupted" in err and "Traceback" not in err
    assert names(tmp_path / "out") == []


def test_a_sequence_keeps_its_numbers_also_where_gaps_are_filled(tmp_path, blobs):
    """Every second frame of a sequence; in its fifth picture nobody is seen, between the pictures are no frames."""
    frames = walk(8)
    frames[4] = np.zeros_like(frames[4])
    numbers = range(1, 17, 2)
    (tmp_path / "seq/img1").mkdir(parents=True)
    for number, frame in zip(numbers, frames, strict=True):
        cv2.imwrite(str(tmp_path / f"seq/img1/{number:06d}.png"), frame)
    linear = InterpolationConfig(method=Interpolation.linear)
    for source in ("seq", "seq/img1"):
        track(config(tmp_path, tmp_path / source, interpolation=linear, video=False, overwrite=True))
        rows = read_results(tmp_path / "out/seq.txt")
        assert rows.frames[rows.ids == 1].tolist() == list(numbers)
