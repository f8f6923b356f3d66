"""The demo with its own network, and the Python interface by the examples of docs/python.md."""

import doctest
import json
import re
from pathlib import Path

import cv2
import pytest
from blob_sequences import run_command_in_process

import fairmot
from fairmot.demo import CHECKPOINT
from fairmot.media.video import open_source

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder in which the demo has run as documented, without a word; its exit code."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        code = run_command_in_process(patch, "fairmot.demo", [])
    return folder, code


def test_the_network_is_small():
    assert CHECKPOINT.stat().st_size < 3_000_000


@pytest.mark.slow
def test_everybody_is_followed_without_a_switch(demo):
    folder, code = demo
    assert code == 0
    figures = json.loads((folder / "demo" / "scores" / "metrics.json").read_text())["OVERALL"]
    assert (figures["IDs"], figures["MOTA"] > 85) == (0, True), figures
    (video,) = (folder / "demo" / "tracked").glob("*.mp4")
    assert open_source(str(video)).size_hw == (448, 768)
    assert cv2.imread(str(folder / "demo" / "sheet.jpg")).shape[1] == 1600


@pytest.mark.slow
def test_an_earlier_demo_is_kept(demo, monkeypatch, capfd):
    folder, _ = demo
    monkeypatch.chdir(folder)
    assert run_command_in_process(monkeypatch, "fairmot.demo", []) == 2
    assert "demo/drawn exists; choose another folder (output=...) or set overwrite=true" in capfd.readouterr().err


@pytest.mark.slow
def test_the_examples_of_the_python_page(demo, monkeypatch):
    """In the folder in which the demo has run, as the page says."""
    monkeypatch.chdir(demo[0])
    page = REPOSITORY / "docs" / "python.md"
    text = re.sub(r"^```.*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    assert len(examples.examples) > 12
    said = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=said.append)
    assert not said, "".join(said)


def test_every_name_of_the_interface_is_there_and_on_its_page():
    page = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    for name in fairmot.__all__:
        assert callable(getattr(fairmot, name)), name
        assert re.search(rf"\b{name}\b", page), name


def test_other_names_are_refused_with_those_there_are():
    with pytest.raises(AttributeError, match="has no attribute 'track_vido'; its interface is .*track_video"):
        fairmot.track_vido  # noqa: B018
