"""Where the bytes of a pack come from: a folder, or a store that is far away.

A pack that is far away is kept whole in a cache of the host as far as it fits; an image of a shard that is not there,
or not yet, is asked for alone. Both give the same bytes, for both are checked.
"""

import contextlib
import hashlib
import logging
import os
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from fairmot.addresses import is_address
from fairmot.data.far_store import FarStore
from fairmot.data.pack_format import INDEX, MANIFEST, MOST_INDEX_BYTES, Manifest, Place, Shard, parse_manifest
from fairmot.data.shard_cache import BLOCK_BYTES, CacheFullError, PackCacheConfig, ShardCache, WrongBytesError
from fairmot.errors import ConfigError, DataError
from fairmot.files import open_bounded, read_bounded
from fairmot.json_files import LARGEST_BYTES

_READINGS = 3
_POLL_S = 0.2
_logger = logging.getLogger(__name__)


class FolderPack:
    """A pack in a folder."""

    def __init__(self, folder: str) -> None:
        self.name = str(Path(folder))
        self._folder = Path(folder)
        self._streams: list[BinaryIO] = []

    def file_name(self, file: str) -> str:
        """What messages call one of its files."""
        return str(self._folder / file)

    def manifest(self) -> Manifest:
        """Its manifest; all shards have the sizes that it says.

        Raises:
            OSError: a file cannot be read.
            ValueError: it is no manifest, or does not fit the shards.
        """
        content = read_bounded(self._folder / MANIFEST, LARGEST_BYTES)
        return parse_manifest(content, lambda shard: (self._folder / shard).stat().st_size)

    def open_index(self, manifest: Manifest) -> BinaryIO:
        """Its index, whose digest fits; the caller closes it.

        Raises:
            OSError: it cannot be read.
            DataError: its digest does not fit.
        """
        stream = open_bounded(self._folder / INDEX, MOST_INDEX_BYTES)
        if digest_of(stream) != manifest.index_sha256:
            stream.close()
            raise DataError(f"{self.file_name(INDEX)}: damaged, its SHA-256 does not fit; copy it again")
        stream.seek(0)
        return stream

    def open_shards(self, shards: list[Shard]) -> None:
        """Open all shards, for as long as the pack is: a sample should not pay for it."""
        if not self._streams:
            self._streams = [open(self._folder / shard.name, "rb") for shard in shards]  # noqa: SIM115

    def read(self, place: Place, name: str) -> bytes:
        """The bytes of an image.

        Args:
            place: where they lie.
            name: what messages call it.

        Raises:
            DataError: they cannot be read, or are not those that were packed.
        """
        try:
            content = os.pread(self._streams[place.shard].fileno(), place.size, place.offset)
        except OSError as error:
            raise DataError(f"{name}: cannot read this image: {error.strerror}") from error
        if zlib.crc32(content) != place.crc32:
            raise DataError(f"{name}: damaged, its checksum does not fit; copy this shard again")
        return content

    def blocks(self, shard: Shard) -> Iterator[bytes]:
        """The content of a shard."""
        with open(self._folder / shard.name, "rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                yield block

    def prefetch(self, shards: Iterable[int]) -> None:
        """Nothing: the system reads ahead."""


class FarPack:
    """A pack below an address."""

    def __init__(self, address: str, config: PackCacheConfig) -> None:
        """Find store and cache; nothing is asked of the store.

        Raises:
            ConfigError: there is no way to such an address, or the cache's folder cannot be used.
        """
        self._store = FarStore(address, config.patience_s)
        self._cache = ShardCache(config)
        self.name = self._store.name()
        self._shards: list[Shard] = []
        self._said_full = False
        self._streams: dict[int, BinaryIO] = {}
        self._lock = threading.Lock()
        self._fetcher: threading.Thread | None = None

    def file_name(self, file: str) -> str:
        """What messages call one of its files."""
        return self._store.name(file)

    def manifest(self) -> Manifest:
        """Its manifest. The shards' sizes are not asked: every rank would, for every shard.

        Raises:
            DataError: it cannot be had, or the server does not send parts of files.
            ValueError: it is no manifest.
        """
        self._store.read_exactly(MANIFEST, 0, 1)  # a server without parts shows itself with a small file
        return parse_manifest(self._store.read(MANIFEST, 0, LARGEST_BYTES + 1))

    def open_index(self, manifest: Manifest) -> BinaryIO:
        """Its index, whose digest fits, from the cache; the caller closes it.

        Raises:
            DataError: it cannot be had, is too large, or its digest does not fit.
            ConfigError: the cache has no room for it.
        """
        digest = manifest.index_sha256
        while True:
            if (stream := self._cache.open(digest)) is not None:
                if digest_of(stream) == digest:
                    stream.seek(0)
                    return stream
                self._cache.drop(digest, stream)
                stream.close()
            size = self._store.size(INDEX)
            if not 0 < size <= MOST_INDEX_BYTES:
                raise DataError(f"{self.file_name(INDEX)}: {size} bytes, and the limit is {MOST_INDEX_BYTES}")
            try:
                if not self._fetch(INDEX, digest, size):
                    time.sleep(_POLL_S)
            except CacheFullError as error:
                raise ConfigError(
                    f"data.pack_cache: {error}, but the index of a pack must fit; name another folder, or raise "
                    "data.pack_cache.gigabytes"
                ) from error

    def open_shards(self, shards: list[Shard]) -> None:
        """Open the shards that are in the cache, so that they stay."""
        self._shards = shards
        for number in range(len(shards)):
            self._stream(number)

    def read(self, place: Place, name: str) -> bytes:
        """The bytes of an image; see `FolderPack.read`."""
        if (stream := self._stream(place.shard)) is not None:
            with contextlib.suppress(OSError):
                content = os.pread(stream.fileno(), place.size, place.offset)
                if zlib.crc32(content) == place.crc32:
                    return content
            self._distrust(place.shard, stream)
        shard = self._shards[place.shard].name
        for _ in range(_READINGS):
            content = self._store.read_exactly(shard, place.offset, place.offset + place.size)
            if zlib.crc32(content) == place.crc32:
                return content
        raise DataError(
            f"{name}: damaged, its checksum does not fit, read {_READINGS} times; copy this shard to the store again"
        )

    def blocks(self, shard: Shard) -> Iterator[bytes]:
        """The content of a shard, from the store."""
        for start in range(0, shard.bytes, BLOCK_BYTES):
            yield self._store.read_exactly(shard.name, start, min(start + BLOCK_BYTES, shard.bytes))

    def prefetch(self, shards: Iterable[int]) -> None:
        """Begin to fetch shards into the cache, in this order, unless that has begun already; does not wait."""
        if self._fetcher is None or not self._fetcher.is_alive():
            # Nobody waits for it: what it leaves undone is read image by image.
            self._fetcher = threading.Thread(target=self._fetch_all, args=(shards,), name="pack", daemon=True)
            self._fetcher.start()

    def _fetch_all(self, shards: Iterable[int]) -> None:
        for number in dict.fromkeys(shards):
            shard = self._shards[number]
            try:
                # The other ranks of this host fetch too; what one of them has begun is left to it.
                if self._stream(number) is None and self._fetch(shard.name, shard.sha256, shard.bytes):
                    self._stream(number)
            except CacheFullError as error:
                if not self._said_full:
                    _logger.warning("%s; images of the other shards are fetched one by one", error)
                self._said_full = True
                return
            except DataError as error:
                _logger.warning("%s; its images are fetched one by one", error)

    def _fetch(self, file: str, digest: str, size: int) -> bool:
        try:
            return self._cache.fetch(digest, size, lambda start, end: self._store.read_exactly(file, start, end))
        except WrongBytesError as error:
            raise DataError(f"{self.file_name(file)}: {error}") from error

    def _stream(self, number: int) -> BinaryIO | None:
        """A shard in the cache, open; None as long as it is not there."""
        if (known := self._streams.get(number)) is not None:
            return known
        with self._lock:
            if number not in self._streams and (stream := self._cache.open(self._shards[number].sha256)) is not None:
                self._streams[number] = stream
            return self._streams.get(number)

    def _distrust(self, number: int, stream: BinaryIO) -> None:
        shard = self._shards[number]
        _logger.warning("%s: its copy in %s is damaged and is fetched again", shard.name, self._cache.folder)
        with self._lock:
            # Other threads may be reading it: it is closed when the last one is done.
            if self._streams.get(number) is stream:
                del self._streams[number]
            self._cache.drop(shard.sha256, stream)


PackSource = FolderPack | FarPack


def open_source(packed: str, config: PackCacheConfig) -> PackSource:
    """The pack in a folder or below an address.

    Raises:
        ConfigError: see `FarPack`.
    """
    return FarPack(packed, config) if is_address(packed) else FolderPack(packed)


def digest_of(stream: BinaryIO) -> str:
    """SHA-256 of the rest of a file, hexadecimal."""
    state = hashlib.sha256()
    while block := stream.read(BLOCK_BYTES):
        state.update(block)
    return state.hexdigest()
