"""What a training step costs, beside the original's.

    python -m benchmarks.train_step [steps=8] [rounds=2] [slow_kernels=true] [quick=true] [output=train_step.json]
                                    [original=<the original's repository> original_python=<a python with torch>]

Runs the real command, `python -m train`, on the synthetic set: DLA-34 with the plain neck, batch 4, 256x448. The
original's step (benchmarks/original/step.py, 500 slots, data from memory) and ours are measured in turn, `rounds`
times; figures are medians over all steps of all rounds, from the third of each process on. Processor seconds are those
of all threads; other programs on the machine disturb them less. Peak memory is the process's. "First step" is the time
from the command to the end of the first step: cold without the index of labels and with data and MindSpore's files not
in memory, as far as the system lets go of them; warm with both. Machines are noisy: compare ratios of one run.
About 4 minutes on two cores.
"""

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measuring import FULL, QUICK, Training, medians, merged, options, run_original, setting, train
from benchmarks.report import Part, Row, progress, publish
from fairmot.data.synthetic.generate import SyntheticConfig, generate

CASES = {
    "fp32": {},
    "as installed (fp16 classifier)": {"loss.fp16_classifier": "true"},
}
SLOW_KERNELS = {"ONEDNN_MAX_CPU_ISA": "ALL"}
ORIGINAL = "the original under PyTorch, 500 slots"


def forget(folder: Path) -> None:
    """Ask the system to drop a folder's files from its memory; what a living process has open stays."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def cold_start(keys: dict[str, str], folder: Path) -> Training:
    """One step with data and MindSpore's files not in memory and without an index, whose folder is removed."""
    shutil.rmtree(folder / "index", ignore_errors=True)
    forget(folder / "data")
    package = find_spec("mindspore")
    assert package is not None and package.origin is not None
    forget(Path(package.origin).parent)
    return train(keys, 1, folder)


def rows_of(case: str, figures: dict[str, float], original: dict[str, float], batch: int) -> list[Row]:
    """A case beside the original, where that was measured."""
    reference = ORIGINAL if original else ""
    return [
        Row(f"step, {case}", figures["step_s"], "s", reference, original.get("step_s"), most_ratio=1.0),
        Row(
            f"images, {case}", batch / figures["step_s"], "1/s", reference,
            batch / original["step_s"] if original else None,
        ),
        Row(f"processor time a step, {case}", figures["processor_s"], "s", reference, original.get("processor_s")),
        Row(f"peak memory, {case}", figures["peak_gb"], "GB", reference, original.get("peak_gb"), most_ratio=1.1),
        Row(
            f"without the checkpoint at the end, {case}", figures["steps_peak_gb"], "GB", reference,
            original.get("peak_gb"),
        ),
    ]  # fmt: skip


def main() -> None:
    given = options(
        __doc__, steps="8", rounds="2", slow_kernels="", quick="", output="", original="", original_python=""
    )
    quick, steps, rounds = given["quick"] == "true", int(given["steps"]), int(given["rounds"])
    chosen = QUICK if quick else FULL
    keys, batch = setting(quick), int(chosen["batch"])
    cases = dict(list(CASES.items())[:1]) if quick else CASES
    trainings: dict[str, list[Training]] = {case: [] for case in cases}
    originals, theirs = [], {"steps": steps, "batch": batch, "size": chosen["size"]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys["data.cache_dir"] = str(folder / "index")
        generate(folder / "data", SyntheticConfig(), progress=False)
        cold = cold_start(keys, folder)
        for _ in range(rounds):
            if given["original"]:
                originals.append(run_original(given["original_python"], given["original"], **theirs))
            for case, changes in cases.items():
                trainings[case].append(train({**keys, **changes}, steps, folder))
                progress(f"{case}: {trainings[case][-1].figures()}")
        slow = train(keys, 1, folder, SLOW_KERNELS) if given["slow_kernels"] == "true" else None
    original = medians(originals) if originals else {}
    rows = []
    for case, several in trainings.items():
        rows += rows_of(case, merged(several).figures(), original, batch)
    first_s = merged(trainings["fp32"]).first_step_s
    rows += [
        Row("first step after the command, warm", first_s, "s", most=20),
        Row("first step after the command, cold", cold.first_step_s, "s", "warm", first_s),
    ]
    if slow is not None:
        rows.append(Row("first step with AVX-512 convolutions", slow.first_step_s, "s", "warm", first_s))
    details = {case: [one.figures() | {"steps_s": one.steps_s} for one in some] for case, some in trainings.items()}
    details[ORIGINAL] = originals
    publish(Part(rows, details=details), given["output"])


if __name__ == "__main__":
    main()
