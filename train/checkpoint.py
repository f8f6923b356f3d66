"""Checkpoint directories on disk: written beside, synced, renamed; half a one is never taken for a whole one.

<run_dir>/checkpoints/step_00000120/
    network.safetensors     weights and batch-norm buffers, loadable alone for inference
    loss.safetensors        classifier, s_det, s_id
    optimizer.safetensors   moments, step counters, loss scale
    checkpoint.json         format version, progress, identities, seed, model, MLflow run, digests of the files
    config.yaml             the composed configuration
<run_dir>/checkpoints/latest    name of the newest one, moved last
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fairmot.errors import CheckpointError
from fairmot.files import sync_directory, write_atomic

FORMAT_VERSION = 1
GROUPS = ("network", "loss", "optimizer")
"""The tensor files of a checkpoint, without their ending."""

_MANIFEST = "checkpoint.json"
_CONFIG = "config.yaml"
_LATEST = "latest"
_UNFINISHED = ".unfinished-"
_DOOMED = ".deleting-"

Tensors = dict[str, np.ndarray]


@dataclass
class Checkpoint:
    """A whole checkpoint, read lazily.

    Attributes:
        path: its directory.
        manifest: the content of checkpoint.json.
    """

    path: Path
    manifest: dict[str, Any]

    def tensors(self, group: str) -> Tensors:
        """The arrays of one of GROUPS by name.

        Raises:
            CheckpointError: the file is missing or its content is not what was saved.
        """
        path = self.path / f"{group}.safetensors"
        recorded = self.manifest["files"][path.name]
        try:
            content = path.read_bytes()
            if len(content) == recorded["bytes"] and _digest(content) == recorded["sha256"]:
                return load(content)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: cannot be read ({error})") from error
        raise CheckpointError(
            f"{path}: not the file that was saved (size or sha256 differ from {_MANIFEST}); copy it again or start "
            "from an older checkpoint by resume_from="
        )


def checkpoint_name(step: int) -> str:
    """step_00000120; names sort by step."""
    return f"step_{step:08d}"


def save_checkpoint(
    directory: Path,
    step: int,
    groups: Mapping[str, Tensors],
    manifest: Mapping[str, Any],
    config_yaml: str,
    keep: int,
    protect: frozenset[str] = frozenset(),
) -> Path:
    """Write one checkpoint, point `latest` at it and remove old ones.

    Args:
        directory: the run's checkpoints folder.
        step: optimiser steps done; names the checkpoint.
        groups: arrays of each of GROUPS.
        manifest: what else to remember; format version and file digests are added.
        config_yaml: the composed configuration.
        keep: how many of the newest stay.
        protect: names that stay besides.

    Returns:
        The checkpoint's directory.

    Raises:
        CheckpointError: the disk is full or the folder refuses; nothing half-written stays and older ones are whole.
    """
    final = directory / checkpoint_name(step)
    unfinished = directory / f"{_UNFINISHED}{final.name}-{os.getpid()}"
    try:
        unfinished.mkdir(parents=True)
        files = {}
        for group in GROUPS:
            content = save(groups[group], metadata={"format": f"fairmot-{group}"})
            write_atomic(unfinished / f"{group}.safetensors", content)
            files[f"{group}.safetensors"] = {"bytes": len(content), "sha256": _digest(content)}
        write_atomic(unfinished / _CONFIG, config_yaml)
        whole = {**manifest, "format_version": FORMAT_VERSION, "files": files}
        write_atomic(unfinished / _MANIFEST, json.dumps(whole, indent=2, sort_keys=True) + "\n")
        if final.exists():
            _remove(final)
        unfinished.rename(final)
        sync_directory(directory)
        write_atomic(directory / _LATEST, final.name + "\n")
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CheckpointError(_why_not_saved(final, groups, error)) from error
    for old in whole_checkpoints(directory)[:-keep]:
        if old.name not in protect:
            _remove(old)
    return final


def _why_not_saved(final: Path, groups: Mapping[str, Tensors], error: OSError) -> str:
    needed_mb = sum(array.nbytes for group in groups.values() for array in group.values()) / 1e6
    message = f"{final}: the checkpoint could not be saved: {error.strerror or error}. It needs {needed_mb:.0f} MB"
    with contextlib.suppress(OSError):
        message += f", {shutil.disk_usage(final.parent).free / 1e6:.0f} MB are free"
    older = whole_checkpoints(final.parent)
    kept = f"the newest whole checkpoint is {older[-1].name}" if older else "there is no older checkpoint"
    return f"{message}; {kept}. Make room or choose another run_dir, then start the same command again"


def read_checkpoint(path: Path) -> Checkpoint:
    """Open a checkpoint directory, or the newest one of a run directory.

    Raises:
        CheckpointError: there is none, it is not whole, or a newer version wrote it.
    """
    if not (path / _MANIFEST).is_file():
        newest = whole_checkpoints(path / "checkpoints" if (path / "checkpoints").is_dir() else path)
        if not newest:
            raise CheckpointError(f"{path}: no checkpoint there; give a step_... directory or the run directory above")
        path = newest[-1]
    try:
        manifest = json.loads((path / _MANIFEST).read_text())
        version = manifest["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path / _MANIFEST}: cannot be read ({error})") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{path}: format version {version}, this program reads version {FORMAT_VERSION}")
    return Checkpoint(path, manifest)


def whole_checkpoints(directory: Path) -> list[Path]:
    """Checkpoints below a run's checkpoints folder, oldest first. A name appears only once it is whole."""
    return sorted(path for path in directory.glob("step_*") if (path / _MANIFEST).is_file())


def clean_up(directory: Path) -> None:
    """Remove what a killed process left half-written or half-deleted."""
    for pattern in (f"{_UNFINISHED}*", f"{_DOOMED}*"):
        for path in directory.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path) -> None:
    """Take a checkpoint's name away first, so that half a deleted one is never found."""
    doomed = path.with_name(f"{_DOOMED}{path.name}-{os.getpid()}")
    with contextlib.suppress(OSError):
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
