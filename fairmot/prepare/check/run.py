"""The doctor of prepared data: python -m fairmot.prepare check=true root=<data.root>."""

from pathlib import Path

import cv2
import numpy as np

from fairmot.boxes import cxcywh_to_xyxy
from fairmot.errors import DataError
from fairmot.files import write_atomic
from fairmot.media.drawing import Painter, sheet
from fairmot.media.picture import read_image
from fairmot.prepare.check.contents import Contents
from fairmot.prepare.check.examine import examine
from fairmot.prepare.check.plots import plot_statistics
from fairmot.prepare.check.report import as_text, count_errors, write_reports
from fairmot.prepare.config import PrepareConfig
from fairmot.structures import Tracks

_FRAMES, _COLUMNS, _SHEET_WIDTH_PX = 12, 3, 2400
_JPEG_QUALITY = 88


def check_data(config: PrepareConfig) -> None:
    """Look over a data root; print the findings and write them, figures and pictures to the folder `output`.

    Raises:
        DataError: errors were found, there is nothing to look over, or the report cannot be written.
    """
    output = Path(config.output or "runs/data_check").expanduser()
    contents, findings = examine(Path(config.root).expanduser(), config.dataset, decode=config.decode)
    print(as_text(contents, findings))
    try:
        write_reports(output, contents, findings)
        plot_statistics(output / "statistics.png", contents)
        picture = draw_frames(contents)
        if picture is None:
            (output / "frames.jpg").unlink(missing_ok=True)  # of an earlier check
        else:
            jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
            write_atomic(output / "frames.jpg", jpeg.tobytes())
    except OSError as error:
        raise DataError(f"output={output}: the report cannot be written: {error.strerror}") from error
    seen = "" if picture is None else "; look at frames.jpg and statistics.png beside it"
    print(f"all findings: {output / 'report.txt'} and report.json{seen}")
    if errors := count_errors(findings):
        raise DataError(f"{errors} errors in {contents.root}: {output / 'report.txt'} names file and line of each")


def draw_frames(contents: Contents, seed: int = 0) -> np.ndarray | None:
    """Random images with their boxes and ids on a sheet, uint8 [H, W, 3] BGR; None where none can be decoded.

    Images with boxes come first; a box without identity is marked -1.
    """
    rng = np.random.default_rng(seed)
    boxes = np.diff(contents.row_offsets)
    order = rng.permutation(len(boxes))
    order = order[np.argsort(boxes[order] == 0, kind="stable")]
    pictures: dict[int, np.ndarray] = {}
    for image in order.tolist():
        try:
            pictures[image] = _draw(contents, image)
        except DataError:  # a finding already, or only to be found with decode=true
            continue
        if len(pictures) == _FRAMES:
            break
    ordered = [pictures[image] for image in sorted(pictures)]
    return sheet(ordered, min(_COLUMNS, len(ordered)), _SHEET_WIDTH_PX) if ordered else None


def _draw(contents: Contents, image: int) -> np.ndarray:
    frame = read_image(str(contents.root / contents.images[image]))
    rows = contents.rows[contents.row_offsets[image] : contents.row_offsets[image + 1]]
    boxes_xyxy = cxcywh_to_xyxy(rows[:, 2:]) * ([frame.shape[1], frame.shape[0]] * 2)
    tracks = Tracks(rows[:, 1].astype(np.int64), boxes_xyxy, np.ones(len(rows)), rows[:, 0].astype(np.int64))
    several_classes = bool((contents.rows[:, 0] > 0).any())
    return Painter(trail_frames=0, classes=several_classes).draw(frame, tracks, "/".join(_tail(contents.images[image])))


def _tail(image: str) -> list[str]:
    """Sequence and number: what tells a picture from its neighbours."""
    return [part for part in image.split("/")[-4:] if part not in ("images", "img1")]
