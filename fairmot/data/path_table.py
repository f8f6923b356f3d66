"""Many paths as one text: a list of ten million strings takes a gigabyte in every rank, their text may be shared."""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

_BREAK = ord("\n")
_PATHS_A_BLOCK = 64
_SCANNED_BYTES = 4 << 20


class PathTable(Sequence[str]):
    """Paths, read-only, by their position; none is empty.

    Attributes:
        text: uint8 [bytes], the paths as UTF-8 with a line feed between two.
    """

    def __init__(self, text: np.ndarray) -> None:
        """Note where every 64th path begins, so that little is held beside the text.

        Args:
            text: see above; it may be mapped from a file.

        Raises:
            ValueError: a path is empty, or the text is not UTF-8.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        starts, count, last = [np.zeros(1, np.int64)] if len(text) else [], min(len(text), 1), _BREAK
        for begin in range(0, len(text), _SCANNED_BYTES):
            part = text[begin : begin + _SCANNED_BYTES]
            decoder.decode(part.tobytes())
            breaks = np.flatnonzero(part == _BREAK)
            if (np.diff(breaks) == 1).any() or (last == _BREAK == part[0]):
                raise ValueError("an image without a name")
            numbers = np.arange(count, count + len(breaks))
            starts.append(begin + breaks[numbers % _PATHS_A_BLOCK == 0] + 1)
            count, last = count + len(breaks), part[-1]
        decoder.decode(b"", final=True)
        if len(text) and last == _BREAK:
            raise ValueError("an image without a name")
        self.text = text
        self._count = count
        self._starts = np.concatenate([*starts, [len(text) + 1]])

    @classmethod
    def of(cls, paths: Iterable[str]) -> "PathTable":
        """The table of some strings."""
        return cls(np.frombuffer("\n".join(paths).encode(), np.uint8))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, position: int) -> str: ...

    @overload
    def __getitem__(self, position: slice) -> list[str]: ...

    def __getitem__(self, position: int | slice) -> str | list[str]:
        """A path, or a list of several."""
        if isinstance(position, slice):
            begin, end, step = position.indices(len(self))
            if step != 1 or begin >= end:
                return [self[i] for i in range(begin, end, step)]
            first = begin // _PATHS_A_BLOCK
            paths = self._blocks(first, -(-end // _PATHS_A_BLOCK))
            return paths[begin - first * _PATHS_A_BLOCK : end - first * _PATHS_A_BLOCK]
        if not -self._count <= position < self._count:
            raise IndexError(position)
        block, place = divmod(int(position) % self._count, _PATHS_A_BLOCK)
        return self._blocks(block, block + 1)[place]

    def __iter__(self) -> Iterator[str]:
        """All paths, some thousands at a time."""
        blocks = len(self._starts) - 1
        for first in range(0, blocks, _PATHS_A_BLOCK):
            yield from self._blocks(first, min(first + _PATHS_A_BLOCK, blocks))

    def _blocks(self, first: int, end: int) -> list[str]:
        text = self.text[self._starts[first] : self._starts[end] - 1]
        return text.tobytes().decode().split("\n")
