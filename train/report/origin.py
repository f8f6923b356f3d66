"""Where a run comes from: who trains, by what, of which commit."""

import contextlib
import getpass
import subprocess
from pathlib import Path


def origin() -> dict[str, str]:
    """Who trains, and by what, under MLflow's own names."""
    tags = {"mlflow.source.name": "python -m train", "mlflow.source.type": "LOCAL"}
    if (commit := git_commit()) != "unknown":
        tags["mlflow.source.git.commit"] = commit.rstrip("+")
    with contextlib.suppress(OSError, KeyError, ImportError):  # a user without a name, as in containers
        tags["mlflow.user"] = getpass.getuser()
    return tags


def git_commit() -> str:
    """The commit of the program, with a + behind it when files were changed; "unknown" outside a checkout."""
    folder = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit.stdout.strip()
