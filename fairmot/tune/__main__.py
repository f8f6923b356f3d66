"""Search the tracker's rules: python -m fairmot.tune gt=<sequences> checkpoint=<run>|detections=<files> output=..."""

import logging

from fairmot.cli.command import run_command, when_called
from fairmot.tune.config import TuneConfig

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_command(when_called("fairmot.tune.command:tune"), TuneConfig, "tune")
