"""The layout every prepared data set has, and how it comes to be whole or not at all.

    <output>/<name>/images/<split>/<sequence>/img1/000001.jpg          + seqinfo.ini, gt/gt.txt
    <output>/<name>/labels_with_ids/<split>/<sequence>/img1/000001.txt
    <output>/<name>/images/<split>/<picture>.jpg                       of images that belong to no sequence
    <output>/<name>.<split>                                            image paths relative to <output>
    <output>/<name>.manifest.json                                      written last: it is there = all is there

A data set is built in a temporary folder beside its final place and renamed. A lock lets only one process build it.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fairmot.boxes import xywh_to_cxcywh
from fairmot.data.labels import format_labels
from fairmot.errors import DataError
from fairmot.files import new_folder, write_atomic, write_json_atomic
from fairmot.json_files import as_shape, read_json
from fairmot.locks import lock

FORMAT_VERSION = 3
_OWNER_MARK = ".made-by-fairmot"
_BUILDING = ".building-"


@dataclass(frozen=True)
class SequenceReport:
    """What the manifest says of one sequence or folder of images.

    Attributes:
        name: its folder's name.
        split: train, val or test.
        height: of its images, in pixels; None: they differ.
        width: of its images, in pixels; None: they differ.
        frame_rate: frames per second; None: unknown.
        images: how many.
        boxes: label rows.
        identities: different ids among them.
        rows_without_image: ground truth rows left out because their frame is not in the folder.
        images_by: how the images got there: hard link, symbolic link, copy, or drawn.
        lacking: what else is missing or left out, in sentences.
    """

    name: str
    split: str
    height: int | None
    width: int | None
    frame_rate: float | None
    images: int
    boxes: int
    identities: int
    rows_without_image: int
    images_by: str
    lacking: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Built:
    """What a build leaves.

    Attributes:
        lists: each list file's name with its image paths.
        sequences: a report on each.
        classes: their names in order of number.
    """

    lists: dict[str, list[str]]
    sequences: list[SequenceReport]
    classes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _AnyManifest:
    """What a data set of any version says: the sizes of its lists, what it was made with, and a digest of that."""

    lists: dict[str, int]
    settings: dict[str, Any]
    digest: str

    def __post_init__(self) -> None:
        """Refuse lists that lie elsewhere (ValueError): an old data set's are deleted before a new one takes over."""
        if elsewhere := [name for name in self.lists if Path(name).name != name]:
            raise ValueError(f"lists: {elsewhere[0]} is not the name of a file")


@dataclass(frozen=True)
class _Manifest(_AnyManifest):
    """What a data set of this version says besides."""

    format_version: int
    dataset: str
    sequences: list[SequenceReport]
    totals: dict[str, int]
    classes: list[str]


def build_data_set(
    output: Path,
    name: str,
    settings: Mapping[str, Any],
    build: Callable[[Path], Built],
    *,
    reuse: bool = True,
    replace: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Have data set `name` below `output`, whole and made with `settings`.

    Args:
        output: made when absent.
        name: of the data set's folder and list files.
        settings: JSON values that decide what is built.
        build: fills the folder it is given, which becomes `<output>/<name>`.
        reuse: leave a complete data set with the same settings as it is.
        replace: build over a complete data set with other settings; without it that is an error.

    Returns:
        The manifest, and whether anything was built.

    Raises:
        DataError: other settings and not `replace`; a folder of that name that this module did not make; the file
            system refuses.
    """
    fresh = {"format_version": FORMAT_VERSION, "dataset": name, "settings": dict(settings)}
    fresh["digest"] = hashlib.sha256(json.dumps(fresh, sort_keys=True).encode()).hexdigest()
    try:
        # Looked at before locking: a complete data set may be on a file system that is read-only.
        old = _read_manifest(output, name)
        if reuse and old is not None and old["digest"] == fresh["digest"]:
            return old, False
        with _locked(output, name):
            old = _read_manifest(output, name)
            if reuse and old is not None and old["digest"] == fresh["digest"]:
                return old, False
            if old is not None and not replace:
                raise DataError(_other_settings(output, name, old, fresh))
            _refuse_to_destroy(output / name)
            return _build_and_put_in_place(output, name, fresh, build, old), True
    except OSError as error:
        raise DataError(
            f"{error.filename or output}: {error.strerror or error}; {name} cannot be made in {output}"
        ) from error


@contextlib.contextmanager
def _locked(output: Path, name: str) -> Iterator[None]:
    """Wait until no other process builds this data set; sweep up what a killed one left."""
    output.mkdir(parents=True, exist_ok=True)
    with (output / f".{name}.lock").open("a") as stream:
        lock(stream, wait=True)
        for left in output.glob(f".{name}{_BUILDING}*"):
            shutil.rmtree(left)
        yield


def _read_manifest(output: Path, name: str) -> dict[str, Any] | None:
    """The manifest of a complete data set; None where there is none, or folder or lists have gone since."""
    path = output / f"{name}.manifest.json"
    if not path.exists():
        return None

    def refused(why: str) -> DataError:
        return DataError(f"{path}: not a manifest ({why}); delete it and prepare the data set again")

    manifest: dict[str, Any] = read_json(path, dict[str, Any], refused)
    if manifest.get("format_version") == FORMAT_VERSION:
        as_shape(manifest, _Manifest, refused)
    else:
        as_shape({key: manifest.get(key) for key in ("lists", "settings", "digest")}, _AnyManifest, refused)
    whole = (output / name).is_dir() and all((output / list_name).is_file() for list_name in manifest["lists"])
    return manifest if whole else None


def _other_settings(output: Path, name: str, old: Mapping[str, Any], fresh: Mapping[str, Any]) -> str:
    keys = [key for key, value in fresh["settings"].items() if old["settings"].get(key) != value]
    return (
        f"{output / name}.manifest.json: {name} was prepared with other settings "
        f"({', '.join(keys) or 'format version'}); overwrite=true replaces it, another output= keeps both"
    )


def _refuse_to_destroy(folder: Path) -> None:
    if folder.exists() and not (folder / _OWNER_MARK).is_file():
        raise DataError(f"{folder}: is there already and was not made by FairMOT; choose another folder")


def _build_and_put_in_place(
    output: Path, name: str, fresh: Mapping[str, Any], build: Callable[[Path], Built], old: Mapping[str, Any] | None
) -> dict[str, Any]:
    temporary = new_folder(output, f".{name}{_BUILDING}")
    try:
        (temporary / _OWNER_MARK).write_text("This folder is made, and may be replaced, by FairMOT.\n")
        built = build(temporary)
        manifest = dict(fresh) | _summary(built)
        _put_in_place(output, name, temporary, built.lists, old)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    write_json_atomic(output / f"{name}.manifest.json", manifest)
    return manifest


def _summary(built: Built) -> dict[str, Any]:
    totals = {key: sum(getattr(report, key) for report in built.sequences) for key in ("images", "boxes", "identities")}
    return {
        "sequences": [asdict(report) for report in built.sequences],
        "totals": totals,
        "classes": built.classes,
        "lists": {list_name: len(paths) for list_name, paths in built.lists.items()},
    }


def _put_in_place(
    output: Path, name: str, temporary: Path, lists: Mapping[str, list[str]], old: Mapping[str, Any] | None
) -> None:
    """Swap the folders and write the lists; without manifest from the first removal on."""
    (output / f"{name}.manifest.json").unlink(missing_ok=True)
    for list_name in old["lists"] if old else ():
        (output / list_name).unlink(missing_ok=True)
    folder = output / name
    if folder.exists():
        # Renamed first: a folder half deleted must not keep the final name.
        condemned = new_folder(output, f".{name}{_BUILDING}")
        folder.rename(condemned / name)
        temporary.rename(folder)
        shutil.rmtree(condemned)
    else:
        temporary.rename(folder)
    for list_name, paths in lists.items():
        write_atomic(output / list_name, "".join(f"{path}\n" for path in paths))
    os.sync()  # the manifest must not reach the disk before the files it vouches for


def image_folder(data_set: Path, split: str, sequence: str) -> Path:
    """Where a sequence's pictures are, inside the data set's folder."""
    return data_set / "images" / split / sequence / "img1"


def write_labels(
    folder: Path,
    stems: Mapping[int, str],
    frames: np.ndarray,
    identities: np.ndarray,
    boxes_xywh: np.ndarray,
    *,
    size_hw: tuple[int, int] | np.ndarray,
    classes: np.ndarray | int = 0,
) -> None:
    """Write a label file for each image, an empty one where nobody is.

    Args:
        folder: below `labels_with_ids`, made where it is not there.
        stems: frame number to the image's path below the folder, without ending.
        frames: int [N] frame of each box; each is in `stems`.
        identities: int [N] identity in the data set, from 0; -1: none.
        boxes_xywh: float [N, 4] in pixels.
        size_hw: size of the images, or int [N, 2] that of each box's image.
        classes: int [N] class of each box, or that of all.
    """
    paths = [folder / f"{stems[frame]}.txt" for frame in sorted(stems)]
    for parent in {path.parent for path in paths}:
        parent.mkdir(parents=True, exist_ok=True)
    rows = label_rows(identities, boxes_xywh, size_hw, classes)
    order = np.argsort(frames, kind="stable")
    bounds = np.searchsorted(frames[order], sorted(stems))
    ends = np.append(bounds[1:], len(frames))
    for path, start, end in zip(paths, bounds, ends, strict=True):
        path.write_text(format_labels(rows[order[start:end]]))


def label_rows(
    identities: np.ndarray, boxes_xywh: np.ndarray, size_hw: tuple[int, int] | np.ndarray, classes: np.ndarray | int
) -> np.ndarray:
    """The rows of label files, float64 [N, 6], from boxes in pixels; arguments as of `write_labels`."""
    size_wh = np.asarray(size_hw, np.float64)[..., ::-1]
    boxes_cxcywh = xywh_to_cxcywh(boxes_xywh) / np.concatenate([size_wh, size_wh], axis=-1)
    return np.column_stack([np.broadcast_to(classes, len(identities)), identities, boxes_cxcywh])
