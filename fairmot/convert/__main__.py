"""Weights from PyTorch and back: python -m fairmot.convert source=<weights> output=<file> [model=<network>]."""

from fairmot.cli.command import run_command, when_called
from fairmot.convert.config import ConvertConfig

if __name__ == "__main__":
    run_command(when_called("fairmot.convert.command:convert"), ConvertConfig, "convert")
