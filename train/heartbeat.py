"""A sign of life for the launcher, which ends ranks that hang."""

import contextlib
import os
from pathlib import Path

HEARTBEAT_VARIABLE = "FAIRMOT_HEARTBEAT"
"""The launcher gives every rank the path of a file of its own under this name."""


def beat(step: int | None = None) -> None:
    """Say that this process is at work; without a launcher nobody listens.

    The launcher looks at the file's time for the sign of life, and at its text for the step. A full disk takes no text,
    but the time all the same; whatever else is wrong with the file, a step is worth more than its sign.

    Args:
        step: optimiser steps done; None while it waits or works on something else than steps.
    """
    path = os.environ.get(HEARTBEAT_VARIABLE)
    if path is None:
        return
    with contextlib.suppress(OSError):
        try:
            if step is not None:
                Path(path).write_text(str(step))
        finally:
            Path(path).touch()
