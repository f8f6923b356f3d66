"""Reading a video at 1080p: this project's reader beside OpenCV's, in one run, taking turns.

    python benchmarks/studies/video_reading.py

Both give every frame as uint8 [1080, 1920, 3] BGR. A ratio is ours / OpenCV's frames per second, the median of rounds
in which both read the same file one behind the other, so that what else the machine does meets both. "Of wall time" is
what a caller waits; "of processor time" counts all threads and what the system does for them: load hardly moves it.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from fairmot.media.video import open_source

FRAMES = 120
ROUNDS = 9
KINDS = {
    "h264.mp4": ("libx264", "yuv420p", {"preset": "veryfast"}),
    "hevc.mp4": ("libx265", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
}


def write(path: Path) -> None:
    """A textured street that moves, with a walker."""
    encoder, pixels, options = KINDS[path.name]
    noise = np.random.default_rng(0).integers(0, 256, (1080 + 64, 1920 + 64, 3), np.uint8)
    ground = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, pixels
        for number in range(FRAMES):
            y, x = number % 64, 2 * number % 64
            picture = np.ascontiguousarray(ground[y : y + 1080, x : x + 1920])
            picture[300:600, 10 * number : 10 * number + 80] = (0, 0, 255)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format=pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_ours(path: Path) -> int:
    return sum(1 for _ in open_source(str(path)))


def read_opencv(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def costs_s(read: Callable[[Path], int], path: Path) -> tuple[float, float]:
    """Seconds of wall time and of processor time."""
    began_at_s, began_cpu_s = time.perf_counter(), time.process_time()
    assert read(path) == FRAMES
    return time.perf_counter() - began_at_s, time.process_time() - began_cpu_s


def compare(path: Path) -> str:
    """A row of the table: who reads first changes from round to round."""
    rounds = np.zeros((ROUNDS, 2, 2))
    for number in range(-1, ROUNDS):  # the first round warms up, and the next one takes its place
        order = [(0, read_ours), (1, read_opencv)]
        for which, read in reversed(order) if number % 2 else order:
            rounds[max(number, 0), which] = costs_s(read, path)
    wall, processor = np.median(rounds[:, 1] / rounds[:, 0], axis=0)
    ours, opencv = FRAMES / np.median(rounds[:, :, 0], axis=0)
    return f"{path.name:<12}{ours:>8.1f}{opencv:>8.1f}{wall:>16.2f}{processor:>20.2f}"


def main() -> None:
    print(f"Frames/s, medians of {ROUNDS}, and ratios of frames/s")
    print(f"{'kind':<12}{'ours':>8}{'OpenCV':>8}{'of wall time':>16}{'of processor time':>20}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = Path(folder) / kind
            write(path)
            print(compare(path), flush=True)


if __name__ == "__main__":
    main()
