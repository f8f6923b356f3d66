"""The benchmarks' machinery: their figures are never tested, only that they are taken and reported."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest

from benchmarks.__main__ import PARTS
from benchmarks.report import Curve, Part, Row, draw, markdown, short

REPOSITORY = Path(__file__).resolve().parents[1]
COMPILE_MOST = {"cost_curves", "validation", "ranks", "inference"}


def benchmark(*words, module="benchmarks"):
    command = [sys.executable, "-m", module, *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_a_row_says_how_it_compares():
    step = Row("step", 2.26, "s", "the original", 2.26 / 0.95, most_ratio=1.0)
    assert step.cells() == ("step", "2.26 s", "the original", "2.38 s", "0.95", "ratio at most 1")
    assert step.cost == pytest.approx(0.95)
    rate = Row("images", 4.0, "1/s", "the original", 2.0)
    assert (rate.ratio, rate.cost) == (2.0, 0.5)
    assert Row("share", 12.0, "%", most=15).cells()[2:] == ("", "", "", "at most 15 %")
    assert [short(value) for value in (0, 0.0123, 1, 12.345, 1234.5)] == ["0", "0.0123", "1.00", "12.3", "1,234"]
    assert markdown(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_parts_survive_json_and_become_a_picture(tmp_path):
    curve = Curve("identities", [1.0, 1000.0], ["step, s", "peak memory, GB"], [[1.0, 2.0], [2.0, 3.0]])
    part = Part(
        [Row("step", 1.0, "s", "other", 2.0, most_ratio=1.0), Row("alone", 3.0, "s")], [curve], {"steps": [1.0]}
    )
    assert Part.from_json(json.loads(json.dumps(asdict(part)))) == part
    draw(tmp_path / "found.png", {"one": part, "other": Part([Row("only", 1.0, "s")])})
    picture = cv2.imread(str(tmp_path / "found.png"))
    assert picture is not None and picture.std() > 5
    several = Curve("objects", [20.0, 60.0], ["ours, ms", "other, ms", "original, ms"], [[1.0, 2.0]] * 3)
    draw(tmp_path / "one_unit.png", {"tracker": Part([], curves=[several])})
    draw(tmp_path / "nothing_compared.png", {"other": Part([Row("only", 1.0, "s")])})
    assert (tmp_path / "nothing_compared.png").stat().st_size > 0


def test_words_that_mean_nothing_are_refused():
    for words in (("only=loader,cluster",), ("sped=true",)):
        run = benchmark(*words)
        assert run.returncode == 2
        assert words[0].split("=")[0] in run.stderr


def test_pages_name_benchmarks_that_are_there():
    pages = "".join(path.read_text() for path in sorted((REPOSITORY / "docs").glob("*.md")))
    named = set(re.findall(r"python -m (benchmarks[.\w]*)", pages))
    assert "benchmarks.train_step" in named
    assert [name for name in named if find_spec(name) is None] == []
    files = set(re.findall(r"benchmarks/(\w+\.py)", pages))
    assert [name for name in files if not (REPOSITORY / "benchmarks" / name).is_file()] == []


@pytest.mark.slow
def test_the_suite_at_its_smallest(tmp_path):
    """FAIRMOT_EVERY_BENCHMARK=1 starts those too that compile most: they are made of what the others use."""
    parts = PARTS.keys() - (set() if os.environ.get("FAIRMOT_EVERY_BENCHMARK") else COMPILE_MOST)
    only = ",".join(part for part in PARTS if part in parts)
    run = benchmark("quick=true", f"only={only}", f"output={tmp_path / 'out'}")
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads((tmp_path / "out" / "benchmarks.json").read_text())
    assert found["parts"].keys() == parts
    rows = {part: values["rows"] for part, values in found["parts"].items()}
    for part, some in rows.items():
        assert some or found["parts"][part]["curves"], part
        assert all(math.isfinite(row["figure"]) for row in some), part
    compared = {part: [row for row in some if row["reference"]] for part, some in rows.items()}
    assert all(compared[part] for part in ("checkpoint", "index", "evaluation"))
    titles = {curve["title"] for values in found["parts"].values() for curve in values["curves"]}
    assert titles >= {"tracked objects"}
    table = (tmp_path / "out" / "benchmarks.md").read_text()
    assert run.stdout.strip() == table.strip()
    assert all(f"| {part} | {row['what']} |" in table for part, some in rows.items() for row in some)
    picture = cv2.imread(str(tmp_path / "out" / "benchmarks.png"))
    assert picture is not None and min(picture.shape[:2]) > 500
