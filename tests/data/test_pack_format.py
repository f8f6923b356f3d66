"""Packs that somebody made to do harm: digests fit, and what they hold does not."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_data import person, rows, write_data_set

from fairmot.data.index import build_index
from fairmot.data.pack_writer import write_pack
from fairmot.data.packed import check_pack, open_images, open_index
from fairmot.errors import DataError

Arrays = dict[str, Any]
LISTS = {"a": "a.train", "b": "b.train"}


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets of two images: ids 0 to 3, and 0; two shards."""
    root = tmp_path_factory.mktemp("data")
    lists = write_data_set(root, "a", [rows(person(k), person(k + 2)) for k in range(2)])
    lists |= write_data_set(root, "b", [rows(person(0), person(-1)), None])
    assert lists == LISTS
    write_pack(build_index(str(root), lists, progress=False), root / "pack", 20_000, progress=False)
    return root / "pack"


@pytest.fixture
def folder(tmp_path: Path, unharmed: Path) -> Path:
    return Path(shutil.copytree(unharmed, tmp_path / "pack"))


def forge(folder: Path, change: Callable[[Arrays, dict[str, Any]], object], savez: Any = np.savez) -> None:
    """Change arrays and manifest, and let all digests fit again."""
    with np.load(folder / "index.npz") as loaded:
        arrays: Arrays = {name: array.copy() for name, array in loaded.items()}
    manifest = json.loads((folder / "manifest.json").read_text())
    change(arrays, manifest)
    packed = io.BytesIO()
    savez(packed, **arrays)
    (folder / "index.npz").write_bytes(packed.getvalue())
    manifest["index_sha256"] = hashlib.sha256(packed.getvalue()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refusal(folder: Path) -> str:
    """All that opens a pack says the same."""
    said = set()
    openers: list[Callable[[], object]] = [
        lambda: open_index(str(folder), "", LISTS, None),
        lambda: open_images(str(folder)),
        lambda: check_pack(str(folder)),
    ]
    for opened in openers:
        with pytest.raises(DataError, match=str(folder)) as error:
            opened()
        said.add(str(error.value))
    assert len(said) == 1
    return said.pop()


def put(name: str, at: Any, value: float) -> Callable[[Arrays, dict[str, Any]], None]:
    def change(arrays: Arrays, _: dict[str, Any]) -> None:
        arrays[name][at] = value

    return change


def replaced(name: str, make: Callable[[Any], Any]) -> Callable[[Arrays, dict[str, Any]], None]:
    def change(arrays: Arrays, _: dict[str, Any]) -> None:
        arrays[name] = make(arrays[name])

    return change


def said(key: str, value: Any) -> Callable[[Arrays, dict[str, Any]], None]:
    return lambda _, manifest: manifest.update({key: value})


def shard_said(key: str, value: Any) -> Callable[[Arrays, dict[str, Any]], None]:
    return lambda _, manifest: manifest["shards"][1].update({key: value})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (put("rows", (1, 3), np.nan), "a/images/000.png, object 2: no label may be 0 2 0.5 nan"),
        (put("rows", (2, 4), np.inf), "a/images/001.png, object 1: no label"),
        (put("rows", (0, 0), 0.5), "a/images/000.png, object 1: no label"),
        (put("rows", (0, 1), 1e9), "no label"),
        (put("rows", (0, 1), 77), "data set 'a': its manifest counts 4 identities, its rows 78"),
        (said("counts", [4, 2]), "data set 'b': its manifest counts 2 identities, its rows 1"),
        (said("counts", [10**12, 1]), "counts 1000000000000"),
        (said("counts", [4, -1]), "counts -1"),
        (said("counts", [4]), "2 names of data sets, 1 counts"),
        (said("counts", [4, "1"]), "counts[1]"),
        (said("names", ["a", "a"]), "2 names"),
        (said("names", "ab"), "names"),
        (said("shards", []), "no shards"),
        (said("format", "1"), "format"),
        (shard_said("name", "../images-00001.zip"), "'../images-00001.zip' and not images-00001.zip"),
        (shard_said("name", "/etc/passwd"), "'/etc/passwd'"),
        (shard_said("sha256", "../passwd"), "images-00001.zip: '../passwd' is no SHA-256"),
        (shard_said("bytes", 7), "bytes instead of 7"),
        (shard_said("bytes", 2**70), "bytes"),
        (put("image_starts", 1, 0), "image_starts"),
        (put("image_starts", 2, 3), "image_starts"),
        (replaced("image_starts", lambda starts: starts[:2]), "image_starts"),
        (put("row_offsets", 1, -(2**63)), "row_offsets"),
        (put("row_offsets", 1, 2**63 - 1), "row_offsets"),
        (replaced("row_offsets", lambda offsets: offsets[:-1]), "row_offsets"),
        (replaced("rows", lambda rows: rows[:, :5]), "row_offsets"),
        (replaced("rows", lambda rows: rows.astype(np.float64)), "'rows' is no array of float32"),
        (replaced("rows", np.ravel), "'rows' is no array of float32 with 2"),
        (replaced("image_crc32", lambda crc: crc.astype(np.uint32)), "'image_crc32' is no array of int64"),
        (replaced("image_shard", lambda shards: shards[:-1]), "4 images, but not as many places"),
        (replaced("paths", lambda paths: np.append(paths, np.uint8(10))), "an image without a name"),
        (replaced("paths", lambda paths: paths | 0x80), "utf-8"),
        (lambda arrays, _: arrays.pop("image_size"), "no array 'image_size'"),
        (put("image_shard", 2, 2), "b/images/000.png: its place lies outside the shards"),
        (put("image_shard", 0, -1), "outside the shards"),
        (put("image_offset", 0, -1), "outside the shards"),
        (put("image_offset", 3, 2**63 - 1), "outside the shards"),
        (put("image_size", 0, 0), "outside the shards"),
        (put("image_size", 0, -(2**63)), "outside the shards"),
        (put("image_crc32", 0, 2**32), "outside the shards"),
    ],
)
def test_what_does_not_fit_is_said_when_the_pack_is_opened(
    change: Callable[[Arrays, dict[str, Any]], object], fault: str, folder: Path
) -> None:
    forge(folder, change)
    text = refusal(folder)
    assert fault in text
    assert "write it again with python -m fairmot.pack" in text


def test_an_unharmed_pack_is_opened(folder: Path) -> None:
    forge(folder, lambda arrays, manifest: None)
    assert len(open_index(str(folder), "", LISTS, None)) == 4
    assert check_pack(str(folder)) == 4


def test_the_check_reads_every_place(folder: Path) -> None:
    """A place within the shard, but of other bytes: only reading shows it."""
    forge(folder, put("image_crc32", 3, 5))
    open_images(str(folder))
    with pytest.raises(DataError, match=r"images-00001\.zip/b/images/001\.png: damaged"):
        check_pack(str(folder))


def test_compressed_arrays_are_not_unpacked(folder: Path) -> None:
    forge(folder, replaced("rows", lambda rows: np.zeros((1_000_000, 6), np.float32)), np.savez_compressed)
    assert (folder / "index.npz").stat().st_size < 100_000
    assert "its arrays are compressed" in refusal(folder)


def test_arrays_cannot_share_their_bytes(folder: Path) -> None:
    def overlapping(stream: io.BytesIO, **arrays: Any) -> None:
        np.savez(stream, **arrays)
        whole = stream.getvalue()
        directory, end = whole.index(b"PK\x01\x02"), whole.rindex(b"PK\x05\x06")
        entry = whole[directory : whole.index(b"PK\x01\x02", directory + 4)]
        many = entry * (5_000_000 // len(entry))
        tail = bytearray(whole[end:])
        tail[12:16] = len(many).to_bytes(4, "little")
        stream.seek(directory)
        stream.write(many + tail)

    forge(folder, lambda arrays, manifest: None, overlapping)
    assert "and the limit is 4194304" in refusal(folder)


def test_an_index_that_is_something_else(folder: Path) -> None:
    def one_array(stream: io.BytesIO, **arrays: Any) -> None:
        np.save(stream, arrays["rows"])

    def text(stream: io.BytesIO, **_: Any) -> None:
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("paths.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '|u1'}")

    for savez in (one_array, text):
        path = folder / "index.npz"
        before, manifest = path.read_bytes(), (folder / "manifest.json").read_text()
        forge(folder, lambda arrays, manifest: None, savez)
        assert "not the index of a pack" in refusal(folder)
        path.write_bytes(before)
        (folder / "manifest.json").write_text(manifest)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"format": ' + "9" * 5000 + "}", "{}", "null", '{"format": 2}', ""]
)
def test_a_manifest_that_is_none(content: str, folder: Path) -> None:
    (folder / "manifest.json").write_text(content)
    assert "is not a whole pack" in refusal(folder)


@pytest.mark.parametrize("name", ["manifest.json", "index.npz", "images-00000.zip"])
def test_a_pipe_in_a_pack_is_not_waited_for(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "again" in refusal(folder)
