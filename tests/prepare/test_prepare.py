import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from fairmot.data.labels import read_labels
from fairmot.errors import ConfigError, DataError
from fairmot.media.image_size import read_image_size
from fairmot.prepare.command import DATA_SETS, prepare, summary
from fairmot.prepare.config import PrepareConfig

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("FAIRMOT_SHARED", REPOSITORY.parent / "shared"))
HEIGHT, WIDTH = 48, 64
SEQINFO = "[Sequence]\nname=x\nimDir=img1\nframeRate=25\nseqLength=9\nimWidth={}\nimHeight={}\nimExt=.jpg\n"
MOT17_GT = [
    "1,5,10,12,20,24,1,1,0.5",
    "2,5,-4,12,20,24,1,1,0",
    "1,2,0,0,8,16,1,1,1",
    "1,3,0,0,8,16,0,1,1",
    "1,4,0,0,8,16,1,7,1",
    "9,6,0,0,8,16,1,1,1",
]


def write_sequence(
    folder: Path, frames: int = 3, truth: list[str] | None = None, seqinfo: bool = True, suffix: str = ".jpg"
) -> Path:
    (folder / "img1").mkdir(parents=True)
    rng = np.random.default_rng(len(folder.name))
    for frame in range(1, frames + 1):
        cv2.imwrite(str(folder / f"img1/{frame:06d}{suffix}"), rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    if truth is not None:
        (folder / "gt").mkdir()
        (folder / "gt/gt.txt").write_text("".join(f"{line}\n" for line in truth))
    if seqinfo:
        (folder / "seqinfo.ini").write_text(SEQINFO.format(WIDTH, HEIGHT))
    return folder


def run(dataset: str, root: Path, output: Path, **settings: object) -> dict:
    return DATA_SETS[dataset](PrepareConfig(dataset, str(root), str(output), **settings))[0]  # type: ignore[arg-type]


def labels_of(output: Path, dataset: str, sequence: str) -> dict[str, list[list[float]]]:
    folder = output / dataset / "labels_with_ids/train" / sequence / "img1"
    return {
        path.stem: [[float(field) for field in line.split()] for line in path.read_text().splitlines()]
        for path in sorted(folder.iterdir())
    }


def snapshot(root: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in root.rglob("*")}


@pytest.fixture
def mot17(tmp_path: Path) -> Path:
    train = tmp_path / "download/train"
    write_sequence(train / "MOT17-02-FRCNN", truth=MOT17_GT)
    write_sequence(train / "MOT17-02-SDP", truth=MOT17_GT)
    write_sequence(train / "MOT17-04-SDP", frames=4, truth=["1,2,0,0,32,24,1,1,1"])
    write_sequence(tmp_path / "download/test/MOT17-01-DPM", frames=2)
    return tmp_path / "download"


def test_mot17_keeps_flagged_people_renumbers_ids_and_leaves_empty_labels(mot17: Path, tmp_path: Path) -> None:
    run("mot17", mot17, tmp_path / "out")
    assert labels_of(tmp_path / "out", "mot17", "MOT17-02-FRCNN") == {
        "000001": [
            [0, 0, 0.0625, 0.166667, 0.125, 0.333333],
            [0, 1, 0.3125, 0.5, 0.3125, 0.5],
        ],
        "000002": [[0, 1, 0.09375, 0.5, 0.3125, 0.5]],
        "000003": [],
    }
    second = labels_of(tmp_path / "out", "mot17", "MOT17-04-SDP")
    assert second["000001"] == [[0, 2, 0.25, 0.25, 0.5, 0.5]]
    assert [len(rows) for rows in second.values()] == [1, 0, 0, 0]


def test_mot17_takes_each_scene_once_and_lists_halves_and_test(mot17: Path, tmp_path: Path) -> None:
    manifest = run("mot17", mot17, tmp_path / "out")
    lists = {path.name: path.read_text().split() for path in (tmp_path / "out").glob("mot17*.[tv]*")}
    assert {name: len(paths) for name, paths in lists.items()} == {
        "mot17.train": 7,
        "mot17.test": 2,
        "mot17_half.train": 3,
        "mot17_half.val": 4,
    }
    first, second = "mot17/images/train/MOT17-02-FRCNN/img1/", "mot17/images/train/MOT17-04-SDP/img1/"
    assert lists["mot17_half.train"] == [f"{first}000001.jpg", f"{second}000001.jpg", f"{second}000002.jpg"]
    assert lists["mot17.test"][0] == "mot17/images/test/MOT17-01-DPM/img1/000001.jpg"
    assert all((tmp_path / "out" / path).is_file() for paths in lists.values() for path in paths)
    assert not (tmp_path / "out/mot17/labels_with_ids/test").exists()
    reports = {report["name"]: report for report in manifest["sequences"]}
    assert reports["MOT17-02-FRCNN"]["rows_without_image"] == 1
    assert (reports["MOT17-02-FRCNN"]["boxes"], reports["MOT17-02-FRCNN"]["identities"]) == (3, 2)
    assert manifest["totals"] == {"images": 9, "boxes": 4, "identities": 3}
    assert "MOT17-02-FRCNN: 1 ground truth rows left out" in summary(manifest)
    copied = tmp_path / "out/mot17/images/train/MOT17-02-FRCNN"
    truth = (mot17 / "train/MOT17-02-FRCNN/gt/gt.txt").read_text().splitlines()
    assert (copied / "gt/gt.txt").read_text().splitlines() == [row for row in truth if not row.startswith("9,")]
    whole = "train/MOT17-04-SDP/gt/gt.txt"
    assert (tmp_path / "out/mot17/images" / whole).read_bytes() == (mot17 / whole).read_bytes()
    info = (mot17 / "train/MOT17-02-FRCNN/seqinfo.ini").read_text()
    assert "seqLength=9\n" in info
    assert (copied / "seqinfo.ini").read_text() == info.replace("seqLength=9", "seqLength=3")
    assert "MOT17-02-FRCNN: 6 of the 9 pictures that seqinfo.ini says are missing" in summary(manifest)


def test_mot15_has_no_class_and_may_lack_seqinfo(tmp_path: Path) -> None:
    truth = ["1,1,0,0,32,24,1,-1,-1,-1", "1,2,0,0,32,24,0,-1,-1,-1", "2,7,0,0,32.5,24,1,3.2,1.5,0"]
    write_sequence(tmp_path / "MOT15/train/TUD-X", truth=truth, seqinfo=False, suffix=".png")
    manifest = run("mot15", tmp_path / "MOT15/train", tmp_path / "out")
    assert [len(rows) for rows in labels_of(tmp_path / "out", "mot15", "TUD-X").values()] == [1, 1, 0]
    assert manifest["sequences"][0]["frame_rate"] is None
    assert "unknown" in summary(manifest)
    assert not list((tmp_path / "out").glob("mot15_half*"))


def test_images_are_hard_links_or_copies_as_asked(mot17: Path, tmp_path: Path) -> None:
    source = mot17 / "train/MOT17-02-FRCNN/img1/000001.jpg"
    for link, way in ((True, "hard link"), (False, "copy")):
        output = tmp_path / way
        manifest = run("mot17", mot17, output, link=link)
        image = output / "mot17/images/train/MOT17-02-FRCNN/img1/000001.jpg"
        assert {report["images_by"] for report in manifest["sequences"]} == {way}
        assert image.samefile(source) is link
        assert image.read_bytes() == source.read_bytes()


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_across_file_systems_images_are_symbolic_links(mot17: Path, other_file_system: Path) -> None:
    manifest = run("mot17", mot17, other_file_system)
    image = other_file_system / "mot17/images/train/MOT17-02-FRCNN/img1/000001.jpg"
    assert {report["images_by"] for report in manifest["sequences"]} == {"symbolic link"}
    assert image.is_symlink()
    assert image.samefile(mot17 / "train/MOT17-02-FRCNN/img1/000001.jpg")


def test_where_nothing_can_be_linked_images_are_copied(
    mot17: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    manifest = run("mot17", mot17, tmp_path / "out")
    assert {report["images_by"] for report in manifest["sequences"]} == {"copy"}


def test_second_run_touches_nothing_and_the_download_is_never_written(mot17: Path, tmp_path: Path) -> None:
    download = snapshot(mot17)
    config = PrepareConfig("mot17", str(mot17), str(tmp_path / "out"))
    assert DATA_SETS["mot17"](config)[1] is True
    first = snapshot(tmp_path / "out")
    assert DATA_SETS["mot17"](config)[1] is False
    assert snapshot(tmp_path / "out") == first
    assert snapshot(mot17) == download


def test_subset_of_sequences_numbers_its_own_ids(mot17: Path, tmp_path: Path) -> None:
    manifest = run("mot17", mot17, tmp_path / "out", sequences=["MOT17-04-SDP"])
    assert [report["name"] for report in manifest["sequences"]] == ["MOT17-04-SDP"]
    assert labels_of(tmp_path / "out", "mot17", "MOT17-04-SDP")["000001"][0][1] == 0
    with pytest.raises(ConfigError, match=r"unknown MOT17-4.*MOT17-01-DPM, MOT17-02-FRCNN, MOT17-04-SDP"):
        run("mot17", mot17, tmp_path / "out2", sequences=["MOT17-4"])


def test_other_settings_need_overwrite_which_leaves_nothing_old(mot17: Path, tmp_path: Path) -> None:
    run("mot17", mot17, tmp_path / "out")
    before = snapshot(tmp_path / "out")
    with pytest.raises(DataError, match=r"other settings \(sources\); overwrite=true"):
        run("mot17", mot17, tmp_path / "out", sequences=["MOT17-04-SDP"])
    assert snapshot(tmp_path / "out") == before
    run("mot17", mot17, tmp_path / "out", sequences=["MOT17-04-SDP"], overwrite=True)
    assert not (tmp_path / "out/mot17.test").exists()
    assert [path.name for path in (tmp_path / "out/mot17/images/train").iterdir()] == ["MOT17-04-SDP"]


def test_changed_download_is_noticed_and_overwrite_mends_a_damaged_set(mot17: Path, tmp_path: Path) -> None:
    run("mot17", mot17, tmp_path / "out")
    label = tmp_path / "out/mot17/labels_with_ids/train/MOT17-04-SDP/img1/000001.txt"
    label.unlink()
    run("mot17", mot17, tmp_path / "out", overwrite=True)
    assert label.is_file()
    (mot17 / "train/MOT17-04-SDP/gt/gt.txt").write_text("1,2,0,0,32,20,1,1,1\n")
    with pytest.raises(DataError, match="sources"):
        run("mot17", mot17, tmp_path / "out")


def test_interrupted_run_leaves_no_set_and_the_next_one_is_whole(
    mot17: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run("mot17", mot17, output)
    assert [path.name for path in output.iterdir()] == [".mot17.lock"]
    (output / ".mot17.building-killed").mkdir()
    run("mot17", mot17, output)
    run("mot17", mot17, tmp_path / "undisturbed")
    for path in (path for path in (tmp_path / "undisturbed").rglob("*") if path.is_file()):
        assert (output / path.relative_to(tmp_path / "undisturbed")).read_bytes() == path.read_bytes()
    assert not list(output.glob(".mot17.building-*"))


def test_the_download_itself_is_never_the_output(mot17: Path, tmp_path: Path) -> None:
    download = mot17.rename(tmp_path / "mot17")
    before = snapshot(download)
    for overwrite in (False, True):
        with pytest.raises(DataError, match="over the download"):
            run("mot17", download, tmp_path, overwrite=overwrite)
    assert snapshot(download) == before


def test_image_sizes_come_from_headers(tmp_path: Path) -> None:
    picture = np.zeros((30, 50, 3), np.uint8)
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    for name, options in (("a.jpg", []), ("b.jpg", progressive), ("c.png", [])):
        cv2.imwrite(str(tmp_path / name), picture, options)
        assert read_image_size(tmp_path / name) == (30, 50)
    jpeg = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "d.jpg").write_bytes(jpeg[:2] + b"\xff\xe1\x00\x06\xff\xc0\x00\x01\xff" + jpeg[2:])
    assert read_image_size(tmp_path / "d.jpg") == (30, 50)


def gt(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "gt/gt.txt").write_text("1,1,0,0,8,16,1,1,1\n" + text + "\n")


def seqinfo(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "seqinfo.ini").write_text(text)


def image(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "img1/000002.jpg").write_bytes(content)


def other_size(folder: Path) -> None:
    cv2.imwrite(str(folder / "img1/000002.jpg"), np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (gt("1,1,0,0,8,16,1,1"), r"gt.txt:2: 8 columns, expected 9: frame,id,"),
        (gt("1,1,0,0,8,16,1,1,1,1"), r"gt.txt:2: 10 columns, expected 9"),
        (gt("1,1,zero,0,8,16,1,1,1"), r"gt.txt:2: x 'zero' is not a number"),
        (gt("1,1,nan,0,8,16,1,1,1"), r"gt.txt:2: x 'nan' is not a finite number"),
        (gt("1,1,0,0,8,inf,1,1,1"), r"gt.txt:2: h 'inf' is not a finite number"),
        (gt("1,2,0,0,0,16,1,1,1"), r"gt.txt:2: width and height must be positive, not 0 x 16"),
        (gt("1,2,0,0,8,-16,1,1,1"), r"gt.txt:2: width and height must be positive, not 8 x -16"),
        (gt("1,1,0,0,8,16,1,1,1"), r"gt.txt:2: id 1 appears twice in frame 1, first on line 1"),
        (
            gt("0,1,0,0,8,16,1,1,1"),
            r"gt.txt:2: a row of frame 0; the rows are of frames 0 to 1, but img1 holds 3 pictures named 1 to 3",
        ),
        (gt("1,1.5,0,0,8,16,1,1,1"), r"gt.txt:2: id 1.5 must be an integer"),
        (
            lambda folder: (folder / "gt/gt.txt").write_bytes(b"\xff\xfe1"),
            r"gt.txt:1: cannot be read as MOTChallenge text: not UTF-8",
        ),
        (seqinfo(SEQINFO.format(65, 48)), r"seqinfo.ini: imWidth x imHeight is 65x48, but the images are 64x48"),
        (seqinfo("[Sequence]\nimWidth=64\n"), r"seqinfo.ini: imWidth and imHeight are missing"),
        (seqinfo("[Sequence]\nimWidth=64\nimHeight=tall\n"), r"seqinfo.ini: .*tall"),
        (seqinfo("[Other]\n"), r"seqinfo.ini: no section \[Sequence\]"),
        (seqinfo("imWidth=64\n"), r"seqinfo.ini: "),
        (seqinfo(SEQINFO.format(64, 48).replace("25", "0")), r"seqinfo.ini: frameRate 0 must be positive"),
        (image(b""), r"000002.jpg: neither a JPEG nor a PNG"),
        (image(b"GIF89a.."), r"000002.jpg: neither a JPEG nor a PNG"),
        (image(b"\xff\xd8\xff\xe0\x00"), r"000002.jpg: the image's header is broken"),
        (image(b"\xff\xd8\xff\xd9" + bytes(20)), r"000002.jpg: the image's header is broken"),
        (image(b"\x89PNG\r\n\x1a\n" + bytes(4)), r"000002.jpg: the image's header is broken"),
        (other_size, r"000002.jpg: 8x8 pixels, but .*000001.jpg has 64x48"),
        (lambda folder: (folder / "img1/cover.jpg").touch(), r"cover.jpg: an image's name must be its frame number"),
        (lambda folder: (folder / "img1/2.jpg").touch(), r"2.jpg: frame 2 is also"),
        (lambda folder: [path.unlink() for path in (folder / "img1").iterdir()], r"img1: no pictures"),
        (lambda folder: (folder / "img1/000004.jpg").symlink_to("nowhere"), r"000004.jpg: cannot be read"),
    ],
)
def test_bad_download_is_one_clear_error_and_leaves_nothing(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    folder = write_sequence(tmp_path / "download/train/MOT17-02-FRCNN", truth=MOT17_GT)
    spoil(folder)
    with pytest.raises(DataError, match=message):
        run("mot17", tmp_path / "download", tmp_path / "out")
    left = list((tmp_path / "out").iterdir()) if (tmp_path / "out").exists() else []
    assert [path.name for path in left] in ([], [".mot17.lock"])


def test_ignored_rows_may_have_any_size(tmp_path: Path) -> None:
    write_sequence(tmp_path / "download/MOT17-02-FRCNN", truth=["1,1,0,0,0,0,0,1,1", "1,2,0,0,-1,5,0,8,1", ""])
    manifest = run("mot17", tmp_path / "download", tmp_path / "out")
    assert manifest["totals"]["boxes"] == 0
    assert "not one of the 2 rows of gt.txt counts (2 have flag 0): nothing is trained on" in summary(manifest)


def test_missing_root_no_sequences_and_same_names_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        run("mot17", tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty/train").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no sequences found; looked for .*train"):
        run("mot17", tmp_path / "empty", tmp_path / "out")
    for split in ("train", "test"):
        write_sequence(tmp_path / "twice" / split / "A")
    with pytest.raises(DataError, match="of this name is also"):
        run("mot17", tmp_path / "twice", tmp_path / "out")


def test_folder_test_is_never_trained_on(tmp_path: Path) -> None:
    write_sequence(tmp_path / "test/MOT17-01-FRCNN", truth=MOT17_GT)
    manifest = run("mot17", tmp_path / "test", tmp_path / "out")
    assert manifest["lists"] == {"mot17.test": 3}
    assert not (tmp_path / "out/mot17/images/test/MOT17-01-FRCNN/gt").exists()


def test_unknown_data_set_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"dataset=mot71: unknown: did you mean 'mot17'\?; there are: mot15, .*custom"
    ):
        prepare(PrepareConfig("mot71", str(tmp_path), str(tmp_path)))


def call_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "fairmot.prepare", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_command_prepares_prints_a_table_and_leaves_nothing_else(mot17: Path, tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    result = call_command(tmp_path, "dataset=mot17", "root=download", "output=out", "sequences=[MOT17-04-SDP]")
    assert result.returncode == 0, result.stderr
    assert "MOT17-04-SDP  train  64x48  25" in result.stdout
    assert {path.name for path in tmp_path.iterdir()} == before | {"out"}
    manifest = json.loads((tmp_path / "out/mot17.manifest.json").read_text())
    assert manifest["format_version"] == 3
    assert manifest["lists"] == {"mot17.train": 4, "mot17_half.train": 2, "mot17_half.val": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 9999, "recursion limit"),
        (b'{"format_version": 3}', "lists: is missing; settings: is missing; .* and 2 more"),
        (b'{"lists": {"a/../../b": 1}, "settings": {}, "digest": ""}', "a/../../b is not the name of a file"),
        (b'{"lists": ["a"], "settings": {}, "digest": 1}', "lists: .* object; digest: .* string"),
    ],
)
def test_a_manifest_of_another_program_is_refused(mot17: Path, tmp_path: Path, content: bytes, message: str) -> None:
    """Old lists are deleted when a data set is made anew: not those that a foreign file names."""
    run("mot17", mot17, tmp_path / "out")
    manifest = tmp_path / "out/mot17.manifest.json"
    manifest.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{manifest}: not a manifest \(.*{message}"):
        run("mot17", mot17, tmp_path / "out", overwrite=True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("dataset=tud", "root=a", "output=b"), 2, "mot15, mot16, mot17"),
        (("dataset=mot17", "output=b"), 2, "root"),
        (("dataset=mot17", "root=nowhere", "output=b"), 1, "no such folder"),
    ],
)
def test_command_refuses_with_one_error(tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = call_command(tmp_path, *arguments)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def needs(*names: str) -> pytest.MarkDecorator:
    absent = [name for name in names if not (SHARED / name).exists()]
    return pytest.mark.skipif(bool(absent), reason=f"not in {SHARED}: {', '.join(absent)}; see FAIRMOT_SHARED")


def one_to_one(ours: np.ndarray, theirs: np.ndarray) -> bool:
    pairs = set(zip(ours.tolist(), theirs.tolist(), strict=True))
    return len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


def assert_rows_of_original(output: Path, label: str, fixture: str) -> None:
    ours = read_labels(str(output / label))
    theirs = np.loadtxt(SHARED / f"parity/targets/{fixture}.labels.txt", ndmin=2)
    np.testing.assert_allclose(ours[:, [0, 2, 3, 4, 5]], theirs[:, [0, 2, 3, 4, 5]], atol=2e-6)
    assert one_to_one(ours[:, 1], theirs[:, 1])


@pytest.mark.parity
@needs("data/MOT15", "parity/targets")
def test_real_mot15_counts_and_rows(tmp_path: Path) -> None:
    manifest = run("mot15", SHARED / "data/MOT15", tmp_path, link=False)
    counts = {r["name"]: (r["images"], r["boxes"], r["identities"]) for r in manifest["sequences"]}
    assert counts == {"ETH-Bahnhof": (1000, 5415, 171), "TUD-Campus": (71, 359, 8), "TUD-Stadtmitte": (179, 1156, 10)}
    folder = "mot15/labels_with_ids/train"
    assert_rows_of_original(tmp_path, f"{folder}/ETH-Bahnhof/img1/000100.txt", "eth_bahnhof_000100")
    assert_rows_of_original(tmp_path, f"{folder}/TUD-Campus/img1/000020.txt", "tud_campus_000020")


@pytest.mark.parity
@needs("data/MOT17-mini", "parity/targets")
def test_real_mot17_counts_and_rows(tmp_path: Path) -> None:
    manifest = run("mot17", SHARED / "data/MOT17-mini", tmp_path, link=False)
    assert manifest["totals"] == {"images": 39, "boxes": 814, "identities": 137}
    folder = "mot17/labels_with_ids/train"
    assert_rows_of_original(tmp_path, f"{folder}/MOT17-04-FRCNN/img1/000001.txt", "mot17_04_000001")
    assert_rows_of_original(tmp_path, f"{folder}/MOT17-05-FRCNN/img1/000006.txt", "mot17_05_000006")
