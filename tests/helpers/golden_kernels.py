"""The kernels that a graph was known to be compiled to, as JSON files, and what a report has otherwise."""

import json
from pathlib import Path
from typing import Any

GOOD_KINDS = ("aclnn", "fused", "runtime")
"""Their number may drift; hccl's may not, and of host, aclop and other there may never be more."""
_TOLERANCE = 0.03
_ALWAYS_TOLERATED = 3

Counts = dict[str, dict[str, int]]
"""Kind -> operator -> kernels."""


_WAITS = "synchronisations_per_step"


def write_golden(path: Path, report: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    golden = {graph: _counts(rows) for graph, rows in _graphs(report).items()} | {_WAITS: report[_WAITS]}
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


def differences(path: Path, report: dict[str, Any]) -> list[str]:
    """What a change has made of the kernels of `path`; nothing where all is as it was."""
    if not path.is_file():
        return [f"{path.name} is missing: renew the golden table"]
    golden = json.loads(path.read_text())
    waits, graphs = golden.pop(_WAITS), _graphs(report)
    if golden.keys() != graphs.keys():
        return [f"graphs {sorted(graphs)} instead of {sorted(golden)}"]
    found = [
        f"{graph}: {difference}"
        for graph, rows in graphs.items()
        for difference in [*_worse_paths(golden[graph], rows), *_other_numbers(golden[graph], _counts(rows))]
    ]
    if report[_WAITS] != waits:
        found.append(f"step: the host waits for the device {report[_WAITS]} times instead of {waits}")
    return found


def _graphs(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    detector = report["detector_kernels_by_name"]
    return {"step": report["kernels_by_name"], **({} if detector is None else {"detector": detector})}


def _counts(rows: list[dict[str, Any]]) -> Counts:
    counts: Counts = {}
    for row in rows:
        counts.setdefault(row["kind"], {})[row["name"]] = row["kernels"]
    return counts


def _worse_paths(golden: Counts, rows: list[dict[str, Any]]) -> list[str]:
    """Operators with more kernels than before on the host, on the old path, or on one that nobody knows."""
    found = []
    for row in rows:
        kind, name = row["kind"], row["name"]
        before = golden.get(kind, {}).get(name, 0)
        if kind not in (*GOOD_KINDS, "hccl") and row["kernels"] > before:
            lines = ", ".join(f"{line} ({count})" for line, count in row["lines"].items())
            found.append(f"{name}: {row['kernels']} kernels are {kind}, {before} were; they come from {lines}")
    return found


def _other_numbers(golden: Counts, counts: Counts) -> list[str]:
    """Kinds whose number of kernels is no longer what it was; also where it fell, lest it rises again unseen."""
    found = []
    for kind in sorted(golden.keys() | counts.keys()):
        before, now = (sum(side.get(kind, {}).values()) for side in (golden, counts))
        tolerated = 0 if kind == "hccl" else max(_ALWAYS_TOLERATED, _TOLERANCE * before)
        if abs(now - before) > tolerated:
            names = {
                name: counts.get(kind, {}).get(name, 0) - golden.get(kind, {}).get(name, 0)
                for name in golden.get(kind, {}).keys() | counts.get(kind, {}).keys()
            }
            most = sorted(names.items(), key=lambda item: (-abs(item[1]), item[0]))[:5]
            listed = ", ".join(f"{name} {change:+d}" for name, change in most if change)
            found.append(f"{now} {kind} kernels instead of {before}: {listed}")
    return found
