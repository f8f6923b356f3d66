"""What lies in folders of many files, asked folder by folder.

On shared storage a listing brings the names, and mostly the attributes too, of thousands of files at once, where
asking for each file costs a round trip; and it is fresher than a client's memory of a file that was not there.
"""

# Paths are strings here: 60,000 Path objects cost seconds at every start.
# ruff: noqa: PTH118, PTH208

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import NamedTuple, TypeVar

from fairmot.errors import DataError

_FILES_A_TASK = 128
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
Item = TypeVar("Item")
Result = TypeVar("Result")


class Stamp(NamedTuple):
    """What tells an edited file from the same file: times of content and of attributes in ns, size in bytes.

    The second one cannot be set back, as copying tools do with the first.
    """

    modified_ns: int
    changed_ns: int
    size_bytes: int


ABSENT = Stamp(-1, -1, -1)
"""The stamp of a file that is not there."""


def in_parallel(pool: Executor, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[list[Result]]:
    """`function` of every item, in order, a chunk at a time: one task a file would cost more than the file."""
    chunks = [items[start : start + _FILES_A_TASK] for start in range(0, len(items), _FILES_A_TASK)]
    return pool.map(lambda chunk: [function(item) for item in chunk], chunks)


def list_folders(root: str, folders: Iterable[str], pool: Executor) -> dict[str, frozenset[str]]:
    """The names in each folder; none in one that is not there.

    Args:
        root: the folders are relative to it.
        folders: each once.
        pool: asks for several folders at a time.

    Raises:
        DataError: a folder is there and cannot be listed.
    """
    folders = list(folders)
    return dict(zip(folders, pool.map(lambda folder: _listing(os.path.join(root, folder)), folders), strict=True))


def _listing(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError as error:
        if error.errno in _NOT_THERE:
            return frozenset()
        raise _cannot_list(folder, error) from error


def stamp_files(root: str, paths: Iterable[str], pool: Executor) -> dict[str, Stamp]:
    """The stamp of each of `paths` that is there.

    Args:
        root: the paths are relative to it.
        paths: files; several may be the same.
        pool: asks for several folders at a time.

    Raises:
        DataError: a folder or file is there and cannot be asked; it must not be taken for one that is not there.
    """
    wanted: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        wanted.setdefault(folder, set()).add(name)
    found = pool.map(lambda item: _stamps_in(root, *item), wanted.items())
    return {path: stamp for stamps in found for path, stamp in stamps}


def _stamps_in(root: str, folder: str, wanted: set[str]) -> list[tuple[str, Stamp]]:
    prefix = f"{folder}/" if folder else ""
    try:
        with os.scandir(os.path.join(root, prefix)) as entries:
            stamps = [(prefix + entry.name, _stamp(entry)) for entry in entries if entry.name in wanted]
    except OSError as error:
        if error.errno in _NOT_THERE:
            return []
        raise _cannot_list(os.path.join(root, folder), error) from error
    return [(path, stamp) for path, stamp in stamps if stamp is not ABSENT]


def _stamp(entry: os.DirEntry[str]) -> Stamp:
    try:
        status = entry.stat()
    except OSError as error:
        if error.errno in _NOT_THERE:  # a broken link, or gone since
            return ABSENT
        raise
    return Stamp(status.st_mtime_ns, status.st_ctime_ns, status.st_size)


def _cannot_list(folder: str, error: OSError) -> DataError:
    return DataError(f"{error.filename or folder}: cannot be looked up: {error.strerror}")
