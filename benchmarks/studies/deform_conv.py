"""What deformable convolution costs: this project's, MindSpore's own operator, and a plain convolution.

    python -m benchmarks.studies.deform_conv [steps=8] [what=layer,network] [output=deform_conv.json]

"layer" is the neck's most frequent one, 64 to 64 channels at [4, 64, 64, 112]; "network" is DLA-34 at batch 4, 256x448.
Forward in evaluation mode, and forward with backward in training mode without an optimiser, medians, each in a process
of its own for its peak memory. Offsets are about one cell, so that reading is as scattered as in a trained
network. Machines are noisy: compare the ratios of one run, the plain convolution's row being 1.
"""

import json
import os
import statistics
import time
from itertools import pairwise

import fairmot  # noqa: F401  (sets the CPU kernels' limit before anything imports mindspore)

# isort: split
import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from benchmarks.measuring import options, run_again
from benchmarks.report import progress, ratios, write_output
from fairmot.model.config import ModelConfig
from fairmot.model.deform_conv import DeformConv
from fairmot.model.dla import DLA34_CHANNELS
from fairmot.model.init import initialize
from fairmot.model.neck import plain_node_conv
from fairmot.model.network import DLASeg, FairMOT

SHAPES = {"layer": (4, 64, 64, 112), "network": (4, 3, 256, 448)}
COLUMNS = {
    "forward, s": "forward_s",
    "ratio": "forward_ratio",
    "processor, s": "forward_processor_s",
    "peak, GB": "forward_peak_gb",
    "with backward, s": "both_s",
    "ratio ": "both_ratio",
    "processor, s ": "both_processor_s",
    "peak, GB ": "both_peak_gb",
    "first, s": "both_first_s",
}


class OperatorConv(DeformConv):
    """The same layer by `ops.deformable_conv2d`, which wants all x, then all y, then the masks."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.x_then_y = Tensor([*range(1, 18, 2), *range(0, 18, 2)], ms.int32)

    def convolve(self, features: Tensor, offset_mask: Tensor) -> Tensor:
        # a slice with steps would be shorter, but its gradient fails on CPU
        offsets, mask = ops.gather(offset_mask, self.x_then_y, 1), ops.sigmoid(offset_mask[:, 18:])
        ones = (1, 1, 1, 1)
        return ops.deformable_conv2d(
            features, self.weight, ops.concat((offsets, mask), 1), (3, 3), ones, ones, self.bias
        )


NODE_CONVS = {"plain": plain_node_conv, "fairmot": DeformConv, "operator": OperatorConv}


class SumOfSquares(nn.Cell):
    def __init__(self, cell: nn.Cell) -> None:
        super().__init__()
        self.cell = cell

    def construct(self, inputs: Tensor) -> Tensor:
        total = 0.0
        outputs = self.cell(inputs)
        for output in outputs if isinstance(outputs, tuple) else (outputs,):
            total += (output * output).mean()
        return total


class Gradients(nn.Cell):
    def __init__(self, loss: nn.Cell) -> None:
        super().__init__()
        self.gradients = ops.value_and_grad(loss, None, ms.ParameterTuple(loss.trainable_params()))

    def construct(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self.gradients(inputs)


def build(what: str, kind: str) -> nn.Cell:
    """A layer or a network with seeded weights and offsets of about one cell."""
    node_conv = NODE_CONVS[kind]
    if what == "layer":
        cell = nn.SequentialCell(node_conv(64, 64))
        state = dict(cell.parameters_and_names()) | {"hm.bias": Parameter(Tensor([0.0]))}
    else:
        cell = FairMOT(DLASeg(DLA34_CHANNELS, 4, node_conv), ModelConfig())
        state = cell.state()
    initialize(state, seed=0)
    generator = np.random.default_rng(0)
    for name, parameter in state.items():
        parameter.name = name
        if name.endswith("conv_offset_mask.weight"):
            values = generator.standard_normal(parameter.shape) / np.sqrt(parameter[0].size)
            parameter.set_data(Tensor(values.astype(np.float32)))
    return cell


def time_case(what: str, kind: str, part: str, steps: int) -> dict[str, float]:
    """Runs in a process of its own."""
    ms.set_context(mode=ms.GRAPH_MODE)
    loss = SumOfSquares(build(what, kind))
    inputs = Tensor(np.random.default_rng(1).random(SHAPES[what], dtype=np.float32))
    run = loss.set_train(False) if part == "forward" else Gradients(loss.set_train())
    moments, processor = [time.perf_counter()], [time.process_time()]
    for _ in range(steps + 2):
        result = run(inputs)
        (result if part == "forward" else result[0]).asnumpy()
        moments.append(time.perf_counter())
        processor.append(time.process_time())
    row = {"first_s": moments[1] - moments[0], "value": float((result if part == "forward" else result[0]).asnumpy())}
    for key, readings in (("s", moments), ("processor_s", processor)):
        # the second run still warms caches
        row[key] = statistics.median(later - earlier for earlier, later in pairwise(readings[2:]))
    return {f"{part}_{key}": value for key, value in row.items()}


def measure(what: str, kind: str, steps: int) -> dict[str, float]:
    """Both parts of a case, one process after the other."""
    row: dict[str, float] = {}
    for part in ("forward", "both"):
        ran = run_again("studies.deform_conv", case=f"{what},{kind},{part}", steps=steps)
        row |= {**ran.answer(), f"{part}_peak_gb": ran.peak_gb}
    return row


def main() -> None:
    given = options(__doc__, steps="8", what=",".join(SHAPES), output="", case="")
    steps = int(given["steps"])
    if given["case"]:
        print(json.dumps(time_case(*given["case"].split(","), steps)))
        return
    results: dict[str, dict[str, dict[str, float]]] = {}
    for what in given["what"].split(","):
        results[what] = {}
        for kind in NODE_CONVS:
            results[what][kind] = measure(what, kind, steps)
            progress(f"{what}, {kind}: {results[what][kind]}; load {os.getloadavg()[0]:.1f}")
        values = [results[what][kind]["both_value"] for kind in ("fairmot", "operator")]
        np.testing.assert_allclose(*values, rtol=1e-4, err_msg="the two do not compute the same")
        print(f"\n{what}\n\n{ratios(results[what], COLUMNS)}")
    write_output(given["output"], results)


if __name__ == "__main__":
    main()
