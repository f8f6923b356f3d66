"""Prepare a public data set for training: python -m fairmot.prepare dataset=mot17 root=<download> output=data."""

from collections.abc import Callable
from typing import Any

from fairmot.data.prepare import mot15, mot17
from fairmot.data.prepare.config import PrepareConfig
from fairmot.door import run_door
from fairmot.errors import ConfigError

DATA_SETS: dict[str, Callable[[PrepareConfig], tuple[dict[str, Any], bool]]] = {
    "mot15": mot15.prepare,
    "mot17": mot17.prepare,
}


def prepare(config: PrepareConfig) -> None:
    """Prepare one data set and print what it holds.

    Raises:
        ConfigError: an unknown data set or sequence.
        DataError: a download that cannot be used, or an output that cannot be written.
    """
    if config.dataset not in DATA_SETS:
        raise ConfigError(f"dataset={config.dataset}: unknown; there are: {', '.join(DATA_SETS)}")
    manifest, written = DATA_SETS[config.dataset](config)
    print(summary(manifest))
    if not written:
        print(f"{config.dataset} was complete already: nothing changed (overwrite=true builds it anew)")


def summary(manifest: dict[str, Any]) -> str:
    """A manifest as a table for the console: a line a sequence, the totals, the list files and what is missing."""
    header = ("sequence", "split", "size", "fps", "images", "boxes", "ids", "images by")
    rows = [
        (
            report["name"],
            report["split"],
            f"{report['width']}x{report['height']}",
            "unknown" if report["frame_rate"] is None else f"{report['frame_rate']:g}",
            *(str(report[key]) for key in ("images", "boxes", "identities", "images_by")),
        )
        for report in manifest["sequences"]
    ]
    totals = manifest["totals"]
    rows.append(("total", "", "", "", *(str(totals[key]) for key in ("images", "boxes", "identities")), ""))
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    lines += [f"{name}: {count} images" for name, count in manifest["lists"].items()]
    lines += [
        f"{report['name']}: {report['rows_without_image']} ground truth rows left out, their frames have no image"
        for report in manifest["sequences"]
        if report["rows_without_image"]
    ]
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    run_door(prepare, PrepareConfig, "prepare")
