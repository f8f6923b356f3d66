"""Make a submission to MOTChallenge: python -m fairmot.submit root=<download> checkpoint=<run> output=<folder>."""

import logging

from fairmot.cli.command import run_command, when_called
from fairmot.submit.config import SubmitConfig

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_command(when_called("fairmot.submit.command:submit"), SubmitConfig, "submit")
