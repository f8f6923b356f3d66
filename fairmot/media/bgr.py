"""From a decoder's frames to BGR pictures, in memory that is used again."""

from typing import NamedTuple

import av
import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext


class _Kind(NamedTuple):
    """What a graph is built for; a stream may change any of it."""

    width: int
    height: int
    pixels: str
    matrix: int
    value_range: int


class BgrConverter:
    """Converts frames one after the other.

    FFmpeg's filters take a picture's memory from a pool of their own, and it goes back there when nobody holds the
    picture any more. `VideoReformatter` would ask the system for each anew: a thousand page faults for one of 1080p.
    """

    def __init__(self) -> None:
        self._kind: _Kind | None = None
        self._graph: Graph | None = None  # its filters do not keep it alive
        self._ends: tuple[FilterContext, FilterContext]

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """The frame's picture, by the frame's own matrix (BT.601, BT.709, ...) and range of values.

        Returns:
            uint8 [H, W, 3], BGR; its rows may lie further apart than they are long. The caller may keep it.

        Raises:
            av.FFmpegError: there is no way from the frame's kind of colours to BGR.
        """
        kind = _Kind(frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range))
        if kind != self._kind:
            self._kind, self._graph = None, Graph()
            self._ends = _link(self._graph, kind)
            self._kind = kind
        source, sink = self._ends
        source.push(frame)
        return sink.pull().to_ndarray()  # type: ignore[attr-defined]


def _link(graph: Graph, kind: _Kind) -> tuple[FilterContext, FilterContext]:
    source = graph.add(
        "buffer",
        video_size=f"{kind.width}x{kind.height}",
        pix_fmt=kind.pixels,
        colorspace=str(kind.matrix),
        range=str(kind.value_range),
        time_base="1/1",  # needed, and without influence on colours
    )
    # -1: fields of interlaced pictures are converted each for itself, if the frame says that it has fields.
    scale = graph.add("scale", flags="bilinear", interl="-1")
    sink = graph.add("buffersink")
    graph.link_nodes(source, scale, graph.add("format", pix_fmts="bgr24"), sink).configure()
    return source, sink
