"""Watching the process that compiles: how far it is, its time limit, and its end when nobody waits for it any more."""

import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from fairmot.errors import FairMOTError

_STAGE = re.compile(r"[\d:.-]{20,}: (Start|End) (.+)\.$")
"""What MindSpore says of its progress where MS_JIT_DISPLAY_PROGRESS is set."""
_QUIET_S = 30.0
"""After so long without a new stage a line says that it still works."""
_POLL_S = 0.1
_logger = logging.getLogger(__name__)


class _Progress:
    """Turns what the process writes into a line a stage."""

    def __init__(self) -> None:
        self._began_at_s = self._said_at_s = time.monotonic()
        self._graph, self._stage, self._rest = "", "starting MindSpore", ""

    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_at_s

    def read(self, stream: TextIO) -> None:
        """Take what was written since the last call."""
        *lines, self._rest = (self._rest + stream.read()).split("\n")
        for line in lines:
            if match := _STAGE.match(line):
                started, what = match[1] == "Start", match[2]
                if not what.startswith("compiling "):
                    self._stage = what
                elif started:
                    self._graph = what.removeprefix("compiling ").strip("'").removesuffix(".construct")
                    continue
                else:
                    self._stage = "compiled, finishing"
                self._say()
        if time.monotonic() - self._said_at_s > _QUIET_S:
            self._say()

    def _say(self) -> None:
        self._said_at_s = time.monotonic()
        _logger.info("dry run: %4.0f s  %s%s", self.elapsed_s(), f"{self._graph}: " if self._graph else "", self._stage)


def run_watched(command: list[str], environment: Mapping[str, str], log_file: Path, limit_s: float) -> int:
    """Run a compiling process to its end in the folder of `log_file`; its exit code, negative for a signal.

    Whatever ends this call early, Ctrl-C above all, ends the process too.

    Args:
        command: program and arguments.
        environment: the whole of it.
        log_file: receives everything that it writes.
        limit_s: how long it may take.

    Raises:
        FairMOTError: it took longer.
    """
    with log_file.open("wb") as log, log_file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        # A session of its own: Ctrl-C at the terminal reaches this process alone, which then ends the other.
        child = subprocess.Popen(
            command, cwd=log_file.parent, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            progress = _Progress()
            while (exit_code := child.poll()) is None:
                progress.read(lines)
                if progress.elapsed_s() > limit_s:
                    raise FairMOTError(
                        f"simulate: not compiled within simulate.time_limit_s={limit_s:.0f} seconds; give more, or a "
                        "smaller network"
                    )
                time.sleep(_POLL_S)
            return exit_code
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
