"""Videos whose pictures tell their number whatever the codec does to them, and damage to such files."""

import os
import random
import struct
from fractions import Fraction

import av
import numpy as np

SIZE_HW = (96, 160)
CELL_PX = 24
N_BITS = 6
CODECS = {
    "h264.mp4": ("libx264", "yuv420p", {"g": "12"}),
    "h264.mkv": ("libx264", "yuv420p", {"g": "12"}),
    "h264.ts": ("libx264", "yuv420p", {"g": "12"}),
    "hevc10.mp4": ("libx265", "yuv420p10le", {"x265-params": "log-level=none:keyint=12"}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {"g": "12"}),
    "av1.mp4": ("libsvtav1", "yuv420p", {"g": "12"}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "prores.mov": ("prores_ks", "yuv422p10le", {}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {"g": "12"}),
}
"""Ending of a file's name -> encoder, pixel format, options."""


def numbered(number, size_hw=SIZE_HW):
    """A picture with its number's bits as light and dark cells, upper left, over something that moves."""
    picture = np.full((*size_hw, 3), 90, np.uint8)
    picture[50:80, 2 * number : 2 * number + 20] = (40, 160, 220)
    for bit in range(N_BITS):
        picture[:CELL_PX, bit * CELL_PX : (bit + 1) * CELL_PX] = 220 if number >> bit & 1 else 20
    return picture


def number_of(picture):
    """Of a picture of `numbered`."""
    middle = CELL_PX // 2
    return sum(int(picture[middle, middle + bit * CELL_PX, 1] > 120) << bit for bit in range(N_BITS))


def write_video(path, count=48, frame_rate=25, ticks=None, size_hw=SIZE_HW):
    """A video of `numbered` pictures from 1, of the codec that the path's ending says.

    Args:
        ticks: times of the pictures in 1/1000 s; None: by the rate.
    """
    encoder, pixels, options = CODECS[path.name.partition("_")[2] or path.name]
    scheduling = os.sched_getscheduler(0), os.sched_getparam(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=frame_rate, options=options)
        stream.height, stream.width, stream.pix_fmt = *size_hw, pixels
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(1, count + 1):
            frame = av.VideoFrame.from_ndarray(numbered(number, size_hw), format="bgr24").reformat(format=pixels)
            if ticks is not None:
                frame.pts, frame.time_base = ticks[number - 1], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    # SVT-AV1, run by root, makes its caller a real-time thread: all later tests would keep other processes waiting.
    os.sched_setscheduler(0, *scheduling)
    return path


def turn(path, matrix):
    """Write a display matrix [a, b, c, d] into an MP4 file, as phones do: (x, y) is shown at (ax + cy, bx + dy)."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    a, b, c, d = (round(65536 * value) for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def damage(path, first, last, spare_bytes=0):
    """Noise over the packets of frames `first` to `last`, counted from 1 in the order of decoding."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for at, size in places[first - 1 : last]:
        content[at + spare_bytes : at + size] = random.Random(at).randbytes(max(0, size - spare_bytes))
    path.write_bytes(content)
