"""Reading checkpoint directories: by the trainer that resumes and by everything that only wants the network.

    <run_dir>/checkpoints/step_00000120/
        network.safetensors     weights and batch-norm buffers, loadable alone for inference
        loss.safetensors        classifier, s_det, s_id
        optimizer.safetensors   moments, step counters, loss scale
        ema.safetensors         the network with averaged weights, where optim.ema_decay keeps them
        checkpoint.json         format version, progress, identities, seed, model, MLflow run, digests of the files
        config.yaml             the composed configuration
    <run_dir>/checkpoints/latest    name of the newest one, moved last

A directory gets its name only once it is whole (see train.checkpoint).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from fairmot.errors import CheckpointError

FORMAT_VERSION = 1
GROUPS = ("network", "loss", "optimizer")
"""The tensor files that every checkpoint has, without their ending."""
EMA = "ema"
"""The tensor file of a checkpoint whose run averages weights."""

MANIFEST = "checkpoint.json"

Tensors = dict[str, np.ndarray]

_NAMES_SHOWN = 8


@dataclass
class Checkpoint:
    """A whole checkpoint, read lazily.

    Attributes:
        path: its directory.
        manifest: the content of checkpoint.json.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def groups(self) -> tuple[str, ...]:
        """GROUPS, and EMA where there is one."""
        return (*GROUPS, EMA) if f"{EMA}.safetensors" in self.manifest["files"] else GROUPS

    def network_to_use(self) -> Tensors:
        """The network for anything but further training: with averaged weights where the run kept them."""
        return self.tensors(EMA if EMA in self.groups else "network")

    def tensors(self, group: str) -> Tensors:
        """The arrays of one of `groups` by name.

        Raises:
            CheckpointError: the file is missing or its content is not what was saved.
        """
        path = self.path / f"{group}.safetensors"
        recorded = self.manifest["files"][path.name]
        try:
            if path.stat().st_size == recorded["bytes"] and digest(path) == recorded["sha256"]:
                return load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: cannot be read ({error})") from error
        raise CheckpointError(
            f"{path}: not the file that was saved (size or sha256 differ from {MANIFEST}); copy it again or start "
            "from an older checkpoint by resume_from="
        )


def read_checkpoint(path: Path) -> Checkpoint:
    """Open a checkpoint directory, or the newest one of a run directory.

    Raises:
        CheckpointError: there is none, it is not whole, or a newer version wrote it.
    """
    if not (path / MANIFEST).is_file():
        newest = whole_checkpoints(path / "checkpoints" if (path / "checkpoints").is_dir() else path)
        if not newest:
            raise CheckpointError(f"{path}: no checkpoint there; give a step_... directory or the run directory above")
        path = newest[-1]
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        version = manifest["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path / MANIFEST}: cannot be read ({error})") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{path}: format version {version}, this program reads version {FORMAT_VERSION}")
    return Checkpoint(path, manifest)


def whole_checkpoints(directory: Path) -> list[Path]:
    """Checkpoints below a run's checkpoints folder, oldest first. A name appears only once it is whole."""
    return sorted(path for path in directory.glob("step_*") if (path / MANIFEST).is_file())


def digest(path: Path) -> str:
    """Sha256 of a file, read in blocks: a mapped or whole file would count as this process's memory."""
    summed = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            summed.update(block)
    return summed.hexdigest()


def tensor_differences(wanted: Mapping[str, tuple[int, ...]], found: Tensors) -> list[str]:
    """What keeps saved arrays from filling parameters, in words.

    Args:
        wanted: shape of each parameter by name.
        found: the saved arrays.

    Returns:
        Nothing when names and shapes agree.
    """
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted]
    shapes = [
        f"{name} {list(found[name].shape)} here {list(shape)}"
        for name, shape in wanted.items()
        if name in found and shape != found[name].shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("other shape", shapes))
    return [f"{len(names)} {kind}: {shortened(names)}" for kind, names in kinds if names]


def shortened(names: list[str]) -> str:
    """The first few of them, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
