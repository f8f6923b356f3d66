"""What a training step costs.

python benchmarks/train_step.py [output=build/train_step.json] [steps=8] [slow_kernels=true]

Runs the real command, `python -m train`, on the synthetic set: DLA-34 with the plain neck, batch 4, 256x448. One
table: seconds from the command to the first step, seconds a step after it, images a second, peak memory,
and each as a ratio to the first row of the same run. Machines are noisy; only ratios of one run mean something.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH = 4
COMMON = [
    "data.input_size=[256,448]",
    "model=dlaconv_34",
    f"batch_size_per_rank={BATCH}",
    "log_every_steps=1",
    "mlflow.enabled=false",
]
CASES = {
    "as installed (fp16 classifier, 32 slots)": ([], {}),
    "fp32": (["loss.fp16_classifier=false"], {}),
    "fp32, 500 slots": (["loss.fp16_classifier=false", "data.max_objects=500"], {}),
}
SLOW_KERNELS = ("fp32, AVX-512 convolutions", ["loss.fp16_classifier=false"], {"ONEDNN_MAX_CPU_ISA": "ALL"})

COLUMNS = ("first_step_s", "step_s", "images_per_s", "peak_memory_gb", "step_s ratio", "peak_memory_gb ratio")


def measure(words: list[str], environment: dict[str, str], steps: int, folder: Path) -> dict[str, float]:
    """Train a few steps in a fresh process and time its lines on the console."""
    command = [
        sys.executable, "-m", "train", *COMMON, *words, f"max_steps={steps}",
        f"data.root={folder / 'data'}", f"run_dir={folder / f'run-{time.time_ns()}'}",
    ]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True)
    moments = [time.monotonic() - began for line in process.stderr if line.startswith("step ")]
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    result = {"first_step_s": moments[0], "peak_memory_gb": usage.ru_maxrss / 1e6}
    if len(moments) > 2:
        # the second step still warms caches
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments[1:])]
        result["step_s"] = statistics.median(gaps)
        result["images_per_s"] = BATCH / result["step_s"]
    return result


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    steps = int(options.get("steps", 8))
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure([], {}, 1, folder)  # draws the data and fills the disk cache
        for label, (words, environment) in CASES.items():
            results[label] = measure(words, environment, steps, folder)
            print(f"{label}: {results[label]}", file=sys.stderr)
        if options.get("slow_kernels") == "true":
            label, words, environment = SLOW_KERNELS
            results[label] = measure(words, environment, 1, folder)
    reference = dict(next(iter(results.values())))
    print(f"| case | {' | '.join(COLUMNS)} |")
    print("|---" * (1 + len(COLUMNS)) + "|")
    for label, row in results.items():
        row |= {f"{key} ratio": row[key] / reference[key] for key in ("step_s", "peak_memory_gb") if key in row}
        print(f"| {label} | {' | '.join(f'{row[key]:.2f}' if key in row else '-' for key in COLUMNS)} |")
    if "output" in options:
        path = Path(options["output"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
