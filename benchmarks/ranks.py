"""What two ranks pay for working together.

    python -m benchmarks.ranks [steps=10] [quick=true] [output=ranks.json] [original_python=<a python with torch>]

DLA-34 with the plain neck, batch 2 a rank, 256x448, half of this machine's cores for each rank, started as
scripts/run_distribute.sh does it. Three trainings: one rank alone, two that know nothing of each other side by side,
and two that train together. What the second takes more than the first is the machine's memory and cache shared; what
the third takes more than the second is all-reduce and bookkeeping. The all-reduce of all gradients by itself is
measured at the start of a run with `runtime.profile_steps`; beside it stands PyTorch's of one vector as long. About 3
minutes on two cores.
"""

import os
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.measuring import QUICK, Training, merged, options, run_torch, setting, train
from benchmarks.report import Curve, Part, Row, progress, publish
from fairmot.weights.checkpoint import read_checkpoint
from train.report.record import read_metrics


def launch(count: int, cores: list[int], keys: dict[str, str], steps: int, folder: Path) -> Training:
    """Ranks on some cores, under the launcher that divides these among them."""
    bound = ("taskset", "--cpu-list", ",".join(map(str, cores)))
    return train(keys, steps, folder, starter=("-m", "train.launch", str(count)), prefix=bound)


def main() -> None:
    given = options(__doc__, steps="10", quick="", output="", original_python="")
    quick, steps = given["quick"] == "true", int(given["steps"])
    batch = QUICK["batch"] if quick else "2"
    keys = setting(quick, batch=batch)
    cores = sorted(os.sched_getaffinity(0))
    halves = cores[: len(cores) // 2], cores[len(cores) // 2 :]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as threads:
        folder = Path(name)
        alone = launch(1, halves[0], keys, steps, folder)
        progress(f"alone: {alone.steps_s}")
        side_by_side = merged(threads.map(lambda half: launch(1, half, keys, steps, folder), halves))
        progress(f"two side by side: {side_by_side.steps_s}")
        together = launch(2, cores, {**keys, "runtime.profile_steps": "1"}, steps, folder)
        progress(f"two ranks: {together.steps_s}")
        all_reduce_ms = read_metrics(together.run_dir)["all_reduce_ms"][0][1]
        files = read_checkpoint(together.run_dir).manifest["files"]
    numbers = sum(files[f"{group}.safetensors"]["bytes"] for group in ("network", "loss")) // 4
    torch_ms = None
    if given["original_python"]:
        answer = run_torch(given["original_python"], "all_reduce", numbers=numbers).answer()
        torch_ms = answer["all_reduce_s"] * 1e3
    step_s = {
        case: statistics.median(training.steps_s)
        for case, training in (("alone", alone), ("side by side", side_by_side), ("two ranks", together))
    }
    cost_s = step_s["two ranks"] - step_s["side by side"]
    rows = [
        Row(f"step of 2 ranks, batch {batch} each", step_s["two ranks"], "s", "one alone", step_s["alone"]),
        Row("two alone, side by side", step_s["side by side"], "s", "one alone", step_s["alone"]),
        Row("all-reduce and bookkeeping, of the step", 100 * cost_s / step_s["two ranks"], "%", most=15),
        Row(
            f"all-reduce of all gradients by itself, {numbers * 4 / 1e6:.0f} MB", all_reduce_ms, "ms",
            "PyTorch's gloo, one vector" if torch_ms else "", torch_ms,
        ),
        Row("all-reduce by itself, of the step", all_reduce_ms / 10 / step_s["two ranks"], "%"),
    ]  # fmt: skip
    images_per_s = [count * int(batch) / step_s[case] for count, case in ((1, "alone"), (2, "two ranks"))]
    lines = [[step_s["alone"], step_s["two ranks"]], images_per_s]
    curve = Curve("ranks", [1, 2], ["step, s", "images, 1/s"], lines)
    details = {"steps_s": {"alone": alone.steps_s, "side by side": side_by_side.steps_s, "two": together.steps_s}}
    publish(Part(rows, [curve], details), given["output"])


if __name__ == "__main__":
    main()
