"""Reading a video at 1080p: this project's reader beside OpenCV's, in one run, taking turns.

    python benchmarks/studies/video_reading.py

Both give every frame as uint8 [1080, 1920, 3] BGR. The ratio is ours / OpenCV's frames per second: more is faster.
"""

import tempfile
import time
from pathlib import Path

import av
import cv2
import numpy as np

from fairmot.media.video import open_source

FRAMES = 120
ROUNDS = 5
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


def frames_per_s(read, path: Path) -> float:
    began_at_s = time.perf_counter()
    assert read(path) == FRAMES
    return FRAMES / (time.perf_counter() - began_at_s)


def main() -> None:
    print(f"{'kind':<12}{'ours':>8}{'OpenCV':>8}  frames/s, medians of {ROUNDS}   ratio")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = Path(folder) / kind
            write(path)
            rounds = [(frames_per_s(read_ours, path), frames_per_s(read_opencv, path)) for _ in range(ROUNDS)]
            ours, opencv = np.median(rounds, axis=0)
            print(f"{kind:<12}{ours:>8.1f}{opencv:>8.1f}{ours / opencv:>36.2f}")


if __name__ == "__main__":
    main()
