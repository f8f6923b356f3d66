"""Labels that the ranks of a host share: mapped arrays, paths in one text."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from small_data import person, rows, write_data_set

from fairmot.data import path_table
from fairmot.data.array_file import map_arrays
from fairmot.data.index import build_index
from fairmot.data.pack_writer import write_pack
from fairmot.data.packed import PackedImages, PackedIndex, open_index
from fairmot.data.path_table import PathTable
from fairmot.errors import DataError


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_a_table_of_paths_is_like_their_list(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_table, "_SCANNED_BYTES", 7)  # line feeds and letters of several bytes at its borders
    paths = [f"{'ü' * (k % 3)}/{k}" for k in range(count)]
    table = PathTable.of(paths)
    assert len(table) == count and list(table) == paths
    assert [table[i] for i in range(-count, count)] == paths + paths
    for part in (slice(0, 0), slice(3, 70), slice(60, None), slice(None, None, -3)):
        assert table[part] == paths[part]
    with pytest.raises(IndexError):
        table[count]


@pytest.mark.parametrize("text", [b"\na", b"a\n", b"a\n\nb", b"\n", b"aaaaaa\n\nb", b"a\xc3", b"aaaaaa\xffb"])
def test_paths_that_are_none_are_refused(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_table, "_SCANNED_BYTES", 7)
    with pytest.raises(ValueError, match="without a name|utf-8"):
        PathTable(np.frombuffer(text, np.uint8))


def test_arrays_are_mapped_as_savez_wrote_them(tmp_path: Path) -> None:
    written = {"a": np.arange(7.0).reshape(7, 1), "empty": np.zeros((0, 6), np.float32), "one": np.array(3)}
    np.savez(tmp_path / "x.npz", **written)
    with open(tmp_path / "x.npz", "rb") as stream:
        arrays = map_arrays(stream, compare_checksums=True)
    (tmp_path / "x.npz").unlink()
    for name, array in written.items():
        assert arrays[name].dtype == array.dtype and np.array_equal(arrays[name], array)
    with pytest.raises(ValueError, match="read-only"):
        arrays["a"][0] = 1
    assert not arrays["a"].flags.owndata


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda content: content.replace(b"'shape': (7, 1)", b"'shape': (9, 1)"), "in 56 bytes"),
        (lambda content: content.replace(b"'shape': (7, 1)", b"'shape': (-7,-1"[:14] + b")"), "array|header"),
        (lambda content: content.replace(b"'<f8'", b"'|O' "), "objects"),
        (lambda content: content.replace(b"False", b"True "), "by columns"),
        (lambda content: content.replace(b"PK\x03\x04", b"PK\x03\x05", 1), "larger than the file"),
        (lambda content: content[:-1], "zip"),
    ],
)
def test_arrays_that_do_not_fit_their_file_are_refused(change, fault: str, tmp_path: Path) -> None:
    content = io.BytesIO()
    np.savez(content, a=np.arange(7.0).reshape(7, 1))
    (tmp_path / "x.npz").write_bytes(change(content.getvalue()))
    with open(tmp_path / "x.npz", "rb") as stream, pytest.raises(Exception, match=fault):
        map_arrays(stream, compare_checksums=False)


def test_a_flipped_bit_fails_the_checksum(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.arange(7.0))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[content.index(np.arange(7.0).tobytes()) + 20] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    with open(tmp_path / "x.npz", "rb") as stream, pytest.raises(ValueError, match=r"a\.npy: damaged"):
        map_arrays(stream, compare_checksums=True)


def test_a_whole_pack_is_held_only_once_on_a_host(tmp_path: Path) -> None:
    lists = write_data_set(tmp_path, "a", [rows(person(k)) for k in range(3)])
    lists |= write_data_set(tmp_path, "b", [rows(person(0))])
    files = build_index(str(tmp_path), lists, progress=False)
    write_pack(files, tmp_path / "pack", 1 << 20, progress=False)
    packed = open_index(str(tmp_path / "pack"), "", lists, None)
    assert isinstance(packed, PackedIndex)
    assert not any(array.flags.owndata for array in (packed.rows, packed.row_offsets, *packed.pack.arrays.values()))
    assert list(packed.image_paths) == list(files.image_paths) and packed.digest == files.digest
    manifest = json.loads((tmp_path / "pack" / "manifest.json").read_text())
    (tmp_path / "pack" / "manifest.json").write_text(json.dumps(manifest | {"index_sha256": "0" * 64}))
    with pytest.raises(DataError, match=re.escape("was replaced by another pack while its labels were read")):
        PackedImages(packed)
