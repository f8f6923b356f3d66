"""Prepare a public data set for training: python -m fairmot.prepare dataset=mot17 root=<download> output=data.

With check=true look over prepared data: python -m fairmot.prepare check=true root=data.
"""

from collections.abc import Callable
from typing import Any

from fairmot.cli.command import suggest
from fairmot.errors import ConfigError
from fairmot.prepare.check.run import check_data
from fairmot.prepare.config import CUSTOM, PrepareConfig
from fairmot.prepare.published import compare
from fairmot.prepare.sets import crowdhuman, custom, jde, kitti, motchallenge, visdrone
from fairmot.text_tables import aligned

DATA_SETS: dict[str, Callable[[PrepareConfig], tuple[dict[str, Any], bool]]] = {
    **dict.fromkeys(motchallenge.RULES, motchallenge.prepare),
    **dict.fromkeys(jde.RULES, jde.prepare),
    "crowdhuman": crowdhuman.prepare,
    "visdrone": visdrone.prepare,
    "kitti": kitti.prepare,
    CUSTOM: custom.prepare,
}


def prepare(config: PrepareConfig) -> None:
    """Prepare one data set and print what it holds; or look over prepared data.

    Raises:
        ConfigError: an unknown data set or sequence.
        DataError: a download that cannot be used, an output that cannot be written, or a check that found errors.
    """
    if config.check:
        check_data(config)
        return
    if config.dataset not in DATA_SETS:
        near = suggest(config.dataset, list(DATA_SETS))
        raise ConfigError(f"dataset={config.dataset}: unknown{near}; there are: {', '.join(DATA_SETS)}")
    manifest, written = DATA_SETS[config.dataset](config)
    print(summary(manifest))
    if not written:
        print(f"{manifest['dataset']} was complete already: nothing changed (overwrite=true builds it anew)")


def summary(manifest: dict[str, Any]) -> str:
    """A manifest for the console: sequences, totals, classes, lists against the published, what is missing."""
    header = ("sequence", "split", "size", "fps", "images", "boxes", "ids", "images by")
    rows = [
        (
            report["name"],
            report["split"],
            "various" if report["width"] is None else f"{report['width']}x{report['height']}",
            "unknown" if report["frame_rate"] is None else f"{report['frame_rate']:g}",
            *(str(report[key]) for key in ("images", "boxes", "identities")),
            report["images_by"],
        )
        for report in manifest["sequences"]
    ]
    totals = manifest["totals"]
    rows.append(("total", "", "", "", *(str(totals[key]) for key in ("images", "boxes", "identities")), ""))
    lines = aligned([header, *rows])
    if len(manifest["classes"]) > 1:
        lines.append(f"classes ({len(manifest['classes'])}): {', '.join(manifest['classes'])}")
    lines += compare(manifest)
    for report in manifest["sequences"]:
        if report["rows_without_image"]:
            count = report["rows_without_image"]
            lines.append(f"{report['name']}: {count} ground truth rows left out, their frames have no image")
        lines += [f"{report['name']}: {sentence}" for sentence in report["lacking"]]
    return "\n".join(line.rstrip() for line in lines)
