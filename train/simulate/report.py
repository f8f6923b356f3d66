"""The dry run's one report: as a dictionary for JSON, and as lines to read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from train.simulate.child import Measured
from train.simulate.config import CHIPS, Chip
from train.simulate.graphs import (
    KINDS,
    Collective,
    Kernel,
    Log,
    kind_of,
    read_collectives,
    read_graphs,
    saved_graphs,
)

_LINES = 20
_COMPILER = "made by the compiler"
_USABLE = 15 / 16
"""MindSpore leaves a sixteenth of the device's memory to others."""
_MEMORIES_GB = (32, 64)


def make_report(chip: Chip, measured: Measured, log: Log, folder: Path, project: Path) -> dict[str, Any]:
    """Everything that the dry run found.

    Args:
        chip: that was compiled for.
        measured: by the compiling process.
        log: its log, read.
        folder: holds the saved graphs, in `graphs`.
        project: root of this project's own source.
    """
    has_detector = measured.detector_compile_s is not None
    saved = saved_graphs(folder / "graphs")
    step = read_graphs((path for path in saved if path.name in measured.step_graphs), project)
    detector = read_graphs((path for path in saved if path.name not in measured.step_graphs), project)
    collectives = read_collectives(folder / "graphs")
    kernels = _by_kind(step, log.kinds)
    peak_gb, fragments_gb = (None if mb is None else mb / 1024 for mb in (log.peak_mb, log.peak_with_fragments_mb))
    return {
        "chip": chip.value,
        "soc": CHIPS[chip].soc_name,
        "rank": measured.rank,
        "ranks": measured.ranks,
        "identities": measured.identities,
        "objects": measured.objects,
        "sizes_from": measured.sizes_from,
        "kernels_per_step": kernels,
        "launches_per_step": kernels["total"] - kernels["runtime"],
        "synchronisations_per_step": measured.branches,
        "kernels_by_name": _by_name(step, log.kinds),
        "kernels_by_graph": dict(Counter(kernel.graph for kernel in step)),
        "kernels_by_line": _by_line(step),
        "detector_kernels": _by_kind(detector, log.kinds) if has_detector else None,
        "detector_kernels_by_name": _by_name(detector, log.kinds) if has_detector else None,
        "collectives_per_step": len(collectives),
        "collective_bytes": sum(collective.bytes for collective in collectives),
        "collective_buckets": _buckets(collectives),
        "host_to_device_bytes": measured.host_to_device_bytes,
        "parameter_bytes": measured.parameter_bytes,
        "optimizer_bytes": measured.optimizer_bytes,
        "peak_gb": peak_gb,
        "peak_gb_with_fragments": fragments_gb,
        "chip_memory_gb": CHIPS[chip].memory_gb,
        "fits": {str(gb): None if fragments_gb is None else fragments_gb <= gb * _USABLE for gb in _MEMORIES_GB},
        "compile_s": round(measured.compile_s, 1),
        "detector_compile_s": None if measured.detector_compile_s is None else round(measured.detector_compile_s, 1),
        "warnings": [
            *_warnings_of_kernels(step, log.kinds),
            *(f"detector: {warning}" for warning in _warnings_of_kernels(detector, log.kinds)),
            *(["the log does not say how much device memory was planned"] if fragments_gb is None else []),
            *filter(None, [does_not_fit(fragments_gb, chip)]),
        ],
    }


def _by_kind(kernels: Iterable[Kernel], kinds: Mapping[str, str]) -> dict[str, int]:
    counts = Counter(kind_of(kernel.name, kinds) for kernel in kernels)
    return {"total": counts.total(), **{kind: counts[kind] for kind in KINDS}}


def _by_line(kernels: Iterable[Kernel]) -> list[dict[str, Any]]:
    """The source lines of this project that make most kernels, with the most frequent operators of each."""
    lines: dict[tuple[str, bool], Counter[str]] = {}
    for kernel in kernels:
        lines.setdefault((kernel.source or _COMPILER, kernel.backward), Counter())[kernel.name] += 1
    most = sorted(lines.items(), key=lambda item: (-item[1].total(), item[0]))[:_LINES]
    return [
        {"line": line, "backward": backward, "kernels": names.total(), "operators": dict(names.most_common(4))}
        for (line, backward), names in most
    ]


def _by_name(kernels: Iterable[Kernel], kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every operator with its kind, how often it is a kernel, and the lines that it comes from; worst kinds first."""
    names: dict[tuple[str, str], Counter[str]] = {}
    for kernel in kernels:
        kind = kind_of(kernel.name, kinds)
        # What is fused with what makes a name of its own for nearly every kernel.
        name = "GraphKernel" if kind == "fused" else kernel.name
        names.setdefault((kind, name), Counter())[kernel.source or _COMPILER] += 1
    ordered = sorted(names.items(), key=lambda item: (-KINDS.index(item[0][0]), -item[1].total(), item[0][1]))
    return [
        {"name": name, "kind": kind, "kernels": lines.total(), "lines": dict(lines.most_common())}
        for (kind, name), lines in ordered
    ]


def _buckets(collectives: Iterable[Collective]) -> list[dict[str, Any]]:
    """Collectives of the same operator and size together, largest first."""
    counts = sorted(Counter(collectives).items(), key=lambda item: (-item[0].bytes, item[0].name))
    return [{"name": same.name, "bytes": same.bytes, "collectives": count} for same, count in counts]


def _warnings_of_kernels(kernels: list[Kernel], kinds: Mapping[str, str]) -> list[str]:
    """What should make one look, most serious first."""
    found = []
    for kind, meaning in (
        ("host", "run on the host's processor"),
        ("other", "are of no kind that the log names"),
        ("aclop", "take CANN's old interface, compiled online at the first step"),
    ):
        if chosen := [kernel for kernel in kernels if kind_of(kernel.name, kinds) == kind]:
            found.append(f"{len(chosen)} kernels {meaning}: {_listed(chosen)}")
    for mark, meaning in (("[Float64]", "compute in float64"), ("-1", "have shapes known only at run time")):
        if chosen := [kernel for kernel in kernels if mark in kernel.types]:
            found.append(f"{len(chosen)} kernels {meaning}: {_listed(chosen)}")
    return found


def _listed(kernels: Iterable[Kernel]) -> str:
    """The most frequent operators, each with the line that it comes from most often."""
    names: dict[str, Counter[str]] = {}
    for kernel in kernels:
        names.setdefault(kernel.name, Counter())[kernel.source or _COMPILER] += 1
    most = sorted(names.items(), key=lambda item: (-item[1].total(), item[0]))
    listed = [f"{name} {lines.total()} ({lines.most_common(1)[0][0]})" for name, lines in most[:8]]
    return ", ".join(listed) + (" ..." if len(most) > 8 else "")


def does_not_fit(fragments_gb: float | None, chip: Chip) -> str | None:
    """What is to be said of a peak of memory that the chip does not have; None: it fits, or is not known."""
    memory_gb = CHIPS[chip].memory_gb
    if fragments_gb is None or fragments_gb <= memory_gb * _USABLE:
        return None
    return (
        f"{fragments_gb:.1f} GB do not fit into {memory_gb} GB of {chip.value}: lower batch_size_per_rank (with "
        "optim.accumulation the step keeps its samples) or data.input_size"
    )


def as_text(report: Mapping[str, Any]) -> str:
    """The report as lines for a terminal."""
    kernels = report["kernels_per_step"]
    lines = [
        f"dry run for {report['soc']}, rank {report['rank']} of {report['ranks']}: compiled, no kernel was launched",
        f"  sizes                  {report['identities']} identities, {report['objects']} objects "
        f"({report['sizes_from']})",
        f"  kernels a step         {_kinds_in_words(kernels)}",
        f"  by graph               {_counts(report['kernels_by_graph'])}",
    ]
    if report["detector_kernels"] is not None:
        lines.append(f"  kernels a detection    {_kinds_in_words(report['detector_kernels'])}")
    lines += [
        f"  launches a step        {report['launches_per_step']}; the host waits for the device "
        f"{report['synchronisations_per_step']} times, and once more where scalars are due",
        f"  collectives a step     {_collectives_in_words(report)}",
        f"  host to device         {report['host_to_device_bytes'] / 1e6:.1f} MB a micro-batch",
        f"  parameters, optimiser  {report['parameter_bytes'] / 1e6:.1f} MB, {report['optimizer_bytes'] / 1e6:.1f} MB",
        f"  peak device memory     {_gb(report['peak_gb'])}, with fragments {_gb(report['peak_gb_with_fragments'])}; "
        + ", ".join(f"fits {gb} GB: {_yes(fits)}" for gb, fits in report["fits"].items()),
        f"  compiling              {report['compile_s']:.1f} s"
        + ("" if report["detector_compile_s"] is None else f", detector {report['detector_compile_s']:.1f} s"),
        "  lines that make most kernels:",
    ]
    for row in report["kernels_by_line"]:
        operators = ", ".join(f"{name} {count}" for name, count in row["operators"].items())
        lines.append(
            f"    {row['kernels']:5d} {'backward' if row['backward'] else 'forward '} {row['line']}: {operators}"
        )
    return "\n".join([*lines, *(f"  warning: {warning}" for warning in report["warnings"])])


def _collectives_in_words(report: Mapping[str, Any]) -> str:
    buckets = report["collective_buckets"]
    total = f"{report['collectives_per_step']}, {report['collective_bytes'] / 1e6:.1f} MB"
    if not buckets:
        return total
    names: Counter[str] = Counter()
    for bucket in buckets:
        names[bucket["name"]] += bucket["collectives"]
    return f"{total}: {_counts(names)}; largest {buckets[0]['bytes']:,} bytes, smallest {buckets[-1]['bytes']:,}"


def _kinds_in_words(kernels: Mapping[str, int]) -> str:
    parts = [f"{kind} {kernels[kind]}" for kind in KINDS if kernels[kind] or kind == "host"]
    return f"{kernels['total']}: {', '.join(parts)}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _gb(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} GB"


def _yes(fits: bool | None) -> str:
    return "unknown" if fits is None else "yes" if fits else "no"
