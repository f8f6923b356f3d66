"""What a training run reports: the local record, MLflow behind it, and the console."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairmot.text_tables import aligned
from train.report.mlflow_delivery import MlflowConfig, deliver_command, start_delivery
from train.report.mlflow_run import say, undelivered_lines
from train.report.record import RunRecord, read_records

EPOCH_PREFIX = "epoch/"


class RunLogger:
    """Rank 0's reports. Every call appends to the local record and returns; MLflow is fed by a process of its own.

    Other ranks use `RunLogger.silent()`, so that the loop need not ask who it is.

    Args:
        run_dir: the run's folder.
        config: where MLflow is.
        total_steps: optimiser steps of the whole run, for the progress bar and the time left.

    Raises:
        OSError: the run's folder cannot be written.
    """

    def __init__(self, run_dir: Path, config: MlflowConfig, total_steps: int) -> None:
        self._run_dir = run_dir
        self._config = config
        self._record = RunRecord(run_dir)
        self._lost_future: dict[tuple[str, int], float] = {}
        self._delivery: subprocess.Popen[str] | None = None
        self._console = _Console(total_steps)

    @staticmethod
    def silent() -> "RunLogger":
        """The logger of every rank but 0: takes everything, does nothing."""
        return _SilentRunLogger()

    def start(
        self,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        artifacts: Sequence[Path],
        resumed_at_step: int | None,
    ) -> None:
        """Record what the run is made of and begin to deliver.

        Args:
            params: the configuration, nested; keys are joined by dots. MLflow keeps a parameter's first value for good:
                a value changed by a resume is recorded as the tag `resumed_param.<key>`.
            tags: shown beside the run in MLflow.
            artifacts: files or folders to keep with the run.
            resumed_at_step: steps done before this process; None for a fresh start.
        """
        first_params = self._read_back(resumed_at_step)
        self._record.append("start", resumed_at_step=resumed_at_step)
        new, changed = {}, {}
        for key, value in flatten(params).items():
            if key not in first_params:
                new[key] = value
            elif first_params[key] != value:
                changed[f"resumed_param.{key}"] = value
        self._record.append("params", values=new)
        self._record.append("tags", values={**changed, **tags})
        for path in artifacts:
            self.artifact(path)
        self._console.begin(resumed_at_step or 0)
        if self._config.enabled:
            try:
                self._delivery = start_delivery(self._run_dir, self._config)
            except OSError as error:
                say(f"warning: its process cannot be started ({error}); values are kept in {self._record.path}")

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Record scalars of one optimiser step; what this run already recorded with the same value is not repeated."""
        fresh = {}
        for name, value in values.items():
            number = float(value)
            before = self._lost_future.get((name, step))
            if before is None or not (before == number or (math.isnan(before) and math.isnan(number))):
                fresh[name] = number
        if fresh:
            self._record.append("metrics", step=step, values=fresh)

    def epoch_metrics(self, epoch: int, values: Mapping[str, float]) -> None:
        """Record scalars of a whole epoch as `epoch/<name>`, over epochs instead of steps."""
        self.metrics(epoch, {f"{EPOCH_PREFIX}{name}": value for name, value in values.items()})

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a file with the run; it must stay in place until it is delivered.

        Args:
            path: the file.
            folder: of the run's artifacts, where it is to be found; None: beside the configuration.
        """
        self._record.append("artifact", path=str(path.absolute()), folder=folder)

    def tags(self, values: Mapping[str, str]) -> None:
        """Show these beside the run; a tag's newest value counts."""
        self._record.append("tags", values=dict(values))

    def model(self, name: str, checkpoint: Path, sha256: str) -> None:
        """Register a checkpoint as a version of the model `name`.

        Args:
            name: the registered model.
            checkpoint: its directory; it is not copied.
            sha256: of its network's weights.
        """
        self._record.append("model", name=name, path=str(checkpoint.absolute()), sha256=sha256)

    def progress(self, step: int, values: Mapping[str, float] | None = None) -> None:
        """Show where training is: a bar on a terminal, elsewhere one line each time there are values.

        Args:
            step: steps done.
            values: what to show beside it; None only moves the bar.
        """
        self._console.show(step, values)

    def close(self, status: str) -> None:
        """End the run and wait, at most `mlflow.flush_timeout_s`, until MLflow has everything.

        Args:
            status: FINISHED, FAILED or KILLED.
        """
        self._console.end()
        self._record.append("end", status=status)
        self._record.close()
        if self._delivery is None:
            return
        try:
            self._delivery.wait(self._config.flush_timeout_s)
        except subprocess.TimeoutExpired:
            self._delivery.kill()
            self._delivery.wait()
        if left := undelivered_lines(self._run_dir):
            command = deliver_command(self._run_dir, self._config)
            say(f"warning: {left} lines are not delivered; they are kept in {self._record.path}. To deliver: {command}")

    def _read_back(self, resumed_at_step: int | None) -> dict[str, str]:
        """Remember the values a resumed run will log again; return the parameters' first values."""
        first_params: dict[str, str] = {}
        after_step = -1 if resumed_at_step is None else resumed_at_step
        for record, _ in read_records(self._run_dir):
            if record["kind"] == "params":
                first_params = {**record["values"], **first_params}
            elif record["kind"] == "metrics":
                for name, value in record["values"].items():
                    if record["step"] > after_step or name.startswith(EPOCH_PREFIX):
                        self._lost_future[name, record["step"]] = value
        return first_params


class _SilentRunLogger(RunLogger):
    def __init__(self) -> None:
        pass

    def start(self, *args: Any, **kwargs: Any) -> None:
        pass

    def metrics(self, *args: Any, **kwargs: Any) -> None:
        pass

    def artifact(self, *args: Any, **kwargs: Any) -> None:
        pass

    def tags(self, *args: Any, **kwargs: Any) -> None:
        pass

    def model(self, *args: Any, **kwargs: Any) -> None:
        pass

    def progress(self, *args: Any, **kwargs: Any) -> None:
        pass

    def close(self, *args: Any, **kwargs: Any) -> None:
        pass


class _Console:
    """Progress on stderr: a bar for people at a terminal, plain lines for log files."""

    def __init__(self, total_steps: int) -> None:
        self._total_steps = total_steps
        self._first_step = 0
        self._begun_at_s = time.monotonic()
        self._bar: tqdm | None = None

    def begin(self, first_step: int) -> None:
        self._first_step, self._begun_at_s = first_step, time.monotonic()
        if sys.stderr.isatty() and not os.environ.get("NO_COLOR") and not os.environ.get("CI"):
            self._bar = tqdm(total=self._total_steps, initial=first_step, unit="step", dynamic_ncols=True)

    def show(self, step: int, values: Mapping[str, float] | None) -> None:
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
        if self._bar is not None:
            self._bar.close()


def print_summary(rows: Sequence[tuple[str, str]]) -> None:
    """Print (label, text) rows as two aligned columns."""
    for line in aligned(rows):
        print(line, flush=True)


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as text under dotted keys: `{"optim": {"lr": 0.1}}` becomes `{"optim.lr": "0.1"}`."""
    flat: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        elif isinstance(value, Enum):
            flat[f"{prefix}{key}"] = value.name
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat
