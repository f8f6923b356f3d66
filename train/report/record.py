"""The local record of a run: `<run_dir>/mlflow_spool.jsonl`, one JSON object a line.

It is written first and alone by training; `train.report.mlflow_delivery` carries it to MLflow afterwards. Lines:

    {"kind": "record", "time_ms": ..., "id": "..."}                            the first line: tells runs apart
    {"kind": "start", "time_ms": ..., "resumed_at_step": null}                 once a process
    {"kind": "params" | "tags", "time_ms": ..., "values": {"optim.lr": "0.0001"}}
    {"kind": "metrics", "time_ms": ..., "step": 12, "values": {"loss": 3.1}}     NaN and Infinity as Python writes them
    {"kind": "artifact", "time_ms": ..., "path": "/absolute/path", "folder": "pictures"}      where it goes in MLflow
    {"kind": "image", "time_ms": ..., "path": "/absolute/path", "name": "network view", "step": 3}   of an epoch's end
    {"kind": "table", "time_ms": ..., "path": "/absolute/path"}                      JSON that MLflow shows as a table
    {"kind": "input", "time_ms": ..., "name": "mot17", "values": {"context": "training", "digest": "...", ...}}
    {"kind": "checkpoint", "time_ms": ..., "step": 120, "path": "/absolute/checkpoint", "sha256": "...",
     "values": {"MOTA": 45.1}, "data": "mot17/images/train/*", "digest": "..."}      without validation: no scores, data
    {"kind": "kept", "time_ms": ..., "values": {"120": "/absolute/checkpoint"}}          the checkpoints that are there
    {"kind": "model", "time_ms": ..., "name": "fairmot-mine", "path": "/absolute/checkpoint", "sha256": "...",
     "values": {"best_metric": "MOTA", "best_value": "45.1", "validation": "..."}}    registered; older lines: no values
    {"kind": "end", "time_ms": ..., "status": "FINISHED"}
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairmot.errors import DataError, FairMOTError, excerpt
from fairmot.json_files import parse_json
from fairmot.locks import lock

SPOOL_NAME = "mlflow_spool.jsonl"

_NEEDED: dict[str, tuple[str, ...]] = {
    "record": ("id",),
    "start": (),
    **dict.fromkeys(("params", "tags"), ("values",)),
    "metrics": ("step", "values"),
    **dict.fromkeys(("artifact", "table"), ("path",)),
    "image": ("path", "name", "step"),
    "input": ("name", "values"),
    "checkpoint": ("step", "path", "sha256", "values"),
    "kept": ("values",),
    "model": ("name", "path", "sha256"),
    "end": ("status",),
}
_WITH_NUMBERS = ("metrics", "checkpoint")
_MOST = 2**53
_MOST_WAITING = 100_000  # lines, some tens of megabytes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Line:
    """A line; which keys it has besides kind and time is said by its kind."""

    kind: str
    time_ms: int
    id: str | None = None
    resumed_at_step: int | None = None
    step: int | None = None
    values: dict[str, str | float] | None = None
    path: str | None = None
    folder: str | None = None
    name: str | None = None
    sha256: str | None = None
    data: str | None = None
    digest: str | None = None
    status: str | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown kind, missing keys, texts for numbers and numbers that MLflow cannot hold (ValueError)."""
        if self.kind not in _NEEDED:
            raise ValueError(f"kind {excerpt(self.kind)!r}")
        if missing := [key for key in _NEEDED[self.kind] if getattr(self, key) is None]:
            raise ValueError(f"{', '.join(missing)}: missing")
        wanted = float if self.kind in _WITH_NUMBERS else str
        if not all(isinstance(value, wanted) for value in (self.values or {}).values()):
            raise ValueError("values: of the wrong type")
        if not (0 <= self.time_ms < _MOST and 0 <= (self.step or 0) < _MOST):
            raise ValueError("time_ms, step: out of range")


class RunRecord:
    """Appends lines to a run's record. Only whole lines: what a kill cut short is removed at the next opening.

    Lines that a full disk refuses wait in memory, and are written in their order as soon as it takes them.

    Args:
        run_dir: the run's folder; made if absent.

    Raises:
        OSError: the folder or the file cannot be written at all.
    """

    def __init__(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self.path = run_dir / SPOOL_NAME
        # Unbuffered: a line is with the operating system when append() returns, so a kill loses none.
        self._stream = self.path.open("ab", buffering=0)
        self._waiting: deque[bytes] = deque()
        self._refused = False
        self._whole_bytes = self.path.read_bytes().rfind(b"\n") + 1
        self._stream.truncate(self._whole_bytes)
        if not self._whole_bytes:
            self.append("record", id=uuid.uuid4().hex)

    def append(self, kind: str, **fields: Any) -> None:
        """Add one line. A full disk warns once: it must not end a training run, which has a checkpoint to lose.

        Raises:
            FairMOTError: the run's folder is gone.
        """
        self._check_folder()
        line = json.dumps({"kind": kind, "time_ms": time.time_ns() // 1_000_000, **fields}).encode() + b"\n"
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(line)
        refusal = ""
        while self._waiting and not refusal:
            refusal = self._refusal(self._waiting[0])
            if not refusal:
                self._waiting.popleft()
        if refusal and not self._refused:
            _log.warning(
                "%s cannot be written (%s): its lines are kept until it can, training goes on", self.path, refusal
            )
        self._refused = bool(refusal)

    def close(self) -> None:
        """Let go of the file."""
        if self._waiting:
            _log.warning("%s could not be written: its last %d lines are lost", self.path, len(self._waiting))
        self._stream.close()

    def _refusal(self, line: bytes) -> str:
        """Write a line whole or not at all; returns why not."""
        try:
            if os.fstat(self._stream.fileno()).st_size > self._whole_bytes:  # half a line that could not be taken back
                self._stream.truncate(self._whole_bytes)
            if self._stream.write(line) == len(line):
                self._whole_bytes += len(line)
                return ""
            self._stream.truncate(self._whole_bytes)
        except OSError as error:
            return error.strerror or str(error)
        return "the disk took only half a line"

    def _check_folder(self) -> None:
        """The open file goes on taking lines when its folder has been removed, and nobody would ever read them."""
        if is_gone(self._stream.fileno()) or is_gone(self.path):
            raise folder_is_gone(self.path.parent)


def is_gone(what: Path | int) -> bool:
    """Whether the file or folder behind a path or descriptor was removed; storage that does not answer proves nothing.

    Of a descriptor the count of names tells, since a later training may have made another file of the same name.
    """
    try:
        return os.stat(what).st_nlink == 0  # noqa: PTH116 (descriptors too)
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ESTALE)


def folder_is_gone(run_dir: Path) -> FairMOTError:
    """What is raised as soon as somebody notices it."""
    return FairMOTError(
        f"{run_dir}: the run's folder, or {SPOOL_NAME} in it, was removed or renamed during training. What was trained "
        "since the last checkpoint is lost; continue with run_dir= where the folder is now, or start again"
    )


def read_records(run_dir: Path, offset_bytes: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """The whole lines of the record, oldest first; a half last line is left out. No record: nothing.

    Args:
        run_dir: the run's folder.
        offset_bytes: where to begin: 0 or an offset that came with a line.

    Yields:
        A line and the offset just after it, in bytes.

    Raises:
        DataError: a line is not as it was written.
    """
    path = run_dir / SPOOL_NAME
    if not path.exists():
        return
    with path.open("rb") as stream:
        stream.seek(offset_bytes)
        for line in stream:
            if not line.endswith(b"\n"):
                return
            offset_bytes += len(line)
            end = offset_bytes  # as it is now, for the message

            def refused(why: str, end: int = end) -> DataError:
                return DataError(f"{path}: the line that ends at byte {end} is no line of a record ({why}): delete it")

            yield vars(parse_json(line, _Line, refused)), offset_bytes


def is_line_end(run_dir: Path, offset_bytes: int) -> bool:
    """Whether a line of the record ends just before this offset, or the record begins there."""
    try:
        with (run_dir / SPOOL_NAME).open("rb") as stream:
            stream.seek(offset_bytes - 1 if offset_bytes else 0)
            return offset_bytes == 0 or stream.read(1) == b"\n"
    except (OSError, ValueError, OverflowError):  # negative, or beyond what a file can be
        return False


def identity(first: dict[str, Any]) -> str:
    """What tells a record apart from all others: its first line's id, or a digest where somebody has deleted that."""
    known = first.get("id")
    if isinstance(known, str) and known.isalnum():
        return known
    return hashlib.sha256(json.dumps(first, sort_keys=True).encode()).hexdigest()[:32]


def read_metrics(run_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """The run's curves from its local record.

    Args:
        run_dir: the run's folder.

    Returns:
        For each metric its (step, value) pairs by step; of a step logged again after a resume, the last value.
    """
    curves: dict[str, dict[int, float]] = {}
    for record, _ in read_records(run_dir):
        if record["kind"] == "metrics":
            for name, value in record["values"].items():
                curves.setdefault(name, {})[record["step"]] = value
    return {name: sorted(points.items()) for name, points in curves.items()}


@contextlib.contextmanager
def only_deliverer(run_dir: Path, wait: bool) -> Iterator[None]:
    """Hold the record for delivery; the one before may still be sending the values of a run that was killed.

    Args:
        run_dir: the folder of the record.
        wait: wait for the one before to end, instead of raising.

    Raises:
        FairMOTError: there is no record, or another process is delivering it.
    """
    path = run_dir / SPOOL_NAME
    if not path.exists():
        raise FairMOTError(f"{path} does not exist: run_dir must be the folder of a training run")
    with path.open("rb") as stream:
        try:
            lock(stream, wait=wait)
        except BlockingIOError:
            raise FairMOTError(f"{path} is being delivered by another process; nothing to do until it ends") from None
        except OSError:
            pass  # a file system without locks: what is sent twice is recorded once
        yield
