"""Rows that can be used, one by one, and still are wrong, alone or together."""

from collections.abc import Iterator

import numpy as np

from fairmot.data.labels import outside_image
from fairmot.prepare.check.contents import Contents
from fairmot.prepare.check.findings import Finding, Kind

_GAPS_SHOWN = 8
_MARGIN_PX = 0.01  # labels are written with six decimals


def check_rows(contents: Contents) -> Iterator[Finding]:
    """Findings on boxes, repeated rows and identities."""
    yield from _boxes(contents)
    yield from _repeated(contents)
    yield from dict.fromkeys(_two_classes(contents))  # several lists may name an image
    yield from _gaps(contents)


def _boxes(contents: Contents) -> Iterator[Finding]:
    sizes_px = contents.rows[:, 4:] * contents.sizes_hw[contents.row_images][:, ::-1]
    unknown = (contents.sizes_hw[contents.row_images] == 0).any(1)
    least_px = np.where(unknown, 0.0, 1.0 - _MARGIN_PX)[:, None]
    flat = ((sizes_px < least_px) | (contents.rows[:, 4:] <= 0)).any(1)
    for row in np.flatnonzero(flat):
        width, height = contents.rows[row, 4:]
        in_px = "" if unknown[row] else f" ({sizes_px[row, 0]:.2f} x {sizes_px[row, 1]:.2f} pixels)"
        yield _at(contents, Kind.box_without_area, row, f"box size {width:.6f} x {height:.6f}{in_px}")
    for row in np.flatnonzero(outside_image(contents.rows)):
        x, y, width, height = contents.rows[row, 2:]
        message = f"a box of {width:.4f} x {height:.4f} around {x:.4f}, {y:.4f} does not meet its image"
        yield _at(contents, Kind.box_outside, row, message)


def _repeated(contents: Contents) -> Iterator[Finding]:
    """Rows, then identities, that an image has more than once; each but the first is a finding."""
    images, rows = contents.row_images, contents.rows
    order = np.lexsort((*rows.T[::-1], images))  # stable: equal rows stay in the order of their lines
    same = (images[order][1:] == images[order][:-1]) & (rows[order][1:] == rows[order][:-1]).all(1)
    repeated = np.zeros(len(rows), bool)
    repeated[order[1:][same]] = True
    for row, first in _with_first(order, same):
        yield _at(contents, Kind.row_twice, row, f"the same as line {contents.row_lines[first]}")
    single = np.flatnonzero(~repeated & (rows[:, 1] >= 0))
    order = single[np.lexsort((rows[single, 1], images[single]))]
    same = (images[order][1:] == images[order][:-1]) & (rows[order][1:, 1] == rows[order][:-1, 1])
    for row, first in _with_first(order, same):
        message = f"id {rows[row, 1]:.0f} has another box in line {contents.row_lines[first]}"
        yield _at(contents, Kind.identity_twice, row, message)


def _with_first(order: np.ndarray, same: np.ndarray) -> Iterator[tuple[int, int]]:
    """(row, first row of its run) for each row in `order` that is the same as the one before it."""
    repeats = np.flatnonzero(same) + 1
    starts = np.flatnonzero(np.append(True, ~same))
    firsts = starts[np.searchsorted(starts, repeats, side="right") - 1]
    yield from zip(order[repeats].tolist(), order[firsts].tolist(), strict=True)


def _two_classes(contents: Contents) -> Iterator[Finding]:
    """An identity is one object: ids count over all classes of a data set."""
    for members in contents.members:
        rows = contents.identified_rows(members)
        _, firsts, which = np.unique(contents.rows[rows, 1], return_index=True, return_inverse=True)
        classes = contents.rows[rows, 0]
        for other in np.flatnonzero(classes != classes[firsts][which]):
            first = rows[firsts[which[other]]]
            place = f"{contents.label_file(contents.row_images[first])}:{contents.row_lines[first]}"
            identity, class_here, class_there = contents.rows[rows[other], 1], classes[other], contents.rows[first, 0]
            message = f"id {identity:.0f} is of class {class_here:.0f} here and of class {class_there:.0f} in {place}"
            yield _at(contents, Kind.identity_of_two_classes, rows[other], message)


def _gaps(contents: Contents) -> Iterator[Finding]:
    """Numbers from 0 to the largest id that no box of a list for training bears; a finding a list."""
    for item, members in zip(contents.lists, contents.members, strict=True):
        used = np.unique(contents.identities(members))
        if item.held_out or not len(used):
            continue
        unused = int(used[-1]) + 1 - len(used)
        if unused:
            message = f"{unused} of {used[-1] + 1} ids are never used: {_gaps_as_text(used)}"
            yield Finding(Kind.identity_gap, item.path, 0, message)


def _gaps_as_text(used: np.ndarray) -> str:
    """What sorted integers leave out, counted from 0, in short: 3, 7-9, and dots where there is more."""
    before = np.append(-1, used[:-1])
    gaps = np.flatnonzero(used - before > 1)
    spans = [(int(before[gap]) + 1, int(used[gap]) - 1) for gap in gaps[:_GAPS_SHOWN]]
    texts = [str(start) if start == end else f"{start}-{end}" for start, end in spans]
    return ", ".join([*texts, "..."] if len(gaps) > _GAPS_SHOWN else texts)


def _at(contents: Contents, kind: Kind, row: int | np.integer, message: str) -> Finding:
    return Finding(kind, contents.label_file(int(contents.row_images[row])), int(contents.row_lines[row]), message)
