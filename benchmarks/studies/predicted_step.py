"""What a step of one NPU, and of many, should take: a model of counted kernels, published speeds and assumptions.

Kernels and collectives are counted by MindSpore's own compiler (dry_run_counts.json), multiplications and parameters in
the network that is built here, speeds of chips and links are published ones; docs/scaling.md says by whom. What is
assumed is in capitals and says so.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

COUNTED = Path(__file__).with_name("dry_run_counts.json")
"""Written by `count`: what a step launches and how many collectives it makes, by MindSpore's Ascend compiler."""
FLOAT_BYTES = 4
EMBEDDING = 128
SIZE = (608, 1088)
STEPS = {
    "plain": ("mot20_finetune", "dlaconv_34"),
    "deformable": ("mot20_finetune", "dla_34"),
    "large batch": ("mix_large_batch_8npu", "dla_34"),
}
"""What is counted -> experiment and network."""
LAUNCH_S = (5e-6, 20e-6)
"""ASSUMED: what a host needs to hand over one kernel, at best and at worst (reported figures lie between)."""
ARITHMETIC_SHARE = 0.4
"""ASSUMED: the share of a chip's published peak that a convolutional network reaches."""
FP32_SHARE = 0.25
"""ASSUMED: the peak in fp32 as a share of the one in fp16; HF32 (runtime.allow_hf32) lies above it."""
LINK_SHARE = 0.6
"""ASSUMED: the share of a link's published speed that a collective operation reaches."""
LATENCY_S = 30e-6
"""ASSUMED: one step of a collective operation, however little it carries."""
BACKWARD_SHARE = 2 / 3
"""ASSUMED: of a step's time, what runs after the first gradient is known."""
JITTER = 0.02
"""ASSUMED: standard deviation of one rank's step time, as a share of it; a step lasts as long as its slowest rank."""
Counts = dict[str, dict[str, dict[str, dict[str, int]]]]
"""One of STEPS -> precision -> jit level -> kernels, launches and collectives."""


@dataclass(frozen=True)
class Cluster:
    """Published speeds; of links in bytes a second and direction.

    Attributes:
        name: of the NPU.
        fp16_peak: multiplications and additions a second in fp16, of one device.
        devices: of one host.
        inside: what one device sends to the others of its host at the same time.
        across: what one device sends to other hosts.
    """

    name: str
    fp16_peak: float
    devices: int
    inside: float
    across: float


CLUSTERS = (
    Cluster("910B", 376e12, 8, 7 * 28e9, 25e9),
    Cluster("A3", 376e12, 16, 196e9, 196e9),
)


@dataclass(frozen=True)
class Step:
    """One NPU's step: the larger of what its host launches and what it computes.

    Attributes:
        launch_s: launching the kernels, at best and at worst.
        arithmetic_s: of the convolutions, forward and backward.
    """

    launch_s: tuple[float, float]
    arithmetic_s: float

    @property
    def best_s(self) -> float:
        """With the fastest host."""
        return max(self.launch_s[0], self.arithmetic_s)

    @property
    def worst_s(self) -> float:
        """With the slowest one."""
        return max(self.launch_s[1], self.arithmetic_s)

    @property
    def bound(self) -> str:
        """What it waits for."""
        if self.arithmetic_s >= self.launch_s[1]:
            return "arithmetic"
        return "launching" if self.launch_s[0] >= self.arithmetic_s else "either, by the host"


@cache
def counted() -> Counts:
    """What one of eight ranks compiles."""
    found: Counts = json.loads(COUNTED.read_text(encoding="utf-8"))
    return found


@cache
def multiplications(name: str) -> float:
    """Multiply-adds of one image of SIZE through a network's convolutions, heads as in training: at objects alone."""
    import mindspore as ms  # noqa: PLC0415 (seconds of import)
    from mindspore import nn  # noqa: PLC0415

    from fairmot.model.config import ModelConfig  # noqa: PLC0415
    from fairmot.model.deform_conv import DeformConv  # noqa: PLC0415
    from fairmot.model.network import build_network  # noqa: PLC0415

    ms.set_context(mode=ms.PYNATIVE_MODE)
    network = build_network(ModelConfig(name=name), seed=1)
    found = []

    def note(cell: nn.Cell, inputs: tuple[ms.Tensor, ...], output: ms.Tensor) -> None:
        cells = inputs[0] if isinstance(cell, nn.Conv2dTranspose) else output
        found.append(cells.size * cell.weight[0].size)

    for _, cell in network.cells_and_names():
        if isinstance(cell, (nn.Conv2d, nn.Conv2dTranspose, DeformConv)):
            cell.register_forward_hook(note)
    small = (64, 96)
    network.set_train()
    network(ms.Tensor(np.zeros((1, *small, 3), np.uint8)), ms.Tensor(np.zeros((1, 1), np.int32)))
    return float(sum(found)) * math.prod(SIZE) / math.prod(small)


def pieces() -> int:
    """In how many collectives a step reduces its gradients."""
    return counted()["deformable"]["fp32"]["O0"]["collectives"]


def step_of(cluster: Cluster, step: str, precision: str, batch: float, level: str = "O0") -> Step:
    """One of STEPS on one NPU: a backward pass computes twice what the forward pass does."""
    kernels = counted()[step][precision][level]["launches"]
    peak = cluster.fp16_peak * ARITHMETIC_SHARE * (1 if precision == "fp16" else FP32_SHARE)
    arithmetic_s = 3 * 2 * multiplications(STEPS[step][1]) * batch / peak
    return Step((kernels * LAUNCH_S[0], kernels * LAUNCH_S[1]), arithmetic_s)


@cache
def parameters_without_classifier() -> int:
    """What dlaconv_34 and its losses train, apart from the classifier's rows."""
    from fairmot.losses.config import LossConfig  # noqa: PLC0415
    from fairmot.losses.fairmot_loss import FairMOTLoss  # noqa: PLC0415
    from fairmot.model.config import ModelConfig  # noqa: PLC0415
    from fairmot.model.network import build_network  # noqa: PLC0415

    cells = (build_network(ModelConfig(), seed=1), FairMOTLoss(LossConfig(), 2, EMBEDDING, seed=1))
    return sum(parameter.size for cell in cells for parameter in cell.trainable_params()) - 2 * (EMBEDDING + 1)


def gradient_bytes(num_identities: int) -> int:
    """What one step reduces: all trained parameters in fp32; an identity is a row of weights and a bias."""
    return FLOAT_BYTES * (parameters_without_classifier() + num_identities * (EMBEDDING + 1))


def inside_bytes(cluster: Cluster, size: float, count: int) -> float:
    """What each of `count` NPUs sends within its host: a reduce-scatter and an all-gather."""
    devices = min(count, cluster.devices)
    return 2 * (devices - 1) / devices * size


def across_bytes(cluster: Cluster, size: float, count: int) -> float:
    """What each of `count` NPUs sends to other hosts: the all-reduce of its share."""
    hosts = hosts_of(cluster, count)
    return 2 * (hosts - 1) / hosts * size / cluster.devices


def hosts_of(cluster: Cluster, count: int) -> int:
    """How many hosts hold `count` NPUs."""
    return max(1, count // cluster.devices)


def hierarchical_s(cluster: Cluster, size: float, count: int, pieces: int = 1) -> float:
    """Reduce-scatter within the hosts, all-reduce of every share across them (halving-doubling), all-gather.

    Args:
        cluster: the links.
        size: bytes in all.
        count: of NPUs.
        pieces: in which they are reduced, each with the latencies of its own.
    """
    inside = inside_bytes(cluster, size, count) / (LINK_SHARE * cluster.inside)
    across = across_bytes(cluster, size, count) / (LINK_SHARE * cluster.across)
    return inside + across + pieces * (2 + 2 * math.log2(hosts_of(cluster, count))) * LATENCY_S


def ring_s(cluster: Cluster, size: float, count: int) -> float:
    """One ring over all NPUs, as fast as its slowest link."""
    slowest = cluster.inside if count <= cluster.devices else min(cluster.inside, cluster.across)
    return 2 * (count - 1) / count * size / (LINK_SHARE * slowest) + 2 * (count - 1) * LATENCY_S


def slowest_of(count: int) -> float:
    """Expected largest of `count` standard normal numbers."""
    x = np.linspace(-8, 8, 4001)
    below = np.array([(1 + math.erf(value / math.sqrt(2))) / 2 for value in x]) ** count
    return float(np.trapz(1 - below[x >= 0], x[x >= 0]) - np.trapz(below[x < 0], x[x < 0]))


def step_s(cluster: Cluster, alone_s: float, size: float, count: int, pieces: int) -> float:
    """A step of `count` NPUs: the slowest rank's and what of the all-reduce is not hidden behind its backward pass.

    Args:
        cluster: the links.
        alone_s: a step of one NPU.
        size: bytes of gradients.
        count: of NPUs.
        pieces: in which they are reduced; the last one has nothing left to hide behind.
    """
    reduce_s = hierarchical_s(cluster, size, count, pieces)
    hidden_s = BACKWARD_SHARE * alone_s * (1 - 1 / pieces)
    return alone_s * (1 + JITTER * slowest_of(count)) + max(reduce_s - hidden_s, reduce_s / pieces)
