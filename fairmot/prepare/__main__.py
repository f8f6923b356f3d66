"""Prepare a public data set for training: python -m fairmot.prepare dataset=mot17 root=<download> output=data.

With check=true look over prepared data: python -m fairmot.prepare check=true root=data.
"""

from fairmot.cli.command import run_command, when_called
from fairmot.prepare.config import PrepareConfig

if __name__ == "__main__":
    run_command(when_called("fairmot.prepare.command:prepare"), PrepareConfig, "prepare")
