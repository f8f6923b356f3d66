"""Where a training step's time goes, operator by operator.

    python -m benchmarks.studies.profile_step [steps=3] [largest=15] [output=profile.json] [key=value ...]

Runs the real command, `python -m train`, on the synthetic set with MindSpore's profiler on: DLA-34 with the plain neck,
batch 4, 256x448, unless other keys are given. Two tables: kinds of operator, and the most expensive single ones, in
milliseconds a step and as shares of all operators' time. Operators may run side by side, so their sum is not the step's
time; the profiler itself slows a step down.
"""

import csv
import tempfile
from pathlib import Path

from benchmarks.measuring import setting, train, words
from benchmarks.report import markdown, write_output

_STEPS_BEFORE = 3  # the profiler's own warm-up


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def main() -> None:
    given = {"steps": "3", "largest": "15", "output": "", **words()}
    steps, largest, output = int(given.pop("steps")), int(given.pop("largest")), given.pop("output")
    with tempfile.TemporaryDirectory() as name:
        keys = {**setting(quick=False), "runtime.profile_steps": str(steps), **given}
        run_dir = train(keys, _STEPS_BEFORE + steps, Path(name)).run_dir
        kinds = read(next((run_dir / "profile").rglob("cpu_op_type_info_0.csv")))
        single = read(next((run_dir / "profile").rglob("cpu_op_detail_info_0.csv")))
    kinds_ms = {row["op_type"]: float(row["total_compute_time"]) / steps for row in kinds}
    counts = {row["op_type"]: int(row["type_occurrences"]) // steps for row in kinds}
    single_ms = {row["full_op_name"]: float(row["op_total_time(ms)"]) / steps for row in single}
    total_ms = sum(kinds_ms.values())
    print(f"all operators: {total_ms:.0f} ms a step\n")
    listed = [(kind, ms) for kind, ms in largest_first(kinds_ms) if ms >= total_ms / 1000]
    rows = ((kind, str(counts[kind]), f"{ms:.1f}", f"{ms / total_ms:.1%}") for kind, ms in listed)
    print(markdown(("operator", "a step", "ms", "share"), rows))
    rows = ((name, f"{ms:.1f}", f"{ms / total_ms:.1%}") for name, ms in largest_first(single_ms)[:largest])
    print(f"\n{markdown(('single operator', 'ms', 'share'), rows)}")
    write_output(output, {"kinds_ms": kinds_ms, "kinds_a_step": counts, "single_ms": single_ms})


def largest_first(values: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(values.items(), key=lambda item: -item[1])


if __name__ == "__main__":
    main()
