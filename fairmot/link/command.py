"""Split and join finished tracks: python -m fairmot.link results=<folder> detections=<folder> output=<folder>."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from fairmot.detections.file import ENDING, read_detections
from fairmot.detections.sequence import SequenceDetections
from fairmot.errors import ConfigError, DataError
from fairmot.link.config import LinkCommandConfig, LinkConfig
from fairmot.link.embeddings import embeddings_of_rows
from fairmot.link.linking import Linked, link
from fairmot.mot.number_table import holds_rows
from fairmot.mot.rows import MotRows, read_results, result_rows, write_results
from fairmot.text_tables import aligned
from fairmot.tracking.interpolation import interpolate


def link_results(config: LinkCommandConfig) -> None:
    """Link every result and write it, and print what was done.

    Raises:
        ConfigError: results are there already, or would be replaced by their own.
        DataError: results or detections that cannot be used, are of different sequences, or have no embeddings.
    """
    output = Path(config.output).expanduser()
    paths = _results(Path(config.results).expanduser())
    for path in paths:
        written = output / path.name
        if written.resolve() == path.resolve():
            raise ConfigError(f"output={config.output}: the result would replace {path}; choose another folder")
        if written.exists() and not config.overwrite:
            raise ConfigError(f"output={config.output}: {written} exists; choose another or set overwrite=true")
    detections = Path(config.detections).expanduser()
    stored = {path.stem: detections / f"{path.stem}{ENDING}" if detections.is_dir() else detections for path in paths}
    found = {name: _with_embeddings(path) for name, path in stored.items()}
    lines = [["sequence", "tracks", "split", "joined", "tracks now"]]
    for path in tqdm(paths, unit="sequence", disable=None):
        rows = read_results(path)
        linked = _linked(path, rows, found[path.stem], config.link)
        mended = interpolate(linked.rows, config.interpolation)
        result = result_rows(mended[:, 0], mended[:, 1], mended[:, 2:6], mended[:, 6], mended[:, 7])
        try:
            write_results(output / path.name, result)
        except OSError as error:
            raise DataError(f"{output / path.name}: cannot be written ({error.strerror})") from error
        counts = len(np.unique(rows.ids)), linked.splits, linked.joins, len(np.unique(result.ids))
        lines.append([path.stem, *map(str, counts)])
    print("\n".join(aligned(lines, numbers=True)))
    print(f"wrote {output}")


def _results(place: Path) -> list[Path]:
    """The result files of a folder, or the one that is named."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(f"results={place}: not there; name a folder with <sequence>.txt files")
    paths = sorted(path for path in place.glob("*.txt") if path.name[0] != "." and holds_rows(path))
    if not paths:
        raise DataError(f"results={place}: no <sequence>.txt in this folder")
    return paths


def _with_embeddings(path: Path) -> SequenceDetections:
    found = read_detections(path)
    if not found.embedding_length:
        raise DataError(
            f"{path}: holds boxes without embeddings, and tracks are linked by these; store them with fairmot.track "
            "checkpoint=... store_detections=true"
        )
    return found


def _linked(path: Path, rows: MotRows, found: SequenceDetections, config: LinkConfig) -> Linked:
    embeddings = embeddings_of_rows(rows, found)
    if len(rows) and np.isnan(embeddings).all():
        raise DataError(
            f"{path}: not one of its boxes is near a detection of {found.place}: they are of another sequence"
        )
    table = np.column_stack([rows.frames, rows.ids, rows.boxes_xywh, rows.scores, rows.classes])
    return link(table, embeddings, config)
