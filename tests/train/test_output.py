"""Printing onto a full disk and into a pipe that nobody reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PRINTING = """
import sys
from train.output import print_unfailingly
print_unfailingly()
print("to stdout, ünd more", flush=True)
print("to stderr", file=sys.stderr)
print("left in the buffer", end="")
sys.exit(130)
"""


def run_printing(**streams) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", PRINTING], cwd=REPOSITORY, check=False, **streams)


@pytest.fixture(params=["full disk", "pipe without a reader"])
def refusing(request):
    if request.param == "full disk":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, descriptor = os.pipe()
        os.close(reader)
    yield descriptor
    os.close(descriptor)


def test_what_cannot_be_printed_changes_no_exit_code(refusing):
    assert run_printing(stdout=refusing, stderr=refusing).returncode == 130


def test_what_can_be_printed_is_printed():
    process = run_printing(capture_output=True)
    assert process.stdout.decode() == "to stdout, ünd more\nleft in the buffer"
    assert process.stderr.decode() == "to stderr\n"
