"""Stored detections: one .safetensors file a sequence, read strictly and within limits; it runs no code.

    frames      int64 [F]       every frame that was looked at, rising, from 1
    counts      int64 [F]       detections in each
    times_s     float64 [F]     since the first frame, seconds; only where the source has times
    boxes_xyxy  float64 [N, 4]  pixels of the picture
    scores      float32 [N]     0 to 1
    classes     int64 [N]       from 0
    embeddings  float32 [N, D]  D is 0 where there are none

The header says under "fairmot_detections" what `_Header` holds.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fairmot.detections.sequence import SequenceDetections
from fairmot.errors import LONGEST_REASON, DataError, excerpt
from fairmot.files import open_bounded, write_atomic
from fairmot.json_files import parse_json
from fairmot.mot.rows import LARGEST_FRAME
from fairmot.structures import Detections

ENDING = "_detections.safetensors"
"""Behind the sequence's name."""

FORMAT_VERSION = 1
_HEADER_KEY = "fairmot_detections"
_MOST_BYTES = 16 << 30
_MOST_HEADER_BYTES = 1 << 16
_MOST_CLASSES, _LONGEST_SIDE_PX, _LONGEST_EMBEDDING = 10_000, 1 << 20, 1 << 16
_COLUMNS = {
    "frames": (np.int64, 1),
    "counts": (np.int64, 1),
    "times_s": (np.float64, 1),
    "boxes_xyxy": (np.float64, 2),
    "scores": (np.float32, 1),
    "classes": (np.int64, 1),
    "embeddings": (np.float32, 2),
}
_NAMES_OF_TYPES = {np.int64: "I64", np.float64: "F64", np.float32: "F32"}


@dataclass
class _Header:
    """What a file says of itself besides its arrays.

    Attributes:
        format_version: of this layout.
        origin: digest of what detected, so that the same need not detect twice; empty where nobody asks.
        size_hw: height and width of the pictures, pixels.
        frame_rate: frames a second; None where the source does not know.
        num_classes: how many classes were told apart.
        least_score: what scores less was left out.
    """

    format_version: int
    origin: str
    size_hw: tuple[int, int]
    frame_rate: float | None
    num_classes: int
    least_score: float


def write_detections(path: Path, found: SequenceDetections, origin: str = "") -> None:
    """Write a file whole or not at all.

    Args:
        path: the file.
        found: all frames of a sequence, with their pictures' size.
        origin: see `_Header`.

    Raises:
        OSError: the folder or the disk refuses.
    """
    assert found.size_hw is not None and found.every_frame
    header = _Header(
        FORMAT_VERSION, origin, found.size_hw, found.frame_rate, found.num_classes, float(found.least_score)
    )
    arrays = {"frames": found.frames, "counts": found.counts, **vars(found.rows)}
    if found.times_s is not None:
        arrays["times_s"] = found.times_s
    arrays = {name: np.ascontiguousarray(arrays[name], kind) for name, (kind, _) in _COLUMNS.items() if name in arrays}
    write_atomic(path, save(arrays, {_HEADER_KEY: json.dumps(asdict(header), sort_keys=True)}))


def read_detections(path: Path) -> SequenceDetections:
    """Read such a file.

    Raises:
        DataError: it cannot be read, or is not as it must be; the message names the file and what is wrong.
    """
    return _read(path)[0]


def origin_of(path: Path) -> str | None:
    """What made the detections of a file: its `origin`; None where there is no file.

    Raises:
        DataError: see `read_detections`.
    """
    return _read(path)[1].origin if path.exists() else None


def _read(path: Path) -> tuple[SequenceDetections, _Header]:
    try:
        with open_bounded(path, _MOST_BYTES) as stream:
            if (said := int.from_bytes(stream.read(8), "little")) > _MOST_HEADER_BYTES:
                raise ValueError(f"a header of {said} bytes, and the limit is {_MOST_HEADER_BYTES}")
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(_HEADER_KEY)
            if text is None:
                raise ValueError("its header does not say that it holds detections")
            header = parse_json(text, _Header, lambda why: ValueError(f"its header: {why}"))
            _check_header(header)
            arrays = {name: file.get_tensor(name) for name in _checked_names(file)}
            found = _assembled(path, header, arrays)
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        reason = excerpt(getattr(error, "strerror", None) or str(error), LONGEST_REASON)
        raise DataError(
            f"{path}: cannot be used as stored detections: {reason}; store them again: python -m fairmot.track ... "
            "store_detections=true"
        ) from error
    return found, header


def _check_header(header: _Header) -> None:
    """Refuse what no sequence has (ValueError)."""
    if header.format_version != FORMAT_VERSION:
        raise ValueError(f"format version {header.format_version}, this program reads version {FORMAT_VERSION}")
    checks = (
        ("size_hw", all(1 <= side <= _LONGEST_SIDE_PX for side in header.size_hw)),
        ("frame_rate", header.frame_rate is None or 0 < header.frame_rate < float("inf")),
        ("num_classes", 1 <= header.num_classes <= _MOST_CLASSES),
        ("least_score", 0 <= header.least_score <= 1),
    )
    for name, is_good in checks:
        if not is_good:
            raise ValueError(f"its header: {name} is {getattr(header, name)}")


def _checked_names(file: safe_open) -> list[str]:
    """The arrays that are there, once types and numbers of dimensions are known to be right, before any is read."""
    names = set(file.keys())
    if missing := set(_COLUMNS) - {"times_s"} - names:
        raise ValueError(f"no array {', '.join(sorted(missing))}")
    if unknown := names - set(_COLUMNS):
        raise ValueError(f"array {excerpt(', '.join(sorted(unknown)))} is not known here")
    for name in names:
        part, (kind, dimensions) = file.get_slice(name), _COLUMNS[name]
        if part.get_dtype() != _NAMES_OF_TYPES[kind] or len(part.get_shape()) != dimensions:
            raise ValueError(f"{name}: {part.get_dtype()} of shape {part.get_shape()}")
    return sorted(names)


def _assembled(path: Path, header: _Header, arrays: dict[str, np.ndarray]) -> SequenceDetections:
    """Refuse arrays that do not fit each other (ValueError)."""
    frames, counts, scores, times_s = (arrays.get(name) for name in ("frames", "counts", "scores", "times_s"))
    assert frames is not None and counts is not None and scores is not None
    rows = Detections(arrays["boxes_xyxy"], scores, arrays["embeddings"], arrays["classes"])
    checks = (
        (len(counts) != len(frames), "frames and counts differ in length"),
        (times_s is not None and len(times_s) != len(frames), "frames and times_s differ in length"),
        ((np.diff(frames) <= 0).any() or (frames < 1).any(), "frames do not rise from 1 on"),
        ((frames > LARGEST_FRAME).any(), f"frames reach beyond {LARGEST_FRAME}"),
        (
            (counts < 0).any() or (counts > len(rows)).any() or counts.sum() != len(rows),
            "counts are not those of the rows",
        ),
        (times_s is not None and not np.isfinite(times_s).all(), "times_s must be finite"),
        (times_s is not None and (np.diff(times_s) < 0).any(), "times_s must not fall"),
        ((scores < 0).any() or (scores > 1).any(), "scores must be from 0 to 1"),
        ((rows.classes < 0).any() or (rows.classes >= header.num_classes).any(), "classes are not those of the header"),
        (rows.embeddings.shape[1] > _LONGEST_EMBEDDING, f"embeddings are longer than {_LONGEST_EMBEDDING}"),
    )
    for is_wrong, why in checks:
        if is_wrong:
            raise ValueError(why)
    return SequenceDetections(
        str(path), frames, counts, rows, True, times_s, header.size_hw, header.frame_rate, header.num_classes,
        header.least_score,
    )  # fmt: skip
