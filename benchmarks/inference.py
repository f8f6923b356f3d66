"""What a picture costs from the letterboxed input to detections, beside the original's network and decoder.

    python -m benchmarks.inference [passes=6] [rounds=2] [quick=true] [output=inference.json]
                                   [original=<the original's repository> original_python=<a python with torch>]

DLA-34 with the plain neck at 608x1088, batch 1 and 4, and at 256x448, random weights, fp32, each in a process of its
own for its peak memory; the original's and ours in turn, `rounds` times, medians from the third pass of each process
on. About 5 minutes on two cores.
"""

import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmarks.measuring import FULL, QUICK, Measured, medians, options, run_again, run_original, size_hw
from benchmarks.report import Part, Row, progress, publish

if TYPE_CHECKING:
    from fairmot.model.network import FairMOT

CASES = {"608x1088, batch 1": ("608x1088", 1), "608x1088, batch 4": ("608x1088", 4), "256x448, batch 1": ("256x448", 1)}
ORIGINAL = "the original under PyTorch"


def build(name: str) -> "FairMOT":
    """The network of conf/model/<name>.yaml."""
    from fairmot.cli.command import compose  # noqa: PLC0415 (the processes it starts would be charged with MindSpore's memory)
    from fairmot.model.network import build_network  # noqa: PLC0415
    from train.config import TrainConfig  # noqa: PLC0415

    return build_network(compose([f"model={name}"], TrainConfig, "train").model, seed=0)


def infer(network: str, size: str, batch: int, passes: int) -> dict[str, list[float]]:
    """Runs in a process of its own: seconds and processor seconds of each pass, from the third on."""
    import numpy as np  # noqa: PLC0415

    from fairmot.inference.network import NetworkDetector  # noqa: PLC0415

    detector = NetworkDetector(build(network), size_hw(size), batch_size=batch)
    pictures = list(np.random.default_rng(0).integers(0, 256, (batch, *size_hw(size), 3), dtype=np.uint8))
    moments_s, worked_s = [], []
    for _ in range(passes):
        detector.infer(pictures, [size_hw(size)] * batch)
        moments_s.append(time.perf_counter())
        worked_s.append(time.process_time())
    both = {"steps_s": moments_s, "worked_s": worked_s}
    return {key: [later - earlier for earlier, later in pairwise(values[1:])] for key, values in both.items()}


def measure(network: str, size: str, batch: int, passes: int) -> Measured:
    """`infer` and the peak memory of its process in GB."""
    ran = run_again("inference", network=network, case=f"{size},{batch}", passes=passes)
    return ran.answer(), ran.peak_gb


def main() -> None:
    given = options(
        __doc__, passes="6", rounds="2", quick="", output="", original="", original_python="", network="", case=""
    )
    passes = int(given["passes"])
    if given["case"]:
        size, batch = given["case"].split(",")
        print(json.dumps(infer(given["network"], size, int(batch), passes)))
        return
    quick = given["quick"] == "true"
    cases = {"64x96, batch 1": (QUICK["size"], 1)} if quick else CASES
    network = (QUICK if quick else FULL)["model"]
    ours: dict[str, list[Measured]] = {case: [] for case in cases}
    theirs: dict[str, list[Measured]] = {case: [] for case in cases}
    for _ in range(int(given["rounds"])):
        for case, (size, batch) in cases.items():
            if given["original"]:
                keys = {"what": "inference", "size": size, "batch": batch, "steps": passes}
                theirs[case].append(run_original(given["original_python"], given["original"], **keys))
            ours[case].append(measure(network, size, batch, passes))
            progress(f"{case}: {ours[case][-1]}, the original {theirs[case][-1:]}")
    rows = []
    for case, (_, batch) in cases.items():
        own, their = medians(ours[case]), medians(theirs[case]) if theirs[case] else {}
        reference, their_s = (ORIGINAL, their["step_s"] / batch) if their else ("", None)
        rows += [
            Row(f"a picture, {case}", own["step_s"] / batch, "s", reference, their_s, most_ratio=1.0),
            Row(f"peak memory, {case}", own["peak_gb"], "GB", reference, their.get("peak_gb")),
        ]
    publish(Part(rows, details={"ours": ours, "original": theirs}), given["output"])


if __name__ == "__main__":
    main()
