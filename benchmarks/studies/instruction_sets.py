"""The training step beside the original's with AVX2 alone and with all that the processor has, and its best settings.

    python -m benchmarks.studies.instruction_sets original=<the original's repository>
        original_python=<a python with torch> [steps=8] [rounds=2] [output=instruction_sets.json]

The real `python -m train` (fp32, and as installed) and the original's step (benchmarks/original/step.py) as in
benchmarks/train_step.py, each process on cores 0 and 1, in turn, medians from the third step of each process on. With
AVX2 alone neither may use more: ONEDNN_MAX_CPU_ISA and ATEN_CPU_CAPABILITY say so; fairmot chooses the former for
itself in both. The original also with channels last, and with bfloat16 autocast, which it never used. About 15 minutes
on two cores.
"""

import tempfile
from pathlib import Path

from benchmarks.measuring import FULL, Training, medians, merged, options, run_torch, setting, train
from benchmarks.report import markdown, progress, write_output
from benchmarks.train_step import CASES
from fairmot.data.synthetic.generate import SyntheticConfig, generate

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX2"}
SETS = {"AVX2": AVX2, "all": {}}
ORIGINALS = {
    "the original": {},
    "the original, channels last": {"layout": "channels_last"},
    "the original, channels last, bf16": {"layout": "channels_last", "precision": "bf16"},
}
PINNED = ("taskset", "-c", "0,1")


def main() -> None:
    given = options(__doc__, original="", original_python="", steps="8", rounds="2", output="")
    steps = int(given["steps"])
    theirs = {"original": given["original"], "steps": steps, "batch": FULL["batch"], "size": FULL["size"]}
    originals: dict[tuple[str, str], list] = {}
    ours: dict[tuple[str, str], list[Training]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder / "data", SyntheticConfig(), progress=False)
        for _ in range(int(given["rounds"])):
            for instructions, environment in SETS.items():
                for case, changes in ORIGINALS.items():
                    ran = run_torch(
                        given["original_python"], "step", environment=environment, prefix=PINNED, **theirs, **changes
                    )
                    originals.setdefault((instructions, case), []).append((ran.answer(), ran.peak_gb))
                for case, changes in CASES.items():
                    keys = setting(quick=False) | {"data.cache_dir": str(folder / "index")} | changes
                    training = train(keys, steps, folder, environment, prefix=PINNED)
                    ours.setdefault((instructions, f"ours, {case}"), []).append(training)
                progress(f"{instructions}: round done")
    figures = {key: medians(several) for key, several in originals.items()}
    figures |= {key: merged(several).figures() for key, several in ours.items()}
    rows = [
        {"instructions": instructions, "step of": case}
        | {name: found[name] for name in ("step_s", "processor_s", "peak_gb")}
        | {"to the original": found["step_s"] / figures[instructions, "the original"]["step_s"]}
        for (instructions, case), found in sorted(figures.items())
    ]
    print(markdown(list(rows[0]), ([f"{x:.2f}" if isinstance(x, float) else x for x in row.values()] for row in rows)))
    write_output(given["output"], rows)


if __name__ == "__main__":
    main()
