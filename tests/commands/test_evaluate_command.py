"""python -m fairmot.evaluate."""

import json

import numpy as np
import pytest
from blob_network import INPUT_SIZE_HW, BlobNetwork
from blob_sequences import gt_text, result_text, run_command_in_process, write_sequence

from fairmot.inference.network import NetworkDetector


@pytest.fixture
def folders(tmp_path):
    """A ground truth of two sequences, perfect results, and where to write."""
    gt, results = tmp_path / "gt", tmp_path / "results"
    results.mkdir()
    for name in ("one", "two"):
        write_sequence(gt / name)
        (results / f"{name}.txt").write_text(result_text())
    return gt, results, tmp_path / "output"


def evaluate(monkeypatch, capfd, **words):
    """Exit code and everything said."""
    code = run_command_in_process(monkeypatch, "fairmot.evaluate", [f"{key}={value}" for key, value in words.items()])
    said = capfd.readouterr()
    return code, said.out + said.err


def test_perfect_results_score_100_in_every_table(monkeypatch, capfd, folders):
    gt, results, output = folders
    code, said = evaluate(monkeypatch, capfd, gt=gt, results=results, output=output)
    assert code == 0, said
    metrics = json.loads((output / "metrics.json").read_text())
    assert list(metrics) == ["OVERALL", "one", "two"]
    assert all(metrics[name][figure] == 100 for name in metrics for figure in ("MOTA", "IDF1", "HOTA"))
    assert metrics["OVERALL"]["GT"] == 4
    table = (output / "metrics.txt").read_text()
    assert table in said
    assert {path.name for path in output.iterdir()} == {
        *(f"metrics.{ending}" for ending in ("txt", "md", "csv", "json")),
        *(f"{name}_{plot}.png" for name in ("one", "two") for plot in ("frames", "tracks", "identities")),
        "overall.png",
    }


def test_the_rules_are_chosen_and_plots_left_out(monkeypatch, capfd, folders):
    """Identity 1 is lost for a frame, then found by a second track too; identity 2 in 8 of its 10 frames."""
    gt, results, output = folders
    box = "0,0,10,10"
    (gt / "one/gt/gt.txt").write_text(
        "".join(f"{t},{k},{x},1,-1,-1\n" for t in range(1, 11) for k, x in ((1, box), (2, "50,0,9,9")))
    )
    tracks = [(t, 5, box if t < 4 else "0,0,10,7") for t in range(1, 11) if t != 3] + [(4, 6, box)]
    tracks += [(t, 7, "50,0,9,9") for t in range(1, 9)]
    (results / "one.txt").write_text("".join(f"{t},{k},{x},1,-1,-1,-1\n" for t, k, x in tracks))
    counted = {}
    for rules in ("official", "motmetrics"):
        folder = output / rules
        words = {"gt": gt / "one", "results": results, "output": folder, "plots": "false", "rules": rules}
        code, said = evaluate(monkeypatch, capfd, **words)
        assert code == 0, said
        assert f"counted by rules={rules}" in said
        assert not list(folder.glob("*.png"))
        counted[rules] = {key: json.loads((folder / "metrics.json").read_text())["one"][key] for key in ("IDs", "MT")}
    assert counted == {"official": {"IDs": 2, "MT": 1}, "motmetrics": {"IDs": 0, "MT": 2}}


def test_unknown_names_are_scored_by_the_flag_alone_and_it_says_so(monkeypatch, capfd, caplog, folders):
    caplog.set_level("INFO")
    gt, results, output = folders
    (gt / "one" / "gt" / "gt.txt").write_text(gt_text() + "1,9,100,70,16,16,0,1,1.0\n")
    code, _ = evaluate(monkeypatch, capfd, gt=gt / "one", results=results, output=output)
    assert code == 0
    assert "one: not named by MOTChallenge: rows with flag 0 do not count" in caplog.text
    assert json.loads((output / "metrics.json").read_text())["one"]["FN"] == 0
    code, _ = evaluate(monkeypatch, capfd, gt=gt / "one", results=results, output=output / "raw", benchmark="none")
    assert code == 0
    assert json.loads((output / "raw" / "metrics.json").read_text())["one"]["FN"] == 1


def test_flat_files_and_named_benchmarks(monkeypatch, capfd, caplog, tmp_path):
    """TUD-Campus is MOT15's, whose ground truth has no class; MOT17 rules remove what covers a mannequin (8)."""
    gt, results = tmp_path / "gt", tmp_path / "results"
    gt.mkdir(), results.mkdir()
    (gt / "TUD-Campus.txt").write_text(gt_text(columns="1,-1,-1,-1"))
    (gt / "MOT17-02-SDP.txt").write_text(gt_text() + "1,9,100,70,16,16,0,8,1.0\n")
    for name in ("TUD-Campus", "MOT17-02-SDP"):
        (results / f"{name}.txt").write_text(result_text() + "1,9,100,70,16,16,0.9,-1,-1,-1\n")
    caplog.set_level("INFO")
    code, _ = evaluate(monkeypatch, capfd, gt=gt, results=results, output=tmp_path / "output")
    assert code == 0
    assert "not named by MOTChallenge" not in caplog.text
    metrics = json.loads((tmp_path / "output" / "metrics.json").read_text())
    assert (metrics["TUD-Campus"]["FP"], metrics["MOT17-02-SDP"]["FP"]) == (1, 0)


def test_sequences_without_ground_truth_are_named_and_left_out(monkeypatch, capfd, caplog, folders):
    gt, results, output = folders
    write_sequence(gt / "unlabelled", with_gt=False)
    write_sequence(gt / "ignored")
    (gt / "ignored" / "gt" / "gt.txt").write_text(gt_text(columns="0,1,1.0"))
    code, _ = evaluate(monkeypatch, capfd, gt=gt, results=results, output=output)
    assert code == 0
    left_out = {record.args[0] for record in caplog.records if "left out" in record.msg}
    assert left_out == {"unlabelled", "ignored"}
    assert list(json.loads((output / "metrics.json").read_text())) == ["OVERALL", "one", "two"]


def test_an_empty_result_is_valid_and_a_missing_one_is_not(monkeypatch, capfd, folders):
    gt, results, output = folders
    (results / "two.txt").write_text("")
    code, _ = evaluate(monkeypatch, capfd, gt=gt, results=results, output=output)
    assert code == 0
    assert json.loads((output / "metrics.json").read_text())["two"]["MOTA"] == 0
    (results / "two.txt").unlink()
    code, said = evaluate(monkeypatch, capfd, gt=gt, results=results, output=output, overwrite="true")
    assert code == 1
    assert "no result for two;" in said


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"results": None}, 2, "neither was given"),
        ({"checkpoint": "somewhere"}, 2, "both were given"),
        ({"gt": "nowhere"}, 1, "nowhere: no such folder"),
        ({"benchmark": "mot99"}, 2, "mot99"),
        ({"workers": 0}, 2, "workers=0"),
        ({"rules": "ours"}, 2, "rules"),
        ({"output": None}, 2, "output"),
        ({"worker": 2}, 2, "did you mean 'workers'"),
    ],
)
def test_refused_arguments(monkeypatch, capfd, folders, change, code, message):
    gt, results, output = folders
    words = {"gt": gt, "results": results, "output": output} | change
    words = {key: value for key, value in words.items() if value is not None}
    found, said = evaluate(monkeypatch, capfd, **{f"+{key}" if key == "worker" else key: v for key, v in words.items()})
    assert (found, said.count("error:")) == (code, 1), said
    assert message in said
    assert not output.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (result_text() + "3,1,5,5,9,9,0.5,-1,-1,-1\n", "one.txt:25: id 1 appears twice in frame 3"),
        ("101,1,5,5,9,9,0.5,-1,-1,-1\n", "frames 101 to 101, but the ground truth of one is of frames 1 to 12"),
    ],
)
def test_faulty_results(monkeypatch, capfd, folders, text, message):
    gt, results, output = folders
    (results / "one.txt").write_text(text)
    code, said = evaluate(monkeypatch, capfd, gt=gt, results=results, output=output)
    assert code == 1
    assert message in said


def test_nothing_is_overwritten_unasked(monkeypatch, capfd, folders):
    gt, results, output = folders
    output.mkdir()
    (output / "metrics.json").write_text("precious")
    code, said = evaluate(monkeypatch, capfd, gt=gt, results=results, output=output)
    assert code == 2
    assert "overwrite=true" in said
    assert (output / "metrics.json").read_text() == "precious"
    assert evaluate(monkeypatch, capfd, gt=gt, results=results, output=output, overwrite="true")[0] == 0


def test_a_checkpoint_tracks_first_and_is_tested_without_tracker(monkeypatch, capfd, folders):
    gt, _, output = folders
    detector = NetworkDetector(BlobNetwork(), INPUT_SIZE_HW, max_objects=16)
    monkeypatch.setattr(NetworkDetector, "from_checkpoint", lambda *_, **__: detector)
    code, said = evaluate(monkeypatch, capfd, gt=gt, checkpoint="run", output=output)
    assert code == 0, said
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["one"]["MOTA"] == 100
    assert metrics["OVERALL"]["AP"] == 100
    assert "TPR@FAR=0.1" in metrics["OVERALL"]
    assert (output / "results" / "one.txt").read_text().count("\n") == 24


def test_a_checkpoint_is_scored_on_the_frames_that_are_there(monkeypatch, capfd, caplog, folders):
    """Of one the last picture is lost, in two nobody is said to be."""
    gt, _, output = folders
    (gt / "one" / "img1" / "000012.png").unlink()
    (gt / "two" / "gt" / "gt.txt").write_text("")
    detector = NetworkDetector(BlobNetwork(), INPUT_SIZE_HW, max_objects=16)
    monkeypatch.setattr(NetworkDetector, "from_checkpoint", lambda *_, **__: detector)
    code, said = evaluate(monkeypatch, capfd, gt=gt, checkpoint="run", output=output)
    assert code == 0, said
    assert "one: 2 rows of frames without a picture are left out, the first: " in caplog.text
    metrics = json.loads((output / "metrics.json").read_text())
    assert (metrics["one"]["MOTA"], metrics["two"]["FP"]) == (100, 24)
    assert metrics["OVERALL"]["MOTA"] == pytest.approx(100 * (1 - 24 / 22))
    assert (output / "results" / "one.txt").read_text().count("\n") == 22


def test_what_results_lack_is_said_before_the_scores(monkeypatch, capfd, caplog, folders):
    gt, results, output = folders
    (gt / "README.txt").write_text("Filmed in May.\n")
    (gt / "._one.txt").write_bytes(b"\0\5\x16\7")
    (results / "one.txt").write_text(result_text(9))
    (results / "two.txt").write_text(result_text().replace("0.9,-1", "0.9,3"))
    assert evaluate(monkeypatch, capfd, gt=gt, results=results, output=output)[0] == 0
    assert "one.txt: ends with frame 9, the ground truth ends with frame 12: 6 boxes after it are missed" in caplog.text
    assert "two.txt: its classes are 3, those of the ground truth 1: nothing can match" in caplog.text
    assert "README is left out: " in caplog.text
    metrics = json.loads((output / "metrics.json").read_text())
    assert (metrics["one"]["FN"], metrics["two"]["FN"]) == (6, 24)


def test_truth_without_identities_or_with_a_byte_order_mark(monkeypatch, capfd, caplog, folders):
    gt, results, output = folders
    (gt / "one/gt/gt.txt").write_text("\ufeff" + gt_text().replace(",", "\t"))
    (gt / "two/gt/gt.txt").write_text(gt_text() + "3,-1,100,70,16,16,1,-1,1\n3,-1,5,70,16,16,1,-1,1\n")
    assert evaluate(monkeypatch, capfd, gt=gt, results=results, output=output)[0] == 0
    assert "two: 2 boxes without identity (id -1) cannot be scored and do not count: " in caplog.text
    assert json.loads((output / "metrics.json").read_text())["OVERALL"]["MOTA"] == 100


def test_embeddings_are_read_at_the_centres_of_boxes():
    from blob_network import picture

    detector = NetworkDetector(BlobNetwork(), INPUT_SIZE_HW, max_objects=16)
    frame = picture([(22, 22), (82, 70)])
    detections = detector.detect([frame])[0].select(np.arange(2))
    (there,) = detector.embeddings_at([frame], [detections.boxes_xyxy])
    np.testing.assert_allclose(there, detections.embeddings, atol=1e-6)
    (elsewhere,) = detector.embeddings_at([frame], [detections.boxes_xyxy + 30])
    assert np.abs(elsewhere - there).max() > 0.1
    many = np.tile(detections.boxes_xyxy, (20, 1))
    of_none, of_many = detector.embeddings_at([frame, frame], [np.zeros((0, 4)), many])
    assert of_none.shape == (0, there.shape[1])
    np.testing.assert_allclose(of_many, np.tile(there, (20, 1)), atol=1e-6)
