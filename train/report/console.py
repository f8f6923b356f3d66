"""What a training run shows on the console."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from fairmot.text_tables import aligned


class Console:
    """Progress on stderr: a bar for people at a terminal, plain lines for log files."""

    def __init__(self) -> None:
        self._total_steps = 0
        self._first_step = 0
        self._begun_at_s: float | None = None
        self._bar: tqdm | None = None
        self._announced: set[str] = set()

    def begin(self, first_step: int, total_steps: int) -> None:
        """Training starts after `first_step` steps, those of earlier processes, and ends after `total_steps`."""
        self._first_step, self._total_steps = first_step, total_steps
        if sys.stderr.isatty() and not os.environ.get("NO_COLOR") and not os.environ.get("CI"):
            self._bar = tqdm(total=total_steps, initial=first_step, unit="step", dynamic_ncols=True)

    def show(self, step: int, values: Mapping[str, float] | None) -> None:
        """Show that `step` steps are done; a line is printed only where there are values."""
        if self._begun_at_s is None:
            self._begin_clock(step)
        if self._bar is not None:
            if values:
                self._bar.set_postfix({name: f"{value:.4g}" for name, value in values.items()}, refresh=False)
            self._bar.update(step - self._bar.n)
        elif values:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            print(f"step {step}/{self._total_steps}  {shown}{self._time_left(step)}", file=sys.stderr, flush=True)

    def _begin_clock(self, step: int) -> None:
        """Count from the end of the first step, which compiles: it says nothing of those that follow."""
        self._first_step, self._begun_at_s = step, time.monotonic()
        if self._bar is not None:
            self._bar.n = self._bar.initial = step
            self._bar.start_t = self._bar.last_print_t = time.time()
            self._bar.refresh()

    def _time_left(self, step: int) -> str:
        if step == self._first_step or self._begun_at_s is None:
            return ""
        left_s = (time.monotonic() - self._begun_at_s) / (step - self._first_step) * (self._total_steps - step)
        return f"  left {tqdm.format_interval(left_s)}"

    def announce(self, what: str, path: Path) -> None:
        """Say where a picture is, the first time that there is one of its kind."""
        if what not in self._announced:
            self._announced.add(what)
            tqdm.write(f"{what}: {path}", file=sys.stderr)

    def end(self) -> None:
        """Leave the terminal to others."""
        if self._bar is not None:
            self._bar.close()


def print_summary(rows: Sequence[tuple[str, str]]) -> None:
    """Print (label, text) rows as two aligned columns."""
    for line in aligned(rows):
        print(line, flush=True)
