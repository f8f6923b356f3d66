"""What the benchmarks share: words of the command line, processes that are watched, trainings that are timed."""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from train.report.record import read_metrics

FULL = {"model": "dlaconv_34", "size": "256x448", "batch": "4"}
QUICK = {"model": "dlaconv_34_narrow", "size": "64x96", "batch": "1"}
"""What is trained, and what stands in for it where only the machinery is to be seen at work."""


def options(doc: str | None, **defaults: str) -> dict[str, str]:
    """The key=value words of the command line over `defaults`; anything else prints `doc` and ends the program."""
    given = words()
    if unknown := given.keys() - defaults.keys():
        print(f"{doc}\nunknown: {', '.join(sorted(unknown))}; choose {', '.join(defaults)}", file=sys.stderr)
        sys.exit(2)
    return defaults | given


def words() -> dict[str, str]:
    """All words of the command line, each cut at its first equals sign."""
    return {key: value for key, _, value in (word.partition("=") for word in sys.argv[1:])}


def size_hw(text: str) -> tuple[int, int]:
    """608x1088 -> (608, 1088)."""
    height, width = map(int, text.split("x"))
    return height, width


@dataclass(frozen=True)
class Ran:
    """A process that has ended.

    Attributes:
        lines: what it said.
        moments_s: when it said each of them, seconds after its start.
        worked_s: processor time it had used by then, all threads.
        peaks_gb: most memory it had held by then.
        began_at_s: of the wall clock.
        peak_gb: most memory it held (ru_maxrss).
    """

    lines: list[str]
    moments_s: list[float]
    worked_s: list[float]
    peaks_gb: list[float]
    began_at_s: float
    peak_gb: float

    def answer(self) -> Any:
        """The JSON it printed last."""
        return json.loads(next(line for line in reversed(self.lines) if line.startswith(("{", "["))))


def run(command: Iterable[str], environment: Mapping[str, str] | None = None) -> Ran:
    """Run a program to its end and watch it. One that fails ends this one too, with its last lines."""
    command = list(command)
    began_at_s, began_s = time.time(), time.monotonic()
    process = subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines: list[str] = []
    moments_s, worked_s, peaks_gb = [], [], []
    for line in process.stdout:
        lines.append(line)
        moments_s.append(time.monotonic() - began_s)
        worked_s.append(_processor_s(process.pid))
        peaks_gb.append(_peak_gb(process.pid))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{''.join(lines[-20:])}")
    return Ran(lines, moments_s, worked_s, peaks_gb, began_at_s, usage.ru_maxrss / 1e6)


def run_again(benchmark: str, **given: object) -> Ran:
    """A benchmark in a process of its own, told to do one thing alone and to print it as JSON."""
    return run([sys.executable, "-m", f"benchmarks.{benchmark}", *(f"{key}={value}" for key, value in given.items())])


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_gb(pid: int) -> float:
    """Of a living process; 0 of one that has just ended."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1e6 if found else 0.0


@dataclass(frozen=True)
class Training:
    """A few steps of the real command.

    Attributes:
        first_step_s: from the command to the end of the first step.
        steps_s: each step's time, from the third on: the second still warms caches.
        worked_s: processor time of each of these steps.
        peak_gb: of the process.
        steps_peak_gb: the same up to the last step, without the checkpoint at the end.
        run_dir: of the run.
        said_at_s: moment of the wall clock at which each step was reported, all of them.
    """

    first_step_s: float
    steps_s: list[float]
    worked_s: list[float]
    peak_gb: float
    steps_peak_gb: float
    run_dir: Path
    said_at_s: list[float]

    def figures(self) -> dict[str, float]:
        """Its medians by name."""
        figures = {"first_step_s": self.first_step_s, "peak_gb": self.peak_gb, "steps_peak_gb": self.steps_peak_gb}
        if self.steps_s:
            figures |= {"step_s": statistics.median(self.steps_s), "processor_s": statistics.median(self.worked_s)}
        return figures


def setting(quick: bool, **changes: str) -> dict[str, str]:
    """Keys of `python -m train`: the network, batch and size that everything is measured with, fp32, no MLflow.

    Args:
        quick: of the small stand-in.
        changes: of `FULL` or `QUICK`, such as batch="2".
    """
    chosen = {**(QUICK if quick else FULL), **changes}
    height, width = size_hw(chosen["size"])
    return {
        "model": chosen["model"],
        "data.input_size": f"[{height},{width}]",
        "batch_size_per_rank": chosen["batch"],
        "loss.fp16_classifier": "false",
        "log_every_steps": "1",
        "mlflow.enabled": "false",
    }


def train(
    keys: Mapping[str, object],
    steps: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    starter: Iterable[str] = ("-m", "train"),
    prefix: Iterable[str] = (),
) -> Training:
    """Train a few steps in a fresh process.

    Args:
        keys: of `python -m train`; data.root is <folder>/data unless it is among them.
        steps: how many.
        folder: receives the data and a run directory of its own for every call.
        environment: further variables.
        starter: what python is to run.
        prefix: words before python.
    """
    run_dir = folder / f"run-{time.time_ns()}"
    keys = {"data.root": folder / "data", **keys, "run_dir": run_dir, "max_steps": steps}
    command = [*prefix, sys.executable, *starter, *(f"{key}={value}" for key, value in keys.items())]
    ran = run(command, environment)
    said = [number for number, line in enumerate(ran.lines) if line.startswith("step ")]
    step_ms = dict(read_metrics(run_dir).get("step_ms", ()))
    worked_s = [later - earlier for earlier, later in pairwise(ran.worked_s[number] for number in said)]
    return Training(
        ran.moments_s[said[0]],
        [step_ms[step] / 1e3 for step in range(3, steps + 1)],
        worked_s[1:],
        ran.peak_gb,
        ran.peaks_gb[said[-1]],
        run_dir,
        [ran.began_at_s + ran.moments_s[number] for number in said],
    )


def merged(trainings: Iterable[Training]) -> Training:
    """Several equal trainings as one: all their steps, the median of their starts and peaks."""
    trainings = list(trainings)
    return Training(
        statistics.median(training.first_step_s for training in trainings),
        [step_s for training in trainings for step_s in training.steps_s],
        [worked_s for training in trainings for worked_s in training.worked_s],
        statistics.median(training.peak_gb for training in trainings),
        statistics.median(training.steps_peak_gb for training in trainings),
        trainings[-1].run_dir,
        trainings[-1].said_at_s,
    )


Measured = tuple[dict[str, list[float]], float]
"""Seconds (`steps_s`) and processor seconds (`worked_s`) of what was repeated, and its process's peak memory, GB."""


def run_original(python: str, repository: str, **given: object) -> Measured:
    """What benchmarks/original/step.py prints, by a Python with PyTorch."""
    ran = run_torch(python, "step", original=repository, **given)
    return ran.answer(), ran.peak_gb


def run_torch(
    python: str,
    program: str,
    environment: Mapping[str, str] | None = None,
    prefix: Iterable[str] = (),
    **given: object,
) -> Ran:
    """A program of benchmarks/original by a Python with PyTorch; empty: this one."""
    script = str(Path(__file__).with_name("original") / f"{program}.py")
    words = (f"{key}={value}" for key, value in given.items())
    return run([*prefix, python or sys.executable, script, *words], environment)


def medians(several: list[Measured]) -> dict[str, float]:
    """Over everything that several equal processes repeated: step_s, processor_s and peak_gb."""
    return {
        "step_s": statistics.median(chain.from_iterable(answer["steps_s"] for answer, _ in several)),
        "processor_s": statistics.median(chain.from_iterable(answer["worked_s"] for answer, _ in several)),
        "peak_gb": statistics.median(peak_gb for _, peak_gb in several),
    }
