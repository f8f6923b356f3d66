"""Split and join finished tracks: python -m fairmot.link results=<folder> detections=<folder> output=<folder>."""

from fairmot.cli.command import run_command, when_called
from fairmot.link.config import LinkCommandConfig

if __name__ == "__main__":
    run_command(when_called("fairmot.link.command:link_results"), LinkCommandConfig, "link")
