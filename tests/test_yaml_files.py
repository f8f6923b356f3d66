"""YAML of a few lines that stands for more than fits into memory, or goes on without end."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from fairmot.cli.command import run_command
from fairmot.errors import DataError
from fairmot.pack import PackConfig
from fairmot.prepare.sets.yolo import _names_of_yaml
from fairmot.yaml_files import read_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k + 1}: &a{k + 1} [{', '.join([f'*a{k}'] * 10)}]\n" for k in range(9)
)
MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{k + 1}: &a{k + 1} {{<<: [{', '.join([f'*a{k}'] * 10)}]}}\n" for k in range(9))
REFUSED = {
    LAUGHS: "its aliases stand for 1e[+]10 values, and the limit is 100000",
    MERGED: "its aliases stand for",
    "a: &a [*a]": "line 1: an alias to what it stands in",
    "a: &a\n  b: &b {c: *a}": "an alias to what it stands in",
    "[" * 900: "more than 64 levels",
    "[" * 100_000: "exceeded maximum nesting depth|more than 64 levels",
    "- " * 50_000: "more than 64 levels",
    "a: 1\n" * 100_000: "500000 bytes, and the limit for such a file is 131072",
    "a: [": "did not find expected node content",
    "a: 1\n---\nb: 2": "but found another document",
}


@pytest.mark.parametrize(("text", "fault"), REFUSED.items(), ids=lambda text: text[:12].split("\n")[0])
def test_yaml_without_end_is_refused_at_once(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(text)
    started = time.monotonic()
    with pytest.raises(DataError, match=f"data.yaml: .*{fault}"):
        _names_of_yaml(tmp_path / "data.yaml")
    assert time.monotonic() - started < 5


def test_ordinary_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("\ufeffpeople: &people [a, b]\nagain: *people\nmore: {<<: {x: 1}, y: 2}\n")
    assert read_yaml(path) == {"people": ["a", "b"], "again": ["a", "b"], "more": {"x": 1, "y": 2}}
    path.write_text("# nothing\n")
    assert read_yaml(path) is None


@pytest.mark.parametrize("kind", ["aliases", "pipe", "damaged", "fine"])
def test_a_users_configuration_is_looked_through(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "data" / "mine.yaml"
    mine.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(mine)
    else:
        mine.write_text({"fine": "root: &a here\ncache_dir: *a\n", "damaged": "root: [", "aliases": LAUGHS}[kind])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # as the command sets it, to have it back
    monkeypatch.setattr(sys, "argv", ["pack", "--config-dir", str(tmp_path), "data=mine", "output=x"])
    seen: list[PackConfig] = []
    if kind == "fine":
        run_command(seen.append, PackConfig, "pack")
        assert (seen[0].data.root, seen[0].data.cache_dir) == ("here", "here")
        return
    with pytest.raises(SystemExit, match="2"):
        run_command(seen.append, PackConfig, "pack")
    said = capsys.readouterr().err
    assert said.startswith("error: unknown data 'mine'" if kind == "pipe" else f"error: {mine}: cannot be read as YAML")
    assert ("its aliases stand for" in said) == (kind == "aliases")
