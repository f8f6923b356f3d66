"""Writing files so that a reader sees the old one or the new one, never half of one.

Whatever is made has the permissions that the umask, or the folder's own rule, gives any new file: those of a temporary
file are its maker's alone, and others could not load a checkpoint.
"""

import contextlib
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any


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


def new_file(path: Path) -> tuple[int, Path]:
    """Make an empty file beside `path`, hidden, to be moved there once it is whole.

    Returns:
        Its descriptor, open for reading and writing, and its name.

    Raises:
        OSError: the folder refuses.
    """
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        with contextlib.suppress(FileExistsError):
            return os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), temporary


def new_folder(parent: Path, prefix: str) -> Path:
    """Make an empty folder in `parent`, called `prefix` and something that no other is called.

    Raises:
        OSError: `parent` refuses.
    """
    while True:
        folder = parent / f"{prefix}{secrets.token_hex(4)}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder


def give_usual_permissions(path: Path) -> None:
    """Give a file that a library has made for its maker alone the permissions of any other new file there.

    Raises:
        OSError: the folder refuses.
    """
    # The umask is not asked: that can only be done by changing it, for all threads, and a folder may have its own rule.
    descriptor, sample = new_file(path)
    try:
        path.chmod(stat.S_IMODE(os.fstat(descriptor).st_mode))
    finally:
        os.close(descriptor)
        sample.unlink()


def write_atomic(path: str | Path, data: bytes | str, sync: bool = True, *, private: bool = False) -> None:
    """Write `data` beside `path`, then move it there in one step; parent folders are made.

    Args:
        path: the file's final name.
        data: its whole content; text is stored as UTF-8.
        sync: also survive a power cut (fsync of file and folder), not just a killed process.
        private: for nobody's eyes but this user's, whatever the umask says.

    Raises:
        OSError: the folder or the disk refuses; nothing is left behind and an old file stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = data.encode() if isinstance(data, str) else data
    descriptor, temporary = new_file(path)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if private:
                os.fchmod(stream.fileno(), 0o600)
            stream.write(content)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if sync:
        sync_directory(path.parent)


def write_json_atomic(path: str | Path, value: Any, sync: bool = True) -> None:
    """`write_atomic` of `value` as readable JSON."""
    write_atomic(path, json.dumps(value, indent=2, sort_keys=True) + "\n", sync)
