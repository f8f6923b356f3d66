"""What a training run shows on the console."""

import os
import sys
import time
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from fairmot.text_tables import aligned


class Console:
    """Progress on stderr: a bar for people at a terminal, plain lines for log files.

    Args:
        total_steps: optimiser steps of the whole run, for the bar and the time left.
    """

    def __init__(self, total_steps: int) -> None:
        self._total_steps = total_steps
        self._first_step = 0
        self._begun_at_s = time.monotonic()
        self._bar: tqdm | None = None

    def begin(self, first_step: int) -> None:
        """Start the clock after `first_step` steps, those of earlier processes."""
        self._first_step, self._begun_at_s = first_step, time.monotonic()
        if sys.stderr.isatty() and not os.environ.get("NO_COLOR") and not os.environ.get("CI"):
            self._bar = tqdm(total=self._total_steps, initial=first_step, unit="step", dynamic_ncols=True)

    def show(self, step: int, values: Mapping[str, float] | None) -> None:
        """Show that `step` steps are done; a line is printed only where there are values."""
        if self._bar is not None:
            if values:
                self._bar.set_postfix({name: f"{value:.4g}" for name, value in values.items()}, refresh=False)
            self._bar.update(step - self._bar.n)
        elif values:
            elapsed_s = time.monotonic() - self._begun_at_s
            left_s = elapsed_s / max(1, step - self._first_step) * (self._total_steps - step)
            shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            line = f"step {step}/{self._total_steps}  {shown}  left {tqdm.format_interval(left_s)}"
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the terminal to others."""
        if self._bar is not None:
            self._bar.close()


def print_summary(rows: Sequence[tuple[str, str]]) -> None:
    """Print (label, text) rows as two aligned columns."""
    for line in aligned(rows):
        print(line, flush=True)
