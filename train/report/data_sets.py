"""The data sets of a run as MLflow knows them: name, digest and counts."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fairmot.data.index import LabelIndex

if TYPE_CHECKING:
    from fairmot.evaluation.sequences import GroundTruthSequence  # with SciPy: a rank that only trains needs neither

_DIGEST_LETTERS = 32  # of SHA-256; MLflow takes 36
_LONGEST_NAME = 500


@dataclass(frozen=True)
class DataSet:
    """What a run trains or validates on.

    Attributes:
        name: of the data set.
        context: training or validation.
        source: where it lies, as the configuration says it.
        digest: the same digest, the same labels.
        counts: how much of what it holds.
    """

    name: str
    context: str
    source: str
    digest: str
    counts: dict[str, int]

    def as_texts(self) -> dict[str, str]:
        """All but the name, for the record."""
        texts = {"context": self.context, "source": self.source, "digest": self.digest}
        return texts | {"counts": json.dumps(self.counts)}


def training_sets(index: LabelIndex, source: str) -> list[DataSet]:
    """The data sets of the mix, each with a digest of its own: that of its pictures' names and their labels."""
    sets = []
    for position, row in enumerate(index.summary()):
        begin, end = (int(number) for number in index.image_starts[position : position + 2])
        rows = index.row_offsets[begin : end + 1]
        labels = (rows - rows[0], index.rows[rows[0] : rows[-1]])
        counts = {key: int(value) for key, value in row.items() if key != "name"}
        digest = _digest(list(index.image_paths[begin:end]), labels)
        sets.append(DataSet(str(row["name"])[:_LONGEST_NAME], "training", source, digest, counts))
    return sets


def validation_set(sequences: "Iterable[GroundTruthSequence]", name: str, source: str) -> DataSet:
    """All validation sequences as one data set, since their scores are counted together.

    Args:
        sequences: their ground truth, of the frames that are tracked.
        name: of the whole.
        source: where it lies.
    """
    truths = {each.name: each.counted() for each in sequences}
    columns = [column for rows in truths.values() for column in (rows.frames, rows.ids, rows.boxes_xywh)]
    counts = {
        "sequences": len(truths),
        "frames": sum(len(np.unique(rows.frames)) for rows in truths.values()),
        "boxes": sum(len(rows) for rows in truths.values()),
        "identities": sum(len(np.unique(rows.ids)) for rows in truths.values()),
    }
    return DataSet(name[:_LONGEST_NAME], "validation", source, _digest(list(truths), columns), counts)


def _digest(names: list[str], arrays: Iterable[np.ndarray]) -> str:
    state = hashlib.sha256(json.dumps(names).encode())
    for array in arrays:
        state.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return state.hexdigest()[:_DIGEST_LETTERS]
