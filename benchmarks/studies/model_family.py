"""What each network of the family costs.

    python -m benchmarks.studies.model_family [networks=dlaconv_34,hrnet_18] [steps=8] [output=model_family.json]

Parameters and multiply-adds of the paper's input, 608x1088; then, at 256x448, a training step of the real command
`python -m train` on the synthetic set (batch 2, fp32) and a picture through network and decoder (batch 1), each in a
process of its own for its peak memory. Times are the shortest of several, since whatever else the machine does only
adds to them; "first" is the time from the command to the first step, most of which is compilation. Compare the
ratios of one run, the first network's row being 1.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import inference
from benchmarks.measuring import options, run_again, setting, train
from benchmarks.report import progress, ratios, write_output

SIZE = "256x448"
PAPER_SIZE_HW = (608, 1088)
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


def count(name: str) -> dict[str, float]:
    """Parameters without buffers, and multiply-adds of the convolutions for one picture of the paper's size.

    A convolution does one multiply-add for every weight at every place of its output, a transposed one at every place
    of its input. All strides divide 32 and so do both sizes, hence a small picture's sum is scaled by the area.
    Normalisation, activations and the interpolation within deformable convolutions are left out, as is usual.
    """
    network = inference.build(name).set_train(False)
    import mindspore as ms  # noqa: PLC0415 (after fairmot, and not in the process that starts the others)
    from mindspore import nn  # noqa: PLC0415

    side = 64
    total = 0

    def add(cell: nn.Cell, inputs: tuple[ms.Tensor, ...], output: ms.Tensor) -> None:
        nonlocal total
        places = inputs[0] if isinstance(cell, nn.Conv2dTranspose) else output
        total += cell.weight.size * places.shape[2] * places.shape[3]

    ms.set_context(mode=ms.PYNATIVE_MODE)
    for _, cell in network.cells_and_names():
        if len(getattr(cell, "weight", np.empty(0)).shape) == 4:
            cell.register_forward_hook(add)
    network(ms.Tensor(np.zeros((1, side, side, 3), np.uint8)))
    area = PAPER_SIZE_HW[0] * PAPER_SIZE_HW[1] / side**2
    parameters = sum(parameter.size for name, parameter in network.state().items() if "moving_" not in name)
    return {"parameters_m": parameters / 1e6, "multiply_adds_g": total * area / 1e9}


def measure(name: str, steps: int, folder: Path) -> dict[str, float]:
    """One row, by three processes one after the other."""
    inferred, peak_gb = inference.measure(name, SIZE, batch=1, passes=3 * steps)
    training = train(setting(quick=False, model=name, batch="2"), steps + 2, folder)
    return run_again("studies.model_family", count=name).answer() | {
        "inference_s": min(inferred["steps_s"]),
        "inference_peak_gb": peak_gb,
        "first_step_s": training.first_step_s,
        "step_s": min(training.steps_s),
        "train_peak_gb": training.peak_gb,
    }


def main() -> None:
    given = options(__doc__, networks=",".join(NETWORKS), steps="8", output="", count="")
    if given["count"]:
        print(json.dumps(count(given["count"])))
        return
    results = {}
    with tempfile.TemporaryDirectory() as name:
        for network in given["networks"].split(","):
            results[network] = measure(network, int(given["steps"]), Path(name))
            progress(f"{network}: {results[network]}; load {os.getloadavg()[0]:.1f}")
    print(ratios(results, COLUMNS))
    write_output(given["output"], results)


if __name__ == "__main__":
    main()
