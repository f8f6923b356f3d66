"""Weights of any kind that `python -m fairmot.convert` takes, told apart by their content."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fairmot.convert.ckpt_file import read_ckpt_file
from fairmot.convert.names import (
    LOSS,
    is_optimizer_state,
    original_name,
    port_names,
    without_wrapping,
)
from fairmot.convert.torch_file import MOST_BYTES, is_torch_file, read_torch_file
from fairmot.errors import CheckpointError
from fairmot.files import open_bounded
from fairmot.model.config import ModelConfig
from fairmot.weights.checkpoint import Checkpoint, Tensors, read_checkpoint, shortened
from fairmot.weights.weights_file import read_weights_file

_START_BYTES = 512
_KINDS = "a .pth file of PyTorch, a .safetensors file, a checkpoint directory or a MindSpore .ckpt"
_ADVICE = "save the network's state_dict() alone or under 'state_dict' where the file was made"


@dataclass
class Source:
    """What a file holds.

    Attributes:
        tensors: by the names in the file.
        rename: those names and the wanted ones, both to the original's.
        model: the network it says it is of; None: it does not say.
        num_classes: heatmap channels; None: it does not say.
        input_size: height and width of the network's input, pixels; None: it does not say.
        epoch: epochs it was trained for, 0 where it does not say.
        left_out: what is no weight of network or loss -> why it stays behind.
    """

    tensors: Tensors
    rename: Callable[[Iterable[str], Iterable[str]], dict[str, str]]
    model: ModelConfig | None = None
    num_classes: int | None = None
    input_size: list[int] | None = None
    epoch: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def read_source(path: Path) -> Source:
    """Read weights of whatever kind.

    Raises:
        CheckpointError: nothing there, unreadable, damaged, or no weights.
    """
    if path.is_dir():
        return _of_ours(read_checkpoint(path))
    try:
        with open_bounded(path, MOST_BYTES) as stream:
            start = stream.read(_START_BYTES)
    except OSError as error:
        raise CheckpointError(f"source={path}: cannot be read ({error.strerror}); give {_KINDS}") from error
    if is_torch_file(start):
        return _of_torch(path, read_torch_file(path))
    if start[8:9] == b"{":  # after the length of a .safetensors header
        return _of_ours(read_weights_file(path))
    reason = _why_no_weights(start)
    if reason is None and path.suffix == ".ckpt":
        return _of_port(path)
    raise CheckpointError(f"source={path}: {reason or 'of no kind that is known here'}; give {_KINDS}")


def _of_ours(checkpoint: Checkpoint) -> Source:
    tensors = checkpoint.network_to_use()
    if "loss" in checkpoint.groups:
        tensors = tensors | {f"{LOSS}{name}": array for name, array in checkpoint.tensors("loss").items()}
    progress = checkpoint.may_say("progress", dict[str, Any]) or {}
    return Source(
        tensors,
        lambda names, _: {name: original_name(name) for name in names},
        model=checkpoint.may_say("model", ModelConfig),
        num_classes=checkpoint.may_say("num_classes", int),
        input_size=checkpoint.may_say("input_size", list[int]),
        epoch=_epoch(progress.get("epoch")),
    )


def _epoch(said: object) -> int:
    return said if isinstance(said, int) else 0


def _of_torch(path: Path, content: Any) -> Source:
    """The original's {'epoch', 'state_dict', ...}, with or without a 'loss', or a state dictionary alone."""
    others = dict(content) if isinstance(content, dict) and "state_dict" in content else {"state_dict": content}
    parts = {"": others.pop("state_dict"), LOSS: others.pop("loss", {})}
    epoch = _epoch(others.pop("epoch", None))
    if not all(isinstance(part, dict) for part in parts.values()):
        raise CheckpointError(f"{path}: no state dictionary, {_ADVICE}")
    tensors = {f"{prefix}{name}": value for prefix, part in parts.items() for name, value in part.items()}
    strange = [name for name, value in tensors.items() if not isinstance(value, np.ndarray)]
    if strange or not tensors:
        raise CheckpointError(f"{path}: not a tensor: {shortened(strange) or 'anything in it'}; {_ADVICE}")
    return Source(tensors, without_wrapping, epoch=epoch, left_out=dict.fromkeys(map(str, others), "not weights"))


def _of_port(path: Path) -> Source:
    tensors, others = read_ckpt_file(path)
    weights = {name: value for name, value in tensors.items() if not is_optimizer_state(name)}
    left_out = {name: "of the optimiser or the run" for name in (*tensors, *others) if name not in weights}
    return Source(weights, lambda names, _: port_names(names), left_out=left_out)


def _why_no_weights(start: bytes) -> str | None:
    """What a file is that begins like this, in words; None for binary content that is not known."""
    web_page = (
        "a web page, not the file: Google Drive, for one, asks for confirmation before a large download; get the file "
        "in a browser"
    )
    looks = (
        (not start, "empty"),
        (start.startswith(b"version https://git-lfs"), "a Git LFS pointer; get what it points to by `git lfs pull`"),
        (start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")), web_page),
        (start.startswith((b"\xff\xd8\xff", b"\x89PNG")), "a picture"),
        (start[257:262] == b"ustar", "a tar archive, as PyTorch wrote before 2017: save it again with a newer PyTorch"),
        (start.startswith(b"\x80"), "a pickle, but not one of torch.save"),
        (all(ord(" ") <= byte <= ord("~") or byte in b"\t\n\r" for byte in start), "text"),
    )
    return next((what for is_it, what in looks if is_it), None)
