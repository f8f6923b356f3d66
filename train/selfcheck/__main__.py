"""The command: python -m train.selfcheck device=ascend."""

import logging

from fairmot.cli.command import run_command, when_called
from train.selfcheck.config import SelfcheckConfig

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_command(when_called("train.selfcheck.command:selfcheck"), SelfcheckConfig, "selfcheck")
