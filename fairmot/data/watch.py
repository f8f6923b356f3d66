"""Notices that a prepared data set was made anew under a training that has read its labels already."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fairmot.errors import DataError
from fairmot.json_files import read_json

_UNREADABLE = ""


class DataWatch:
    """Remembers the manifests of the data sets that images belong to; those without a manifest are not watched.

    Asking costs one question to the file system for each data set, as long as nothing has changed.

    Attributes:
        seen: of each manifest the digest it gave and when it was changed, in ns.
    """

    def __init__(self, seen: Mapping[str, tuple[str, int | None]]) -> None:
        """Watch what somebody has looked at.

        Args:
            seen: of each manifest the digest it gave and when it was changed, in ns.
        """
        self.seen = dict(seen)

    @classmethod
    def of(cls, root: str, image_paths: Iterable[str]) -> "DataWatch":
        """Read the manifests: before the labels, so that nothing in between is missed.

        Args:
            root: folder that the image paths are relative to.
            image_paths: their first folder is the data set's name.
        """
        names = {path.partition("/")[0] for path in image_paths}
        manifests = [Path(root) / f"{name}.manifest.json" for name in sorted(names)]
        digests = {path: digest for path in manifests if (digest := _digest(path)) != _UNREADABLE}
        return cls({str(path): (digest, _time(path)) for path, digest in digests.items()})

    def check(self) -> None:
        """Look again.

        Raises:
            DataError: a data set is another one now.
        """
        for name, (digest, known_time) in self.seen.items():
            path = Path(name)
            time = _time(path)
            if time == known_time:
                continue
            if _digest(path) != digest:
                raise DataError(
                    f"{path}: this data set was made anew, with other settings or from another download, while a "
                    "training read it: its pictures are no longer those of the labels; start the training again"
                )
            self.seen[name] = digest, time


def _digest(path: Path) -> str:
    """What a manifest says that the data set was made of."""
    try:
        return str(read_json(path, dict[str, Any], DataError)["digest"])
    except (DataError, KeyError):
        return _UNREADABLE


def _time(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
