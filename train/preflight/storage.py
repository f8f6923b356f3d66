"""Storage: can the run directory be written, does a name appear whole, how fast is it, what is it."""

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from fairmot.files import write_atomic

_PROBE_BYTES = 16 * 2**20
_REPLACEMENTS = 30

LOCAL_FILE_SYSTEMS = frozenset({"btrfs", "ext2", "ext3", "ext4", "overlay", "ramfs", "tmpfs", "xfs", "zfs"})
"""What other hosts do not see unless this host exports it."""


class NotAtomicError(Exception):
    """A reader saw something between the old and the new file."""


@contextlib.contextmanager
def made_for_a_while(folder: Path) -> Iterator[None]:
    """Within the body `folder` exists; what had to be made for that is removed afterwards where it is empty.

    Raises:
        OSError: it cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


def nearest_existing(path: Path) -> Path:
    """`path` or the closest folder above it that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def write_speed(folder: Path) -> float:
    """Write, sync, replace and rename in `folder` as checkpoints do; nothing is left there.

    Returns:
        Megabytes (1e6) a second that reach the disk.

    Raises:
        OSError: the folder refuses, or is full.
        NotAtomicError: what was written is not what can be read, or a reader saw half of it.
    """
    probe = folder / f".preflight-{socket.gethostname()}-{os.getpid()}"
    probe.mkdir()
    try:
        content = os.urandom(_PROBE_BYTES)
        began_at_s = time.perf_counter()
        write_atomic(probe / "file", content)
        elapsed_s = time.perf_counter() - began_at_s
        if (probe / "file").read_bytes() != content:
            raise NotAtomicError("what was written is not what is read back")
        _replace_while_reading(probe / "file")
        _rename_folder(probe)
    finally:
        shutil.rmtree(probe, ignore_errors=True)
    return _PROBE_BYTES / 1e6 / elapsed_s


def _replace_while_reading(path: Path) -> None:
    """Replace a file again and again; somebody who reads it meanwhile must always find one whole version."""
    versions = [bytes([number]) * 50_000 for number in range(2)]
    write_atomic(path, versions[0], sync=False)
    is_over, faults = threading.Event(), []

    def read() -> None:
        while not is_over.is_set():
            try:
                found = path.read_bytes()
            except OSError as error:
                faults.append(f"a reader found no file while it was replaced ({error.strerror})")
                return
            if found not in versions:
                faults.append(f"a reader found {len(found)} bytes that were never written as a whole")
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, _REPLACEMENTS + 1):
            write_atomic(path, versions[number % 2], sync=False)
    finally:
        is_over.set()
        reader.join()
    if faults:
        raise NotAtomicError(faults[0])


def _rename_folder(probe: Path) -> None:
    unfinished, final = probe / "unfinished", probe / "final"
    unfinished.mkdir()
    (unfinished / "content").write_text("whole")
    unfinished.rename(final)
    names = {path.name for path in probe.iterdir()}
    if names != {"file", "final"} or (final / "content").read_text() != "whole":
        raise NotAtomicError(f"after a folder was renamed its parent lists {sorted(names)}")


def file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The type of file system `path` lies on, such as nfs4 or ext4; "unknown" where the system does not tell.

    Args:
        path: an existing file or folder.
        mounts: the system's table of mounts.
    """
    place, found, longest = path.resolve(), "unknown", -1
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        mount_point, kind = line.split()[1:3]
        folder = Path(mount_point.replace("\\040", " "))
        if place.is_relative_to(folder) and len(folder.parts) >= longest:
            found, longest = kind, len(folder.parts)
    return found
