"""The files that `python -m fairmot.export` writes: the graph, and beside it what must be known of it.

    <name>.onnx or <name>.mindir              network and decoder, one graph, an ordinary file of its format
    <name>.onnx.json or <name>.mindir.json    the Description, the graph's sha256, and a digest of this file

The sha256 tells a damaged or foreign graph before a parser of its format tries it.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairmot.errors import CheckpointError, excerpt
from fairmot.files import open_bounded, write_atomic
from fairmot.input_size import check_input_size
from fairmot.json_files import as_shape, is_intact, parse_json, read_json_bytes, sealed
from fairmot.weights.checkpoint import digest as digest_of

FORMAT_VERSION = 2
INPUT = "image"
OUTPUTS = ("boxes_xyxy", "scores", "classes", "embeddings", "cells")
EMBEDDING_MAP = "embedding_map"
"""One output more, of files that also tell the embeddings at places of our choice."""

MINDIR, ONNX = ".mindir", ".onnx"
_MOST_BYTES = 2 << 30  # of a file of ONNX or MINDIR, which are protocol buffers
INSTALL = "pip install onnx onnxruntime"


@dataclass(frozen=True)
class Description:
    """What must be known of an exported file.

    Attributes:
        ending: .mindir or .onnx.
        network: its name.
        input_size_hw: height and width of its input, pixels.
        batch_size: pictures it takes at once; None: any number.
        max_objects: objects it gives for a picture.
        down_ratio: input pixels to a cell, the unit of its boxes.
        num_classes: how many classes it tells apart.
        reid_dim: length of the embeddings.
        embedding_map: it gives EMBEDDING_MAP besides, .onnx alone.
    """

    ending: str
    network: str
    input_size_hw: tuple[int, int]
    batch_size: int | None
    max_objects: int
    down_ratio: int
    num_classes: int
    reid_dim: int
    embedding_map: bool = False

    def __post_init__(self) -> None:
        """Refuse what no export writes (ValueError)."""
        check_input_size("input_size_hw", self.input_size_hw)
        if self.ending not in (MINDIR, ONNX):
            raise ValueError(f"ending={self.ending}: must be {MINDIR} or {ONNX}")
        if self.embedding_map and self.ending != ONNX:
            raise ValueError(f"embedding_map=true: {self.ending} has none")
        for name in ("max_objects", "down_ratio", "num_classes", "reid_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be 1 or more")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size}: must be 1 or more, or null")


def description_path(graph_path: Path) -> Path:
    """Where the description of an exported graph lies: beside it."""
    return graph_path.with_name(f"{graph_path.name}.json")


def write_exported(path: Path, graph: bytes, description: Description) -> None:
    """Write a graph and its description. Until both are new, readers are told that they do not belong together.

    Args:
        path: of the graph.
        graph: a serialised ONNX or MINDIR model.
        description: of it.

    Raises:
        OSError: the disk refuses.
    """
    write_atomic(path, graph)
    digest = hashlib.sha256(graph).hexdigest()
    write_atomic(
        description_path(path), sealed({"format_version": FORMAT_VERSION, "sha256": digest, **asdict(description)})
    )


def read_description(path: Path) -> Description:
    """What is said of an exported graph, once its bytes are known to be those that were written.

    Raises:
        CheckpointError: it or its description is not there, damaged, of another program or of another version.
    """
    said_path = description_path(path)

    def missing(file: Path, why: str) -> CheckpointError:
        return CheckpointError(
            f"{file}: cannot be read ({why}); an exported network is two files, {path.name} and {said_path.name}: copy "
            "both, or export the checkpoint anew"
        )

    def strange(why: str) -> CheckpointError:
        return CheckpointError(
            f"{said_path}: not as `python -m fairmot.export` wrote it ({why}); export the checkpoint anew"
        )

    try:
        open_bounded(path, _MOST_BYTES).close()  # that it is one is seen before its digest, which takes longer
        digest = digest_of(path)
    except OSError as error:
        raise missing(path, error.strerror or str(error)) from error
    content = read_json_bytes(said_path, lambda why: missing(said_path, why))
    said: dict[str, Any] = parse_json(content, dict[str, Any], strange)
    version = said.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise strange(f"format version {excerpt(str(version))}, this program reads version {FORMAT_VERSION}")
    if not is_intact(content, said):
        raise strange("its digest does not fit")
    said.pop("digest", None)
    wanted = said.pop("sha256", None)
    description = as_shape(said, Description, strange)
    if digest != wanted:
        raise CheckpointError(
            f"{path}: not as `python -m fairmot.export` wrote it: cut off, damaged, changed or of another program; "
            "copy it again or export the checkpoint anew"
        )
    if path.suffix != description.ending:
        raise CheckpointError(f"{path}: holds a {description.ending} file; give its name that ending")
    return description
