"""A sign of life for the launcher, which ends ranks that hang."""

import os
from pathlib import Path

HEARTBEAT_VARIABLE = "FAIRMOT_HEARTBEAT"
"""The launcher gives every rank the path of a file of its own under this name."""


def beat(step: int | None = None) -> None:
    """Say that this process is at work; without a launcher nobody listens.

    The launcher looks at the file's time for the sign of life, and at its text for the step.

    Args:
        step: optimiser steps done; None while it waits or works on something else than steps.
    """
    path = os.environ.get(HEARTBEAT_VARIABLE)
    if path is None:
        return
    if step is None:
        Path(path).touch()
    else:
        Path(path).write_text(str(step))
