"""Checkpoint directories: written by training, read by whoever resumes and by all that only want the network.

    <run_dir>/checkpoints/step_00000120/
        network.safetensors     weights and batch-norm buffers, loadable alone for inference
        loss.safetensors        classifier, s_det, s_id
        optimizer.safetensors   moments, step counters, loss scale
        ema.safetensors         the network with averaged weights, where optim.ema_decay keeps them
        checkpoint.json         format version, progress, identities, seed, model, MLflow run, digests of the files and
                                of itself
        config.yaml             the composed configuration
    <run_dir>/checkpoints/latest    name of the newest one, moved last

A directory is written beside, synced, then renamed: it gets its name only once it is whole.
"""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from fairmot.errors import LONGEST_REASON, CheckpointError, excerpt
from fairmot.files import give_usual_permissions, open_bounded, sync_directory, sync_file, write_atomic
from fairmot.json_files import Refuse, Shape, as_shape, is_intact, parse_json, read_json_bytes, sealed

FORMAT_VERSION = 1
GROUPS = ("network", "loss", "optimizer")
"""The tensor files that every checkpoint has, without their ending."""
EMA = "ema"
"""The tensor file of a checkpoint whose run averages weights."""

MANIFEST = "checkpoint.json"
_CONFIG = "config.yaml"
LATEST = "latest"
_UNFINISHED = ".unfinished-"
_DOOMED = ".deleting-"
_ASIDE = ".damaged"
NAME = re.compile(r"step_(\d{8}|[1-9]\d{8,14})", re.ASCII)
"""Copies, backups and notes beside the checkpoints are called otherwise; 15 digits are what all ranks can agree on."""

Tensors = dict[str, np.ndarray]

_NAMES_SHOWN = 8
_MOST_BYTES = 64 << 30  # of a file of tensors: a classifier of tens of millions of identities with its moments


@dataclass(frozen=True)
class SavedFile:
    """What checkpoint.json says of a tensor file.

    Attributes:
        bytes: its size.
        sha256: of its content, hexadecimal.
    """

    bytes: int
    sha256: str


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
    def says(self) -> str:
        """Where the manifest stands, for messages."""
        return f"{self.path / MANIFEST}"

    def said(self, key: str, shape: type[Shape]) -> Shape:
        """What the manifest says under a key, as a value of `shape`.

        Raises:
            CheckpointError: nothing, or something else; the message names file and key.
        """
        if key not in self.manifest:
            raise CheckpointError(f"{self.says}: does not say '{key}'")
        return as_shape(self.manifest[key], shape, lambda why: CheckpointError(f"{self.says}: {key}: {why}"))

    def may_say(self, key: str, shape: type[Shape]) -> Shape | None:
        """`said`, or None where the manifest does not have the key."""
        return self.said(key, shape) if key in self.manifest else None

    @property
    def groups(self) -> tuple[str, ...]:
        """GROUPS, and EMA where there is one."""
        return (*GROUPS, EMA) if f"{EMA}.safetensors" in self.manifest["files"] else GROUPS

    @property
    def network_sha256(self) -> str:
        """The digest that its network is known by."""
        return self.said("files", dict[str, SavedFile])["network.safetensors"].sha256

    @property
    def group_to_use(self) -> str:
        """The network for anything but further training: with averaged weights where the run kept them."""
        return EMA if EMA in self.groups else "network"

    @property
    def file_to_use(self) -> Path:
        """Where `network_to_use` lies."""
        return self.path / f"{self.group_to_use}.safetensors"

    def network_to_use(self) -> Tensors:
        """The tensors of `group_to_use`."""
        return self.tensors(self.group_to_use)

    def tensors(self, group: str) -> Tensors:
        """The arrays of one of `groups` by name.

        Raises:
            CheckpointError: the file is missing or its content is not what was saved.
        """
        path = self.path / f"{group}.safetensors"
        try:
            if self.is_as_saved(group):
                return load_file(path)
        except (OSError, SafetensorError, TypeError, ValueError) as error:  # a type that NumPy lacks
            reason = excerpt(str(error), LONGEST_REASON)
            raise CheckpointError(f"{path}: cannot be read ({reason}); {_way_out(self.path)}") from error
        raise CheckpointError(
            f"{path}: not the file that was saved (size or sha256 differ from {MANIFEST}); {_way_out(self.path)}"
        )

    def is_as_saved(self, group: str) -> bool:
        """Whether the tensor file of a group has the size and the digest that were recorded.

        Raises:
            OSError: it cannot be read.
        """
        path = self.path / f"{group}.safetensors"
        recorded = self.said("files", dict[str, SavedFile]).get(path.name)
        return recorded is not None and SavedFile(path.stat().st_size, digest(path)) == recorded


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
    return _open(path, lambda why: CheckpointError(f"{path / MANIFEST}: {why}; {_way_out(path)}"))


def _open(path: Path, refuse: Refuse) -> Checkpoint:
    """A checkpoint directory, once its manifest is known to be as it was written."""
    content = read_json_bytes(path / MANIFEST, refuse)
    manifest: dict[str, Any] = parse_json(content, dict[str, Any], refuse)
    version = as_shape(manifest.get("format_version"), int, lambda why: refuse(f"format_version: {why}"))
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{path}: format version {version}, this program reads version {FORMAT_VERSION}")
    if not is_intact(content, manifest):
        raise refuse("not as it was written: its digest does not fit")
    files = as_shape(manifest.get("files"), dict[str, SavedFile], lambda why: refuse(f"files: {why}"))
    if missing := [group for group in GROUPS if f"{group}.safetensors" not in files]:
        raise refuse(f"files: lacks {', '.join(missing)}")
    return Checkpoint(path, manifest)


def whole_checkpoints(directory: Path) -> list[Path]:
    """Checkpoints below a run's checkpoints folder, oldest first. A name appears only once it is whole."""
    found = (path for path in directory.glob("step_*") if NAME.fullmatch(path.name) and (path / MANIFEST).is_file())
    return sorted(found, key=step_of)


def step_of(path: Path) -> int:
    """The step that a checkpoint's directory is named after."""
    return int(path.name.removeprefix("step_"))


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
            give_usual_permissions(path)
            sync_file(path)
            files[path.name] = {"bytes": path.stat().st_size, "sha256": digest(path)}
        write_atomic(unfinished / _CONFIG, config_yaml)
        whole = {**manifest, "format_version": FORMAT_VERSION, "files": files}
        write_atomic(unfinished / MANIFEST, sealed(whole))
        if final.exists():
            _remove(final)
        unfinished.rename(final)
        sync_directory(directory)
        write_atomic(directory / LATEST, final.name + "\n")
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
        CheckpointError: it is damaged, or cannot be written; it stays as it was.
    """
    before = read_checkpoint(directory / checkpoint_name(step))
    path = before.path / MANIFEST
    try:
        write_atomic(path, sealed({**before.manifest, **manifest}))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from error


def _way_out(damaged: Path) -> str:
    """What to do about a damaged checkpoint, with the older one that is whole; reads checkpoints from end to end."""
    aside = [damaged]
    older = whole_checkpoints(damaged.parent) if NAME.fullmatch(damaged.name) else []
    for path in reversed([path for path in older if step_of(path) < step_of(damaged)]):
        if _is_whole(path):
            whole = f"or take the older {path}, which is whole: name it, or for a run that continues"
            break
        aside.append(path)
    else:
        whole = "there is no older one that is whole; without it a run starts anew"
    commands = [shlex.join(["mv", str(path), f"{path}{_ASIDE}"]) for path in aside]
    return f"copy it again, {whole}: {' && '.join(commands)}"


def _is_whole(path: Path) -> bool:
    with contextlib.suppress(CheckpointError, OSError):
        checkpoint = _open(path, CheckpointError)
        return all(checkpoint.is_as_saved(group) for group in checkpoint.groups)
    return False


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


def digest(path: Path) -> str:
    """Sha256 of a file, read in blocks: a mapped or whole file would count as this process's memory."""
    summed = hashlib.sha256()
    with open_bounded(path, _MOST_BYTES) as stream:
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
        f"{name}: checkpoint {list(found[name].shape)}, this network {list(shape)}"
        for name, shape in wanted.items()
        if name in found and shape != found[name].shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("other shape", shapes))
    return [f"{len(names)} {kind}: {shortened(names)}" for kind, names in kinds if names]


def shortened(names: list[str]) -> str:
    """The first few of them, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
