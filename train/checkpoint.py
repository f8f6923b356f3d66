"""Writing checkpoint directories: beside, synced, then renamed; half a one is never taken for a whole one.

Their layout is described in fairmot.weights.checkpoint.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import save_file

from fairmot.errors import CheckpointError
from fairmot.files import sync_directory, sync_file, write_atomic
from fairmot.weights.checkpoint import FORMAT_VERSION, MANIFEST, Tensors, digest, whole_checkpoints

_CONFIG = "config.yaml"
_LATEST = "latest"
_UNFINISHED = ".unfinished-"
_DOOMED = ".deleting-"


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
        groups: arrays by tensor file.
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
        for group, arrays in groups.items():
            path = unfinished / f"{group}.safetensors"
            save_file(arrays, path, metadata={"format": f"fairmot-{group}"})
            sync_file(path)
            files[path.name] = {"bytes": path.stat().st_size, "sha256": digest(path)}
        write_atomic(unfinished / _CONFIG, config_yaml)
        whole = {**manifest, "format_version": FORMAT_VERSION, "files": files}
        write_atomic(unfinished / MANIFEST, json.dumps(whole, indent=2, sort_keys=True) + "\n")
        if final.exists():
            _remove(final)
        unfinished.rename(final)
        sync_directory(directory)
        write_atomic(directory / _LATEST, final.name + "\n")
    except (OSError, SafetensorError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CheckpointError(_why_not_saved(final, groups, error)) from error
    for old in whole_checkpoints(directory)[:-keep]:
        if old.name not in protect:
            _remove(old)
    return final


def amend_checkpoint(directory: Path, step: int, manifest: Mapping[str, Any]) -> None:
    """Change what a whole checkpoint remembers besides its tensors, such as a validation after it was saved.

    Raises:
        CheckpointError: it cannot be written; it stays as it was.
    """
    path = directory / checkpoint_name(step) / MANIFEST
    try:
        before = json.loads(path.read_text())
        write_atomic(path, json.dumps({**before, **manifest}, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from error


def _why_not_saved(final: Path, groups: Mapping[str, Tensors], error: OSError | SafetensorError) -> str:
    needed_mb = sum(array.nbytes for group in groups.values() for array in group.values()) / 1e6
    reason = getattr(error, "strerror", None) or error
    message = f"{final}: the checkpoint could not be saved: {reason}. It needs {needed_mb:.0f} MB"
    with contextlib.suppress(OSError):
        message += f", {shutil.disk_usage(final.parent).free / 1e6:.0f} MB are free"
    older = whole_checkpoints(final.parent)
    kept = f"the newest whole checkpoint is {older[-1].name}" if older else "there is no older checkpoint"
    return f"{message}; {kept}. Make room or choose another run_dir, then start the same command again"


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
