"""The notebook runs from top to bottom and does what it says."""

import base64
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

nbformat = pytest.importorskip("nbformat", reason="the notebook's packages are not installed: pip install '.[dev]'")
nbclient = pytest.importorskip("nbclient", reason="the notebook's packages are not installed: pip install '.[dev]'")

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOK = REPOSITORY / "notebooks" / "fairmot.ipynb"


def read_notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_committed_without_outputs():
    code = [cell for cell in read_notebook().cells if cell.cell_type == "code"]
    assert len(code) > 10
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count]


def test_its_cells_are_short_and_explained():
    cells = read_notebook().cells
    longest = max(len(cell.source.splitlines()) for cell in cells if cell.cell_type == "code")
    assert longest <= 20
    assert sum(cell.cell_type == "markdown" for cell in cells) >= 10


def pictures_of(cell):
    """The PNG outputs of a cell, decoded: uint8 [H, W, 3]."""
    data = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    return [cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8), cv2.IMREAD_COLOR) for png in data]


def cell_with(notebook, text):
    (found,) = [cell for cell in notebook.cells if cell.cell_type == "code" and text in cell.source]
    return found


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    notebook = read_notebook()
    notebook.cells.append(nbformat.v4.new_code_cell("import json\nprint(json.dumps(history))"))
    client = nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()

    history = json.loads(notebook.cells[-1].outputs[0].text)
    first, last = (
        {name: np.mean(values[part]) for name, values in history.items()} for part in (slice(5), slice(-10, None))
    )
    assert last["hm_loss"] < first["hm_loss"] / 3
    assert last["id_loss"] < first["id_loss"]
    assert last["wh_loss"] < first["wh_loss"]

    (tracks,) = (tmp_path / "output" / "tracked").glob("*.txt")
    rows = np.loadtxt(tracks, delimiter=",", ndmin=2)
    assert len(rows) > 30
    assert len(list((tmp_path / "output" / "tracked").glob("*_frames/*.jpg"))) == 60
    scores = json.loads((tmp_path / "output" / "scores" / "metrics.json").read_text())
    assert next(iter(scores.values()))["MOTA"] > 50

    for text in ("heat = cv2.resize", "plot = display", "frame = cv2.imread"):
        pictures = pictures_of(cell_with(notebook, text))
        assert pictures, text
        assert all(min(picture.shape[:2]) > 100 and picture.std() > 10 for picture in pictures), text
