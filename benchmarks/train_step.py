"""What a training step costs.

python benchmarks/train_step.py [output=build/train_step.json] [steps=8] [slow_kernels=true]
                                [original=<folder of the original> original_python=<python with torch>]

Runs the real command, `python -m train`, on the synthetic set: DLA-34 with the plain neck, batch 4, 256x448. One
table: seconds from the command to the first step, seconds a step after it, images a second, processor seconds a step
(which other programs on the machine disturb less), peak memory, and ratios to the first row of the same run: the
original's, where it is named, measured before and after (the mean of both) by benchmarks/original_step.py. Machines are
noisy; only ratios of one run mean something.
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
    "as installed (fp16 classifier, fitted slots)": ([], {}),
    "fp32": (["loss.fp16_classifier=false"], {}),
    "fp32, 500 slots": (["loss.fp16_classifier=false", "data.max_objects=500"], {}),
}
SLOW_KERNELS = ("fp32, AVX-512 convolutions", ["loss.fp16_classifier=false"], {"ONEDNN_MAX_CPU_ISA": "ALL"})

COMPARED = ("step_s", "processor_s", "peak_memory_gb")
COLUMNS = ("first_step_s", "step_s", "images_per_s", *COMPARED[1:], *(f"{key} ratio" for key in COMPARED))


def measure(words: list[str], environment: dict[str, str], steps: int, folder: Path) -> dict[str, float]:
    """Train a few steps in a fresh process and time its lines on the console."""
    command = [
        sys.executable, "-m", "train", *COMMON, *words, f"max_steps={steps}",
        f"data.root={folder / 'data'}", f"run_dir={folder / f'run-{time.time_ns()}'}",
    ]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True)
    moments, worked = [], []
    for line in process.stderr:
        if line.startswith("step "):
            moments.append(time.monotonic() - began)
            worked.append(processor_s(process.pid))
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    result = {"first_step_s": moments[0], "peak_memory_gb": usage.ru_maxrss / 1e6}
    if len(moments) > 2:
        # the second step still warms caches
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments[1:])]
        result["step_s"] = statistics.median(gaps)
        result["processor_s"] = statistics.median(after - before for before, after in itertools.pairwise(worked[1:]))
        result["images_per_s"] = BATCH / result["step_s"]
    return result


def processor_s(pid: int) -> float:
    """Processor time that a running process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_original(python: str, repository: str, steps: int) -> dict[str, float]:
    """The same of the original's step, in a process of its own."""
    script = Path(__file__).with_name("original_step.py")
    command = [python, str(script), repository, f"steps={steps}"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    steps = int(options.get("steps", 8))
    results: dict[str, dict[str, float]] = {}
    original = options.get("original_python", sys.executable), options.get("original", ""), steps
    if original[1]:
        results["the original under PyTorch, 500 slots"] = measure_original(*original)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure([], {}, 1, folder)  # draws the data and fills the disk cache
        for label, (words, environment) in CASES.items():
            results[label] = measure(words, environment, steps, folder)
            print(f"{label}: {results[label]}", file=sys.stderr)
        if options.get("slow_kernels") == "true":
            label, words, environment = SLOW_KERNELS
            results[label] = measure(words, environment, 1, folder)
    if original[1]:
        first = results["the original under PyTorch, 500 slots"]
        for key, value in measure_original(*original).items():
            first[key] = (first[key] + value) / 2
    reference = dict(next(iter(results.values())))
    print(f"| case | {' | '.join(COLUMNS)} |")
    print("|---" * (1 + len(COLUMNS)) + "|")
    for label, row in results.items():
        row |= {f"{key} ratio": row[key] / reference[key] for key in COMPARED if key in row}
        print(f"| {label} | {' | '.join(f'{row[key]:.2f}' if key in row else '-' for key in COLUMNS)} |")
    if "output" in options:
        path = Path(options["output"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
