"""Export a trained network: python -m fairmot.export checkpoint=<run> output=model.onnx format=onnx."""

import logging

from fairmot.cli.command import run_command, when_called
from fairmot.export.config import ExportConfig

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_command(when_called("fairmot.export.command:export"), ExportConfig, "export")
