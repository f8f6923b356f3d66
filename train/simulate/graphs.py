"""What MindSpore wrote while it compiled: graphs, collectives and the log of kernels, read into counts."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_NODE = re.compile(r"\s+%\d+\([^)]*\) = (?:PrimFunc_)?(\w[^\s(]*)\(")
_SHAPES = re.compile(r"\s+: \(.*\) -> \(")
_SCOPE = re.compile(r"# Fullname with scope: \((.*)\)")
_SOURCE = re.compile(r"# In file (\S+?):(\d+)")
_GRAPH = re.compile(r"# IR entry: @(\w+)")
_SELECTED = re.compile(r"CollectOpSelectedType\] (\w+) select (\w+) kernel")
_RUNTIME = re.compile(r"RtOpBuild\] Op Name\(tolower\)\[(\w+)\]")
_PEAK = re.compile(r"Used peak memory usage \(without fragments\): (\d+)M")
_PEAK_WITH_FRAGMENTS = re.compile(r"Actual peak memory usage \(with fragments\): (\d+)M")
_OF_THE_COMPILER = frozenset(
    [
        *("TupleGetItem", "MakeTuple", "Load", "UpdateState", "Depend", "Return"),
        *("Partial", "Switch", "Call", "StreamSend", "StreamRecv"),
    ]
)
"""Nodes of a graph that are no kernels."""

KINDS = ("aclnn", "aclop", "fused", "hccl", "runtime", "host", "other")
"""Ways to a kernel: CANN's present and its old interface, MindSpore's fusion, collectives, changes of shape that
compute nothing, the host's processor, and what the log does not name."""


@dataclass(frozen=True)
class Kernel:
    """One kernel of a graph.

    Attributes:
        name: of its operator, such as Conv2D.
        graph: of the graph that holds it.
        source: file:line of this project that it comes from, the innermost; "" where the compiler made it.
        backward: it belongs to the gradients.
        types: one line of types and shapes of what goes in and out.
    """

    name: str
    graph: str
    source: str
    backward: bool
    types: str


class Collective(NamedTuple):
    """One collective of a step.

    Attributes:
        name: of its operator, such as AllReduce.
        bytes: that one rank puts in.
    """

    name: str
    bytes: int


@dataclass
class Log:
    """What the compiler's log says.

    Attributes:
        kinds: operator -> one of KINDS.
        peak_mb: largest device memory in use at once, MiB; None: not said.
        peak_with_fragments_mb: the same with what lies unused between.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    peak_mb: int | None = None
    peak_with_fragments_mb: int | None = None


def read_log(lines: Iterable[str]) -> Log:
    """Read the log of a compiling process, of level info for the device."""
    log = Log()
    for line in lines:
        if match := _SELECTED.search(line):
            kind = match[2] if match[2] in KINDS else "host" if match[2] == "cpu" else "other"
            # The worse way counts where an operator goes both: it is the one to know of.
            log.kinds[match[1]] = max(log.kinds.get(match[1], kind), kind, key=KINDS.index)
        elif match := _RUNTIME.search(line):
            log.kinds[match[1]] = "runtime"
        elif match := _PEAK.search(line):
            log.peak_mb = int(match[1])
        elif match := _PEAK_WITH_FRAGMENTS.search(line):
            log.peak_with_fragments_mb = int(match[1])
    return log


def kind_of(name: str, kinds: Mapping[str, str]) -> str:
    """Which of KINDS an operator is, by the log's `kinds`."""
    if name.startswith("GraphKernel_"):
        return "fused"
    return kinds.get(name) or kinds.get(name.lower(), "other")


def saved_graphs(folder: Path) -> list[Path]:
    """The files of all graphs saved below `folder`."""
    return sorted(folder.rglob("graph_build_*.ir"))


def read_graphs(paths: Iterable[Path], project: Path) -> list[Kernel]:
    """Every kernel of saved graphs; sources are named relative to `project`."""
    return [
        kernel
        for path in paths
        for kernel in read_graph(path.read_text(encoding="utf-8", errors="replace").splitlines(), project)
    ]


def read_graph(lines: Iterable[str], project: Path) -> Iterator[Kernel]:
    """The kernels of one saved graph."""
    graph, name, scope, types, source = "", "", "", "", ""
    for line in lines:
        if match := _NODE.match(line):
            if name and name not in _OF_THE_COMPILER:
                yield Kernel(name, graph, source, "Gradients" in scope, types)
            name, scope, types, source = match[1], "", "", ""
        elif match := _GRAPH.match(line):
            graph = match[1]
        elif not types and _SHAPES.match(line):
            types = line.strip()
        elif match := _SCOPE.search(line):
            scope = match[1]
        elif (match := _SOURCE.search(line)) and match[1].startswith(f"{project}/"):
            source = f"{Path(match[1]).relative_to(project)}:{match[2]}"
    if name and name not in _OF_THE_COMPILER:
        yield Kernel(name, graph, source, "Gradients" in scope, types)


def read_collectives(folder: Path) -> list[Collective]:
    """The collectives of a step, in their order."""
    found = []
    for path in sorted(folder.rglob("comm_execute_order.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                sizes = re.findall(r"\d+", row["input_size"])
                found.append(Collective(row["primitive"], sum(map(int, sizes))))
    return found


def count_branches(folder: Path) -> int:
    """How often the host waits for a value of the device, to decide which graph comes next, in all saved graphs."""
    return sum(
        path.read_text(encoding="utf-8", errors="replace").count(" = SwitchActor(")
        for path in folder.rglob("final_actor_set_*.ir")
    )
