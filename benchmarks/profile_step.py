"""Where a training step's time goes, operator by operator.

python benchmarks/profile_step.py [steps=3] [largest=15] [key=value of python -m train ...]

Runs the real command, `python -m train`, on the synthetic set with MindSpore's profiler on: DLA-34 with the plain neck,
batch 4, 256x448, unless other keys are given. Two tables: kinds of operator, and the most expensive single ones, in
milliseconds a step and as shares of all operators' time. Operators may run side by side, so their sum is not the step's
time; the profiler itself slows a step down.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

COMMON = [
    "data.input_size=[256,448]",
    "model=dlaconv_34",
    "batch_size_per_rank=4",
    "loss.fp16_classifier=false",
    "log_every_steps=1",
    "mlflow.enabled=false",
]
_STEPS_BEFORE = 3  # the profiler's own warm-up


def profile(words: list[str], steps: int, folder: Path) -> Path:
    """Train under the profiler; returns the folder of its operator tables."""
    run_dir = folder / "run"
    command = [
        sys.executable, "-m", "train", *COMMON, f"data.root={folder / 'data'}", f"run_dir={run_dir}",
        f"max_steps={_STEPS_BEFORE + steps}", f"runtime.profile_steps={steps}", *words,
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next((run_dir / "profile").rglob("cpu_op_type_info_0.csv")).parent


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    steps, largest = int(options.pop("steps", 3)), int(options.pop("largest", 15))
    with tempfile.TemporaryDirectory() as name:
        tables = profile([f"{key}={value}" for key, value in options.items()], steps, Path(name))
        kinds = read(tables / "cpu_op_type_info_0.csv")
        single = read(tables / "cpu_op_detail_info_0.csv")
    total_ms = sum(float(row["total_compute_time"]) for row in kinds) / steps
    print(f"all operators: {total_ms:.0f} ms a step\n")
    print("| operator | a step | ms | share |\n|---|---|---|---|")
    for row in sorted(kinds, key=lambda row: -float(row["total_compute_time"])):
        ms = float(row["total_compute_time"]) / steps
        if ms >= total_ms / 1000:
            print(f"| {row['op_type']} | {int(row['type_occurrences']) // steps} | {ms:.1f} | {ms / total_ms:.1%} |")
    print("\n| single operator | ms | share |\n|---|---|---|")
    for row in sorted(single, key=lambda row: -float(row["op_total_time(ms)"]))[:largest]:
        ms = float(row["op_total_time(ms)"]) / steps
        print(f"| {row['full_op_name']} | {ms:.1f} | {ms / total_ms:.1%} |")


if __name__ == "__main__":
    main()
