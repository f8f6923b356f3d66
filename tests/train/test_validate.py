"""Tracking the validation sequences with a network in training."""

import dataclasses
import json
import threading
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from blob_network import INPUT_SIZE_HW, BlobNetwork
from blob_sequences import gt_text, write_sequence

from fairmot.boxes import cxcywh_to_xyxy, xywh_to_cxcywh
from fairmot.data.dataset import DataConfig, ValidationFrames
from fairmot.data.synthetic.generate import SyntheticConfig, data_set_name, generate
from fairmot.errors import DataError
from fairmot.evaluation.metrics import evaluate_sequence, score_pair
from fairmot.evaluation.rules import Rules
from fairmot.evaluation.sequences import find_ground_truth
from fairmot.export.live import LiveExport
from fairmot.inference.config import Engine
from fairmot.inference.network import NetworkDetector
from fairmot.media import video_writer
from fairmot.media.drawing import colour_of
from fairmot.mot.rows import result_rows
from fairmot.structures import Detections
from fairmot.tracking.config import TrackerConfig
from fairmot.tracking.tracker import Tracker
from train.build import _build_validator, _validation_detector
from train.config import RuntimeConfig, TrainConfig
from train.distributed import World
from train.simulate.config import Chip, SimulateConfig
from train.step_config import Precision
from train.validate import Validator, find_validation_sequences
from train.validation_video import ValidationVideo


def detector():
    return NetworkDetector(BlobNetwork(), INPUT_SIZE_HW, max_objects=16)


@pytest.fixture
def root(tmp_path):
    """Three sequences below data/val."""
    for name in ("a", "b", "c"):
        write_sequence(tmp_path / "data" / "val" / name)
    return tmp_path / "data"


def sequences(root, **changes):
    return find_validation_sequences(DataConfig(root=str(root), validation=["val/*"], **changes))


def test_scores_tables_and_pictures(root, tmp_path):
    validator = Validator(detector, sequences(root), TrackerConfig(), World(), tmp_path / "validation")
    scores = validator.run(3)
    assert scores is not None
    assert {name: scores.values[name] for name in ("MOTA", "IDF1", "switches", "AP")} == {
        "MOTA": 100, "IDF1": 100, "switches": 0, "AP": 100,
    }  # fmt: skip
    assert 95 < scores.values["HOTA"] < 100  # the motion model moves boxes by fractions of a pixel
    folder = tmp_path / "validation" / "epoch_003"
    sheet = folder / "validation_epoch_003.png"
    assert cv2.imread(str(sheet)).shape[1] == 1600
    plots = [folder / f"{name}_{kind}.png" for name in "abc" for kind in ("frames", "tracks", "identities")]
    assert scores.files == [folder / "metrics.txt", folder / "metrics.csv", *plots]
    assert scores.sheet == sheet
    assert json.loads(scores.table.read_text())["columns"][:3] == ["sequence", "HOTA", "MOTA"]
    assert {path.name for path in folder.iterdir()} == {
        *(f"{name}.txt" for name in "abc"), *(f"metrics.{ending}" for ending in ("txt", "md", "csv", "json")),
        *(path.name for path in (sheet, scores.table, *plots)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def compiled():
    return detector()


def test_the_rules_of_the_configuration_count(root, tmp_path, compiled, monkeypatch):
    counted = []

    def score(pair):
        counted.append(pair.rules)
        return score_pair(pair)

    monkeypatch.setattr("train.validate.score_pair", score)
    data = DataConfig(root=str(root), train={"mine": "mine.train"}, validation=["val/a"])
    config = TrainConfig(data=data, validate_every_epochs=1, validation_rules=Rules.motmetrics)
    validator = _build_validator(config, World(), tmp_path, BlobNetwork(), compiled)
    assert validator is not None
    assert validator.run(1) is not None
    assert counted == [Rules.motmetrics]


@pytest.mark.parametrize(
    ("engine", "frames", "changes", "opens"),
    [
        ("auto", 199, {}, "mindspore"),
        ("auto", 200, {}, "onnx"),
        ("auto", 200, {"runtime": RuntimeConfig(precision=Precision.fp16)}, "mindspore"),
        ("mindspore", 200, {}, "mindspore"),
        ("onnx", 6, {}, "onnx"),
    ],
)
def test_who_validates_is_a_matter_of_the_configuration_and_the_frames(
    root, compiled, monkeypatch, engine, frames, changes, opens
):
    data = DataConfig(root=str(root), train={"mine": "mine.train"}, validation=["val/a"])
    config = TrainConfig(**{"data": data, "validate_every_epochs": 1, "validation_engine": Engine(engine), **changes})
    monkeypatch.setattr(LiveExport, "__init__", lambda *_: None)
    monkeypatch.setattr(LiveExport, "open", lambda _: "onnx")
    (sequence,) = find_validation_sequences(data)
    sequence.frames = np.arange(1, frames + 1)
    opened = _validation_detector(config, BlobNetwork(), compiled, [sequence])()
    assert opened is (compiled if opens == "mindspore" else "onnx")


def test_onnx_runtime_is_refused_for_an_npu(root):
    data = DataConfig(root=str(root), train={"mine": "mine.train"})
    with pytest.raises(ValueError, match="validation_engine=onnx: ONNX Runtime runs on the CPU here"):
        TrainConfig(data=data, validation_engine=Engine.onnx, simulate=SimulateConfig(chip=Chip("910b")))


@pytest.fixture
def filming(root, tmp_path, compiled):
    def validator(frames, **changes):
        rules = TrackerConfig(frame_rate=7.0)
        return Validator(lambda: compiled, sequences(root, **changes), rules, World(), tmp_path, frames)

    return validator


def read_video(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(stream)]
        return stream.codec_context.name, float(stream.average_rate), frames


def test_the_first_sequences_are_filmed(root, tmp_path, filming):
    """Boxes where the tracks are, at the sequence's frame rate or else the tracker's; the fourth has no video."""
    write_sequence(root / "val" / "d")
    (root / "val" / "b" / "seqinfo.ini").unlink()
    scores = filming(6).run(2)
    assert scores is not None
    folder = tmp_path / "epoch_002"
    assert scores.files[-3:] == [folder / f"{name}.mp4" for name in "abc"]
    assert {path.stem for path in folder.glob("*.mp4")} == set("abc")
    for name, rate in (("a", 30), ("b", 7)):
        codec, frame_rate, frames = read_video(folder / f"{name}.mp4")
        assert (codec, frame_rate, len(frames)) == ("h264", rate, 6)
        assert {frame.shape for frame in frames} == {(*INPUT_SIZE_HW, 3)}
        x, y = 42 + 4 * 5, 70  # of the second square in frame 6; its box is 16 pixels wide
        corner = frames[5][y + 4 : y + 11, x + 4 : x + 11].astype(int)
        colours = np.array([colour_of(number) for number in (1, 2)])
        assert np.abs(corner[:, :, None] - colours).sum(-1).min() < 150
    assert not list(folder.glob(".*"))


def test_a_video_holds_what_is_validated(filming):
    scores = filming(100, validation_frames=ValidationFrames.second_half).run(1)
    assert scores is not None
    assert [len(read_video(path)[2]) for path in scores.files[-3:]] == [6, 6, 6]


def test_wide_pictures_are_shrunk(tmp_path):
    with ValidationVideo(tmp_path / "wide.mp4", 25, 2) as film:
        for _ in range(3):
            film.add(np.full((1080, 1920, 3), 90, np.uint8))
    frames = read_video(tmp_path / "wide.mp4")[2]
    assert [frame.shape for frame in frames] == [(540, 960, 3)] * 2


def test_a_missing_encoder_costs_the_videos_and_one_warning(tmp_path, filming, monkeypatch, caplog):
    monkeypatch.setattr(video_writer, "_ENCODER", "an encoder nobody has")
    validator = filming(6)
    for epoch in (1, 2):
        scores = validator.run(epoch)
        assert scores is not None and scores.values["MOTA"] == 100
        assert not list((tmp_path / f"epoch_00{epoch}").glob("*.mp4"))
        assert not [path for path in scores.files if path.suffix == ".mp4"]
    assert caplog.text.count("a.mp4: this PyAV cannot encode H.264") == 1
    assert caplog.text.count("training goes on without videos") == 1


def test_a_validation_that_fails_leaves_no_video_and_no_older_one(root, tmp_path, filming):
    """A picture that cannot be read in the middle of a sequence; of that sequence there was a video before."""
    assert filming(12).run(1) is not None
    before = (tmp_path / "epoch_001" / "a.mp4").read_bytes()
    assert len(before) > 500
    (root / "val" / "a" / "img1" / "000007.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="000007.png"):
        filming(12).run(1)
    assert not (tmp_path / "epoch_001" / "a.mp4").exists()
    assert not list((tmp_path / "epoch_001").glob("*.tmp"))


def test_a_full_disk_costs_the_video(tmp_path, monkeypatch, caplog):
    """Every byte the encoder hands over is refused."""
    open_container = video_writer.av.open
    monkeypatch.setattr(
        video_writer.av, "open", lambda file, *mode, **options: open_container("/dev/full", *mode, **options)
    )
    with ValidationVideo(tmp_path / "a.mp4", 25, 300) as film:
        for number in range(300):
            film.add(np.random.default_rng(number).integers(0, 256, (96, 160, 3), dtype=np.uint8))
    assert film.is_broken
    assert not list(tmp_path.iterdir())
    assert caplog.text.count("training goes on without videos") == 1


def test_only_second_halves(root, tmp_path):
    """As a data set of halves is cut: of 13 frames the last 7 validate."""
    write_sequence(root / "val" / "d", n_frames=13)
    halves = sequences(root, validation_frames=ValidationFrames.second_half)
    assert [(one.frame_count, one.skip_frames) for one in halves] == [(12, 6)] * 3 + [(13, 6)]
    validator = Validator(detector, halves, TrackerConfig(), World(), tmp_path / "validation")
    scores = validator.run(1)
    assert scores is not None and scores.values["MOTA"] == 100
    rows = (tmp_path / "validation" / "epoch_001" / "d.txt").read_text().splitlines()
    assert sorted({int(row.split(",")[0]) for row in rows}) == list(range(7, 14))


def test_ranks_share_the_sequences_and_the_lead_sums_up(root, tmp_path):
    """Two ranks in two threads; an outcome left by an earlier, killed attempt is not taken for a new one."""
    meeting = threading.Barrier(2)

    @dataclasses.dataclass(frozen=True)
    class Rank(World):
        def barrier(self):
            meeting.wait(timeout=60)

    folder = tmp_path / "validation"
    (folder / "epoch_001").mkdir(parents=True)
    (folder / "epoch_001" / ".b.outcome").write_bytes(b"half a pickle")
    validators = [Validator(detector, sequences(root), TrackerConfig(), Rank(rank, 2), folder) for rank in (0, 1)]
    tracked: dict[int, list[str]] = {0: [], 1: []}
    one_at_a_time = threading.Lock()  # MindSpore runs one graph in a process

    def listen(rank):
        original = validators[rank]._track

        def track(own, *rest):
            tracked[rank].append(own.sequence.name)
            with one_at_a_time:
                return original(own, *rest)

        validators[rank]._track = track

    listen(0), listen(1)
    returned = {}
    other = threading.Thread(target=lambda: returned.update(other=validators[1].run(1)))
    other.start()
    scores = validators[0].run(1)
    other.join()
    assert tracked == {0: ["a", "c"], 1: ["b"]}
    assert returned == {"other": None}
    assert scores is not None and scores.values["MOTA"] == 100
    assert json.loads((folder / "epoch_001" / "metrics.json").read_text())["OVERALL"]["GT"] == 6


def test_the_live_network_is_left_as_it_was_and_its_newest_weights_count(root, tmp_path):
    network = BlobNetwork()
    network.set_train(True)
    before = {name: parameter.asnumpy().copy() for name, parameter in network.parameters_and_names()}
    live = NetworkDetector(network, INPUT_SIZE_HW, max_objects=16)
    validator = Validator(lambda: live, sequences(root), TrackerConfig(), World(), tmp_path)
    first = validator.run(1)
    assert network.training
    for name, parameter in network.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), before[name], err_msg=name)
    network.norm.gamma.set_data(network.norm.gamma * 0)  # now it is blind
    second = validator.run(2)
    assert first is not None and second is not None
    assert (first.values["MOTA"], second.values["MOTA"]) == (100, 0)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda val: (val / "b" / "gt" / "gt.txt").unlink(), "b: no sequence with ground truth there"),
        (lambda val: (val / "b" / "gt" / "gt.txt").write_text("1,1,2\n"), "gt.txt:1: 3 columns"),
        (lambda val: [path.write_text(gt_text(4)) for path in val.glob("*/gt/gt.txt")], "second_half: no object to"),
    ],
)
def test_sequences_that_cannot_validate_are_refused_at_the_start(root, break_it, message):
    break_it(root / "val")
    with pytest.raises(DataError, match=message):
        sequences(root, validation_frames=ValidationFrames.second_half)


def test_partial_downloads_and_sequences_without_people_validate(root, tmp_path):
    """Of a the third picture is lost, of b the truth ends before the second half begins."""
    (root / "val" / "a" / "img1" / "000003.png").unlink()
    (root / "val" / "b" / "gt" / "gt.txt").write_text(gt_text(4))
    halves = sequences(root, validation_frames=ValidationFrames.second_half)
    assert [(one.frame_count, one.skip_frames, len(one.sequence.gt)) for one in halves] == [
        (11, 5, 12),
        (12, 6, 0),
        (12, 6, 12),
    ]
    scores = Validator(detector, halves, TrackerConfig(), World(), tmp_path / "validation").run(1)
    assert scores is not None and scores.values["MOTA"] == 50  # of 24 boxes 12 false ones where b says nobody is
    rows = (tmp_path / "validation" / "epoch_001" / "a.txt").read_text().splitlines()
    assert sorted({int(row.split(",")[0]) for row in rows}) == [7, 8, 9, 10, 11, 12]


def test_patterns(root):
    def names(*patterns):
        return [one.sequence.name for one in find_validation_sequences(DataConfig(str(root), validation=[*patterns]))]

    assert names("val/c", "val/[ab]", "*/a") == ["a", "b", "c"]
    with pytest.raises(DataError, match=r"data.validation: no folder .*/val/x\*"):
        names("val/a", "val/x*")
    write_sequence(Path(root) / "other" / "a")
    with pytest.raises(DataError, match="other/a and .*/val/a have the same name"):
        names("val/*", "other/a")


def test_true_boxes_lose_only_what_unconfirmed_tracks_cost(tmp_path):
    """Boxes of the ground truth, each person with an embedding orthogonal to all others, through tracker and metrics.

    Everybody but those of the first frame is reported from the second frame on, the original's rule. Nothing else may
    be lost as long as the track buffer outlasts everybody's absence.
    """
    drawn = SyntheticConfig(train_sequences=1, frames_per_sequence=60)
    generate(tmp_path, drawn, progress=False)
    (sequence,), _ = find_ground_truth(tmp_path / data_set_name(drawn) / "images" / "val")
    objects = sequence.counted()
    config = TrackerConfig(track_buffer=60, max_aspect=10.0)
    tracker, rows = Tracker(config), [np.zeros((0, 6))]
    for frame in range(1, 61):
        here = objects.frames == frame
        boxes_xyxy = cxcywh_to_xyxy(xywh_to_cxcywh(objects.boxes_xywh[here]))
        embeddings = np.eye(16)[objects.ids[here]]
        tracks = tracker.update(Detections(boxes_xyxy, np.full(here.sum(), 0.9), embeddings))
        low, high = tracks.boxes_xyxy[:, :2], tracks.boxes_xyxy[:, 2:]
        rows.append(np.column_stack([np.full(len(tracks), frame), tracks.ids, low, high - low]))
    table = np.concatenate(rows)
    results = result_rows(table[:, 0], table[:, 1], table[:, 2:6], np.ones(len(table)))
    metrics = evaluate_sequence(objects, results)
    late = len(np.unique(objects.ids)) - int((objects.frames == 1).sum())
    assert late > 0
    assert (metrics.false_positives, metrics.switches, metrics.misses) == (0, 0, late)
    assert metrics.mota == pytest.approx(100 * (1 - late / len(objects)))
