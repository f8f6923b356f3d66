"""Packs behind an address: the same samples as from the folder whatever the store does, or one clear error."""

import base64
import contextlib
import hashlib
import logging
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from far_server import FarServer
from full_disk import FullDisk
from small_data import person, rows, write_data_set

from fairmot.data import far_store, pack_source, shard_cache
from fairmot.data.dataset import DataConfig, JointDataset
from fairmot.data.index import build_index
from fairmot.data.pack_format import INDEX, MANIFEST
from fairmot.data.pack_writer import write_pack
from fairmot.data.packed import PackedImages, check_pack, open_images, open_index
from fairmot.data.shard_cache import PackCacheConfig
from fairmot.errors import ConfigError, DataError
from fairmot.pack import PackConfig, pack

FIRST = "images-00000.zip"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A data set of ten pictures and its pack of some shards."""
    root = tmp_path_factory.mktemp("data")
    lists = write_data_set(root, "a", [rows(person(k), person(-1, x=0.3)) for k in range(10)])
    write_pack(build_index(str(root), lists, progress=False), root / "pack", 20_000, progress=False)
    return root, lists


@pytest.fixture
def server(made: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[FarServer]:
    monkeypatch.setattr(far_store, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(shard_cache, "BLOCK_BYTES", 7_000)  # several a shard
    monkeypatch.setattr(shard_cache, "_LEFT_FREE_BYTES", 0)
    with FarServer(made[0] / "pack") as server:
        yield server


def cache(folder: Path, gigabytes: float = 1.0, patience_s: float = 2.0) -> PackCacheConfig:
    return PackCacheConfig(str(folder), gigabytes, patience_s)


def fetch_all(images: PackedImages) -> None:
    """Wait until the cache has what it can hold."""
    images.prefetch(np.arange(len(images._paths)))
    images._source._fetcher.join(20)  # type: ignore[union-attr]
    assert not images._source._fetcher.is_alive()  # type: ignore[union-attr]


def all_right(images: PackedImages, root: Path) -> bool:
    return all(images.read(i) == (root / path).read_bytes() for i, path in enumerate(images._paths))


def shards_in(folder: Path, root: Path) -> int:
    digests = {shard.sha256 for shard in pack_source.FolderPack(str(root / "pack")).manifest().shards}
    return sum(path.name in digests for path in folder.iterdir())


@pytest.mark.parametrize("kept", [False, True])
def test_a_far_pack_gives_the_samples_of_the_folder(
    kept: bool, tmp_path: Path, server: FarServer, made: tuple[Path, dict[str, str]]
) -> None:
    root, lists = made
    datasets = []
    for packed in (str(root / "pack"), server.address):
        config = DataConfig(root=str(tmp_path), train=lists, input_size=[64, 96], packed=packed)
        config.pack_cache = cache(tmp_path / "cache")
        index = open_index(packed, config.root, lists, None, False, config.pack_cache)
        datasets.append(JointDataset(index, config, seed=5, ltrb=True, down_ratio=4, msra=False))
    near, far = datasets
    assert far.index.digest == near.index.digest
    if kept:
        fetch_all(far._packed)  # type: ignore[arg-type]
        server.requests.clear()
    for i in range(len(near)):
        assert all(np.array_equal(a, b) for a, b in zip(far[i], near[i], strict=True))
    assert bool(server.requests) is not kept
    assert sum(request == ("GET", INDEX, 0) for request in server.requests) <= 2  # its size, and once the whole


@pytest.mark.parametrize(
    ("file", "fault"),
    [  # not wrong bytes of a manifest, which has no digest of its own
        *((MANIFEST, fault) for fault in (503, "cut")),
        *((INDEX, fault) for fault in (503, "cut", "wrong")),
        *((FIRST, fault) for fault in (503, "cut", "wrong", 0.4)),
    ],
)
def test_a_fault_that_passes_is_overcome(
    fault: object, file: str, tmp_path: Path, server: FarServer, made: tuple[Path, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(far_store, "_REQUEST_S", 0.2)
    server.fault = lambda asked, number: fault if asked == file and number in (0, 2) else None
    images = open_images(server.address, cache(tmp_path))
    assert all_right(images, made[0])
    fetch_all(images)
    assert shards_in(tmp_path, made[0]) == len(images._shards) > 2
    server.requests.clear()
    assert all_right(images, made[0])
    assert not server.requests


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (503, "cannot be read .*503.* tried .* times in .*patience_s="),
        (0.4, "cannot be read .*Timeout.* tried"),
        ("cut", "cannot be read"),
        ("wrong", "000.png: damaged, its checksum does not fit, read 3 times"),
        (404, "is not there; check data.packed="),
        (403, "refuses access; give credentials"),
        (416, "refuses the request with 416"),
        ("whole", "whole files where a part is asked for"),
    ],
)
def test_a_fault_that_stays_is_one_clear_error(
    fault: object, said: str, tmp_path: Path, server: FarServer, made: tuple[Path, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(far_store, "_REQUEST_S", 0.1)
    address = server.address.replace("//", "//me:pass-word@") + "?token=hidden"
    images = open_images(address, cache(tmp_path, patience_s=0.3))
    server.fault = lambda file, number: fault if file == FIRST else None
    with pytest.raises(DataError, match=said) as error:
        images.read(0)
    assert FIRST in str(error.value)
    assert server.credentials == {"Basic " + base64.b64encode(b"me:pass-word").decode()}
    assert "pass-word" not in str(error.value) and "hidden" not in str(error.value)
    fetch_all(images)  # the other shards
    assert shards_in(tmp_path, made[0]) == len(images._shards) - 1
    assert not list(tmp_path.glob("*.part"))


def test_a_server_without_ranges_is_found_out_by_a_small_file(tmp_path: Path, server: FarServer) -> None:
    server.fault = lambda file, number: "whole"
    with pytest.raises(DataError, match="manifest.json: the server sends whole files"):
        open_index(server.address, "", {"a": "a.train"}, None, False, cache(tmp_path))
    assert server.requests == [("GET", MANIFEST, 0)]


def test_a_cache_smaller_than_the_pack(
    tmp_path: Path, server: FarServer, made: tuple[Path, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    images = open_images(server.address, cache(tmp_path, gigabytes=50_000e-9))  # two shards of about 20 kB
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            fetch_all(images)
            assert all_right(images, made[0])
    assert shards_in(tmp_path, made[0]) == 2
    assert caplog.text.count("fetched one by one") == 1


def test_a_full_disk_stops_fetching_and_not_reading(
    tmp_path: Path, server: FarServer, made: tuple[Path, dict[str, str]]
) -> None:
    images = open_images(server.address, cache(tmp_path))
    with FullDisk() as disk:
        disk.fill(10_000)
        fetch_all(images)
        assert all_right(images, made[0])
        assert len(list(tmp_path.iterdir())) == 2  # lock and index: nothing half-written
    fetch_all(images)
    assert shards_in(tmp_path, made[0]) == len(images._shards)
    for path in tmp_path.iterdir():
        path.unlink()
    with FullDisk() as disk, pytest.raises(ConfigError, match="the index of a pack must fit"):
        disk.fill(10)
        open_images(server.address, cache(tmp_path))


def test_a_damaged_copy_is_noticed_and_fetched_again(
    tmp_path: Path, server: FarServer, made: tuple[Path, dict[str, str]]
) -> None:
    first = open_images(server.address, cache(tmp_path))
    fetch_all(first)
    index = pack_source.FolderPack(str(made[0] / "pack")).manifest().index_sha256
    for path in tmp_path.iterdir():
        if path.name != ".lock":
            zeros = bytes(path.stat().st_size)  # as after a power cut
            if path.name == index:
                path.unlink()  # whoever maps it keeps it
            path.write_bytes(zeros)
    second = open_images(server.address, cache(tmp_path))
    assert all_right(second, made[0]) and all_right(first, made[0])
    fetch_all(second)
    server.requests.clear()
    assert all_right(second, made[0])
    assert not server.requests


RANK = """
import sys
from fairmot.data import shard_cache
from fairmot.data.packed import open_images

shard_cache._LEFT_FREE_BYTES = 0
images = open_images(sys.argv[1], shard_cache.PackCacheConfig(sys.argv[2]))
images.prefetch(range(len(images._paths)))
images._source._fetcher.join()
for i, path in enumerate(images._paths):
    assert images.read(i) == open(f"{sys.argv[3]}/{path}", "rb").read()
"""


def test_processes_share_the_cache_and_fetch_each_shard_once(
    tmp_path: Path, server: FarServer, made: tuple[Path, dict[str, str]]
) -> None:
    server.fault = lambda file, number: 0.02
    words = [sys.executable, "-c", RANK, server.address, str(tmp_path), str(made[0])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    processes = [subprocess.Popen(words, env=environment) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    sizes = {shard.name: shard.bytes for shard in pack_source.FolderPack(str(made[0] / "pack")).manifest().shards}
    whole = [file for _, file, first in server.requests if first == 0 and file in sizes]
    assert sorted(whole) == sorted(sizes)


def test_the_longest_unused_goes_first_and_nothing_that_is_read(tmp_path: Path) -> None:
    contents = {hashlib.sha256(bytes([k])).hexdigest(): bytes([k]) for k in range(4)}
    files = shard_cache.ShardCache(cache(tmp_path, gigabytes=3e-9))
    one, two, three, four = contents
    shard_cache._LEFT_FREE_BYTES = 0
    (tmp_path / "somebody's.file").write_bytes(bytes(100))

    def fetch(digest: str) -> bool:
        return files.fetch(digest, 1, lambda start, end: contents[digest][start:end])

    for age, digest in enumerate((one, two, three)):
        assert fetch(digest)
        os.utime(tmp_path / digest, (age, age))
    held = files.open(two)
    os.utime(tmp_path / two, (0, 0))
    assert held is not None
    assert fetch(four)
    assert sorted(path.name for path in tmp_path.iterdir() if len(path.name) == 64) == sorted((two, three, four))
    assert (tmp_path / "somebody's.file").exists()
    others = [files.open(three), files.open(four)]
    with pytest.raises(shard_cache.CacheFullError, match="no room for 1 bytes beside 3 in use"):
        fetch(one)
    for stream in (held, *others):
        stream.close()  # type: ignore[union-attr]


def test_what_a_killed_fetcher_leaves_is_taken_over(
    tmp_path: Path, server: FarServer, made: tuple[Path, dict[str, str]]
) -> None:
    images = open_images(server.address, cache(tmp_path))
    for shard in images._shards:
        (tmp_path / f"{shard.sha256}.part").write_bytes(b"half")
    fetch_all(images)
    assert shards_in(tmp_path, made[0]) == len(images._shards)
    assert not list(tmp_path.glob("*.part"))


def test_any_store_of_fsspec(tmp_path: Path, made: tuple[Path, dict[str, str]]) -> None:
    memory = fsspec.filesystem("memory")
    for path in (made[0] / "pack").iterdir():
        memory.pipe_file(f"/bucket/pack/{path.name}", path.read_bytes())
    images = open_images("memory://bucket/pack/", cache(tmp_path))
    fetch_all(images)
    assert all_right(images, made[0])
    assert check_pack("memory://bucket/pack", cache(tmp_path)) == 10
    memory.pipe_file(f"/bucket/pack/{FIRST}", bytes(images._shards[0].bytes))
    with pytest.raises(DataError, match="images-00000.zip: damaged, its SHA-256"):
        check_pack("memory://bucket/pack", cache(tmp_path))
    memory.rm("/bucket", recursive=True)


def test_the_command_checks_a_far_pack(tmp_path: Path, server: FarServer, capsys: pytest.CaptureFixture[str]) -> None:
    data = DataConfig(pack_cache=cache(tmp_path))
    pack(PackConfig(data, server.address.replace("//", "//me:pass-word@"), check=True))
    said = capsys.readouterr().out
    assert "10 images, all digests fit" in said
    assert "pass-word" not in said


@pytest.mark.parametrize("address", ["nosuch://host/pack", "obs://bucket/pack"])
def test_an_address_without_a_way(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ConfigError, match="data.packed=.*(not known|AWS_ENDPOINT_URL_S3=https://obs)"):
        open_images(address, cache(tmp_path))


def test_obs_is_asked_as_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Bucket(fsspec.AbstractFileSystem):  # type: ignore[misc]
        protocol = "s3"

        def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
            asked.append(path)
            raise PermissionError(path)

    monkeypatch.setattr(fsspec, "filesystem", lambda protocol: {"s3": Bucket}[protocol]())
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://obs.region.example")
    with pytest.raises(DataError, match="obs://bucket/pack/manifest.json: the store refuses access"):
        open_images("obs://bucket/pack/", cache(tmp_path))
    assert asked == ["bucket/pack/manifest.json"]


def test_what_is_refused_beforehand(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="data.root=s3://b: pictures and lists .* data.packed="):
        DataConfig(root="s3://b")
    with pytest.raises(ValueError, match="output=s3://b: packs are written to folders"):
        PackConfig(output="s3://b")
    with pytest.raises(ValueError, match="data.pack_cache.gigabytes=0"):
        PackCacheConfig(gigabytes=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="data.pack_cache.folder=.*file.*name a folder"):
        open_images("memory://x", cache(tmp_path / "file"))


def test_trying_again_leaves_the_random_numbers_alone(tmp_path: Path, server: FarServer) -> None:
    server.fault = lambda file, number: 503 if number < 2 else None
    random.seed(3)
    state = random.getstate()
    with contextlib.suppress(DataError):
        open_images(server.address, cache(tmp_path))
    assert random.getstate() == state
    assert server.count(MANIFEST) > 2
