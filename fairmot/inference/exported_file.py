"""The files that `python -m fairmot.export` writes: the graph, what must be known of it, and a seal over both.

    <name>.onnx or <name>.mindir
        the network and its decoder, one graph
        what the rest of the program must know of it: JSON, an entry of the format's own table of metadata
        sha256 of everything before it: another entry, whose 64 digits are the file's last bytes

Both formats are protobuf with a table of texts in field 14, and the fields of a protobuf message may follow each other
in any order. So both stay files that other programs read, and a damaged one is known before any of them tries. The
formats' own readers show the metadata only after they have parsed everything, and a file beside it would get lost.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fairmot.errors import CheckpointError

FORMAT_VERSION = 1
INPUT = "image"
OUTPUTS = ("boxes_xyxy", "scores", "classes", "embeddings", "cells")

MINDIR, ONNX = ".mindir", ".onnx"
INSTALL = "pip install onnx onnxruntime"

_METADATA_FIELD = b"\x72"  # number 14, of a length and so many bytes
_KEY_FIELD, _VALUE_FIELD = b"\x0a", b"\x12"  # numbers 1 and 2
_DIGEST_LENGTH = 64


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


def sealed(graph: bytes, description: Description) -> bytes:
    """The content of an exported file.

    Args:
        graph: a serialised ONNX or MINDIR model.
        description: of it.
    """
    said = json.dumps({"format_version": FORMAT_VERSION, **asdict(description)})
    content = graph + _entry("fairmot", said) + _entry("sha256", "0" * _DIGEST_LENGTH)[:-_DIGEST_LENGTH]
    return content + hashlib.sha256(content).hexdigest().encode()


def _entry(key: str, value: str) -> bytes:
    """One text of the table of metadata, as protobuf."""
    inner = b"".join(
        field + _length(text) + text.encode() for field, text in ((_KEY_FIELD, key), (_VALUE_FIELD, value))
    )
    return _METADATA_FIELD + _length(inner) + inner


def _length(text: str | bytes) -> bytes:
    """As protobuf writes numbers: seven bits a byte, the lowest first, the eighth bit says that more follow."""
    left, written = len(text), bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*written, left])


def read_description(path: Path) -> Description:
    """What an exported file says of itself.

    Raises:
        CheckpointError: it is not there, damaged, of another program or of a newer version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    body, digest = content[:-_DIGEST_LENGTH], content[-_DIGEST_LENGTH:]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise CheckpointError(
            f"{path}: not as `python -m fairmot.export` wrote it: cut off, damaged, changed or of another program; "
            "copy it again or export the checkpoint anew"
        )
    said = body[body.rindex(b'{"format_version"') : -len(_entry("sha256", "0" * _DIGEST_LENGTH)) + _DIGEST_LENGTH]
    fields = json.loads(said)
    version = fields.pop("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{path}: format version {version}, this program reads version {FORMAT_VERSION}")
    description = Description(**{**fields, "input_size_hw": tuple(fields["input_size_hw"])})
    if path.suffix != description.ending:
        raise CheckpointError(f"{path}: holds a {description.ending} file; give its name that ending")
    return description
