"""Many small files in a few large ones: images, as they are, in uncompressed ZIP shards, with their labels beside them.

A pack is a folder that comes into being whole or not at all:

    images-00000.zip ...   members are named as in the lists; any ZIP tool reads them
    index.npz              lists and labels, and where in which shard each image's bytes lie
    manifest.json          data sets, sizes and SHA-256 digests of all of these
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from fairmot.data.array_file import map_arrays
from fairmot.data.identities import IdentityTable
from fairmot.data.index import LabelIndex, build_index
from fairmot.data.pack_format import INDEX, Manifest, Place, check_index
from fairmot.data.pack_source import FolderPack, PackSource, open_source
from fairmot.data.path_table import PathTable
from fairmot.data.shard_cache import PackCacheConfig
from fairmot.errors import DataError, FairMOTError

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
    pack = open_whole(open_source(packed, pack_cache or PackCacheConfig()))
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
    return PackedImages(_whole(open_whole(open_source(packed, pack_cache or PackCacheConfig()))))


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
    pack = open_whole(source)
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


def open_whole(source: PackSource) -> OpenPack:
    """A pack in which everything fits.

    Raises:
        DataError: it is not whole.
    """
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
