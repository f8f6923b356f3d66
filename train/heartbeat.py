"""A sign of life for the launcher, which ends ranks that hang."""

import os
from pathlib import Path

HEARTBEAT_VARIABLE = "FAIRMOT_HEARTBEAT"
"""The launcher gives every rank the path of a file of its own under this name."""

_path = Path(os.environ[HEARTBEAT_VARIABLE]) if HEARTBEAT_VARIABLE in os.environ else None
_step = 0


def beat(step: int | None = None) -> None:
    """Say that this process is at work; without a launcher nobody listens.

    Args:
        step: optimiser steps done; None while it waits or works on something else than steps.
    """
    global _step  # noqa: PLW0603  (the process has one heart)
    if _path is None:
        return
    _step = _step if step is None else step
    _path.write_text(str(_step))
