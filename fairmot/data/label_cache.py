"""Parsed label files kept on disk, so that a start need not open every one of them again."""

import contextlib
import hashlib
import io
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from fairmot.data.array_file import map_arrays
from fairmot.data.folders import Stamp
from fairmot.data.labels import COLUMNS
from fairmot.errors import DataError
from fairmot.files import open_bounded, write_atomic
from fairmot.locks import lock_within

_FORMAT = 2
_MOST_BYTES = 4 << 30  # a hundred million boxes
_logger = logging.getLogger(__name__)


class CachedLabels(NamedTuple):
    """The content of many label files.

    Attributes:
        paths: label files, relative to the data's root.
        stamps: int64 [n, 3], a `Stamp` each, ABSENT for a file that is not there.
        rows: float32 [R, 6], all their rows, one file after the other.
        row_offsets: int64 [n + 1], where each file's rows begin.
    """

    paths: list[str]
    stamps: np.ndarray
    rows: np.ndarray
    row_offsets: np.ndarray


def no_labels() -> CachedLabels:
    """A cache that knows nothing."""
    stamps = np.zeros((0, len(Stamp._fields)), np.int64)
    return CachedLabels([], stamps, np.zeros((0, COLUMNS), np.float32), np.zeros(1, np.int64))


def cache_files(root: str, lists: Mapping[str, str], cache_dir: str | None) -> list[Path]:
    """Where the cache of these lists may lie, the preferred place first.

    Raises:
        DataError: `cache_dir` is given but cannot be written.
    """
    key = json.dumps([os.path.abspath(root), sorted(lists.items())])  # noqa: PTH100  (links must stay as they are)
    name = f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if cache_dir is None:
        user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return [Path(root) / ".fairmot_index" / name, Path(user_cache) / "fairmot" / name]
    try:
        Path(cache_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(cache_dir, error) from error
    return [Path(cache_dir) / name]


@contextlib.contextmanager
def only_builder(files: list[Path], patience_s: float) -> Iterator[None]:
    """While the body runs, other processes that want to build this cache wait; they find it built then.

    Waiting spares work and is not needed for a right result, so it ends after `patience_s` seconds with a warning, and
    where no lock can be had (no place to write, a file system without locks) nobody waits. The lock goes with the
    process that holds it.
    """
    with contextlib.ExitStack() as stack:
        for file in files:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                stream = stack.enter_context(file.with_suffix(".lock").open("a"))
            except OSError:
                continue
            _wait_for_lock(stream, patience_s)
            break
        yield


def _wait_for_lock(stream: TextIO, patience_s: float) -> None:
    def say(waited_s: float) -> None:
        message = "label cache: another process reads the labels, waiting for it (%.0f s so far; %s)"
        _logger.warning(message, waited_s, stream.name)

    try:
        lock_within(stream, patience_s, say)
    except BlockingIOError:
        _logger.warning(
            "label cache: waited %.0f s for the process that holds %s; reading all labels here as well",
            patience_s,
            stream.name,
        )
    except OSError as error:
        _logger.info("label cache: %s cannot be locked (%s)", stream.name, error.strerror)


def load(files: list[Path]) -> CachedLabels:
    """The newest of these caches that is whole; one that knows nothing when there is none."""
    found = []
    for file in files:
        with contextlib.suppress(OSError):  # not there, or replaced by another process just now
            found.append((file.stat().st_mtime_ns, file))
    for _, file in sorted(found, reverse=True):
        try:
            return _read(file)
        except Exception as error:  # whatever is wrong with a cache, the labels themselves are still there
            _logger.info("label cache %s is not usable and will be rebuilt: %s", file, error)
    return no_labels()


def _read(file: Path) -> CachedLabels:
    with open_bounded(file, _MOST_BYTES) as stream:
        mapped = map_arrays(stream, compare_checksums=True)
    # Copied: on a network file system, a mapped file that another host replaces would kill this process.
    arrays = {name: array.copy() for name, array in mapped.items()}
    if int(arrays["format"]) != _FORMAT:
        raise ValueError(f"format {arrays['format']} instead of {_FORMAT}")
    text = arrays["paths"].tobytes().decode()
    cached = CachedLabels(text.split("\n") if text else [], arrays["stamps"], arrays["rows"], arrays["row_offsets"])
    count, offsets = len(cached.paths), cached.row_offsets
    stamped = cached.stamps.shape == (count, len(Stamp._fields))
    whole = stamped and offsets.shape == (count + 1,) and cached.rows.shape[1] == COLUMNS
    if not whole or offsets[0] != 0 or offsets[-1] != len(cached.rows) or (np.diff(offsets) < 0).any():
        raise ValueError("its parts do not fit together")
    return cached


def save(files: list[Path], cached: CachedLabels, must_succeed: bool) -> None:
    """Write the cache to the first of `files` that can be written.

    Raises:
        DataError: none can be written, and `must_succeed`.
    """
    buffer = io.BytesIO()
    paths = np.frombuffer("\n".join(cached.paths).encode(), np.uint8)
    np.savez(
        buffer, format=_FORMAT, paths=paths, stamps=cached.stamps, rows=cached.rows, row_offsets=cached.row_offsets
    )
    for file in files:
        try:
            write_atomic(file, buffer.getvalue(), sync=False)
            return
        except OSError as error:
            if must_succeed:
                raise _unwritable(str(file.parent), error) from error
            _logger.info("label cache %s cannot be written: %s", file, error)
    _logger.info("no label cache was written: every start reads all label files")


def _unwritable(folder: str, error: OSError) -> DataError:
    return DataError(f"data.cache_dir={folder} cannot be written ({error}); choose another folder or leave it empty")
