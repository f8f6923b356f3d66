"""What `python -m fairmot.prepare` can be told."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

CUSTOM = "custom"


class BoxIdentity(Enum):
    """CrowdHuman's identities: every box one of its own (the paper's pre-training), or none at all (detection only)."""

    id = "id"
    det = "det"


class CustomFormat(Enum):
    """How the annotations of your own data are written; docs/custom_data.md shows each."""

    mot = "mot"
    coco_video = "coco_video"
    yolo = "yolo"


_KEYS_OF = {
    "labels": ("crowdhuman",),
    "sitting": ("kitti",),
    "lists": ("caltech", "citypersons", "cuhksysu", "prw", "ethz"),
    **dict.fromkeys(("name", "format", "classes", "annotations"), (CUSTOM,)),
}
_UNSET: tuple[Any, ...] = (None, False, "", [], {}, BoxIdentity.id)


@dataclass
class PrepareConfig:
    """Which download becomes which data set; or, with check, which prepared data is looked over.

    Attributes:
        dataset: mot15, mot16, mot17, mot20, dancetrack, sportsmot, crowdhuman, caltech, citypersons, cuhksysu, prw,
            ethz, visdrone, kitti, or custom for your own; docs/data_sets.md says what each expects. With check: only
            its lists, or only this list file; empty: all lists in root.
        root: the download's folder as unpacked; never written to. With check: the prepared data, as data.root.
        output: the folder training is given as data.root. With check: the folder of the report; empty: runs/data_check.
        sequences: only these; empty: all there are (not for crowdhuman, the sets of the MIX and custom yolo).
        link: link the images to the download (hard link, else symbolic link, else copy); false copies them.
        overwrite: build anew, also over a data set prepared with other settings.
        labels: crowdhuman: which identities its boxes get.
        sitting: kitti: Person_sitting counts as a person too.
        lists: folder of the list files of the MIX (caltech.all, prw.train, ...); empty: root and the folder above it.
        name: custom: what the data set is called from now on.
        format: custom: how its annotations are written.
        classes: custom: only these classes, numbered in this order; empty: all.
        annotations: custom coco_video: split -> json file, relative to root; empty: annotations/<split>.json.
        check: prepare nothing; look for faults in prepared data and draw some of it.
        decode: check: decode every image instead of reading its header and end.
    """

    dataset: str = ""
    root: str = MISSING
    output: str = ""
    sequences: list[str] = field(default_factory=list)
    link: bool = True
    overwrite: bool = False
    labels: BoxIdentity = BoxIdentity.id
    sitting: bool = False
    lists: str = ""
    name: str = ""
    format: CustomFormat | None = None
    classes: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    check: bool = False
    decode: bool = False

    def __post_init__(self) -> None:
        if not self.root.strip():
            raise ValueError("root is empty: name a folder")
        if self.decode and not self.check:
            raise ValueError("decode is for check=true")
        if not self.check:
            self._check_preparation()

    def _check_preparation(self) -> None:
        if not self.dataset.strip():
            raise ValueError("dataset is empty: name a data set; --help says what every key means")
        if not self.output.strip():
            raise ValueError("output is empty: name a folder")
        for key in ("sequences", "classes"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key}={values}: a name is there twice")
        for key, data_sets in _KEYS_OF.items():
            if self.dataset not in data_sets and getattr(self, key) not in _UNSET:
                raise ValueError(f"{key} is for dataset={', '.join(data_sets)}, not for {self.dataset}")
        if self.dataset == CUSTOM:
            self._check_custom()

    def _check_custom(self) -> None:
        if self.format is None:
            choices = ", ".join(choice.value for choice in CustomFormat)
            raise ValueError(f"format is missing: say how the annotations are written, format={choices}")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            raise ValueError(f"name={self.name}: call the data set something of letters, digits, _ and -")
        if self.annotations and self.format is not CustomFormat.coco_video:
            raise ValueError(f"annotations is for format=coco_video, not for {self.format.value}")
