"""Whether an operator of our own, C++ through `ops.Custom`, makes batch normalisation and ReLU cheaper on a CPU.

    taskset -c 0 python -m benchmarks.studies.custom_operator [size=64x64x112] [batch=4] [rounds=10]

Graph mode, forward, statistics of the batch, a chain of CHAIN pairs of operators, processor time of a pair; networks
take turns in one process. `nothing` is an operator that does nothing: what a call costs, and whether its arrays are
copied. Needs g++.
"""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import fairmot  # isort: skip  # noqa: F401 (before MindSpore: it chooses the convolutions' instructions)
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from benchmarks.measuring import options
from benchmarks.report import markdown

CHAIN = 10
EPSILON = 1e-5
CODE = """
#include <cmath>
#include <cstdint>
extern "C" int Nothing(int, void **, int *, int64_t **, const char **, void *, void *) { return 0; }
extern "C" int NormRelu(int, void **arrays, int *, int64_t **shapes, const char **, void *, void *) {
  const float *x = (const float *)arrays[0], *scale = (const float *)arrays[1], *shift = (const float *)arrays[2];
  float *y = (float *)arrays[3];
  const int64_t batch = shapes[0][0], channels = shapes[0][1], area = shapes[0][2] * shapes[0][3];
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < batch; ++n) {
      const float *row = x + (n * channels + c) * area;
      float row_sum = 0, row_squares = 0;
      for (int64_t k = 0; k < area; ++k) { row_sum += row[k]; row_squares += row[k] * row[k]; }
      sum += row_sum; squares += row_squares;
    }
    const double count = double(batch) * area, mean = sum / count;
    const float factor = scale[c] / std::sqrt(squares / count - mean * mean + 1e-5), offset = shift[c] - mean * factor;
    for (int64_t n = 0; n < batch; ++n) {
      const float *row = x + (n * channels + c) * area;
      float *out = y + (n * channels + c) * area;
      for (int64_t k = 0; k < area; ++k) { const float v = row[k] * factor + offset; out[k] = v > 0 ? v : 0; }
    }
  }
  return 0;
}
"""


class Own(nn.Cell):
    """A chain of one function of a library."""

    def __init__(self, function: str) -> None:
        super().__init__()
        self.pair = ops.Custom(function, lambda x, *_: x, lambda x, *_: x, func_type="aot")

    def construct(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        for _ in range(CHAIN):
            x = self.pair(x, scale, shift)
        return x


class MindSpores(nn.Cell):
    """The same chain of MindSpore's two operators."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ops.BatchNorm(is_training=True, epsilon=EPSILON)
        self.relu = ops.ReLU()
        self.mean = ms.Parameter(np.zeros(channels, np.float32), requires_grad=False)
        self.variance = ms.Parameter(np.ones(channels, np.float32), requires_grad=False)

    def construct(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        for _ in range(CHAIN):
            x = self.relu(self.norm(x, scale, shift, self.mean, self.variance)[0])
        return x


def main() -> None:
    given = options(__doc__, size="64x64x112", batch="4", rounds="10")
    channels, height, width = map(int, given["size"].split("x"))
    ms.set_device("CPU")
    ms.set_context(mode=ms.GRAPH_MODE)
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((int(given["batch"]), channels, height, width), np.float32))
    scale, shift = (Tensor(rng.uniform(0.5, 1, channels).astype(np.float32)) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "own.cc", Path(folder) / "own.so"
        source.write_text(CODE)
        fast = ["-O3", "-march=native", "-ffast-math"]
        subprocess.run(["g++", *fast, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        networks = {
            "nothing": Own(f"{library}:Nothing"),
            "normalisation and ReLU in one, our own": Own(f"{library}:NormRelu"),
            "BatchNorm and ReLU of MindSpore": MindSpores(channels),
        }
        outputs = {name: network(x, scale, shift).asnumpy() for name, network in networks.items()}
        worked_ms: dict[str, list[float]] = {name: [] for name in networks}
        for _ in range(int(given["rounds"])):
            for name, network in networks.items():
                began_s = time.process_time()
                network(x, scale, shift).asnumpy()
                worked_ms[name].append((time.process_time() - began_s) * 1e3 / CHAIN)
    _, own, theirs = outputs.values()
    rows = [(name, f"{statistics.median(some):.2f}", f"{min(some):.2f}") for name, some in worked_ms.items()]
    print(markdown(("operators", "median, ms of processor time a pair", "least"), rows))
    print(f"largest difference of the two: {np.abs(own - theirs).max():.1e} of {np.abs(theirs).max():.1f}")


if __name__ == "__main__":
    main()
