"""Running the files that `python -m fairmot.export` writes, and telling them from checkpoints.

    <name>.onnx or <name>.mindir
        the network and its decoder, one graph
        what the rest of the program must know of it: JSON, an entry of the format's own table of metadata
        sha256 of everything before it: another entry, whose 64 digits are the file's last bytes

Both formats are protobuf with a table of texts in field 14, and the fields of a protobuf message may follow each other
in any order. So both stay files that other programs read, and a damaged one is known before any of them tries.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from fairmot.device import Device, use_device
from fairmot.errors import CheckpointError, ConfigError, FairMOTError
from fairmot.inference.detector import Detector
from fairmot.inference.network import MAX_OBJECTS, NetworkDetector

FORMAT_VERSION = 1
INPUT = "image"
OUTPUTS = ("boxes_xyxy", "scores", "classes", "embeddings", "cells")

MINDIR, ONNX = ".mindir", ".onnx"
INSTALL = "pip install onnx onnxruntime"

_METADATA_FIELD = b"\x72"  # number 14, of a length and so many bytes
_KEY_FIELD, _VALUE_FIELD = b"\x0a", b"\x12"  # numbers 1 and 2
_DIGEST_LENGTH = 64
Run = Callable[[np.ndarray], list[np.ndarray]]
"""Uint8 [B, H, W, 3] RGB -> OUTPUTS."""


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


class ExportedDetector(Detector):
    """Finds objects by an exported file."""

    def __init__(self, description: Description, run: Run, max_objects: int, batch_size: int) -> None:
        """Wrap a graph that is ready to run; `open_exported` makes one of a file.

        Args:
            description: of the graph.
            run: the graph.
            max_objects: objects taken from a picture, if the graph gives as many.
            batch_size: pictures that go through it together.
        """
        super().__init__(description.input_size_hw, description.down_ratio, batch_size, description.num_classes)
        self._run = run
        self._max_objects = max_objects

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """See Detector."""
        return [output[:, : self._max_objects] for output in self._run(batch)]


def open_exported(path: Path, device: Device, *, max_objects: int, batch_size: int) -> ExportedDetector:
    """Load a file of fairmot.export.

    Args:
        path: the file.
        device: where to run.
        max_objects: objects taken from a picture, if the file gives as many.
        batch_size: pictures that go through it together.

    Raises:
        CheckpointError: it cannot be loaded.
        ConfigError: it takes another batch size, cannot run there, or a package is missing.
    """
    description = read_description(path)
    if description.batch_size not in (None, batch_size):
        raise ConfigError(
            f"batch_size={batch_size}: {path} takes {description.batch_size} pictures at once; say "
            f"batch_size={description.batch_size}, or export the checkpoint with batch_size={batch_size}"
        )
    run = _onnx_run(path, device) if description.ending == ONNX else _mindir_run(path, device)
    return ExportedDetector(description, run, max_objects, batch_size)


def open_detector(
    path: Path, device: Device = Device.cpu, *, max_objects: int = MAX_OBJECTS, batch_size: int = 1
) -> Detector:
    """A detector from whatever holds a trained network.

    Args:
        path: a checkpoint or run directory, or a file of fairmot.convert or fairmot.export.
        device: where to run.
        max_objects: objects taken from a picture.
        batch_size: pictures that go through the network together.

    Raises:
        CheckpointError: it cannot be used.
        ConfigError: it cannot run there or with this batch size, or a package is missing.
    """
    path = path.expanduser()
    opened: Any = (
        open_exported if path.suffix in (MINDIR, ONNX) and not path.is_dir() else NetworkDetector.from_checkpoint
    )
    return opened(path, device, max_objects=max_objects, batch_size=batch_size)


def _onnx_run(path: Path, device: Device) -> Run:
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"{path}: onnxruntime is not installed: {INSTALL}") from error
    if device is not Device.cpu:
        raise ConfigError(f"device={device.value}: ONNX files run on the CPU here; docs/export.md says how on Ascend")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise CheckpointError(f"{path}: onnxruntime {onnxruntime.__version__} cannot load it ({error})") from error

    def run(batch: np.ndarray) -> list[np.ndarray]:
        try:
            return session.run(list(OUTPUTS), {INPUT: batch})
        except Exception as error:
            raise FairMOTError(f"{path}: onnxruntime {onnxruntime.__version__} cannot run it ({error})") from error

    return run


def _mindir_run(path: Path, device: Device) -> Run:
    use_device(device)
    try:
        graph = nn.GraphCell(ms.load(str(path)))
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: MindSpore {ms.__version__} cannot load it ({reason})") from error
    return lambda batch: [output.asnumpy() for output in graph(Tensor(batch))]
