"""Files: written so that a reader sees the old one or the new one, never half of one; read within a limit of size."""

import contextlib
import errno
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

_KINDS = {
    stat.S_IFIFO: "a named pipe, which may never end",
    stat.S_IFCHR: "a device, which may never end",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_bounded(path: str | Path, most_bytes: int) -> BinaryIO:
    """Open a file that somebody names for reading, if it is one and no larger than its kind may be.

    A named pipe or a device is not waited for. The caller closes the stream.

    Args:
        path: the file.
        most_bytes: the limit.

    Raises:
        OSError: it cannot be opened, is no regular file, or is larger; `strerror` says so in words for a message.
    """
    # Without waiting: opening a pipe that nobody writes to would last for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
            raise OSError(errno.EINVAL, f"not a file but {kind}", str(path))
        if status.st_size > most_bytes:
            raise _too_large(path, status.st_size, most_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bounded(path: str | Path, most_bytes: int) -> bytes:
    """The content of such a file; arguments and errors as of `open_bounded`."""
    with open_bounded(path, most_bytes) as stream:
        size_bytes = os.fstat(stream.fileno()).st_size
        content = stream.read(size_bytes + 1)
        if len(content) > size_bytes:  # it grows, or lies in /proc, where all files say that they are empty
            content += stream.read(most_bytes + 1 - len(content))
    if len(content) > most_bytes:
        raise _too_large(path, len(content), most_bytes)
    return content


class ShortReads:
    """A file from which nothing long is read at once.

    Python's ZipFile reads the directory of an archive so, however long its end says that it is, and makes an object of
    every entry.

    Attributes:
        most_bytes: the limit, enough for tens of thousands of entries; None: there is none any more.
    """

    class TooLongError(Exception):
        """More was asked for; the message says how much."""

    def __init__(self, stream: BinaryIO) -> None:
        self.most_bytes: int | None = 4 << 20
        self._stream = stream
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int = -1) -> bytes:
        """See io.BufferedIOBase.read."""
        if self.most_bytes is not None and size > self.most_bytes:
            raise self.TooLongError(
                f"a part of {size} bytes, such as a zip directory, and the limit is {self.most_bytes}"
            )
        return self._stream.read(size)


def _too_large(path: str | Path, size_bytes: int, most_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"{size_bytes} bytes, and the limit for such a file is {most_bytes}", str(path))


def sync_directory(directory: Path) -> None:
    """Make renames inside `directory` durable. A file system that cannot sync a folder is left as it is."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a file that somebody else has written durable.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: str | Path, data: bytes | str, sync: bool = True) -> None:
    """Write `data` beside `path`, then move it there in one step; parent folders are made.

    Args:
        path: the file's final name.
        data: its whole content; text is stored as UTF-8.
        sync: also survive a power cut (fsync of file and folder), not just a killed process.

    Raises:
        OSError: the folder or the disk refuses; nothing is left behind and an old file stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = data.encode() if isinstance(data, str) else data
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), 0o644)
            stream.write(content)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    if sync:
        sync_directory(path.parent)


def write_json_atomic(path: str | Path, value: Any, sync: bool = True) -> None:
    """`write_atomic` of `value` as readable JSON."""
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True) + "\n", sync)
