"""Labels of loose files, looked at once on a host and in its memory once, whatever the number of ranks there."""

import contextlib
import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairmot.data.array_file import map_arrays
from fairmot.data.identities import IdentityTable
from fairmot.data.index import LabelIndex
from fairmot.data.path_table import PathTable
from fairmot.data.watch import DataWatch
from fairmot.locks import lock_within

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True)
class SharedIndex(LabelIndex):
    """Labels that one of a host's processes has read, mapped by all of them.

    Attributes:
        said_digest: the `digest`, computed by that process.
    """

    said_digest: str

    @property
    def digest(self) -> str:
        """See `LabelIndex`; not computed again."""
        return self.said_digest


def share_index(folder: Path, root: str, lists: Mapping[str, str], build: Callable[[], LabelIndex]) -> LabelIndex:
    """The labels that `build` reads: read by the first process that asks, the others wait and map what it has written.

    Where there is no room to write, each process reads for itself, and says so.

    Args:
        folder: this host's own, of one start of a training, which is removed with its files when that ends: it must not
            be on network storage, where a mapped file that goes away kills those who read it.
        root: see `build_index`.
        lists: see `build_index`.
        build: reads the labels; its errors are raised here.
    """
    key = hashlib.sha256(json.dumps([os.path.abspath(root), list(lists.items())]).encode())  # noqa: PTH100
    path = folder / f"labels-{key.hexdigest()[:16]}.npz"
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(path.with_suffix(".lock").open("a"))
            lock_within(stream, math.inf, _say_wait)
        except OSError as error:  # no room for another name, or a file system without locks
            _say_not_shared(path, error)
            return build()
        if not path.exists():
            index = build()
            try:
                _write(index, path)
            except OSError as error:
                _say_not_shared(path, error)
                return index
    return _read(path, root)


def _say_not_shared(path: Path, error: OSError) -> None:
    _logger.warning(
        "label index: %s cannot be shared (%s), so each rank of this host reads all labels for itself; TMPDIR= names "
        "another folder",
        path,
        error.strerror,
    )


def _say_wait(waited_s: float) -> None:
    _logger.info("label index: another rank of this host looks at the labels (%.0f s so far)", waited_s)


def _write(index: LabelIndex, path: Path) -> None:
    said = {
        "names": index.names,
        "counts": index.identities.counts,
        "digest": index.digest,
        "watch": index.watch.seen if index.watch else {},
    }
    arrays = {
        "said": np.frombuffer(json.dumps(said).encode(), np.uint8),
        "paths": PathTable.of(index.image_paths).text,
        "image_starts": index.image_starts,
        "rows": index.rows,
        "row_offsets": index.row_offsets,
    }
    unfinished = path.with_suffix(".part")
    try:
        with unfinished.open("wb") as stream:
            np.savez(stream, **arrays)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _read(path: Path, root: str) -> SharedIndex:
    with path.open("rb") as stream:
        arrays = map_arrays(stream, compare_checksums=False)  # written on this host, in this start
    said = json.loads(arrays["said"].tobytes())
    return SharedIndex(
        root=root,
        image_paths=PathTable(arrays["paths"]),
        image_starts=arrays["image_starts"].copy(),  # aligned: it is searched for every sample
        rows=arrays["rows"],
        row_offsets=arrays["row_offsets"],
        identities=IdentityTable(said["names"], said["counts"]),
        watch=DataWatch({name: (digest, time_ns) for name, (digest, time_ns) in said["watch"].items()}),
        said_digest=said["digest"],
    )
