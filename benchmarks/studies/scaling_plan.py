"""Predicted step time, all-reduce and efficiency of data-parallel training on NPUs, from what the dry run counts.

    python -m benchmarks.studies.scaling_plan [output=picture.png]       the tables of docs/scaling.md, and its picture
    python -m benchmarks.studies.scaling_plan count=true                 counts anew: twelve dry runs, about ten minutes
    python -m benchmarks.studies.scaling_plan root=<data.root> list=<list file> [size=608x1088]
                                                                 what the loader does on one core with these images

A prediction: nothing here was measured on an NPU. predicted_step.py holds the model and what it assumes.
"""

import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.measuring import options, size_hw
from benchmarks.report import markdown
from benchmarks.studies.predicted_step import (
    CLUSTERS,
    COUNTED,
    STEPS,
    Counts,
    across_bytes,
    counted,
    gradient_bytes,
    hierarchical_s,
    inside_bytes,
    pieces,
    ring_s,
    step_of,
    step_s,
)
from fairmot.files import write_json_atomic
from fairmot.media.figures import save_figure

COUNTS = (8, 64, 512)
IDENTITIES = (14_455, 340_000, 1_000_000, 10_000_000)  # MIX, CrowdHuman with an identity a box, then the internet
MIX_IDENTITIES = 14_455
LARGE_BATCH, LARGE_BATCH_EPOCHS, LARGE_BATCH_IMAGES = 128, 60, 53_694 + 15_000
"""The recipe for many NPUs (docs/experiments.md): MIX and CrowdHuman's training pictures."""

IMAGES_PER_CORE_S = 26.7
"""Measured by `measure` on 1920x1080 JPEG files for an input of 608x1088, on a busy EPYC core."""
IMAGE_BYTES = 185e3
"""Mean size of those files."""
HOST_CORES = 192  # four Kunpeng 920


def step_rows() -> Iterator[tuple[str, ...]]:
    """One NPU's step: what launching takes, and what arithmetic does."""
    yield (
        "neck",
        "precision",
        "batch",
        "launches O0 / O1",
        "launching, O0",
        "launching, O1",
        "arithmetic",
        "O0 waits for",
    )
    cluster = CLUSTERS[0]
    for neck in ("plain", "deformable"):
        for precision in ("fp32", "fp16"):
            for batch in (2, 12, 16):
                fused, plain = (step_of(cluster, neck, precision, batch, level) for level in ("O1", "O0"))
                launching = [
                    f"{step.launch_s[0] * 1e3:.0f} to {step.launch_s[1] * 1e3:.0f} ms" for step in (plain, fused)
                ]
                kernels = " / ".join(str(counted()[neck][precision][level]["launches"]) for level in ("O0", "O1"))
                yield (
                    neck,
                    precision,
                    str(batch),
                    kernels,
                    *launching,
                    f"{plain.arithmetic_s * 1e3:.0f} ms",
                    plain.bound,
                )


def scaling_rows() -> Iterator[tuple[str, ...]]:
    """Volume, times and efficiency of the deformable network at the largest sensible batch."""
    yield ("NPUs", "links", "sent inside", "sent across", "ring", "hierarchical", "step", "efficiency", "in one piece")
    size = gradient_bytes(MIX_IDENTITIES)
    for cluster in CLUSTERS:
        alone_s = step_of(cluster, "deformable", "fp16", 16).worst_s
        for count in COUNTS:
            whole_s, pieces_s = (step_s(cluster, alone_s, size, count, number) for number in (1, pieces()))
            yield (
                str(count),
                cluster.name,
                f"{inside_bytes(cluster, size, count) / 1e6:.0f} MB",
                f"{across_bytes(cluster, size, count) / 1e6:.1f} MB",
                f"{ring_s(cluster, size, count) * 1e3:.1f} ms",
                f"{hierarchical_s(cluster, size, count, pieces()) * 1e3:.1f} ms",
                f"{pieces_s * 1e3:.0f} ms",
                f"{alone_s / pieces_s:.0%}",
                f"{alone_s / whole_s:.0%}",
            )


def host_rows() -> Iterator[tuple[str, ...]]:
    """What a host's data pipeline has to deliver."""
    yield ("host", "precision", "step", "images/s a host", "cores at the measured speed", "of 192", "read from storage")
    for cluster in CLUSTERS:
        for precision in ("fp32", "fp16"):
            alone_s = step_of(cluster, "deformable", precision, 16).best_s
            images = cluster.devices * 16 / alone_s
            yield (
                f"{cluster.devices} x {cluster.name}",
                precision,
                f"{alone_s * 1e3:.0f} ms",
                f"{images:.0f}",
                f"{images / IMAGES_PER_CORE_S:.0f}",
                f"{images / IMAGES_PER_CORE_S / HOST_CORES:.0%}",
                f"{images * IMAGE_BYTES / 1e6:.0f} MB/s",
            )


def recipe_rows() -> Iterator[tuple[str, ...]]:
    """How long the large-batch recipe would last, with the waiting of its synchronised batch normalisations."""
    yield ("NPUs", "batch a NPU", "steps an epoch", "step, fp32", "60 epochs, fp32", "step, fp16", "60 epochs, fp16")
    size, steps = gradient_bytes(MIX_IDENTITIES), LARGE_BATCH_IMAGES // LARGE_BATCH
    for count in (8, 64):
        cells = []
        for precision in ("fp32", "fp16"):
            small = counted()["large batch"][precision]["O0"]["collectives"] - pieces()
            alone = step_of(CLUSTERS[0], "large batch", precision, LARGE_BATCH / count)
            waiting_s = small * hierarchical_s(CLUSTERS[0], 0, count)
            times = [
                step_s(CLUSTERS[0], time_s, size, count, pieces()) + waiting_s
                for time_s in (alone.best_s, alone.worst_s)
            ]
            cells += [span([1e3 * time_s for time_s in times], "ms")]
            cells += [span([LARGE_BATCH_EPOCHS * steps * time_s / 3600 for time_s in times], "h")]
        yield (str(count), str(LARGE_BATCH // count), str(steps), *cells)


def span(values: list[float], unit: str) -> str:
    """From the smallest to the largest, or one number where they look alike."""
    texts = list(dict.fromkeys(f"{value:.1f}" if value < 10 else f"{value:.0f}" for value in values))
    return f"{' to '.join(texts)} {unit}"


def identity_rows() -> Iterator[tuple[str, ...]]:
    """What the classifier does to the all-reduce as identities grow."""
    heads = [f"{'all-reduce, ' if i == 0 else 'efficiency, '}512 x {one.name}" for one in CLUSTERS for i in (0, 1)]
    yield ("identities", "gradients", "of that the classifier", *heads)
    network = gradient_bytes(0)
    for identities in IDENTITIES:
        size, cells = gradient_bytes(identities), []
        for cluster in CLUSTERS:
            alone_s = step_of(cluster, "deformable", "fp16", 16).worst_s
            cells += [f"{hierarchical_s(cluster, size, COUNTS[-1], pieces()) * 1e3:.0f} ms"]
            cells += [f"{alone_s / step_s(cluster, alone_s, size, COUNTS[-1], pieces()):.0%}"]
        yield (f"{identities:,}", f"{size / 1e6:.0f} MB", f"{1 - network / size:.0%}", *cells)


TABLES = {
    "A step of one 910B": step_rows,
    "Scaling": scaling_rows,
    "Data pipeline": host_rows,
    "The large-batch recipe on 910B": recipe_rows,
    "Identities": identity_rows,
}


def as_markdown(rows: Iterator[tuple[str, ...]]) -> str:
    """A table as it stands in docs/scaling.md."""
    head, *body = rows
    return markdown(head, body)


def draw(path: Path) -> None:
    """Where a step's time goes for one NPU, and predicted efficiency over the number of NPUs."""
    figure = Figure((9.6, 4.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    batches = list(range(1, 17))
    for neck, colour in (("plain", "tab:blue"), ("deformable", "tab:orange")):
        steps = [step_of(CLUSTERS[0], neck, "fp16", batch) for batch in batches]
        left.fill_between(
            batches, *(1e3 * np.full(len(batches), one) for one in steps[0].launch_s), color=colour, alpha=0.25,
            label=f"launching fp16, {neck}",
        )  # fmt: skip
    for precision, style in (("fp16", "-"), ("fp32", "--")):
        times = [1e3 * step_of(CLUSTERS[0], "deformable", precision, batch).arithmetic_s for batch in batches]
        left.plot(batches, times, style, color="black", label=f"arithmetic, {precision}")
    left.set_xlabel("pictures a NPU and step")
    left.set_ylabel("ms a step of one 910B, O0")
    left.set_title("What a step waits for: the larger of the two", fontsize=10)
    counts = [8 * 2**k for k in range(7)]
    for cluster, colour in zip(CLUSTERS, ("tab:blue", "tab:green"), strict=True):
        alone_s = step_of(cluster, "deformable", "fp16", 16).worst_s
        for identities, style in ((MIX_IDENTITIES, "-"), (1_000_000, ":")):
            size = gradient_bytes(identities)
            values = [100 * alone_s / step_s(cluster, alone_s, size, count, pieces()) for count in counts]
            right.plot(counts, values, style, marker="o", markersize=4, color=colour,
                       label=f"{cluster.name}, {identities:,} identities")  # fmt: skip
    right.set_xscale("log", base=2)
    right.set_xticks(counts, [str(count) for count in counts])
    right.set_ylim(50, 102)
    right.set_xlabel("NPUs")
    right.set_ylabel("efficiency against one NPU, %")
    right.set_title("Deformable DLA-34, fp16, batch 16 a NPU", fontsize=10)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle("Predictions from counted kernels and published speeds, not measurements", fontsize=11)
    save_figure(figure, path)


def count() -> None:
    """Write COUNTED anew: STEPS as rank 0 of 8 compiles them; small pictures make the same kernels."""
    from fairmot.cli.command import compose  # noqa: PLC0415 (seconds of import)
    from train.config import TrainConfig  # noqa: PLC0415
    from train.simulate.run import simulated  # noqa: PLC0415

    found: Counts = {}
    small = ["data.root=none", "data.input_size=[64,96]", "batch_size_per_rank=1"]
    for (step, (experiment, network)), precision, level in product(STEPS.items(), ("fp32", "fp16"), ("O0", "O1")):
        words = [f"experiment={experiment}", f"model.name={network}", f"runtime.precision={precision}"]
        words += [f"runtime.jit_level={level}", "simulate.chip=910b", "simulate.ranks=8"]
        report = simulated(compose(words + small, TrainConfig, "train"))
        counts = {
            "kernels": report["kernels_per_step"]["total"],
            "launches": report["launches_per_step"],
            "collectives": report["collectives_per_step"],
        }
        found.setdefault(step, {}).setdefault(precision, {})[level] = counts
        print(step, precision, level, counts, flush=True)
    write_json_atomic(COUNTED, found)


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
    given = options(__doc__, output="", root="", list="", size="608x1088", count="")
    if given["root"] and given["list"]:
        measure(given["root"], given["list"], *size_hw(given["size"]))
        return
    if given["count"]:
        count()
    for title, rows in TABLES.items():
        print(f"{title}\n\n{as_markdown(rows())}\n")
    if given["output"]:
        draw(Path(given["output"]))


if __name__ == "__main__":
    main()
