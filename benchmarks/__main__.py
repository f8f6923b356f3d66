"""All benchmarks in one command: a table, a JSON file and a picture.

    python -m benchmarks [output=build/benchmarks] [only=train_step,loader] [quick=true]
                         [original=<the original's repository> original_python=<a python with torch>]

Runs the parts one after the other, each a program of this folder that can also be run by itself and says in its
docstring what it measures, and writes <output>/benchmarks.md, .json and .png after each. With `original` the original
(ifzhang/FairMOT) is measured beside them. On two cores that do nothing else, with the original:

{parts}

`quick` runs everything with tiny inputs and few steps, about three minutes: to see the machinery work, its figures mean
nothing.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import fairmot
from benchmarks.measuring import options
from benchmarks.report import COLUMNS, Part, curve_table, draw, markdown, progress
from fairmot.files import write_atomic, write_json_atomic

PARTS = {
    "train_step": ("4 min", {"quick": "true", "steps": "4", "rounds": "1"}),
    "inference": ("8 min", {"quick": "true", "passes": "3", "rounds": "1"}),
    "checkpoint": ("2 min", {"quick": "true", "steps": "5", "every": "3", "repeats": "1"}),
    "ranks": ("3 min", {"quick": "true", "steps": "5"}),
    "cost_curves": ("6 min", {"quick": "true", "steps": "4", "curves": "drawn"}),
    "loader": ("2 min", {"cases": "reference,fast-loader", "seconds": "0.3", "pictures": "4"}),
    "index": ("1 min", {"share": "0.003"}),
    "tracker": ("1 min", {"objects": "20,60", "frames": "40", "passes": "1"}),
    "evaluation": ("2 min", {"share": "0.03", "plots": "false"}),
    "validation": ("2 min", {"quick": "true", "frames": "4"}),
}
"""How long each takes, and what makes it quick."""
OF_ORIGINAL = {"train_step": ("original", "original_python"), "inference": ("original", "original_python")}
OF_ORIGINAL |= {"loader": ("original",), "tracker": ("original",), "ranks": ("original_python",)}


def run(part: str, given: dict[str, str]) -> Part | None:
    """One benchmark in a process of its own, which prints as it goes; None where it failed."""
    words = [f"{key}={given[key]}" for key in OF_ORIGINAL.get(part, ()) if given[key]]
    if given["quick"] == "true":
        words += [f"{key}={value}" for key, value in PARTS[part][1].items()]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "part.json"
        command = [sys.executable, "-m", f"benchmarks.{part}", *words, f"output={output}"]
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            return None
        return Part.from_json(json.loads(output.read_text()))


def write(output: Path, parts: dict[str, Part], seconds: dict[str, float], quick: bool) -> str:
    """Table, JSON and picture of what is measured so far; returns the table."""
    rows = [(part, *row.cells()) for part, found in parts.items() for row in found.rows]
    tables = [markdown(("part", *COLUMNS), rows)]
    tables += [curve_table(curve) for found in parts.values() for curve in found.curves]
    machine = {
        "processors": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "mindspore": version("mindspore"),
        "fairmot": fairmot.__version__,
        "load": os.getloadavg(),
    }
    measured = {part: asdict(found) | {"seconds": seconds[part]} for part, found in parts.items()}
    write_json_atomic(output / "benchmarks.json", {"machine": machine, "quick": quick, "parts": measured})
    write_atomic(output / "benchmarks.md", "\n\n".join(tables) + "\n")
    draw(output / "benchmarks.png", parts)
    return "\n\n".join(tables)


def main() -> None:
    doc = (__doc__ or "").format(parts="\n".join(f"    {part:<12} {lasts}" for part, (lasts, _) in PARTS.items()))
    given = options(doc, output="build/benchmarks", only=",".join(PARTS), quick="", original="", original_python="")
    chosen = given["only"].split(",")
    if unknown := set(chosen) - PARTS.keys():
        print(f"only={','.join(sorted(unknown))}: choose from {','.join(PARTS)}", file=sys.stderr)
        sys.exit(2)
    parts: dict[str, Part] = {}
    seconds: dict[str, float] = {}
    table = ""
    for part in chosen:
        began_s = time.monotonic()
        progress(f"\n{part}: about {PARTS[part][0]}")
        if (found := run(part, given)) is not None:
            parts[part], seconds[part] = found, time.monotonic() - began_s
            table = write(Path(given["output"]), parts, seconds, given["quick"] == "true")
    print(table)
    if failed := [part for part in chosen if part not in parts]:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
