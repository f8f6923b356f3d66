"""Writes packs (fairmot/data/packed.py), each whole or not at all."""

import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fairmot.data.index import LabelIndex
from fairmot.data.pack_format import FORMAT, INDEX, MANIFEST, Manifest, Place, Shard, shard_name
from fairmot.data.pack_source import FolderPack, digest_of
from fairmot.data.packed import open_whole
from fairmot.errors import DataError
from fairmot.files import sync_directory, write_atomic, write_json_atomic
from fairmot.media.picture import check_whole, read_content


def write_pack(index: LabelIndex, output: Path, shard_bytes: int, progress: bool = True) -> bool:
    """Pack all images of an index; killed at any moment it leaves no folder of that name.

    Args:
        index: images, which must be files, and labels.
        output: the pack's folder.
        shard_bytes: a shard that has grown to this size is the last of its number.
        progress: show a bar on stderr.

    Returns:
        False when the same pack is there already.

    Raises:
        DataError: an image cannot be read or is cut short, `output` is something else, or cannot be written.
    """
    if output.exists():
        if open_whole(FolderPack(str(output))).manifest.digest == index.digest:
            return False
        raise DataError(f"{output} holds other data; remove it, or choose another output=")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as temporary:
            folder = Path(temporary) / output.name
            folder.mkdir()
            _write(index, folder, shard_bytes, progress)
            folder.rename(output)
        sync_directory(output.parent)
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error}") from error
    return True


def _write(index: LabelIndex, folder: Path, shard_bytes: int, progress: bool) -> None:
    """Shards, then the index, then the manifest, each on disk before the next."""
    places: dict[str, Place] = {}
    shards: list[Shard] = []
    numbers = tqdm(range(len(index)), desc="packing", unit="image", disable=None if progress else True)
    pending = _unique(index, numbers)
    image = next(pending, None)
    while image is not None:
        path = folder / shard_name(len(shards))
        first = len(places)
        with open(path, "w+b") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                while image is not None and stream.tell() < shard_bytes:
                    name, content = image
                    # A date of its own would make every pack of the same data another file.
                    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
                    offset = stream.tell() - len(content)
                    places[name] = Place(len(shards), offset, len(content), zlib.crc32(content))
                    image = next(pending, None)
            stream.flush()
            os.fsync(stream.fileno())
            size = stream.tell()
            stream.seek(0)
            digest = digest_of(stream)
        shards.append(Shard(path.name, size, len(places) - first, digest))
    content = _index_content(index, [places[name] for name in index.image_paths])
    write_atomic(folder / INDEX, content)
    sha256 = hashlib.sha256(content).hexdigest()
    manifest = Manifest(FORMAT, index.digest, index.names, index.identities.counts, sha256, shards)
    write_json_atomic(folder / MANIFEST, asdict(manifest))


def _unique(index: LabelIndex, images: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes; an image that stands in two lists comes once."""
    seen: set[str] = set()
    for i in images:
        if index.image_paths[i] not in seen:
            seen.add(index.image_paths[i])
            content = read_content(index.image_path(i))
            check_whole(content, index.image_path(i))
            yield index.image_paths[i], content


def _index_content(index: LabelIndex, places: list[Place]) -> bytes:
    buffer = io.BytesIO()
    columns = np.array(places, np.int64).reshape(-1, len(Place._fields)).T
    np.savez(
        buffer,
        paths=np.frombuffer("\n".join(index.image_paths).encode(), np.uint8),
        image_starts=index.image_starts,
        rows=index.rows,
        row_offsets=index.row_offsets,
        **{f"image_{name}": column for name, column in zip(Place._fields, columns, strict=True)},
    )
    return buffer.getvalue()
