"""What each network of the family costs.

python benchmarks/model_family.py [networks=dlaconv_34,hrnet_18] [steps=8] [output=build/model_family.json]

Parameters and multiply-adds of the paper's input, 608x1088; then, at 256x448, a training step of the real command
`python -m train` on the synthetic set (batch 2, fp32) and a picture through network and decoder (batch 1), each in a
process of its own for its peak memory. Times are the shortest of several, since whatever else the machine does only
adds to them; "first" is the time from the command to the first step, most of which is compilation. Compare the
ratios of one run, the first network's row being 1.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import fairmot  # noqa: F401  (sets the CPU kernels' limit before anything imports mindspore)

# isort: split
import mindspore as ms
import numpy as np
from mindspore import nn

from fairmot.door import compose
from fairmot.inference import Detector
from fairmot.model.fairmot import FairMOT, build_network
from train.config import TrainConfig

INPUT_SIZE_HW = (256, 448)
PAPER_SIZE_HW = (608, 1088)
BATCH = 2
NETWORKS = (
    "dlaconv_34", "dla_34", "resdcn_34", "resdcn_50", "resfpndcn_34", "hrnet_18", "hrnet_32", "yolov5s",
)  # fmt: skip
COLUMNS = {
    "parameters, M": "parameters_m",
    "multiply-adds, G": "multiply_adds_g",
    "step, s": "step_s",
    "ratio": "step_ratio",
    "first, s": "first_step_s",
    "peak, GB": "train_peak_gb",
    "inference, s": "inference_s",
    "ratio ": "inference_ratio",
    "peak, GB ": "inference_peak_gb",
}


def build(name: str) -> FairMOT:
    """The network of conf/model/<name>.yaml."""
    config = compose([f"model={name}"], TrainConfig, "train")
    return build_network(config.model, seed=0)


def count(name: str) -> dict[str, float]:
    """Parameters without buffers, and multiply-adds of the convolutions for one picture of the paper's size.

    A convolution does one multiply-add for every weight at every place of its output, a transposed one at every place
    of its input. All strides divide 32 and so do both sizes, hence a small picture's sum is scaled by the area.
    Normalisation, activations and the interpolation within deformable convolutions are left out, as is usual.
    """
    side = 64
    total = 0

    def add(cell: nn.Cell, inputs: tuple[ms.Tensor, ...], output: ms.Tensor) -> None:
        nonlocal total
        places = inputs[0] if isinstance(cell, nn.Conv2dTranspose) else output
        total += cell.weight.size * places.shape[2] * places.shape[3]

    ms.set_context(mode=ms.PYNATIVE_MODE)
    network = build(name).set_train(False)
    for _, cell in network.cells_and_names():
        if len(getattr(cell, "weight", np.empty(0)).shape) == 4:
            cell.register_forward_hook(add)
    network(ms.Tensor(np.zeros((1, side, side, 3), np.uint8)))
    area = PAPER_SIZE_HW[0] * PAPER_SIZE_HW[1] / side**2
    parameters = sum(parameter.size for name, parameter in network.state().items() if "moving_" not in name)
    return {"parameters_m": parameters / 1e6, "multiply_adds_g": total * area / 1e9}


def infer(name: str, steps: int) -> dict[str, float]:
    """Seconds a picture takes from the letterboxed input to detections."""
    detector = Detector(build(name), INPUT_SIZE_HW)
    picture = np.random.default_rng(0).integers(0, 256, (*INPUT_SIZE_HW, 3), dtype=np.uint8)
    moments = []
    for _ in range(3 * steps):
        detector.infer([picture], [INPUT_SIZE_HW])
        moments.append(time.perf_counter())
    return {"inference_s": min(later - earlier for earlier, later in pairwise(moments))}


def run(words: list[str]) -> tuple[list[str], list[float], float]:
    """A process of its own: lines it says, seconds from its start to each of them, and its peak memory in GB."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines, moments = [], []
    for line in process.stdout:
        lines.append(line)
        moments.append(time.monotonic() - began)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed:\n{''.join(lines[-20:])}")
    return lines, moments, usage.ru_maxrss / 1e6


def train(name: str, steps: int, folder: Path) -> dict[str, float]:
    """Time a few steps of the real command."""
    lines, moments, peak_gb = run(
        [
            "-m", "train", f"model={name}", f"batch_size_per_rank={BATCH}", f"max_steps={steps + 1}",
            f"data.input_size=[{INPUT_SIZE_HW[0]},{INPUT_SIZE_HW[1]}]", "log_every_steps=1", "mlflow.enabled=false",
            "loss.fp16_classifier=false", f"data.root={folder / 'data'}", f"run_dir={folder / name}",
        ]
    )  # fmt: skip
    steps_at = [moment for line, moment in zip(lines, moments, strict=True) if line.startswith("step ")]
    step_s = min(later - earlier for earlier, later in pairwise(steps_at))
    return {"first_step_s": steps_at[0], "step_s": step_s, "train_peak_gb": peak_gb}


def measure(name: str, steps: int, folder: Path) -> dict[str, float]:
    """One row, by three processes one after the other."""
    counted, *_ = run([__file__, f"count={name}"])
    inferred, _, peak_gb = run([__file__, f"infer={name}", f"steps={steps}"])
    row = {**json.loads(counted[-1]), **json.loads(inferred[-1]), "inference_peak_gb": peak_gb}
    return row | train(name, steps, folder)


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    steps = int(options.get("steps", 8))
    if "count" in options:
        print(json.dumps(count(options["count"])))
        return
    if "infer" in options:
        print(json.dumps(infer(options["infer"], steps)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as name:
        for network in options.get("networks", ",".join(NETWORKS)).split(","):
            results[network] = measure(network, steps, Path(name))
            print(f"{network}: {results[network]}; load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    first = next(iter(results.values()))
    print(f"| network | {' | '.join(COLUMNS)} |")
    print("|---" * (1 + len(COLUMNS)) + "|")
    for network, row in results.items():
        row |= {f"{kind}_ratio": row[f"{kind}_s"] / first[f"{kind}_s"] for kind in ("step", "inference")}
        print(f"| {network} | {' | '.join(f'{row[key]:.2f}' for key in COLUMNS.values())} |")
    if "output" in options:
        path = Path(options["output"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
