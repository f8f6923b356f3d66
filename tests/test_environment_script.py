"""scripts/environment.sh: which set it installs, and when nothing is left to install."""

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = """#!/bin/sh
# Stands in for Python: makes "environments" that hold nothing but itself, and writes down what pip is to install.
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip "*) for word; do :; done; echo "$word" >> "$INSTALLED" ;;
esac
"""


@pytest.fixture
def source_it(tmp_path):
    """Source the script; returns all that was installed so far."""
    python, installed = tmp_path / "python", tmp_path / "installed"
    python.write_text(PYTHON)
    python.chmod(0o755)
    names = {"FAIRMOT_PYTHON": str(python), "FAIRMOT_VENV": str(tmp_path / "venv"), "INSTALLED": str(installed)}

    def run(before: str = "") -> list[str]:
        script = f"set -eu\n{before}\nsource scripts/environment.sh"
        subprocess.run(["bash", "-c", script], cwd=REPOSITORY, env=os.environ | names, check=True)
        return installed.read_text().split()

    return run


def test_development_comes_only_when_asked_for(source_it):
    assert source_it() == ["."]
    assert source_it() == ["."]
    assert source_it("development=yes") == [".", ".[dev]"]
    assert source_it("development=yes") == [".", ".[dev]"]
    assert source_it() == [".", ".[dev]"]


def test_a_development_environment_serves_all(source_it):
    assert source_it("development=yes") == [".[dev]"]
    assert source_it() == [".[dev]"]
