"""The files that `python -m fairmot.export` writes: the graph, and beside it what must be known of it.

    <name>.onnx or <name>.mindir              network and decoder, one graph, an ordinary file of its format
    <name>.onnx.json or <name>.mindir.json    the Description, and the graph's sha256

The digest tells a damaged or foreign graph before a parser of its format tries it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fairmot.errors import CheckpointError
from fairmot.files import open_bounded, write_atomic, write_json_atomic
from fairmot.weights.checkpoint import digest as digest_of

FORMAT_VERSION = 2
INPUT = "image"
OUTPUTS = ("boxes_xyxy", "scores", "classes", "embeddings", "cells")

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
    """

    ending: str
    network: str
    input_size_hw: tuple[int, int]
    batch_size: int | None
    max_objects: int
    down_ratio: int
    num_classes: int
    reid_dim: int


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
    said = {"format_version": FORMAT_VERSION, "sha256": digest, **asdict(description)}
    write_json_atomic(description_path(path), said)


def read_description(path: Path) -> Description:
    """What is said of an exported graph, once its bytes are known to be those that were written.

    Raises:
        CheckpointError: it or its description is not there, damaged, of another program or of another version.
    """
    said_path = description_path(path)
    try:
        with open_bounded(path, _MOST_BYTES):  # that it is one is seen before its description, its digest takes longer
            text = said_path.read_text(encoding="utf-8")
        digest = digest_of(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        missing = getattr(error, "filename", None) or said_path
        raise CheckpointError(
            f"{missing}: cannot be read ({reason}); an exported network is two files, {path.name} and "
            f"{said_path.name}: copy both, or export the checkpoint anew"
        ) from error
    try:
        fields = json.loads(text)
        version, wanted = fields.pop("format_version"), fields.pop("sha256")
        if version == FORMAT_VERSION:
            description = Description(**{**fields, "input_size_hw": tuple(fields["input_size_hw"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{said_path}: not as `python -m fairmot.export` wrote it; export the checkpoint anew"
        ) from error
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{said_path}: format version {version}, this program reads version {FORMAT_VERSION}")
    if digest != wanted:
        raise CheckpointError(
            f"{path}: not as `python -m fairmot.export` wrote it: cut off, damaged, changed or of another program; "
            "copy it again or export the checkpoint anew"
        )
    if path.suffix != description.ending:
        raise CheckpointError(f"{path}: holds a {description.ending} file; give its name that ending")
    return description
