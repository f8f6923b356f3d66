"""Parsed label files kept on disk, so that a start need not open every one of them again."""

import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmot.data.labels import COLUMNS
from fairmot.errors import DataError
from fairmot.files import write_atomic

_FORMAT = 1
_logger = logging.getLogger(__name__)


class CachedLabels(NamedTuple):
    """The content of many label files.

    Attributes:
        paths: label files, relative to the data's root.
        stamps: int64 [n, 2], modification time in ns and size in bytes; -1, -1 for a file that is not there.
        rows: float32 [R, 6], all their rows, one file after the other.
        row_offsets: int64 [n + 1], where each file's rows begin.
    """

    paths: list[str]
    stamps: np.ndarray
    rows: np.ndarray
    row_offsets: np.ndarray


def no_labels() -> CachedLabels:
    """A cache that knows nothing."""
    return CachedLabels([], np.zeros((0, 2), np.int64), np.zeros((0, COLUMNS), np.float32), np.zeros(1, np.int64))


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


def load(files: list[Path]) -> CachedLabels:
    """The newest of these caches that is whole; one that knows nothing when there is none."""
    found = [file for file in files if file.is_file()]
    for file in sorted(found, key=lambda file: file.stat().st_mtime_ns, reverse=True):
        try:
            return _read(file)
        except Exception as error:  # whatever is wrong with a cache, the labels themselves are still there
            _logger.info("label cache %s is not usable and will be rebuilt: %s", file, error)
    return no_labels()


def _read(file: Path) -> CachedLabels:
    with np.load(file, allow_pickle=False) as arrays:
        if int(arrays["format"]) != _FORMAT:
            raise ValueError(f"format {arrays['format']} instead of {_FORMAT}")
        text = arrays["paths"].tobytes().decode()
        cached = CachedLabels(text.split("\n") if text else [], arrays["stamps"], arrays["rows"], arrays["row_offsets"])
    count, offsets = len(cached.paths), cached.row_offsets
    whole = cached.stamps.shape == (count, 2) and offsets.shape == (count + 1,) and cached.rows.shape[1] == COLUMNS
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
