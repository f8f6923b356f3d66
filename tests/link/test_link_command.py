"""The command python -m fairmot.link: results and stored detections in, results with other ids out."""

import numpy as np
import pytest

from fairmot.detections.file import write_detections
from fairmot.detections.recorder import DetectionRecorder
from fairmot.errors import ConfigError, DataError
from fairmot.link.command import link_results
from fairmot.link.config import LinkCommandConfig
from fairmot.mot.rows import read_results, result_rows, write_results
from fairmot.structures import Detections
from fairmot.tracking.config import Interpolation, InterpolationConfig

N_FRAMES = 60
HIDDEN = range(21, 41)


@pytest.fixture
def tracked(tmp_path):
    """One person, hidden in frames 21 to 40, who is id 1 before and id 2 after; another one stands still as id 3."""
    recorder, rows = DetectionRecorder(0.1), []
    for frame in range(1, N_FRAMES + 1):
        boxes_xywh = {3: [300, 50, 20, 40]}
        if frame not in HIDDEN:
            boxes_xywh[1 if frame < 30 else 2] = [2 * frame, 50, 20, 40]
        rows += [(frame, identity, *box) for identity, box in boxes_xywh.items()]
        left_top, size = np.split(np.array([*boxes_xywh.values()], float), 2, axis=1)
        embeddings = np.eye(2)[[int(identity == 3) for identity in boxes_xywh]]
        boxes_xyxy = np.concatenate([left_top - 1, left_top + size + 1], axis=1)
        recorder.add(frame, None, Detections(boxes_xyxy, np.full(len(size), 0.9), embeddings))
    table = np.array(rows)
    write_results(tmp_path / "seq.txt", result_rows(table[:, 0], table[:, 1], table[:, 2:], np.ones(len(table))))
    write_detections(tmp_path / "seq_detections.safetensors", recorder.finished("seq", (200, 400), None, 1))
    return tmp_path


def config(folder, **changes):
    places = {"results": str(folder), "detections": str(folder), "output": str(folder / "linked")}
    return LinkCommandConfig(**(places | changes))


def test_a_person_who_was_hidden_becomes_one_track(tracked, capsys):
    link_results(config(tracked))
    assert capsys.readouterr().out.splitlines()[1].split() == ["seq", "3", "0", "1", "2"]
    rows = read_results(tracked / "linked" / "seq.txt")
    assert len(rows) == 2 * N_FRAMES - len(HIDDEN) and len(set(rows.ids)) == 2
    (walker,) = set(rows.ids) - {3}
    assert rows.frames[rows.ids == walker].tolist() == [n for n in range(1, N_FRAMES + 1) if n not in HIDDEN]

    with pytest.raises(ConfigError, match=r"linked.seq\.txt exists"):
        link_results(config(tracked))
    filled = InterpolationConfig(method=Interpolation.linear)
    link_results(config(tracked, interpolation=filled, overwrite=True))
    rows = read_results(tracked / "linked" / "seq.txt")
    np.testing.assert_allclose(rows.boxes_xywh[rows.ids == walker, 0], 2 * np.arange(1, N_FRAMES + 1))


def test_what_cannot_be_linked_is_one_clear_error(tracked):
    with pytest.raises(ConfigError, match=r"would replace .*seq\.txt"):
        link_results(config(tracked, output=str(tracked), overwrite=True))
    with pytest.raises(DataError, match="no <sequence>.txt in this folder"):
        link_results(config(tracked, results=str(tracked.parent)))
    far = result_rows(np.array([1]), np.array([1]), np.array([[200, 150, 20, 40]]), np.ones(1))
    write_results(tracked / "seq.txt", far)
    with pytest.raises(DataError, match=r"not one of its boxes is near a detection of .*they are of another sequence"):
        link_results(config(tracked))
    (tracked / "seq_detections.safetensors").rename(tracked / "other")
    with pytest.raises(DataError, match=r"seq_detections\.safetensors: cannot be used .* No such file"):
        link_results(config(tracked))
    recorder = DetectionRecorder(0.1)
    recorder.add(1, None, Detections(np.array([[200, 150, 220, 190]]), [0.9]))
    write_detections(tracked / "seq_detections.safetensors", recorder.finished("seq", (200, 400), None, 1))
    with pytest.raises(DataError, match=r"safetensors: holds boxes without embeddings"):
        link_results(config(tracked))
    assert not (tracked / "linked").exists()
