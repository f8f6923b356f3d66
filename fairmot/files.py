"""Writing files so that a reader sees the old one or the new one, never half of one."""

import contextlib
import json
import os
import tempfile
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
