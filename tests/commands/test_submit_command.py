"""python -m fairmot.submit."""

import zipfile

import pytest
from blob_network import INPUT_SIZE_HW, BlobNetwork
from blob_sequences import result_text, run_command_in_process, write_sequence

from fairmot.inference.network import NetworkDetector
from fairmot.mot.benchmarks import (
    MOT17_DETECTORS,
    TEST_LENGTHS,
    TRAIN_LENGTHS,
    Benchmark,
    benchmark_of,
    file_names,
    scene_of,
)
from fairmot.mot.rows import read_results

MOT17_TEST = [f"MOT17-{number}" for number in ("01", "03", "06", "07", "08", "12", "14")]


def submit(monkeypatch, capfd, **words):
    """Exit code and everything said."""
    code = run_command_in_process(monkeypatch, "fairmot.submit", [f"{key}={value}" for key, value in words.items()])
    said = capfd.readouterr()
    return code, said.out + said.err


@pytest.fixture
def results(tmp_path):
    """Results of the test set of MOT17, a scene each under the name of one detector."""
    folder = tmp_path / "results"
    folder.mkdir()
    for scene in MOT17_TEST:
        (folder / f"{scene}-FRCNN.txt").write_text(result_text())
    return folder


def test_the_official_sets_hold_as_many_frames_as_published():
    totals = {Benchmark.mot15: (5500, 5783), Benchmark.mot16: (5316, 5919), Benchmark.mot20: (8931, 4479)}
    totals[Benchmark.mot17] = totals[Benchmark.mot16]
    for benchmark, (train, test) in totals.items():
        assert (sum(TRAIN_LENGTHS[benchmark].values()), sum(TEST_LENGTHS[benchmark].values())) == (train, test)
        names = [*TRAIN_LENGTHS[benchmark], *TEST_LENGTHS[benchmark]]
        assert {benchmark_of(name) for name in names} == {benchmark}
        assert len(set(names)) == {Benchmark.mot15: 22, Benchmark.mot20: 8}.get(benchmark, 14)


def test_only_mot17_has_scenes_under_three_names():
    assert [scene_of(name) for name in ("MOT17-01-SDP", "MOT17-01", "MOT16-01", "TUD-Campus")] == [
        "MOT17-01", "MOT17-01", "MOT16-01", "TUD-Campus",
    ]  # fmt: skip
    assert list(file_names(Benchmark.mot17, ["MOT17-01"])) == [
        f"MOT17-01-{name}.txt" for name in sorted(MOT17_DETECTORS)
    ]
    assert file_names(Benchmark.mot20, ["MOT20-04"]) == {"MOT20-04.txt": "MOT20-04"}


def test_results_become_a_complete_archive(monkeypatch, capfd, results, tmp_path):
    (results / "MOT17-14-FRCNN.txt").write_text("")
    (results / "._MOT17-14-FRCNN.txt").write_bytes(b"\0\5\x16\7")
    (results / "README.txt").write_text("Tracked in May.\n")
    code, said = submit(monkeypatch, capfd, results=results, output=tmp_path / "output")
    assert code == 0, said
    assert "all 7 test and 0 training scenes" in said
    names = {f"{scene}-{detector}.txt" for scene in MOT17_TEST for detector in ("DPM", "FRCNN", "SDP")}
    with zipfile.ZipFile(tmp_path / "output" / "mot17.zip") as archive:
        assert set(archive.namelist()) == names
        for name in names:
            content = archive.read(name).decode()
            assert content == (tmp_path / "output" / name).read_text()
            assert all(len(line.split(",")) == 10 for line in content.splitlines())
            assert len(content.splitlines()) == (0 if name.startswith("MOT17-14") else 24)


def test_training_sequences_come_along(monkeypatch, capfd, results, tmp_path):
    (results / "MOT17-02-SDP.txt").write_text(result_text())
    code, said = submit(monkeypatch, capfd, results=results, output=tmp_path / "output")
    assert code == 0
    assert "all 7 test and 1 training scenes" in said
    assert (tmp_path / "output" / "MOT17-02-DPM.txt").is_file()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("MOT17-08-FRCNN.txt", None, "1 of the 7 test scenes of mot17 are missing: MOT17-08"),
        ("MOT17-99-DPM.txt", "", "MOT17-99 is no sequence of mot17"),
        ("MOT20-04.txt", "", "a submission is for one benchmark, found"),
        ("holiday.txt", "", "holiday: not a sequence of MOTChallenge"),
        ("MOT17-01-SDP.txt", "", "differs from MOT17-01-FRCNN.txt"),
        ("MOT17-01-FRCNN.txt", "451,1,5,5,9,9,0.5,-1,-1,-1\n", "frame 451, but MOT17-01 has 450 frames"),
        ("MOT17-01-FRCNN.txt", "1,1,5,5,9\n", "MOT17-01-FRCNN.txt:1: 5 columns, expected 6 to 10"),
    ],
)
def test_what_the_server_would_refuse_is_refused_here(monkeypatch, capfd, results, tmp_path, file, text, message):
    if text is None:
        (results / file).unlink()
    else:
        (results / file).write_text(text)
    code, said = submit(monkeypatch, capfd, results=results, output=tmp_path / "output")
    assert (code, said.count("error:")) == (1, 1), said
    assert message in said
    assert not (tmp_path / "output").exists()


def test_nothing_is_overwritten_unasked(monkeypatch, capfd, results, tmp_path):
    words = {"results": results, "output": tmp_path / "output"}
    assert submit(monkeypatch, capfd, **words)[0] == 0
    code, said = submit(monkeypatch, capfd, **words)
    assert code == 2
    assert "overwrite=true" in said
    assert submit(monkeypatch, capfd, **words, overwrite="true")[0] == 0


@pytest.mark.parametrize(
    "words", [{}, {"root": "data"}, {"checkpoint": "run"}, {"results": "here", "checkpoint": "run"}]
)
def test_one_origin_is_needed(monkeypatch, capfd, tmp_path, words):
    code, said = submit(monkeypatch, capfd, output=tmp_path, **words)
    assert code == 2
    assert "give root=<data set> and checkpoint=<run or checkpoint>, or results=<folder> alone" in said


def test_a_data_set_is_tracked_once_a_scene(monkeypatch, capfd, tmp_path):
    """With sequences of 12 frames as the whole of a benchmark."""
    for name in ("MOT17-01-DPM", "MOT17-01-SDP", "MOT17-03-FRCNN"):
        write_sequence(tmp_path / "MOT17" / "test" / name, with_gt=False)
    write_sequence(tmp_path / "MOT17" / "train" / "MOT17-02-FRCNN")
    monkeypatch.setitem(TEST_LENGTHS, Benchmark.mot17, {"MOT17-01": 12, "MOT17-03": 12})
    monkeypatch.setitem(TRAIN_LENGTHS, Benchmark.mot17, {"MOT17-02": 12})
    detector = NetworkDetector(BlobNetwork(), INPUT_SIZE_HW, max_objects=16)
    monkeypatch.setattr(NetworkDetector, "from_checkpoint", lambda *_, **__: detector)
    words = {"root": tmp_path / "MOT17", "checkpoint": "run", "output": tmp_path / "output"}
    code, said = submit(monkeypatch, capfd, **words)
    assert code == 0, said
    for name in ("MOT17-01-DPM", "MOT17-01-FRCNN", "MOT17-02-SDP", "MOT17-03-SDP"):
        rows = read_results(tmp_path / "output" / f"{name}.txt")
        assert (len(rows), set(rows.ids), rows.frames.max()) == (24, {1, 2}, 12)

    next((tmp_path / "MOT17" / "test" / "MOT17-03-FRCNN" / "img1").iterdir()).unlink()
    code, said = submit(monkeypatch, capfd, **words, overwrite="true")
    assert code == 1
    assert "MOT17-03-FRCNN holds 11 pictures, but MOT17-03 has 12" in said
