"""MOTChallenge text files: one box a row, numbers separated by commas; `number_table` reads others' dialects of it.

    results                  frame,id,x,y,w,h,confidence,-1,-1,-1
    results of many classes  frame,id,x,y,w,h,confidence,class,-1,-1
    detections               frame,-1,x,y,w,h,confidence                (MOT15 has three columns more)
    ground truth, MOT16-20   frame,id,x,y,w,h,flag,class,visibility
    ground truth, MOT15      frame,id,x,y,w,h,flag,X,Y,Z               (world coordinates, which nothing here reads)

Frames count from 1; x, y is the box's left top corner; a box whose flag is 0 does not count, one whose id is -1 has no
identity.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from fairmot.errors import DataError
from fairmot.files import write_atomic
from fairmot.mot.number_table import are_integers, read_table
from fairmot.structures import Tracks

RESULT_COLUMNS = range(6, 11)
DETECTION_COLUMNS = range(7, 11)
GT_COLUMNS_WITH_CLASS = 9
GT_COLUMNS_WITHOUT_CLASS = 10
GT_COLUMNS = (GT_COLUMNS_WITH_CLASS, GT_COLUMNS_WITHOUT_CLASS)
NOT_GIVEN = -1
NO_IDENTITY = -1
LARGEST_FRAME = 99_999_999
"""Eight digits, five weeks of video; what is larger is a time."""
_CONFIDENCE, _CLASS, _VISIBILITY = 6, 7, 8
_RESULT_LAYOUT = "frame,id,x,y,w,h,confidence,-1,-1,-1"
_DETECTION_LAYOUT = "frame,-1,x,y,w,h,confidence"
_GT_LAYOUT = "frame,id,x,y,w,h,flag,class,visibility"


@dataclass
class MotRows:
    """The rows of one sequence's file, one array a column; N rows in any order.

    Attributes:
        frames: int64 [N], from 1.
        ids: int64 [N].
        boxes_xywh: float64 [N, 4], image pixels.
        scores: float64 [N]; confidence of a result, flag (0 = ignore) of ground truth.
        classes: int64 [N] from 1, which is a pedestrian in MOTChallenge; -1 where the file does not say.
        visibility: float64 [N], 0 to 1; -1 where the file has no such column.
    """

    frames: np.ndarray
    ids: np.ndarray
    boxes_xywh: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    visibility: np.ndarray

    def __post_init__(self) -> None:
        """Refuse columns of different lengths (ValueError)."""
        if self.boxes_xywh.shape != (len(self), 4):
            raise ValueError(f"boxes_xywh: shape {self.boxes_xywh.shape}, expected {(len(self), 4)} like frames")
        for field in fields(self):
            column = getattr(self, field.name)
            if len(column) != len(self):
                raise ValueError(f"{field.name}: {len(column)} rows, but frames has {len(self)}")

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.frames)

    def select(self, rows: np.ndarray) -> "MotRows":
        """The given rows (bool [N] or indices), as copies."""
        return MotRows(*(getattr(self, field.name)[rows] for field in fields(self)))


def class_column(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """What results say of classes that count from 0: class + 1, or nothing (-1) where there is but one class."""
    return np.where(num_classes > 1, np.asarray(classes) + 1, NOT_GIVEN)


def track_table(number: int, tracks: Tracks) -> np.ndarray:
    """A frame's tracks as a table: float64 [T, 8], frame, id, left, top, right, bottom, score, class from 0."""
    return np.column_stack([np.full(len(tracks), number), tracks.ids, tracks.boxes_xyxy, tracks.scores, tracks.classes])


def track_rows(number: int, tracks: Tracks, num_classes: int) -> np.ndarray:
    """The same as results have it: float64 [T, 8], frame, id, x, y, w, h, score, class (see `class_column`)."""
    table = track_table(number, tracks)
    table[:, 4:6] -= table[:, 2:4]
    table[:, 7] = class_column(table[:, 7], num_classes)
    return table


def result_rows(
    frames: np.ndarray, ids: np.ndarray, boxes_xywh: np.ndarray, scores: np.ndarray, classes: np.ndarray | None = None
) -> MotRows:
    """A tracker's output as rows; empty arrays make a valid empty result.

    Args:
        frames: [N] from 1.
        ids: [N], 0 or more.
        boxes_xywh: [N, 4], image pixels.
        scores: [N].
        classes: [N] from 1, -1 where not given; None: given nowhere.
    """
    count = len(frames)
    return MotRows(
        np.asarray(frames, np.int64),
        np.asarray(ids, np.int64),
        np.asarray(boxes_xywh, np.float64).reshape(count, 4),
        np.asarray(scores, np.float64),
        np.full(count, NOT_GIVEN, np.int64) if classes is None else np.asarray(classes, np.int64),
        np.full(count, NOT_GIVEN, np.float64),
    )


@dataclass(frozen=True)
class TruthFile:
    """A file of ground truth.

    Attributes:
        path: the file.
        rows: all of it; frames as they stand there, which may count from 0; ids from -1, which is no identity.
        lines: of each row.
        has_classes: it has a column of classes, and not only -1 in it.
    """

    path: Path
    rows: MotRows
    lines: list[int]
    has_classes: bool

    def place(self, row: int) -> str:
        """Where a row stands: `<file>:<line>`."""
        return f"{self.path}:{self.lines[row]}"


def read_results(path: str | Path) -> MotRows:
    """Read a tracker's output of 6 to 10 columns. An empty file is an empty result.

    Without its column the confidence is 1; what is no integer from 1 on is no class.

    Raises:
        DataError: the file cannot be read, or a row cannot be used; the message names `path:line`.
    """
    values, lines = read_table(Path(path), RESULT_COLUMNS, _RESULT_LAYOUT)
    width = values.shape[1]
    scores = values[:, _CONFIDENCE] if width > _CONFIDENCE else np.ones(len(values))
    classes = values[:, _CLASS] if width > _CLASS else np.full(len(values), NOT_GIVEN)
    is_class = (classes >= 1) & are_integers(classes)
    rows = result_rows(values[:, 0], values[:, 1], values[:, 2:6], scores, np.where(is_class, classes, NOT_GIVEN))
    _refuse_faults(Path(path), rows, lines, sized=np.ones(len(rows), bool))
    return rows


def read_detection_rows(path: str | Path) -> MotRows:
    """Read a detector's det.txt of 7 to 10 columns; nobody has an identity there. An empty file holds no detection.

    Raises:
        DataError: the file cannot be read, or a row cannot be used; the message names `path:line`.
    """
    values, lines = read_table(Path(path), DETECTION_COLUMNS, _DETECTION_LAYOUT)
    rows = result_rows(values[:, 0], np.full(len(values), NO_IDENTITY), values[:, 2:6], values[:, _CONFIDENCE])
    _refuse_faults(Path(path), rows, lines, sized=np.ones(len(rows), bool), least_id=NO_IDENTITY)
    return rows


def read_ground_truth(path: str | Path) -> MotRows:
    """The rows of `read_truth_file`."""
    return read_truth_file(path).rows


def read_truth_file(path: str | Path, columns: tuple[int, ...] = GT_COLUMNS) -> TruthFile:
    """Read a gt.txt of 9 columns (MOT16, MOT17, MOT20) or of 10 columns (MOT15, which has no classes).

    Args:
        path: the file.
        columns: how many of them it may have.

    Raises:
        DataError: the file cannot be read, or a row cannot be used; the message names `path:line`.
    """
    values, lines = read_table(Path(path), columns, _GT_LAYOUT)
    rows = result_rows(values[:, 0], values[:, 1], values[:, 2:6], values[:, _CONFIDENCE])
    if values.shape[1] == GT_COLUMNS_WITH_CLASS:
        faulty = np.flatnonzero(~are_integers(values[:, _CLASS]))
        if len(faulty):
            raise DataError(f"{path}:{lines[faulty[0]]}: class {values[faulty[0], _CLASS]:g} must be an integer")
        rows.classes, rows.visibility = values[:, _CLASS].astype(np.int64), values[:, _VISIBILITY]
    _refuse_faults(Path(path), rows, lines, sized=rows.scores != 0, least_frame=0, least_id=NO_IDENTITY)
    return TruthFile(Path(path), rows, lines, has_classes=bool((rows.classes != NOT_GIVEN).any()))


def ground_truth_text(rows: MotRows, visibility_decimals: int | None = None) -> str:
    """The text of a gt.txt in the rows' order: of 9 columns, or of 10 where the rows have no classes.

    Args:
        rows: their scores are the flags.
        visibility_decimals: of the visibility, pixels then have two; None: all numbers as long as they are.
    """
    pixels, share = (".10g", ".10g") if visibility_decimals is None else (".2f", f".{visibility_decimals}f")
    ends = [
        f"{class_id},{visibility:{share}}" if class_id != NOT_GIVEN else "-1,-1,-1"
        for class_id, visibility in zip(rows.classes.tolist(), rows.visibility.tolist(), strict=True)
    ]
    return "".join(
        f"{frame},{identity},{x:{pixels}},{y:{pixels}},{w:{pixels}},{h:{pixels}},{flag:.0f},{end}\n"
        for frame, identity, (x, y, w, h), flag, end in zip(
            rows.frames, rows.ids, rows.boxes_xywh, rows.scores, ends, strict=True
        )
    )


def write_results(path: str | Path, rows: MotRows) -> None:
    """Write a tracker's output whole or not at all, ordered by frame and id; pixels keep three decimals.

    Raises:
        ValueError: a row that `read_results` would refuse.
        OSError: the folder or the disk refuses.
    """
    boxes_xywh, scores = np.round(rows.boxes_xywh, 3), np.round(rows.scores, 4)
    rounded = result_rows(rows.frames, rows.ids, boxes_xywh, scores)
    fault = first_fault(rounded, sized=np.ones(len(rows), bool))
    if fault:
        raise ValueError(f"results for {path}: row {fault[0]}: {fault[1]}")
    text = []
    for row in np.lexsort((rows.ids, rows.frames)):
        x, y, width, height = boxes_xywh[row]
        text.append(
            f"{rows.frames[row]},{rows.ids[row]},{x:.3f},{y:.3f},{width:.3f},{height:.3f},{scores[row]:.4f},"
            f"{rows.classes[row]},-1,-1\n"
        )
    write_atomic(path, "".join(text))


def first_fault(rows: MotRows, sized: np.ndarray, least_frame: int = 1, least_id: int = 0) -> tuple[int, str] | None:
    """The first row that no sequence may contain, and what is wrong with it; None when all are usable.

    Args:
        rows: N rows.
        sized: bool [N]; these boxes must have a positive width and height.
        least_frame: the lowest number a frame may have.
        least_id: the lowest id.
    """
    finite = np.isfinite(rows.boxes_xywh).all(1) & np.isfinite(rows.scores)
    checks = (
        (~finite, "not a finite number"),
        (rows.frames < least_frame, f"frame {{frame}} is below {least_frame}; frames count from 1"),
        (rows.frames > LARGEST_FRAME, f"frame {{frame}} is above {LARGEST_FRAME}; frames count from 1"),
        (rows.ids < least_id, "id {id} is negative: this box has no identity"),
        (sized & (rows.boxes_xywh[:, 2:] <= 0).any(1), "width and height must be positive, not {width:g} x {height:g}"),
    )
    faults = [(int(np.argmax(faulty)), message) for faulty, message in checks if faulty.any()]
    duplicate = _first_duplicate(rows)
    if duplicate:
        faults.append((duplicate[1], "id {id} appears twice in frame {frame}"))
    if not faults:
        return None
    row, message = min(faults)
    width, height = rows.boxes_xywh[row, 2:]
    return row, message.format(frame=rows.frames[row], id=rows.ids[row], width=width, height=height)


def _first_duplicate(rows: MotRows) -> tuple[int, int] | None:
    """The two rows (first, second) that hold the same id in the same frame, the earliest second one."""
    order = np.lexsort((rows.ids, rows.frames))  # stable: of equal rows the earlier stays first
    same = (np.diff(rows.frames[order]) == 0) & (np.diff(rows.ids[order]) == 0) & (rows.ids[order][1:] >= 0)
    pairs = [(int(order[k + 1]), int(order[k])) for k in np.flatnonzero(same)]
    if not pairs:
        return None
    second, first = min(pairs)
    return first, second


def _refuse_faults(
    path: Path, rows: MotRows, lines: list[int], sized: np.ndarray, least_frame: int = 1, least_id: int = 0
) -> None:
    fault = first_fault(rows, sized, least_frame, least_id)
    if fault is None:
        return
    row, message = fault
    duplicate = _first_duplicate(rows)
    if duplicate and duplicate[1] == row:
        message += f", first on line {lines[duplicate[0]]}"
    raise DataError(f"{path}:{lines[row]}: {message}")
