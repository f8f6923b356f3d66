"""What a pack must be before anything in it is trusted. All of it is checked at once when the pack is opened.

A pack may come from anywhere, and digests only say that it is as somebody made it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fairmot.data.labels import COLUMNS, usable
from fairmot.data.path_table import PathTable
from fairmot.errors import excerpt
from fairmot.json_files import as_shape, parse_json
from fairmot.media.image_size import MOST_BYTES as MOST_PICTURE_BYTES

FORMAT = 1
MANIFEST = "manifest.json"
INDEX = "index.npz"
MOST_INDEX_BYTES = 4 << 30
"""Of index.npz: a hundred million boxes."""


class Place(NamedTuple):
    """Where an image's bytes lie; each field is an array image_<name> of the index."""

    shard: int
    offset: int
    size: int
    crc32: int


_DIMENSIONS = {
    "paths": 1,
    "image_starts": 1,
    "rows": 2,
    "row_offsets": 1,
    **{f"image_{name}": 1 for name in Place._fields},
}
_KINDS = {"paths": np.uint8, "rows": np.float32}
_MOST_CRC32 = 2**32 - 1
_ROWS_AT_ONCE = 1 << 20  # every rank checks; what comparisons of all rows leave would be as large as the rows
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Shard:
    """A file of images.

    Attributes:
        name: `shard_name` of its number.
        bytes: its size.
        images: how many lie in it.
        sha256: of its content, hexadecimal.
    """

    name: str
    bytes: int
    images: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json.

    Attributes:
        format: FORMAT.
        digest: of the labels, see `LabelIndex`.
        names: the data sets.
        counts: identities of each.
        index_sha256: of index.npz, hexadecimal.
        shards: at least one.
    """

    format: int
    digest: str
    names: list[str]
    counts: list[int]
    index_sha256: str
    shards: list[Shard]


def shard_name(number: int) -> str:
    """The file of the shard of this number, from 0; no pack has others."""
    return f"images-{number:05d}.zip"


def parse_manifest(content: bytes, size_of: Callable[[str], int] | None = None) -> Manifest:
    """The manifest of a pack.

    Args:
        content: of manifest.json.
        size_of: from a shard's name to its size in bytes, where that is asked beforehand.

    Raises:
        OSError: a shard cannot be read.
        ValueError: it is not as this version writes it, or a shard has another size; the message says what is wrong.
    """

    def refused(why: str) -> ValueError:
        return ValueError(f"{MANIFEST}: {why}")

    said = parse_json(content, dict[str, Any], refused)
    if said.get("format") != FORMAT:
        raise ValueError(f"a pack of format {excerpt(str(said.get('format')))}, this version reads {FORMAT}")
    manifest = as_shape(said, Manifest, refused)
    if not len(manifest.counts) == len(manifest.names) == len(set(manifest.names)):
        raise ValueError(f"{len(manifest.names)} names of data sets, {len(manifest.counts)} counts of identities")
    if not manifest.shards:
        raise ValueError("no shards")
    # Digests are names of files in the cache of packs that are far away.
    for name, digest in ((INDEX, manifest.index_sha256), *((shard.name, shard.sha256) for shard in manifest.shards)):
        if not _SHA256.fullmatch(digest):
            raise ValueError(f"{excerpt(name)}: {excerpt(digest)!r} is no SHA-256")
    for number, shard in enumerate(manifest.shards):
        if shard.name != shard_name(number):
            raise ValueError(f"shard {number} is called {excerpt(shard.name)!r} and not {shard_name(number)}")
        size = shard.bytes if size_of is None else size_of(shard.name)
        if size != shard.bytes or size <= 0:
            raise ValueError(f"{shard.name}: {size} bytes instead of {shard.bytes}; copy it again")
    return manifest


def check_index(arrays: dict[str, np.ndarray], manifest: Manifest) -> PathTable:
    """Check that the arrays of index.npz fit each other, the shards and the labels' rules.

    Returns:
        The n images' names.

    Raises:
        ValueError: they do not; the message says what is wrong.
    """
    for name, dimensions in _DIMENSIONS.items():
        if name not in arrays:
            raise ValueError(f"no array '{name}'")
        kind = np.dtype(_KINDS.get(name, np.int64))
        if arrays[name].dtype != kind or arrays[name].ndim != dimensions:
            raise ValueError(f"'{name}' is no array of {kind} with {dimensions} dimensions")
    paths = PathTable(arrays["paths"])
    n = len(paths)
    starts, offsets, rows = arrays["image_starts"], arrays["row_offsets"], arrays["rows"]
    if not (_rises(starts, len(manifest.names), n) and (starts[1:] > starts[:-1]).all()):
        raise ValueError("'image_starts' does not part the images into the data sets")
    if rows.shape[1] != COLUMNS or not _rises(offsets, n, len(rows)):
        raise ValueError("'row_offsets' does not part the rows into the images")
    _check_places(arrays, manifest, paths)
    _check_rows(rows, offsets, paths)
    _check_identities(rows[:, 1], offsets[starts].tolist(), manifest)
    return paths


def _rises(offsets: np.ndarray, parts: int, end: int) -> bool:
    """Whether these are the beginnings of so many parts, one behind the other, and the end of the last."""
    return (
        len(offsets) == parts + 1
        and offsets[0] == 0
        and offsets[-1] == end
        and bool((offsets[1:] >= offsets[:-1]).all())
    )


def _check_places(arrays: dict[str, np.ndarray], manifest: Manifest, paths: PathTable) -> None:
    places = [arrays[f"image_{name}"] for name in Place._fields]
    if any(len(column) != len(paths) for column in places):
        raise ValueError(f"{len(paths)} images, but not as many places")
    shard_bytes = np.array([shard.bytes for shard in manifest.shards], np.int64)
    for begin in range(0, len(paths), _ROWS_AT_ONCE):
        good = _lie_in_shards([column[begin : begin + _ROWS_AT_ONCE] for column in places], shard_bytes)
        if not good.all():
            raise ValueError(f"{paths[begin + int(np.argmin(good))]}: its place lies outside the shards")


def _lie_in_shards(places: list[np.ndarray], shard_bytes: np.ndarray) -> np.ndarray:
    shard, offset, size, crc32 = places
    exists = (shard >= 0) & (shard < len(shard_bytes))
    room = shard_bytes[np.where(exists, shard, 0)]
    fits = (size > 0) & (size <= MOST_PICTURE_BYTES) & (offset >= 0) & (offset <= room - size)
    return np.asarray(exists & fits & (crc32 >= 0) & (crc32 <= _MOST_CRC32))


def _check_rows(rows: np.ndarray, offsets: np.ndarray, paths: PathTable) -> None:
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[begin : begin + _ROWS_AT_ONCE]
        # A column's extremes are NaN where one of its values is, and are found in a fraction of the time of all rows.
        extremes = [[column.min(), column.max()] for column in part.T]
        whole_numbers = all((np.floor(column) == column).all() for column in part.T[:2])
        if not (whole_numbers and usable(np.transpose(extremes)).all()):
            break
    else:
        return
    row = begin + int(np.argmin(usable(part)))
    image = int(np.searchsorted(offsets, row, side="right")) - 1
    values = " ".join(f"{value:g}" for value in rows[row].tolist())
    raise ValueError(f"{paths[image]}, object {row - int(offsets[image]) + 1}: no label may be {values}")


def _check_identities(ids: np.ndarray, starts: list[int], manifest: Manifest) -> None:
    """A count is the largest id + 1: the classifier has so many rows."""
    for name, count, (start, end) in zip(manifest.names, manifest.counts, pairwise(starts), strict=True):
        found = int(ids[start:end].max(initial=-1)) + 1
        if found != count:
            raise ValueError(f"data set '{name}': its manifest counts {count} identities, its rows {found}")
