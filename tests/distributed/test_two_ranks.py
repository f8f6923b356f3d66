"""Two real ranks under msrun on this machine."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from small_run import curves, overrides, write_pictures

from fairmot.checkpoint import GROUPS, read_checkpoint

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(900)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


START = """
import runpy
runpy.run_module("train", run_name="__main__", alter_sys=True)
"""
OTHER_SEED_ON_RANK_1 = f"""
import os, sys
sys.argv.append("seed=" + os.environ["RANK_ID"])
{START}
"""


def run_ranks(count, words, log_dir, program=START):
    """Exit code and logs of the ranks; msrun takes a script, not a module."""
    log_dir.mkdir()
    script = log_dir / "start.py"
    script.write_text(program)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MS_RETRY_INTERVAL_LOWER": "1",
        "MS_RETRY_INTERVAL_UPPER": "1",
    }
    words = [word for word in words if word != "model.name=one_convolution"] + ["model=dlaconv_34_narrow"]
    command = [
        shutil.which("msrun", path=environment["PATH"]), f"--worker_num={count}", f"--local_worker_num={count}",
        "--master_addr=127.0.0.1", f"--master_port={free_port()}", f"--log_dir={log_dir}", "--join=True",
        script, *words,
    ]  # fmt: skip
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    logs = "\n".join(path.read_text(errors="replace") for path in sorted(Path(log_dir).glob("worker_*.log")))
    return run.returncode, run.stdout[-3000:] + logs[-6000:]


def train_on_two(words, log_dir):
    code, logs = run_ranks(2, words, log_dir)
    assert code == 0, logs


def tensors(run_dir):
    checkpoint = read_checkpoint(run_dir)
    return {f"{group}/{name}": array for group in GROUPS for name, array in checkpoint.tensors(group).items()}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pictures(root, count=13)
    return root


def test_ranks_stay_identical_and_an_interrupted_run_resumes_bit_identically(root, tmp_path):
    """13 pictures, 2 ranks x 2: three steps an epoch; the ranks' parameters are compared after every one."""
    changes = {"runtime.check_ranks_every_steps": 1, "epochs": 2}
    whole = overrides(root, tmp_path / "whole", **changes)
    train_on_two(whole, tmp_path / "whole_logs")
    train_on_two(overrides(root, tmp_path / "parts", max_steps=2, **changes), tmp_path / "first_logs")
    train_on_two(overrides(root, tmp_path / "parts", **changes), tmp_path / "second_logs")
    assert list(curves(tmp_path / "whole")["loss"]) == [1, 2, 3, 4, 5, 6]
    assert curves(tmp_path / "parts") == curves(tmp_path / "whole")
    ours, theirs = tensors(tmp_path / "parts"), tensors(tmp_path / "whole")
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
    assert read_checkpoint(tmp_path / "whole").manifest["world_size"] == 2


def test_ranks_that_start_differently_are_refused(root, tmp_path):
    code, logs = run_ranks(2, overrides(root, tmp_path / "run"), tmp_path / "logs", OTHER_SEED_ON_RANK_1)
    assert code != 0
    assert "parameters differ at start: ranks [1] do not hold what rank 0 holds" in logs
