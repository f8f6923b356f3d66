"""What saving and loading a checkpoint costs, beside MindSpore's own way with the same tensors.

    python -m benchmarks.checkpoint [steps=17] [every=5] [repeats=3] [quick=true] [output=checkpoint.json]

A real training (DLA-34 with the plain neck, batch 4, 256x448, network and Adam's moments) saves every few steps.
"Stalled" is a step before which the state was saved less its neighbours, median over the saves; "durable" is when the
checkpoint's last file is written, after the step's report. Beside it, `ms.save_checkpoint` and `ms.load_checkpoint` of
the same tensors in a process of its own, which do not sync to the disk, and there also our loading: read, compared with
its digests, assigned to the state. About 2 minutes on two cores.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import Training, options, run_again, setting, train
from benchmarks.report import Part, Row, publish


def stall_s(training: Training, every: int) -> float:
    """How much longer a step takes than its neighbours where the state was saved before it: median over the saves.

    A save happens between a step's report and the next one's, so it is in the time of the step after it.
    """
    step_s = dict(enumerate(training.steps_s, start=3))
    stalls = []
    for saved in range(every + 1, max(step_s) + 1, every):
        neighbours = [step_s[step] for step in (saved - 1, saved + 1) if step in step_s]
        stalls.append(step_s[saved] - statistics.mean(neighbours))
    return statistics.median(stalls)


def durable_s(training: Training, every: int) -> float:
    """Median seconds from a step's report until its checkpoint is whole; the one at the end is left out."""
    waits = []
    for step in range(every, len(training.said_at_s), every):
        manifest = training.run_dir / "checkpoints" / f"step_{step:08d}" / "checkpoint.json"
        waits.append(manifest.stat().st_mtime - training.said_at_s[step - 1])
    return statistics.median(waits)


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(repeats):
        began_s = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began_s)
    return statistics.median(seconds)


def compare(run_dir: Path, repeats: int) -> dict[str, float]:
    """Runs in a process of its own: load the run's newest checkpoint, and do the same by MindSpore's functions."""
    from omegaconf import OmegaConf  # noqa: PLC0415

    from fairmot.data.identities import IdentityTable  # noqa: PLC0415
    from fairmot.weights.checkpoint import read_checkpoint  # noqa: PLC0415
    from train.build import build_state  # noqa: PLC0415
    from train.config import TrainConfig  # noqa: PLC0415

    # isort: split
    import mindspore as ms  # noqa: PLC0415

    schema = OmegaConf.structured(TrainConfig)
    config = OmegaConf.to_object(OmegaConf.merge(schema, OmegaConf.load(run_dir / "config.yaml")))
    assert isinstance(config, TrainConfig)
    checkpoint = read_checkpoint(run_dir)
    state = build_state(config, checkpoint.said("identities", IdentityTable))
    load_s = timed(lambda: state.restore(read_checkpoint(run_dir)), repeats)
    everything = [
        {"name": f"{group}.{name}", "data": parameter}
        for group in state.groups
        for name, parameter in state.parameters(group).items()
    ]
    path = str(run_dir / "mindspore.ckpt")
    return {
        "copy_s": timed(state.tensors, repeats),
        "load_s": load_s,
        "mindspore_save_s": timed(lambda: ms.save_checkpoint(everything, path), repeats),
        "mindspore_load_s": timed(lambda: ms.load_checkpoint(path), repeats),
        "megabytes": Path(path).stat().st_size / 1e6,
    }


def main() -> None:
    given = options(__doc__, steps="17", every="5", repeats="3", quick="", output="", run_dir="")
    if given["run_dir"]:
        print(json.dumps(compare(Path(given["run_dir"]), int(given["repeats"]))))
        return
    steps, every = int(given["steps"]), int(given["every"])
    with tempfile.TemporaryDirectory() as name:
        keys = {**setting(given["quick"] == "true"), "save_every_steps": every, "keep_checkpoints": steps}
        training = train(keys, steps, Path(name))
        found = run_again("checkpoint", run_dir=training.run_dir, repeats=given["repeats"]).answer()
        found |= {"stall_s": stall_s(training, every), "durable_s": durable_s(training, every)}
    save, load, size = "ms.save_checkpoint", "ms.load_checkpoint", f"{found['megabytes']:.0f} MB"
    rows = [
        Row(f"step stalled by a save, {size}", found["stall_s"], "s", save, found["mindspore_save_s"], most=0.5),
        Row("checkpoint durable, training going on", found["durable_s"], "s", save, found["mindspore_save_s"]),
        Row("copy of all tensors", found["copy_s"], "s"),
        Row("load and restore", found["load_s"], "s", load, found["mindspore_load_s"]),
    ]
    publish(Part(rows, details=found | {"steps_s": training.steps_s}), given["output"])


if __name__ == "__main__":
    main()
