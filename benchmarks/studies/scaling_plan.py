"""Predicted step time, all-reduce volume and efficiency of data-parallel training on 8, 64 and 512 NPUs.

    python -m benchmarks.studies.scaling_plan [output=picture.png]       the tables of docs/scaling.md, and its picture
    python -m benchmarks.studies.scaling_plan root=<data.root> list=<list file> [size=608x1088]
                                                                 what the loader does on one core with these images

A prediction: nothing here was measured on an NPU. The gradients are counted from the network that is built here, the
link speeds and the single card's step time are published ones; docs/scaling.md says by whom. What is assumed is in
capitals and says so.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.measuring import options, size_hw
from benchmarks.report import markdown
from fairmot.media.figures import save_figure

FLOAT_BYTES = 4
EMBEDDING = 128
NPUS_PER_HOST = 8
BATCH_PER_NPU = 4
COUNTS = (8, 64, 512)
IDENTITIES = (14_455, 340_000, 1_000_000, 10_000_000)  # MIX, CrowdHuman with an identity a box, then the internet
MIX_IMAGES, MIX_IDENTITIES, EPOCHS = 53_694, 14_455, 30

PUBLISHED_STEP_S = 0.380528
"""FairMOT at batch 4 on one Ascend 910 (MindSpore 1.2, mindspore-ai/models)."""
PUBLISHED_8_CARDS_STEP_S = 0.700371
IMAGES_PER_CORE_S = 26.7
"""Measured by `measure` on 1920x1080 JPEG files for an input of 608x1088, on a busy EPYC core."""
IMAGE_BYTES = 185e3
"""Mean size of those files."""
HOST_CORES = 192  # four Kunpeng 920

LINK_SHARE = 0.6
"""ASSUMED: the share of a link's published speed that a collective operation reaches."""
LATENCY_S = 30e-6
"""ASSUMED: one step of a collective operation, however little it carries."""
BACKWARD_SHARE = 2 / 3
"""ASSUMED: of a step's time, what runs after the first gradient is known."""
BUCKETS = 4
"""ASSUMED: pieces in which gradients are reduced where that overlaps with the backward pass."""
JITTER = 0.02
"""ASSUMED: standard deviation of one rank's step time, as a share of it; a step lasts as long as its slowest rank."""


@dataclass(frozen=True)
class Cluster:
    """Published link speeds, bytes a second and direction.

    Attributes:
        name: of the NPU.
        inside: what one NPU sends to the others of its host at the same time.
        inside_steps: of a reduce-scatter or all-gather within a host.
        across: what one NPU sends to other hosts.
        step_s: a step of one NPU that is alone.
    """

    name: str
    inside: float
    inside_steps: int
    across: float
    step_s: float


CLUSTERS = (
    Cluster("910, as published", 30e9, NPUS_PER_HOST - 1, 12.5e9, PUBLISHED_STEP_S),
    Cluster("910B, were it 4 times as fast", 7 * 28e9, 1, 25e9, PUBLISHED_STEP_S / 4),
)


@cache
def parameters_without_classifier() -> int:
    """What dlaconv_34 and its losses train, apart from the classifier's rows."""
    from fairmot.losses.fairmot_loss import FairMOTLoss, LossConfig  # noqa: PLC0415 (seconds of import)
    from fairmot.model.network import ModelConfig, build_network  # noqa: PLC0415

    cells = (build_network(ModelConfig(), seed=1), FairMOTLoss(LossConfig(), 2, EMBEDDING, seed=1))
    return sum(parameter.size for cell in cells for parameter in cell.trainable_params()) - 2 * (EMBEDDING + 1)


def gradient_bytes(num_identities: int) -> int:
    """What one step reduces: all trained parameters in fp32; an identity is a row of weights and a bias."""
    return FLOAT_BYTES * (parameters_without_classifier() + num_identities * (EMBEDDING + 1))


def inside_bytes(size: float) -> float:
    """What each NPU sends within its host: a reduce-scatter and an all-gather over eight."""
    return 2 * (NPUS_PER_HOST - 1) / NPUS_PER_HOST * size


def across_bytes(size: float, hosts: int) -> float:
    """What each NPU sends to other hosts: the all-reduce of its eighth."""
    return 2 * (hosts - 1) / hosts * size / NPUS_PER_HOST


def hierarchical_s(cluster: Cluster, size: float, count: int) -> float:
    """Reduce-scatter within the hosts, all-reduce of every eighth across them (halving-doubling), all-gather."""
    hosts = count // NPUS_PER_HOST
    steps = 2 * cluster.inside_steps + 2 * math.log2(hosts)
    inside = inside_bytes(size) / (LINK_SHARE * cluster.inside)
    across = across_bytes(size, hosts) / (LINK_SHARE * cluster.across)
    return inside + across + steps * LATENCY_S


def ring_s(cluster: Cluster, size: float, count: int) -> float:
    """One ring over all NPUs, as fast as its slowest link."""
    slowest = cluster.inside if count <= NPUS_PER_HOST else min(cluster.inside, cluster.across)
    return 2 * (count - 1) / count * size / (LINK_SHARE * slowest) + 2 * (count - 1) * LATENCY_S


def slowest_of(count: int) -> float:
    """Expected largest of `count` standard normal numbers."""
    x = np.linspace(-8, 8, 4001)
    below = np.array([(1 + math.erf(value / math.sqrt(2))) / 2 for value in x]) ** count
    return float(np.trapz(1 - below[x >= 0], x[x >= 0]) - np.trapz(below[x < 0], x[x < 0]))


def compute_s(cluster: Cluster, count: int) -> float:
    """What the slowest of `count` ranks computes."""
    return cluster.step_s * (1 + JITTER * slowest_of(count))


def step_s(cluster: Cluster, size: float, count: int, overlap: bool) -> float:
    """A step of `count` NPUs: the slowest rank's computation and what of the all-reduce is not hidden behind it."""
    reduce_s = hierarchical_s(cluster, size, count)
    if overlap:
        hidden_s = BACKWARD_SHARE * cluster.step_s * (1 - 1 / BUCKETS)
        reduce_s = max(reduce_s - hidden_s, reduce_s / BUCKETS)
    return compute_s(cluster, count) + reduce_s


def scaling_rows() -> Iterator[tuple[str, ...]]:
    """Volume, times and efficiency."""
    yield ("NPUs", "links", "sent inside", "sent across", "ring", "hierarchical", "step", "efficiency", "overlapped")
    size = gradient_bytes(MIX_IDENTITIES)
    for cluster in CLUSTERS:
        for count in COUNTS:
            plain, overlapped = (step_s(cluster, size, count, overlap) for overlap in (False, True))
            yield (
                str(count),
                cluster.name,
                f"{inside_bytes(size) / 1e6:.0f} MB",
                f"{across_bytes(size, count // NPUS_PER_HOST) / 1e6:.1f} MB",
                f"{ring_s(cluster, size, count) * 1e3:.1f} ms",
                f"{hierarchical_s(cluster, size, count) * 1e3:.1f} ms",
                f"{plain * 1e3:.0f} ms",
                f"{cluster.step_s / plain:.0%}",
                f"{cluster.step_s / overlapped:.0%}",
            )


def host_rows() -> Iterator[tuple[str, ...]]:
    """What a host's data pipeline has to deliver."""
    yield ("step of one NPU", "images/s a host", "cores at the measured speed", "of 192 cores", "read from storage")
    for cluster in CLUSTERS:
        images = NPUS_PER_HOST * BATCH_PER_NPU / cluster.step_s
        cores = images / IMAGES_PER_CORE_S
        yield (
            f"{cluster.step_s * 1e3:.0f} ms",
            f"{images:.0f}",
            f"{cores:.1f}",
            f"{cores / HOST_CORES:.0%}",
            f"{images * IMAGE_BYTES / 1e6:.0f} MB/s",
        )


def epoch_rows() -> Iterator[tuple[str, ...]]:
    """How long the paper's recipe on MIX would last."""
    yield ("NPUs", "batch", "steps an epoch", "30 epochs, 910", "30 epochs, 4 times as fast", "all hosts read")
    size = gradient_bytes(MIX_IDENTITIES)
    for count in COUNTS:
        batch = count * BATCH_PER_NPU
        steps = MIX_IMAGES // batch
        times = [step_s(cluster, size, count, overlap=False) for cluster in CLUSTERS]
        minutes = [f"{EPOCHS * steps * time / 60:.0f} min" for time in times]
        read = f"{batch / times[0] * IMAGE_BYTES / 1e6:.0f} to {batch / times[1] * IMAGE_BYTES / 1e6:.0f} MB/s"
        yield (str(count), str(batch), str(steps), *minutes, read)


def identity_rows() -> Iterator[tuple[str, ...]]:
    """What the classifier does to the all-reduce as identities grow."""
    yield (
        "identities",
        "gradients",
        "of that the classifier",
        "all-reduce, 512 x 910",
        "efficiency",
        "910B, 4 x as fast",
    )
    network = gradient_bytes(0)
    for identities in IDENTITIES:
        size = gradient_bytes(identities)
        slow, fast = (step_s(cluster, size, COUNTS[-1], overlap=False) for cluster in CLUSTERS)
        yield (
            f"{identities:,}",
            f"{size / 1e6:.0f} MB",
            f"{1 - network / size:.0%}",
            f"{hierarchical_s(CLUSTERS[0], size, COUNTS[-1]) * 1e3:.0f} ms",
            f"{CLUSTERS[0].step_s / slow:.0%}",
            f"{CLUSTERS[1].step_s / fast:.0%}",
        )


TABLES = {
    "Scaling": scaling_rows,
    "Data pipeline": host_rows,
    "The recipe": epoch_rows,
    "Identities": identity_rows,
}


def as_markdown(rows: Iterator[tuple[str, ...]]) -> str:
    """A table as it stands in docs/scaling.md."""
    head, *body = rows
    return markdown(head, body)


def draw(path: Path) -> None:
    """Predicted efficiency over the number of NPUs, beside what was published for eight."""
    size, large = gradient_bytes(MIX_IDENTITIES), gradient_bytes(1_000_000)
    counts = [8 * 2**k for k in range(7)]
    slow, fast = CLUSTERS
    lines = (
        ("tab:blue", "-", slow, size, hierarchical_s, "910, 381 ms a step"),
        ("tab:blue", ":", slow, size, ring_s, "910, one ring over all"),
        ("tab:orange", "-", fast, size, hierarchical_s, "910B, were it 4 times as fast: 95 ms"),
        ("tab:orange", ":", fast, size, ring_s, "910B, one ring over all"),
        ("tab:green", "-", fast, large, hierarchical_s, "910B, a million identities"),
    )
    figure = Figure((7.2, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    for colour, style, cluster, reduced, reduce_s, label in lines:
        times = [compute_s(cluster, count) + reduce_s(cluster, reduced, count) for count in counts]
        values = [100 * cluster.step_s / time for time in times]
        axes.plot(counts, values, style, marker="o", markersize=4, color=colour, label=label)
    published = 100 * PUBLISHED_STEP_S / PUBLISHED_8_CARDS_STEP_S
    axes.plot([8], [published], "kx", markersize=9, label="published for 8 cards (MindSpore 1.2): 54 %")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_ylim(30, 102)
    axes.set_xlabel("NPUs")
    axes.set_ylabel("efficiency against one NPU, %")
    axes.set_title("Prediction, not a measurement: dlaconv_34, batch 4 a NPU, nID 14,455 unless said", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", bbox_to_anchor=(0.1, 0), fontsize=8)
    save_figure(figure, path)


def measure(root: str, image_list: str, height: int, width: int) -> None:
    """Images a second that one core reads, decodes, augments and turns into targets: the loader without its engine."""
    import cv2  # noqa: PLC0415

    from fairmot.data.dataset import DataConfig, JointDataset  # noqa: PLC0415
    from fairmot.data.index import build_index  # noqa: PLC0415

    cv2.setNumThreads(1)
    index = build_index(root, {"measured": image_list}, None)
    config = DataConfig(root=root, train={"measured": image_list}, input_size=[height, width])
    dataset = JointDataset(index, config, seed=1, ltrb=True, down_ratio=4, msra=False)
    mean_kb = np.mean([Path(index.image_path(i)).stat().st_size for i in range(len(index))]) / 1e3
    print(f"{len(index)} images of {mean_kb:.0f} kB on average, input {height}x{width}")
    for epoch in range(4):
        view = dataset.at_epoch(epoch)
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        for i in range(len(view)):
            view[i]
        wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
        note = "warm-up" if epoch == 0 else f"{len(view) / wall_s:.1f} images/s here"
        print(f"{cpu_s / len(view) * 1e3:.1f} ms of CPU an image, {len(view) / cpu_s:.1f} images/s a core ({note})")


def main() -> None:
    given = options(__doc__, output="", root="", list="", size="608x1088")
    if given["root"] and given["list"]:
        measure(given["root"], given["list"], *size_hw(given["size"]))
        return
    for title, rows in TABLES.items():
        print(f"{title}\n\n{as_markdown(rows())}\n")
    if given["output"]:
        draw(Path(given["output"]))


if __name__ == "__main__":
    main()
