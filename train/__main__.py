"""The command: python -m train experiment=mot20_finetune."""

import logging

from fairmot.cli.command import run_command, when_called
from train.config import TrainConfig, register_sweep_folder
from train.output import print_unfailingly

if __name__ == "__main__":
    print_unfailingly()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    register_sweep_folder()
    run_command(when_called("train.command:train_job"), TrainConfig, "train")
