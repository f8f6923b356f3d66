"""Cameras and servers: passwords, time-outs, connections that break."""

import socket
import threading
import time
from itertools import islice

import numpy as np
import pytest
from numbered_videos import number_of, write_video
from stream_servers import HttpServer, RtspServer

from fairmot.errors import DataError
from fairmot.media import live
from fairmot.media.video import open_source


@pytest.fixture
def content(tmp_path):
    return write_video(tmp_path / "h264.mp4").read_bytes()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(live, "READ_TIMEOUT_S", 1.0)
    monkeypatch.setattr(live, "_WAITS_S", (0.1,))


def test_a_file_on_a_server_is_read_as_one_on_the_disk(content):
    with HttpServer(content) as server:
        source = open_source(f"http://127.0.0.1:{server.port}/street.mp4?token=secret")
        assert (source.name, source.is_live, source.length, source.frame_rate) == ("street", False, 48, 25.0)
        for _ in range(2):
            assert [number_of(frame.picture) for frame in source.read()] == list(range(1, 49))


def test_a_server_that_breaks_off_is_asked_for_the_rest(content):
    with HttpServer(content, break_after=len(content) // 3) as server:
        source = open_source(f"http://127.0.0.1:{server.port}/street.mp4", reconnect_s=20)
        assert [number_of(frame.picture) for frame in source.read()] == list(range(1, 49))
    assert any(wanted not in (None, "bytes=0-") for _, wanted, _ in server.requests)


def test_a_file_outlives_its_server(content):
    """Killed in the middle of an answer, and started again a second later."""
    with HttpServer(content, break_after=2 * len(content) // 3) as server:
        frames = open_source(f"http://127.0.0.1:{server.port}/street.mp4", reconnect_s=20).read()
        seen = list(islice(frames, 2))
    threading.Timer(1.0, lambda: servers.append(HttpServer(content, server.port))).start()
    servers = []
    seen += frames
    with servers[0]:
        assert [number_of(frame.picture) for frame in seen] == list(range(1, 49))
        assert servers[0].requests


def test_a_live_stream_has_no_end_and_is_tried_again(caplog):
    with HttpServer(live_frames=40) as server:
        source = open_source(f"http://127.0.0.1:{server.port}/live.ts")
        assert (source.is_live, source.length, source.name) == (True, None, "live")
        frames = list(islice(source.read(), 60))
        source.stop()
    assert [frame.number for frame in frames] == list(range(1, 61))
    times_s = np.array([frame.time_s for frame in frames])
    assert times_s[0] == 0 and (np.diff(times_s) > 0).all()
    shown = [number_of(frame.picture) for frame in frames]
    again = next(place for place in range(1, 60) if shown[place] < shown[place - 1])
    np.testing.assert_allclose(np.diff(times_s[:again]), 0.04, atol=1e-3)
    assert times_s[again] - times_s[again - 1] > 0.1
    assert "broke off after frame" in caplog.text and "back after" in caplog.text


def test_pictures_after_pictures_are_timed_by_the_clock():
    with HttpServer() as server:
        source = open_source(f"http://127.0.0.1:{server.port}/live.mjpg")
        frames = list(islice(source.read(), 20))
        source.stop()
    assert source.is_live
    shown = [number_of(frame.picture) for frame in frames]
    assert shown == list(range(shown[0], shown[0] + 20))
    assert 1.5 < frames[-1].time_s - frames[0].time_s < 6


def test_a_server_that_was_killed_and_started_again(caplog):
    with HttpServer() as server:
        source = open_source(f"http://user:secret@127.0.0.1:{server.port}/live.ts", reconnect_s=30)
        frames = source.read()
        first = list(islice(frames, 20))
    time.sleep(0.5)
    with HttpServer(port=server.port):
        second = list(islice(frames, 60))
        source.stop()
    numbers = [frame.number for frame in first + second]
    assert numbers == list(range(1, 81))
    assert "back after" in caplog.text and "secret" not in caplog.text


def test_silence_is_a_broken_connection_and_ends_after_a_while(caplog):
    with HttpServer(silent_after=40) as server:
        source = open_source(f"http://127.0.0.1:{server.port}/live.ts", reconnect_s=2)
        frames = source.read()
        assert len(list(islice(frames, 30))) == 30
    began_at_s = time.monotonic()
    rest = list(frames)
    assert len(rest) < 15
    assert time.monotonic() - began_at_s < 10
    assert "not back after 2 s" in caplog.text


def test_rtsp_with_a_password_that_nobody_is_shown(caplog):
    with RtspServer("hid/den@1", frames=30) as server:
        address = f"rtsp://admin:hid%2Fden%401@127.0.0.1:{server.port}/live/main?channel=1&pwd=hidden"
        source = open_source(address)
        assert source.is_live and source.size_hw == (96, 160)
        assert source.name == f"127.0.0.1_{server.port}_live_main"
        frames = list(islice(source.read(), 45))
        source.stop()
    assert [frame.number for frame in frames] == list(range(1, 46))
    assert "back after" in caplog.text and "hid" not in caplog.text


def test_a_wrong_password_is_not_shown_either():
    with RtspServer("right") as server, pytest.raises(DataError, match="no picture comes from there") as refused:
        open_source(f"rtsp://admin:wr0ng@127.0.0.1:{server.port}/live")
    assert "wr0ng" not in str(refused.value) and "admin" not in str(refused.value)
    assert refused.value.__cause__ is None and refused.value.__suppress_context__
    assert server.refused > 0


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_nobody_there(scheme):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match=rf"source={scheme}://\*\*\*@127.0.0.1:{port}/a.mp4: no picture.*refused"):
        open_source(f"{scheme}://me:secret@127.0.0.1:{port}/a.mp4")


def test_somebody_there_who_says_nothing(monkeypatch):
    monkeypatch.setattr(live, "OPEN_TIMEOUT_S", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began_at_s = time.monotonic()
        with pytest.raises(DataError, match="no picture comes from there"):
            open_source(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/a")
        assert time.monotonic() - began_at_s < 5


def test_a_page_that_is_not_there(content):
    with HttpServer(content) as server, pytest.raises(DataError, match="404"):
        open_source(f"http://127.0.0.1:{server.port}/other.mp4")
