"""What the authors say their data sets hold, and how a prepared one compares. docs/data_sets.md names the sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """The published counts of one list.

    Attributes:
        images: how many.
        sequences: they come from; None: from none.
        boxes: that train; None: not published, or counted by other rules.
        identities: among them; None: as boxes.
    """

    images: int
    sequences: int | None = None
    boxes: int | None = None
    identities: int | None = None


PUBLISHED = {
    "mot15.train": Published(5500, 11, 39905, 500),
    "mot15.test": Published(5783, 11),
    "mot16.train": Published(5316, 7, 110407, 517),
    "mot16.test": Published(5919, 7),
    "mot17.train": Published(5316, 7, 112297, 546),
    "mot17.test": Published(5919, 7),
    "mot17_half.train": Published(2657, 7),
    "mot17_half.val": Published(2659, 7),
    "mot20.train": Published(8931, 4, 1134614, 2215),
    "mot20.test": Published(4479, 4),
    "dancetrack.train": Published(41796, 40, None, 419),
    "dancetrack.val": Published(25508, 25, None, 273),
    "dancetrack.test": Published(38551, 35),
    "sportsmot.train": Published(28574, 45),
    "sportsmot.val": Published(26970, 45),
    "sportsmot.test": Published(94835, 150),
    "visdrone.train": Published(24201, 56),
    "visdrone.val": Published(2819, 7),
    "kitti.train": Published(8008, 21),
    "kitti.test": Published(11095, 29),
    "crowdhuman.train": Published(15000, None, 339565, 339565),
    "crowdhuman.val": Published(4370),
    "crowdhuman_det.train": Published(15000, None, 339565, 0),
    "crowdhuman_det.val": Published(4370),
    "caltech.all": Published(26915),
    "citypersons.train": Published(2500),
    "citypersons.val": Published(441),
    "cuhksysu.train": Published(11206),
    "cuhksysu.val": Published(2000),
    "prw.train": Published(5701),
    "prw.val": Published(2000),
    "eth.train": Published(2056),
}
_SETS_WITH_LISTS = ("caltech", "citypersons", "cuhksysu", "prw", "eth")


def compare(manifest: Mapping[str, Any]) -> list[str]:
    """A line a list: what it holds, whether that is what was published, and if not the likely reason.

    Args:
        manifest: of a prepared data set.
    """
    return [_line(manifest, name, images) for name, images in manifest["lists"].items()]


def _line(manifest: Mapping[str, Any], name: str, images: int) -> str:
    published = PUBLISHED.get(name)
    if published is None:
        return f"{name}: {images} images"
    # Halves are of training sequences.
    split = "train" if name.startswith(f"{manifest['dataset']}_half.") else name.rpartition(".")[2]
    reports = [report for report in manifest["sequences"] if report["split"] == split]
    ours = {"images": images} | {key: sum(report[key] for report in reports) for key in ("boxes", "identities")}
    theirs = {key: getattr(published, key) for key in ours}
    counted = [key for key in ours if theirs[key] is not None]
    if all(ours[key] == theirs[key] for key in counted):
        return f"{name}: {', '.join(f'{ours[key]} {key}' for key in counted)}, as published"
    differing = ", ".join(f"{ours[key]} {key} ({theirs[key]} published)" for key in counted if ours[key] != theirs[key])
    return f"{name}: {differing}: {_reason(manifest['dataset'], published, images, len(reports))}"


def _reason(data_set: str, published: Published, images: int, sequences: int) -> str:
    if published.sequences is not None and sequences < published.sequences:
        return f"{sequences} of its {published.sequences} sequences were prepared"
    if images < published.images:
        return "images are missing from the download"
    if images > published.images and data_set in _SETS_WITH_LISTS:
        return "the published list files choose among the images; name their folder, lists=..."
    if images > published.images:
        return "the download holds images the published set does not"
    return "the annotations are not those of the published release, or rows were left out"
