"""One .safetensors file that holds weights alone and says of which network: what `python -m fairmot.convert` writes.

Its tensors have the names of network.safetensors in a checkpoint; a classifier that came with them stands beside them
as loss.classifier.weight, loss.classifier.bias, loss.s_det, loss.s_id. Its header says what checkpoint.json would.
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fairmot.errors import LONGEST_REASON, CheckpointError, excerpt
from fairmot.files import open_bounded
from fairmot.json_files import parse_json
from fairmot.weights.checkpoint import FORMAT_VERSION, Checkpoint, Tensors, read_checkpoint
from fairmot.weights.named import located

_HEADER_KEY = "fairmot"
_LOSS = "loss."
_MOST_BYTES = 16 << 30
_MOST_HEADER_BYTES = 4 << 20  # a network of a thousand tensors has 0.1 MB


@dataclass
class WeightsFile(Checkpoint):
    """Such a file, read whole.

    Attributes:
        path: the file.
        manifest: model, num_classes, input_size and progress as in checkpoint.json; empty where the file does not say.
        held: its tensors.
    """

    held: Tensors

    @property
    def says(self) -> str:
        """Where the manifest stands, for messages."""
        return f"{self.path}: its header"

    @property
    def groups(self) -> tuple[str, ...]:
        """The network, and the loss where there is one."""
        return ("network", "loss") if any(name.startswith(_LOSS) for name in self.held) else ("network",)

    @property
    def file_to_use(self) -> Path:
        """Where `network_to_use` lies: in this very file."""
        return self.path

    def tensors(self, group: str) -> Tensors:
        """The arrays of one of `groups` by name."""
        if group == "loss":
            return {name.removeprefix(_LOSS): array for name, array in self.held.items() if name.startswith(_LOSS)}
        return {name: array for name, array in self.held.items() if not name.startswith(_LOSS)}


def read_weights_file(path: Path) -> WeightsFile:
    """Open a .safetensors file; one without our header has an empty manifest.

    Raises:
        CheckpointError: it cannot be read, or a newer version wrote it.
    """
    try:
        with open_bounded(path, _MOST_BYTES) as stream:
            if (said := int.from_bytes(stream.read(8), "little")) > _MOST_HEADER_BYTES:
                raise ValueError(f"a header of {said} bytes, and the limit is {_MOST_HEADER_BYTES}")
        with safe_open(path, "numpy") as file:
            header = (file.metadata() or {}).get(_HEADER_KEY, "{}")
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path}: not a readable .safetensors file ({excerpt(str(error), LONGEST_REASON)})"
        ) from error
    manifest = parse_json(header, dict[str, Any], lambda why: CheckpointError(f"{path}: its header: {why}"))
    weights = WeightsFile(path, manifest, held)
    version = weights.may_say("format_version", int)
    if version not in (None, FORMAT_VERSION):
        raise CheckpointError(f"{path}: format version {version}, this program reads version {FORMAT_VERSION}")
    return weights


def weights_file(tensors: Tensors, manifest: dict[str, Any]) -> bytes:
    """The content of such a file.

    Args:
        tensors: the network's, and the loss's with "loss." before their names.
        manifest: see `WeightsFile`.
    """
    return save(tensors, {_HEADER_KEY: json.dumps({"format_version": FORMAT_VERSION, **manifest}, sort_keys=True)})


def open_weights(path: Path) -> Checkpoint:
    """What a trained network is loaded from: a checkpoint (see `located`) or a converted file.

    Raises:
        CheckpointError: there is none, it cannot be read, or the file does not say of which network it is.
    """
    path = located(path)
    if not path.is_file():
        return read_checkpoint(path)
    weights = read_weights_file(path)
    if "model" not in weights.manifest:
        source = shlex.quote(f"source={path}")
        raise CheckpointError(
            f"{path}: does not say of which network it is; give the checkpoint directory it lies in, or make a file "
            f"that does: python -m fairmot.convert {source} output=NEW.safetensors model=NETWORK"
        )
    return weights
