"""The notebook runs from top to bottom and does what it says."""

import base64
import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from chromium import keep_picture, open_browser

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


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook with its outputs, and the folder that it ran in. Ten minutes are the limit of a test."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = read_notebook()
    notebook.cells.append(nbformat.v4.new_code_cell("import json\nprint(json.dumps(history))"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook, folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_runs_from_top_to_bottom(executed):
    notebook, folder = executed
    history = json.loads(notebook.cells[-1].outputs[0].text)
    first, last = (
        {name: np.mean(values[part]) for name, values in history.items()} for part in (slice(5), slice(-10, None))
    )
    assert last["hm_loss"] < first["hm_loss"] / 3
    assert last["id_loss"] < first["id_loss"]
    assert last["wh_loss"] < first["wh_loss"]

    (tracks,) = (folder / "output" / "tracked").glob("*.txt")
    rows = np.loadtxt(tracks, delimiter=",", ndmin=2)
    assert len(rows) > 30
    (video,) = [cell for cell in notebook.cells if "Video(" in cell.source]
    assert "data:video/mp4;base64," in video.outputs[-1].data["text/html"]
    scores = json.loads((folder / "output" / "scores" / "metrics.json").read_text())
    assert next(iter(scores.values()))["MOTA"] > 40

    for text in ("heat = cv2.resize", "plot = display", "predicted = ", "Image(output"):
        pictures = pictures_of(cell_with(notebook, text))
        assert pictures, text
        assert all(min(picture.shape[:2]) > 100 and picture.std() > 10 for picture in pictures), text


@pytest.mark.slow
def test_it_looks_right_in_a_browser(executed, tmp_path):
    """As JupyterLab shows it: nbconvert's page has its style."""
    nbconvert = pytest.importorskip("nbconvert", reason="nbconvert is not installed: pip install '.[dev]'")
    notebook, _ = executed
    exporter = nbconvert.HTMLExporter(mathjax_url="", require_js_url="")  # both would come from the network
    (tmp_path / "fairmot.html").write_text(exporter.from_notebook_node(notebook)[0], encoding="utf-8")
    with open_browser() as page:
        page.goto((tmp_path / "fairmot.html").as_uri())
        pictures = page.locator(".jp-OutputArea img").all()
        assert len(pictures) >= 3
        for picture in pictures:
            assert picture.evaluate("element => element.naturalWidth") > 300
        assert page.locator("text=Traceback").count() == 0
        page.get_by_text("Here are the picture with the boxes").scroll_into_view_if_needed()
        page.get_by_text("from fairmot.structures import Tracks").evaluate("element => element.scrollIntoView()")
        keep_picture(page, "notebook")


@pytest.mark.slow
def test_its_outputs_are_cleared_by_the_documented_command(executed, tmp_path):
    """What CONTRIBUTING.md says to do before a commit gives the notebook as it is committed."""
    pytest.importorskip("nbconvert", reason="nbconvert is not installed: pip install '.[dev]'")
    notebook, _ = executed
    committed = copy.deepcopy(notebook)
    del committed.cells[-1]  # the test's own
    nbformat.write(committed, tmp_path / "fairmot.ipynb")
    words = [sys.executable, "-m", "nbconvert", "--clear-output", "--inplace", tmp_path / "fairmot.ipynb"]
    subprocess.run([str(word) for word in words], capture_output=True, timeout=60, check=True)
    cleared = nbformat.read(tmp_path / "fairmot.ipynb", as_version=4)
    assert [cell.source for cell in cleared.cells] == [cell.source for cell in read_notebook().cells]
    code = [cell for cell in cleared.cells if cell.cell_type == "code"]
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count]
