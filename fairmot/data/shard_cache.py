"""Files from far away, whole, in a local folder that all processes of a host share, up to a limit of size.

    <sha256>          a whole file
    <sha256>.part     one that is being fetched, already as large as it will be; locked by who fetches it
    .lock             held while room is made

A file is called by its digest, so it is the same wherever it came from and never an outdated one. Who reads a file
keeps it open and locked, together with others; what nobody has locked may be deleted, the longest unused first. Locks
go with their processes, so nothing that a killed one leaves stands in the way.
"""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fairmot.errors import ConfigError
from fairmot.locks import lock, lock_shared

BLOCK_BYTES = 4 << 20
"""Fetched by one request."""
_LEFT_FREE_BYTES = 1 << 30
_READINGS = 2
_OWN_NAME = re.compile(r"[0-9a-f]{64}(\.part)?")


@dataclass
class PackCacheConfig:
    """How a pack that is far away is read.

    Attributes:
        folder: local folder for its shards, shared by the ranks of a host; null: in the user's cache folder.
        gigabytes: how large the folder may grow; a gigabyte of the disk is left free all the same.
        patience_s: seconds for which a request that fails is repeated.
    """

    folder: str | None = None
    gigabytes: float = 50.0
    patience_s: float = 120.0

    def __post_init__(self) -> None:
        for key in ("gigabytes", "patience_s"):
            if not 0 < getattr(self, key) < float("inf"):
                raise ValueError(f"data.pack_cache.{key}={getattr(self, key)}: must be above 0")


class CacheFullError(Exception):
    """There is no room for a file; the message says why."""


class WrongBytesError(Exception):
    """What was fetched is another file; the message does not name it."""


class ShardCache:
    """The folder; any number of threads and processes may use it."""

    def __init__(self, config: PackCacheConfig) -> None:
        """Make the folder.

        Raises:
            ConfigError: it cannot be made, or its file system has no locks.
        """
        self.folder = Path(config.folder) if config.folder else _users_cache() / "fairmot" / "packs"
        self._most_bytes = int(config.gigabytes * 1e9)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._only_one():
                pass
        except OSError as error:
            raise ConfigError(
                f"data.pack_cache.folder={self.folder}: cannot be written and locked ({error.strerror}); name a folder "
                "on a disk of this host"
            ) from error

    def open(self, digest: str) -> BinaryIO | None:
        """A whole file, safe from deletion as long as it is open; None where it is not there."""
        path = self.folder / digest
        with contextlib.ExitStack() as stack:
            try:
                stream = stack.enter_context(open(path, "rb"))
                lock_shared(stream)
            except OSError:  # not there, or just being deleted
                return None
            if os.fstat(stream.fileno()).st_nlink == 0:
                return None
            with contextlib.suppress(OSError):  # another user's
                os.utime(path)  # it is the last to be deleted
            stack.pop_all()
            return stream

    def fetch(self, digest: str, size: int, read: Callable[[int, int], bytes]) -> bool:
        """Have a file in the cache.

        Args:
            digest: its SHA-256, hexadecimal.
            size: bytes.
            read: gives bytes from one position to another.

        Returns:
            False when another process fetches it just now, or has just done so.

        Raises:
            CacheFullError: there is no room, or the disk refuses.
            WrongBytesError: the bytes are not those of the digest.
            Exception: `read`'s.
        """
        part, whole = self.folder / f"{digest}.part", self.folder / digest
        try:
            with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b") as stream:
                if not _is_ours(stream, part):
                    return False
                try:
                    if whole.exists():
                        part.unlink()
                        return True
                    self._reserve(stream.fileno(), size)
                    _fill(stream, digest, size, read)
                    part.rename(whole)
                except BaseException:
                    part.unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise CacheFullError(f"{self.folder}: {error.strerror or error}") from error
        return True

    def drop(self, digest: str, stream: BinaryIO) -> None:
        """Delete a file that is damaged, unless another has taken its place; who has it open keeps what he has.

        Args:
            digest: its name.
            stream: the damaged file, as `open` has given it.
        """
        path = self.folder / digest
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                path.unlink()

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        with (self.folder / ".lock").open("a") as stream:
            lock(stream, wait=True)
            yield

    def _reserve(self, descriptor: int, size: int) -> None:
        """Give an empty file its size on disk, so that no later writing finds the disk full."""
        with self._only_one():
            files = self._files()
            used = sum(its_size for _, its_size, _ in files)

            def lacks_room() -> bool:
                free = shutil.disk_usage(self.folder).free - _LEFT_FREE_BYTES
                return used + size > self._most_bytes or free < size

            for _, its_size, path in files:
                if not lacks_room():
                    break
                if _delete_unused(path):
                    used -= its_size
            if lacks_room():
                raise CacheFullError(
                    f"{self.folder}: no room for {size} bytes beside {used} in use; data.pack_cache.gigabytes allows "
                    f"{self._most_bytes}, and {_LEFT_FREE_BYTES} bytes of the disk stay free"
                )
            os.posix_fallocate(descriptor, 0, size)

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time of last use, bytes and path of all files that are the cache's own, the longest unused first."""
        found = []
        for path in self.folder.iterdir():
            if _OWN_NAME.fullmatch(path.name):
                with contextlib.suppress(OSError):  # renamed or deleted just now
                    status = path.stat()
                    found.append((status.st_mtime_ns, status.st_size, path))
        return sorted(found)


def _is_ours(stream: BinaryIO, part: Path) -> bool:
    """Lock a file that is to be filled; False when another process has, or has renamed or deleted it meanwhile."""
    try:
        lock(stream, wait=False)
        return os.path.samestat(os.fstat(stream.fileno()), part.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _delete_unused(path: Path) -> bool:
    try:
        with open(path, "r+b") as stream:
            lock(stream, wait=False)
            path.unlink()
    except OSError:  # somebody reads or fills it
        return False
    return True


def _fill(stream: BinaryIO, digest: str, size: int, read: Callable[[int, int], bytes]) -> None:
    for _ in range(_READINGS):
        stream.seek(0)
        state = hashlib.sha256()
        for start in range(0, size, BLOCK_BYTES):
            block = read(start, min(start + BLOCK_BYTES, size))
            state.update(block)
            stream.write(block)
        if state.hexdigest() == digest:
            stream.flush()
            os.fsync(stream.fileno())
            return
    raise WrongBytesError(f"damaged, its SHA-256 does not fit, read {_READINGS} times; copy it to the store again")


def _users_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
