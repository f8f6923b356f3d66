"""Real ranks under msrun on this machine, training what tests/helpers/small_run.py describes."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from small_run import command_environment

from fairmot.weights.checkpoint import GROUPS, read_checkpoint

START = """
import runpy
runpy.run_module("train", run_name="__main__", alter_sys=True)
"""
"""msrun takes a script, not a module."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_ranks(count, words, log_dir, program=START):
    """Exit code and logs of the ranks."""
    log_dir.mkdir()
    script = log_dir / "start.py"
    script.write_text(program)
    environment = {
        **command_environment(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MS_RETRY_INTERVAL_LOWER": "1",
        "MS_RETRY_INTERVAL_UPPER": "1",
    }
    command = [
        shutil.which("msrun", path=environment["PATH"]), f"--worker_num={count}", f"--local_worker_num={count}",
        "--master_addr=127.0.0.1", f"--master_port={free_port()}", f"--log_dir={log_dir}", "--join=True",
        script, *words,
    ]  # fmt: skip
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    logs = "\n".join(path.read_text(errors="replace") for path in sorted(Path(log_dir).glob("worker_*.log")))
    return run.returncode, run.stdout[-3000:] + logs[-6000:]


def train_on(count, words, log_dir, program=START):
    code, logs = run_ranks(count, words, log_dir, program)
    assert code == 0, logs
    return logs


def tensors(run_dir):
    checkpoint = read_checkpoint(run_dir)
    return {f"{group}/{name}": array for group in GROUPS for name, array in checkpoint.tensors(group).items()}
