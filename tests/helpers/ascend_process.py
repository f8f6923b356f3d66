"""A Python process in which MindSpore finds CANN's stand-ins: its Ascend backend is there, an NPU is not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from train.simulate.stand_ins import cann_paths, cann_variables

REPOSITORY = Path(__file__).resolve().parents[2]
needs_tools = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("nm", "as", "g++")), reason="no binutils or g++"
)


def run_with_ascend(program: str, folder: Path, **variables: str) -> str:
    """What a program prints, started in `folder`; its log is in the message where it fails."""
    environment = os.environ | {
        **cann_variables(*cann_paths(dict(os.environ)), REPOSITORY, os.environ),
        "FAIRMOT_SIMULATED_SOC": "Ascend910B2",
        **variables,
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
