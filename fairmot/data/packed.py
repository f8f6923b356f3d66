"""Many small files in a few large ones: images, as they are, in uncompressed ZIP shards, with their labels beside them.

A pack is a folder that comes into being whole or not at all:

    images-00000.zip ...   members are named as in the lists; any ZIP tool reads them
    index.npz              lists and labels, and where in which shard each image's bytes lie
    manifest.json          data sets, sizes and SHA-256 digests of all of these
"""

import hashlib
import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fairmot.data.array_file import map_arrays
from fairmot.data.identities import IdentityTable
from fairmot.data.index import LabelIndex, build_index
from fairmot.data.pack_format import FORMAT, INDEX, MANIFEST, Manifest, Place, Shard, check_index, shard_name
from fairmot.data.pack_source import FolderPack, PackSource, digest_of, open_source
from fairmot.data.path_table import PathTable
from fairmot.data.shard_cache import PackCacheConfig
from fairmot.errors import DataError, FairMOTError
from fairmot.files import sync_directory, write_atomic, write_json_atomic
from fairmot.media.picture import check_whole, read_content

_AGAIN = "write it again with python -m fairmot.pack"


@dataclass(frozen=True)
class OpenPack:
    """A pack in which everything fits.

    Attributes:
        source: where the bytes come from.
        manifest: its manifest.
        arrays: those of its index, mapped: the host's ranks share them.
        paths: the images' names.
    """

    source: PackSource
    manifest: Manifest
    arrays: Mapping[str, np.ndarray]
    paths: PathTable


@dataclass(frozen=True, eq=False, kw_only=True)
class PackedIndex(LabelIndex):
    """Labels that came out of a pack: there are no label files to point at.

    Attributes:
        pack: where they came from.
        numbers: of the images in the pack, [n].
    """

    pack: OpenPack
    numbers: Sequence[int] | np.ndarray

    @property
    def fingerprint(self) -> str:
        """See `LabelIndex`; not computed from the labels, whose digest each rank has compared already."""
        return hashlib.sha256(json.dumps([self.names, self.pack.manifest.index_sha256]).encode()).hexdigest()

    def place(self, row: int) -> str:
        """Where a row stands: `<pack>: <image>, object <number>`."""
        image = int(np.searchsorted(self.row_offsets, row, side="right")) - 1
        return f"{self.root}: {self.image_paths[image]}, object {row - int(self.row_offsets[image]) + 1}"


def open_index(
    packed: str | None,
    root: str,
    lists: Mapping[str, str],
    cache_dir: str | None,
    progress: bool = True,
    pack_cache: PackCacheConfig | None = None,
) -> LabelIndex:
    """The labels of a mix: out of a pack if one is named, else of the files below `root`.

    Args:
        packed: the pack's folder or address, or None.
        root: see `build_index`.
        lists: data set -> list file; of a pack the names are what counts.
        cache_dir: see `build_index`.
        progress: see `build_index`.
        pack_cache: for a pack that is far away; None: the defaults.

    Raises:
        DataError: the pack is not whole or lacks a data set, or see `build_index`.
        ConfigError: see `open_source`.
    """
    if packed is None:
        return build_index(root, lists, cache_dir, progress=progress)
    pack = _open(open_source(packed, pack_cache or PackCacheConfig()))
    names = pack.manifest.names
    missing = [name for name in lists if name not in names]
    if missing:
        raise DataError(
            f"data.packed={pack.source.name} has no data set '{missing[0]}', only {', '.join(names)}; pack it again"
        )
    return _whole(pack) if list(lists) == names else _chosen(pack, list(lists))


def _whole(pack: OpenPack) -> PackedIndex:
    """All of a pack's data sets in its own order: nothing is copied."""
    return PackedIndex(
        root=pack.source.name,
        image_paths=pack.paths,
        image_starts=pack.arrays["image_starts"].copy(),  # aligned: it is searched for every sample
        rows=pack.arrays["rows"],
        row_offsets=pack.arrays["row_offsets"],
        identities=IdentityTable(pack.manifest.names, pack.manifest.counts),
        pack=pack,
        numbers=range(len(pack.paths)),
    )


def _chosen(pack: OpenPack, lists: list[str]) -> PackedIndex:
    """Some of a pack's data sets, or all in another order: this rank's own copy of their labels."""
    names, arrays = pack.manifest.names, pack.arrays
    chosen = [names.index(name) for name in lists]
    starts, offsets = arrays["image_starts"], arrays["row_offsets"]
    images = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in chosen])
    sizes = np.diff(offsets)
    return PackedIndex(
        root=pack.source.name,
        image_paths=PathTable.of(chain.from_iterable(pack.paths[starts[k] : starts[k + 1]] for k in chosen)),
        image_starts=np.cumsum([0, *(starts[k + 1] - starts[k] for k in chosen)], dtype=np.int64),
        rows=np.concatenate([arrays["rows"][offsets[starts[k]] : offsets[starts[k + 1]]] for k in chosen]),
        row_offsets=np.concatenate([[0], np.cumsum(sizes[images])]).astype(np.int64),
        identities=IdentityTable(lists, [pack.manifest.counts[k] for k in chosen]),
        pack=pack,
        numbers=images,
    )


class PackedImages:
    """Reads the images of a mix out of its pack by their positions in the mix; any number of threads may."""

    def __init__(self, index: PackedIndex) -> None:
        """Open all shards.

        Raises:
            DataError: the pack is not whole any more, or another one than that of the labels.
        """
        self._source, self._paths, self._numbers = index.pack.source, index.pack.paths, index.numbers
        self._shards = index.pack.manifest.shards
        if _manifest(self._source).index_sha256 != index.pack.manifest.index_sha256:
            raise DataError(
                f"{self._source.name}: was replaced by another pack while its labels were read; start again"
            )
        self._source.open_shards(self._shards)
        self._columns = [index.pack.arrays[f"image_{name}"] for name in Place._fields]

    def name(self, i: int) -> str:
        """What messages call an image: `<shard>/<image>`."""
        number = self._numbers[i]
        return f"{self._source.file_name(self._shards[self._place(number).shard].name)}/{self._paths[number]}"

    def read(self, i: int) -> bytes:
        """The bytes of an image file.

        Raises:
            DataError: they cannot be read, or are not those that were packed.
        """
        return self._source.read(self._place(self._numbers[i]), self.name(i))

    def prefetch(self, indices: np.ndarray) -> None:
        """Tell in which order images will be read, so that a pack that is far away comes nearer; does not wait."""
        shards = self._columns[Place._fields.index("shard")]
        self._source.prefetch(int(shards[self._numbers[i]]) for i in indices)

    def _place(self, number: int) -> Place:
        return Place(*(int(column[number]) for column in self._columns))


def open_images(packed: str, pack_cache: PackCacheConfig | None = None) -> PackedImages:
    """All images of a pack, without choosing among its data sets; arguments and errors as of `open_index`."""
    return PackedImages(_whole(_open(open_source(packed, pack_cache or PackCacheConfig()))))


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
        if _open(FolderPack(str(output))).manifest.digest == index.digest:
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


def check_pack(packed: str, pack_cache: PackCacheConfig | None = None) -> int:
    """Read a pack from end to end and compare all digests; of one in a folder, the images' checksums too.

    Args:
        packed: its folder or address.
        pack_cache: for a pack that is far away; None: the defaults.

    Returns:
        The number of images.

    Raises:
        DataError: a file is missing or differs from what was written.
        ConfigError: see `open_source`.
    """
    source = open_source(packed, pack_cache or PackCacheConfig())
    pack = _open(source)
    for shard in pack.manifest.shards:
        state = hashlib.sha256()
        for block in source.blocks(shard):
            state.update(block)
        if state.hexdigest() != shard.sha256:
            name = source.file_name(shard.name)
            raise DataError(f"{name}: damaged, its SHA-256 does not fit; copy this shard again")
    if isinstance(source, FolderPack):  # from far away it would be a request an image
        images = PackedImages(_whole(pack))
        for number in range(len(pack.paths)):
            images.read(number)
    return len(pack.paths)


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


def _open(source: PackSource) -> OpenPack:
    """A pack in which everything fits."""
    manifest = _manifest(source)
    try:
        with source.open_index(manifest) as stream:
            arrays = map_arrays(stream, compare_checksums=False)  # the digest of the whole fits
        return OpenPack(source, manifest, arrays, check_index(arrays, manifest))
    except FairMOTError:
        raise
    except Exception as error:  # NumPy's and ZipFile's have no base of their own
        raise DataError(f"{source.file_name(INDEX)}: not the index of a pack ({error}); {_AGAIN}") from error


def _manifest(source: PackSource) -> Manifest:
    try:
        return source.manifest()
    except (OSError, ValueError) as error:
        raise DataError(f"{source.name} is not a whole pack ({error}); {_AGAIN}") from error
