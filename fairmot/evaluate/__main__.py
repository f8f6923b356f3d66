"""Score tracks: python -m fairmot.evaluate gt=<sequences> results=<folder>|checkpoint=<run> output=<folder>."""

import logging

from fairmot.cli.command import run_command, when_called
from fairmot.evaluate.config import EvaluateConfig

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_command(when_called("fairmot.evaluate.command:evaluate_and_print"), EvaluateConfig, "evaluate")
