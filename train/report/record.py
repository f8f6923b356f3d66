"""The local record of a run: `<run_dir>/mlflow_spool.jsonl`, one JSON object a line.

It is written first and alone by training; `train.report.mlflow_delivery` carries it to MLflow afterwards. Lines:

    {"kind": "record", "time_ms": ..., "id": "..."}                            the first line: tells runs apart
    {"kind": "start", "time_ms": ..., "resumed_at_step": null}                 once a process
    {"kind": "params" | "tags", "time_ms": ..., "values": {"optim.lr": "0.0001"}}
    {"kind": "metrics", "time_ms": ..., "step": 12, "values": {"loss": 3.1}}     NaN and Infinity as Python writes them
    {"kind": "artifact", "time_ms": ..., "path": "/absolute/path", "folder": "pictures"}      where it goes in MLflow
    {"kind": "model", "time_ms": ..., "name": "fairmot-mine", "path": "/absolute/checkpoint", "sha256": "..."}
    {"kind": "end", "time_ms": ..., "status": "FINISHED"}
"""

import contextlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairmot.errors import DataError, FairMOTError
from fairmot.locks import lock

SPOOL_NAME = "mlflow_spool.jsonl"

_log = logging.getLogger(__name__)


class RunRecord:
    """Appends lines to a run's record. Only whole lines: what a kill cut short is removed at the next opening.

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
        self._refused = False
        whole = self.path.read_bytes().rfind(b"\n") + 1
        self._stream.truncate(whole)
        if not whole:
            self.append("record", id=uuid.uuid4().hex)

    def append(self, kind: str, **fields: Any) -> None:
        """Add one line. A full disk loses the line and warns once: it must not end a training run."""
        line = json.dumps({"kind": kind, "time_ms": time.time_ns() // 1_000_000, **fields}).encode() + b"\n"
        size = os.fstat(self._stream.fileno()).st_size
        try:
            if self._stream.write(line) == len(line):
                return
            reason = "the disk took only half a line"
        except OSError as error:
            reason = str(error)
        self._stream.truncate(size)
        if not self._refused:
            self._refused = True
            _log.warning("%s cannot be written (%s): these values are lost, training goes on", self.path, reason)

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()


def read_records(run_dir: Path, offset_bytes: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """The whole lines of the record, oldest first; a half last line is left out. No record: nothing.

    Args:
        run_dir: the run's folder.
        offset_bytes: where to begin: 0 or an offset that came with a line.

    Yields:
        A line and the offset just after it, in bytes.

    Raises:
        DataError: a line is not JSON.
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
            try:
                record = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}: the line that ends at byte {offset_bytes} is not JSON: delete it") from error
            yield record, offset_bytes


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
