"""Packs: the same samples as the files, whole or not at all, damage is named."""

import json
import multiprocessing
import os
import shutil
import signal
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from small_data import person, rows, write_data_set

from fairmot.data import pack_writer
from fairmot.data.dataset import DataConfig, JointDataset
from fairmot.data.index import LabelIndex, build_index
from fairmot.data.pack_writer import write_pack
from fairmot.data.packed import check_pack, open_images, open_index
from fairmot.errors import DataError
from fairmot.pack import PackConfig, pack

SMALL_SHARD = 20_000  # two or three of the pictures


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, str]:
    one = write_data_set(tmp_path, "a", [rows(person(k), person(-1, x=0.3)) for k in range(5)])
    return one | write_data_set(tmp_path, "b", [rows(person(k + 1)) if k else None for k in range(4)])


@pytest.fixture
def index(tmp_path: Path, lists: dict[str, str]) -> LabelIndex:
    return build_index(str(tmp_path), lists, progress=False)


@pytest.fixture
def folder(tmp_path: Path, index: LabelIndex) -> Path:
    output = tmp_path / "deep" / "pack"
    assert write_pack(index, output, SMALL_SHARD, progress=False)
    return output


def samples(root: Path, lists: dict[str, str], pack_folder: Path | None) -> JointDataset:
    config = DataConfig(root=str(root), train=lists, input_size=[64, 96])
    config.packed = None if pack_folder is None else str(pack_folder)
    index = open_index(config.packed, config.root, lists, None, progress=False)
    return JointDataset(index, config, seed=5, ltrb=True, down_ratio=4, msra=False)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a"), ("b",)])
def test_a_pack_gives_the_samples_of_the_files(
    names: tuple[str, ...], tmp_path: Path, lists: dict[str, str], folder: Path
) -> None:
    chosen = {name: lists[name] for name in names}
    plain, other = samples(tmp_path, chosen, None), samples(tmp_path / "elsewhere", chosen, folder)
    assert other.index.digest == plain.index.digest
    assert other.index.identities == plain.index.identities
    assert other.index.summary() == plain.index.summary()
    for i in range(len(plain)):
        assert all(np.array_equal(a, b) for a, b in zip(other[i], plain[i], strict=True))


def test_shards_are_zip_files_of_about_the_asked_size(index: LabelIndex, folder: Path) -> None:
    shards = sorted(folder.glob("*.zip"))
    assert len(shards) > 2
    names = []
    for shard in shards:
        assert shard.stat().st_size < 2 * SMALL_SHARD
        with zipfile.ZipFile(shard) as archive:
            assert archive.testzip() is None
            names += archive.namelist()
            for name in archive.namelist():
                assert archive.read(name) == Path(index.root, name).read_bytes()
    assert names == list(index.image_paths)


def test_many_threads_read_one_pack(index: LabelIndex, folder: Path) -> None:
    images = open_images(str(folder))
    expected = [Path(index.image_path(i)).read_bytes() for i in range(len(index))]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            assert list(pool.map(images.read, range(len(index)))) == expected


def test_an_image_in_two_lists_is_packed_once(tmp_path: Path, lists: dict[str, str]) -> None:
    (tmp_path / "half.train").write_text("".join((tmp_path / "a.train").read_text().splitlines(True)[:3]))
    chosen = lists | {"half": "half.train"}
    write_pack(build_index(str(tmp_path), chosen, progress=False), tmp_path / "pack", 1 << 20, progress=False)
    with zipfile.ZipFile(tmp_path / "pack" / "images-00000.zip") as archive:
        assert len(archive.namelist()) == 9
    plain, other = samples(tmp_path, chosen, None), samples(tmp_path, chosen, tmp_path / "pack")
    assert all(np.array_equal(a, b) for a, b in zip(other[10], plain[10], strict=True))


def test_packing_again_changes_nothing_and_other_data_is_refused(
    tmp_path: Path, index: LabelIndex, lists: dict[str, str], folder: Path
) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert not write_pack(index, folder, SMALL_SHARD, progress=False)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    write_pack(index, tmp_path / "second", SMALL_SHARD, progress=False)
    assert {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()} == {
        name: content for name, (content, _) in before.items()
    }
    with pytest.raises(DataError, match="holds other data"):
        write_pack(build_index(str(tmp_path), {"a": lists["a"]}, progress=False), folder, SMALL_SHARD, progress=False)


@pytest.mark.parametrize("victim", ["images-00001.zip", "index.npz", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_pack_that_is_not_whole_is_refused(victim: str, damage: str, lists: dict[str, str], folder: Path) -> None:
    path = folder / victim
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-7])
    for opened in (lambda: open_index(str(folder), "", lists, None), lambda: open_images(str(folder))):
        with pytest.raises(DataError, match=f"{folder}.*(again|whole)"):
            opened()


def test_a_flipped_byte_names_shard_and_image(index: LabelIndex, folder: Path) -> None:
    shard = folder / "images-00000.zip"
    content = bytearray(shard.read_bytes())
    with zipfile.ZipFile(shard) as archive:
        info = archive.infolist()[1]
    content[info.header_offset + 30 + len(info.filename) + 100] ^= 1
    shard.write_bytes(content)
    images = open_images(str(folder))
    images.read(0)
    with pytest.raises(DataError, match=r"images-00000\.zip/a/images/001\.png: damaged"):
        images.read(1)
    with pytest.raises(DataError, match=r"images-00000\.zip: damaged"):
        check_pack(str(folder))


def test_labels_that_do_not_fit_name_image_and_object(tmp_path: Path) -> None:
    lists = write_data_set(tmp_path, "a", [rows(person(0)), rows(person(1), [3, 2, 0.5, 0.5, 0.1, 0.1])])
    write_pack(build_index(str(tmp_path), lists, progress=False), tmp_path / "pack", 1 << 20, progress=False)
    with pytest.raises(DataError, match=r"pack: a/images/001\.png, object 2: class 3, but data\.num_classes is 1"):
        samples(tmp_path, lists, tmp_path / "pack")


def test_a_pack_replaced_between_labels_and_images_is_refused(
    tmp_path: Path, lists: dict[str, str], folder: Path
) -> None:
    index = open_index(str(folder), "", lists, None, progress=False)
    shutil.rmtree(folder)
    Path(tmp_path / "a/images/000.png").write_bytes((tmp_path / "a/images/001.png").read_bytes())  # same names, labels
    write_pack(build_index(str(tmp_path), lists, progress=False), folder, SMALL_SHARD, progress=False)
    config = DataConfig(root=str(tmp_path), train=lists, input_size=[64, 96], packed=str(folder))
    with pytest.raises(DataError, match=f"{folder}: was replaced .*; start again"):
        JointDataset(index, config, seed=5, ltrb=True, down_ratio=4, msra=False)


def test_a_data_set_that_was_not_packed(folder: Path) -> None:
    with pytest.raises(DataError, match="has no data set 'c', only a, b"):
        open_index(str(folder), "", {"a": "a.train", "c": "c.train"}, None)


def test_an_image_that_cannot_be_read_leaves_no_pack(tmp_path: Path, index: LabelIndex) -> None:
    path = Path(index.image_path(7))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=rf"{path.name}: PNG file is cut short"):
        write_pack(index, tmp_path / "out" / "pack", SMALL_SHARD, progress=False)
    assert list((tmp_path / "out").iterdir()) == []


def _pack_slowly(index: LabelIndex, output: Path) -> None:
    read = pack_writer.read_content

    def read_slowly(path: str) -> bytes:
        time.sleep(0.05)
        return read(path)

    pack_writer.read_content = read_slowly
    write_pack(index, output, SMALL_SHARD, progress=False)


@pytest.mark.parametrize("delay_s", [0.05, 0.3])
def test_a_killed_packer_leaves_no_pack(delay_s: float, tmp_path: Path, index: LabelIndex) -> None:
    output = tmp_path / "out" / "pack"
    process = multiprocessing.get_context("fork").Process(target=_pack_slowly, args=(index, output))
    process.start()
    while not output.parent.is_dir() or not list(output.parent.iterdir()):
        assert process.is_alive()
        time.sleep(0.005)
    time.sleep(delay_s)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not output.exists()
    assert write_pack(index, output, SMALL_SHARD, progress=False)
    assert check_pack(str(output)) == 9


def test_the_command(tmp_path: Path, lists: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    config = PackConfig(DataConfig(root=str(tmp_path), train=lists), str(tmp_path / "pack"), shard_mb=1)
    pack(config)
    pack(config)
    config.check = True
    pack(config)
    said = capsys.readouterr().out
    assert "9 images in " in said
    assert "was complete already" in said
    assert "9 images, all digests fit" in said
    assert json.loads((tmp_path / "pack" / "manifest.json").read_text())["names"] == ["a", "b"]
    for key, value in (("shard_mb", 0), ("output", " ")):
        with pytest.raises(ValueError, match=key):
            PackConfig(**({"output": "x"} | {key: value}))  # type: ignore[arg-type]
