"""A first look: python -m fairmot.demo draws a street, tracks its people with a small network and scores it."""

from fairmot.cli.command import run_command, when_called
from fairmot.demo.config import DemoConfig

if __name__ == "__main__":
    run_command(when_called("fairmot.demo.command:demo"), DemoConfig, "demo", runs_without_words=True)
