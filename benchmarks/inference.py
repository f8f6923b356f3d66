"""What a picture costs from the letterboxed input to detections, beside the original's network and decoder.

    python -m benchmarks.inference [passes=6] [rounds=2] [quick=true] [output=inference.json]
                                   [original=<the original's repository> original_python=<a python with torch>]

DLA-34 with the plain neck at 608x1088, batch 1 and 4, and at 256x448, random weights, fp32, by MindSpore and by ONNX
Runtime (`engine=`, exported beforehand), each in a process of its own for its peak memory; the original's and ours in
turn, `rounds` times, medians from the third pass of each process on. About 8 minutes on two cores.
"""

import json
import tempfile
import time
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import FULL, QUICK, Measured, medians, options, run_again, run_original, size_hw
from benchmarks.report import Part, Row, progress, publish

if TYPE_CHECKING:
    from fairmot.model.network import FairMOT

CASES = {"608x1088, batch 1": ("608x1088", 1), "608x1088, batch 4": ("608x1088", 4), "256x448, batch 1": ("256x448", 1)}
ENGINES = {"": ("mindspore", 1.0), ", ONNX Runtime": ("onnx", 0.5)}
"""What stands behind a row's name -> engine, and the most of the original's time that it is to take."""
ORIGINAL = "the original under PyTorch"


def build(name: str) -> "FairMOT":
    """The network of conf/model/<name>.yaml."""
    from fairmot.cli.command import compose  # noqa: PLC0415 (the processes it starts would be charged with MindSpore's memory)
    from fairmot.model.network import build_network  # noqa: PLC0415
    from train.config import TrainConfig  # noqa: PLC0415

    return build_network(compose([f"model={name}"], TrainConfig, "train").model, seed=0)


def write_weights(path: Path, model: str, input_size_hw: tuple[int, int]) -> None:
    """Those of a new network, with a heatmap that tells places apart."""
    import numpy as np  # noqa: PLC0415

    from fairmot.cli.command import compose  # noqa: PLC0415
    from fairmot.weights.weights_file import weights_file  # noqa: PLC0415
    from train.config import TrainConfig  # noqa: PLC0415

    rng = np.random.default_rng(0)
    tensors = {name: parameter.asnumpy() for name, parameter in build(model).state().items()}
    tensors["hm.2.weight"] = rng.standard_normal(tensors["hm.2.weight"].shape).astype(np.float32)
    config = asdict(compose([f"model={model}"], TrainConfig, "train").model)
    path.write_bytes(weights_file(tensors, {"model": config, "num_classes": 1, "input_size": list(input_size_hw)}))


def infer(weights: Path, engine: str, size: str, batch: int, passes: int) -> dict[str, list[float]]:
    """Runs in a process of its own: seconds and processor seconds of each pass, from the third on."""
    import numpy as np  # noqa: PLC0415

    from fairmot.device import Device  # noqa: PLC0415
    from fairmot.export.engine import open_with_engine  # noqa: PLC0415
    from fairmot.inference.config import Engine  # noqa: PLC0415

    detector = open_with_engine(weights, Engine[engine], Device.cpu, batch_size=batch)
    pictures = list(np.random.default_rng(0).integers(0, 256, (batch, *size_hw(size), 3), dtype=np.uint8))
    moments_s, worked_s = [], []
    for _ in range(passes):
        detector.infer(pictures, [size_hw(size)] * batch)
        moments_s.append(time.perf_counter())
        worked_s.append(time.process_time())
    both = {"steps_s": moments_s, "worked_s": worked_s}
    return {key: [later - earlier for earlier, later in pairwise(values[1:])] for key, values in both.items()}


def measure(weights: Path, engine: str, size: str, batch: int, passes: int) -> Measured:
    """`infer` and the peak memory of its process in GB."""
    ran = run_again("inference", weights=weights, engine=engine, case=f"{size},{batch}", passes=passes)
    return ran.answer(), ran.peak_gb


def one_process(given: dict[str, str]) -> None:
    """What the processes do that this program starts: write weights, or run a network by one engine."""
    weights, (size, batch) = Path(given["weights"]), given["case"].split(",")
    if given["network"]:
        write_weights(weights, given["network"], size_hw(size))
    else:
        print(json.dumps(infer(weights, given["engine"], size, int(batch), int(given["passes"]))))


def main() -> None:
    given = options(
        __doc__, passes="6", rounds="2", quick="", output="", original="", original_python="", weights="", network="",
        engine="", case="",
    )  # fmt: skip
    if given["case"]:
        one_process(given)
        return
    passes, quick = int(given["passes"]), given["quick"] == "true"
    cases = {"64x96, batch 1": (QUICK["size"], 1)} if quick else CASES
    network = (QUICK if quick else FULL)["model"]
    ours: dict[str, list[Measured]] = {f"{case}{by}": [] for case in cases for by in ENGINES}
    theirs: dict[str, list[Measured]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        weights = {case: Path(folder) / f"{size}.safetensors" for case, (size, _) in cases.items()}
        for case, (size, batch) in cases.items():
            run_again("inference", weights=weights[case], network=network, case=f"{size},{batch}")
            measure(weights[case], "onnx", size, batch, 3)  # exports it, once
        for _ in range(int(given["rounds"])):
            for case, (size, batch) in cases.items():
                if given["original"]:
                    keys = {"what": "inference", "size": size, "batch": batch, "steps": passes}
                    theirs[case].append(run_original(given["original_python"], given["original"], **keys))
                for by, (engine, _) in ENGINES.items():
                    ours[case + by].append(measure(weights[case], engine, size, batch, passes))
                    progress(f"{case}{by}: {ours[case + by][-1]}, the original {theirs[case][-1:]}")
    rows = []
    for case, (_, batch) in cases.items():
        their = medians(theirs[case]) if theirs[case] else {}
        reference, their_s = (ORIGINAL, their["step_s"] / batch) if their else ("", None)
        for by, (_, most_ratio) in ENGINES.items():
            own = medians(ours[case + by])
            rows += [
                Row(f"a picture, {case}{by}", own["step_s"] / batch, "s", reference, their_s, most_ratio=most_ratio),
                Row(f"peak memory, {case}{by}", own["peak_gb"], "GB", reference, their.get("peak_gb")),
            ]
    publish(Part(rows, details={"ours": ours, "original": theirs}), given["output"])


if __name__ == "__main__":
    main()
