"""What pyproject.toml's console scripts start: `fairmot-track` is `python -m fairmot.track`, and so on."""

import runpy
import sys
from pathlib import Path

MODULES = {
    "fairmot-demo": "fairmot.demo",
    "fairmot-train": "train",
    "fairmot-launch": "train.launch",
    "fairmot-selfcheck": "train.selfcheck",
    "fairmot-prepare": "fairmot.prepare",
    "fairmot-pack": "fairmot.pack",
    "fairmot-track": "fairmot.track",
    "fairmot-evaluate": "fairmot.evaluate",
    "fairmot-submit": "fairmot.submit",
    "fairmot-convert": "fairmot.convert",
    "fairmot-export": "fairmot.export",
    "fairmot-tune": "fairmot.tune",
    "fairmot-link": "fairmot.link",
}
"""Console script -> the module it runs; pyproject.toml lists the same."""


def start() -> None:
    """Run the module of the script that was typed, as `python -m` would, for processes that it starts too."""
    runpy.run_module(MODULES[Path(sys.argv[0]).name], run_name="__main__", alter_sys=True)
