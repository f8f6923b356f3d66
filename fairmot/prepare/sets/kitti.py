"""KITTI tracking: streets seen from a car.

    training/image_02/0000/000000.png, training/label_02/0000.txt, testing/image_02/0000/000000.png

Source of the rules: the devkit's description of the columns. Pedestrians count; a sitting person (Person_sitting) only
when asked for, since the benchmark takes it for neither right nor wrong; DontCare regions and everything else do not.
The benchmark has no validation part, so no more lists than its own: `sequences=` makes others.
"""

from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairmot.errors import DataError
from fairmot.mot.sequence import existing_root
from fairmot.prepare.assemble import Rules, prepare_origins
from fairmot.prepare.config import PrepareConfig
from fairmot.prepare.sequences import choose_sequences, sequence_of_rows
from fairmot.prepare.source import Origin, Source
from fairmot.prepare.text_rows import check_columns, integer, number

# fmt: off
_COLUMNS = (
    "frame", "id", "type", "truncated", "occluded", "alpha", "left", "top", "right", "bottom",
    "height_m", "width_m", "length_m", "x_m", "y_m", "z_m", "rotation_y",
)
_TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Person", "Cyclist", "Tram", "Misc", "DontCare")
# fmt: on
_SITTING = ("Person_sitting", "Person")  # the files say Person where the description says Person_sitting
_PARTS = {"training": "train", "testing": "test"}
_FRAME_RATE = 10.0


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare KITTI tracking; sequences of the testing part are named `test-0000` so that no two share a name.

    Raises:
        ConfigError: unknown sequence names.
        DataError: as `prepare_origins`.
    """
    top = existing_root(config.root)
    found = {
        _name(split, folder): (split, folder)
        for part, split in _PARTS.items()
        for folder in sorted((top / part / "image_02").glob("*/"))
        if folder.is_dir()
    }
    if not found:
        raise DataError(f"root={config.root}: no sequences found; looked for {top}/training/image_02/<sequence>")
    wanted = {path.name for path in choose_sequences([Path(name) for name in found], config.sequences)}
    origins = [
        Origin(folder, [folder], [_labels(folder)], partial(_read, name, split, folder, config.sitting))
        for name, (split, folder) in found.items()
        if name in wanted
    ]
    return prepare_origins(config, Rules("kitti", settings={"sitting": config.sitting}), origins)


def _name(split: str, folder: Path) -> str:
    return f"KITTI-{folder.name}" if split == "train" else f"KITTI-test-{folder.name}"


def _labels(folder: Path) -> Path:
    return folder.parent.parent / "label_02" / f"{folder.name}.txt"


def _read(name: str, split: str, folder: Path, sitting: bool, bar: tqdm) -> list[Source]:
    path = _labels(folder) if split == "train" else None
    if path is not None and not path.is_file():
        raise DataError(f"{path}: these labels are missing; unpack data_tracking_label_2.zip into the same folder")
    return [sequence_of_rows(folder, name, split, path, partial(parse_row, sitting=sitting), bar, _FRAME_RATE)]


def parse_row(place: str, line: str, sitting: bool) -> tuple[int, int, list[float], bool]:
    """One row: frame from 0, id, box x, y, w, h in pixels, and whether it is a person that counts.

    Raises:
        DataError: the row cannot be used.
    """
    fields = line.split()
    check_columns(place, fields, _COLUMNS, " ")
    kind = fields.pop(2)
    if kind not in _TYPES:
        raise DataError(f"{place}: type '{kind}' is not of KITTI; its types are {', '.join(_TYPES)}")
    names = [name for name in _COLUMNS if name != "type"]
    values = [number(place, name, field) for name, field in zip(names, fields, strict=True)]
    left, top, right, bottom = values[5:9]
    counts = kind == "Pedestrian" or (sitting and kind in _SITTING)
    identity = integer(place, "id", values[1], 0) if counts else -1
    return integer(place, "frame", values[0], 0), identity, [left, top, right - left, bottom - top], counts
