"""A full disk, played by the limit that the system keeps on the size of a process's files."""

import resource


class FullDisk:
    """Within its context files can be told to grow no further; leaving it, they may again."""

    def __enter__(self) -> "FullDisk":
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        return self

    def __exit__(self, *_: object) -> None:
        self.empty()

    def fill(self, limit_bytes: int = 0) -> None:
        """A file takes what fits into so many bytes, so that one may be left half-written."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, self._before[1]))

    def empty(self) -> None:
        """There is room again."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
