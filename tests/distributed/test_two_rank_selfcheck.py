"""The self-check on two real ranks, started by the launcher."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "run_distribute.sh"
pytestmark = [pytest.mark.distributed, pytest.mark.timeout(900)]


def test_two_ranks_exchange_and_skip_an_overflow_together(tmp_path):
    """About 40 s on an idle machine with two cores."""
    words = ["device=cpu", f"run_dir={tmp_path / 'run'}", "data.input_size=[64,96]", "batch_size_per_rank=1"]
    words += ["selfcheck.checks=[overflow,ranks,all_reduce]"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", SCRIPT, "2", "--selfcheck", *words],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "run" / "selfcheck.json").read_text())
    assert (report["ranks"], report["good"]) == (2, True)
    assert [check["verdict"] for check in report["checks"]] == ["passed"] * 3
    assert report["checks"][2]["values"]["64 MB GB/s"] > 0
    assert "overflow" in (tmp_path / "run" / "logs" / "rank_0.log").read_text()
