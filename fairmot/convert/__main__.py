"""Weights from PyTorch and back: python -m fairmot.convert source=<weights> output=<file> [model=<network>]."""

import dataclasses
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import MISSING

from fairmot.cli.command import run_command
from fairmot.convert.names import (
    LOSS,
    Row,
    Shapes,
    counters,
    differences,
    guess_network,
    loss_shapes,
    match,
    original_name,
)
from fairmot.convert.source import Source, read_source
from fairmot.convert.table import Line, table_of, write_table
from fairmot.convert.torch_file import torch_file
from fairmot.device import Device, use_device
from fairmot.errors import CheckpointError, ConfigError, DataError
from fairmot.files import write_atomic
from fairmot.input_size import check_input_size
from fairmot.model.network import ModelConfig, build_network
from fairmot.text_tables import aligned
from fairmot.weights.checkpoint import Tensors, shortened
from fairmot.weights.weights_file import weights_file

_ORIGINALS_ENDING = ".pth"
_ENDINGS = (".safetensors", _ORIGINALS_ENDING)
_GUESS = ""
_ORIGINALS_INPUT_SIZE = [608, 1088]


class Report(Enum):
    """How the table is written beside the output: <output>.json or <output>.md."""

    json = "json"
    markdown = "md"


@dataclass
class ConvertConfig:
    """Everything `python -m fairmot.convert` can be told.

    Attributes:
        source: a .pth of PyTorch, a .safetensors, a checkpoint or run directory, or a .ckpt of an older MindSpore port.
        output: a .safetensors for this project, or a .pth for the original.
        model: the network and its settings; without a name: what the source says, or what its tensors' names tell.
        num_classes: heatmap channels; null: as the source says, else 1.
        input_size: height and width that tracking feeds the network, pixels; null: as the source says, else the
            original's 608 by 1088.
        skip: patterns such as `hm.2.*` of tensors, of the source or of the network, that take no part.
        drop_deformable: take a deformable neck's kernels into a plain one and leave its offsets and masks behind.
        report: also write the table beside the output: json or markdown.
        overwrite: write over an earlier output.
    """

    source: str = MISSING
    output: str = MISSING
    model: ModelConfig = field(default_factory=lambda: ModelConfig(name=_GUESS))
    num_classes: int | None = None
    input_size: list[int] | None = None
    skip: list[str] = field(default_factory=list)
    drop_deformable: bool = False
    report: Report | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.output != MISSING and Path(self.output).suffix not in _ENDINGS:
            raise ValueError(f"output={self.output}: end it in .safetensors (this project) or .pth (the original)")
        if self.model.name == _GUESS and self.model != ModelConfig(name=_GUESS):
            raise ValueError("model: its settings need the network they are of; add model=<network>")
        if self.num_classes is not None and self.num_classes < 1:
            raise ValueError(f"num_classes={self.num_classes}: must be at least 1")
        if self.input_size is not None:
            check_input_size("input_size", self.input_size)


def convert(config: ConvertConfig) -> None:
    """Read, account for every tensor, write, and say what became of each.

    Raises:
        ConfigError: the output is there already, or the network is unknown.
        CheckpointError: the source cannot be used or does not fit the network.
        DataError: the output cannot be written.
    """
    output = Path(config.output).expanduser()
    report = None if config.report is None else output.with_name(f"{output.name}.{config.report.value}")
    for file in (output, report):
        if file is not None and file.exists() and not config.overwrite:
            raise ConfigError(f"output: {file} exists; choose another name or set overwrite=true")
    source = read_source(Path(config.source).expanduser())
    model, known_from = choose_model(config, source)
    num_classes = config.num_classes or source.num_classes or 1
    use_device(Device.cpu)  # converting must not open an NPU
    state = build_network(model, None, num_classes).state()
    own_names = {original_name(name): name for name in state}
    shapes = {original: tuple(state[name].shape) for original, name in own_names.items()}
    tensors, rows, source_names = fit(config, source, model, known_from, shapes)
    table = [Line(name, "", None, why) for name, why in source.left_out.items()]
    if output.suffix == _ORIGINALS_ENDING:
        table = table_of(rows, source_names, {}) + _counter_lines(tensors) + table
        content = for_original(tensors, source.epoch)
    else:
        table = table_of(rows, source_names, own_names) + table
        manifest = {
            "model": dataclasses.asdict(model),
            "num_classes": num_classes,
            "input_size": config.input_size or source.input_size or _ORIGINALS_INPUT_SIZE,
            "progress": {"epoch": source.epoch},
        }
        content = weights_file({own_names.get(name, name): array for name, array in tensors.items()}, manifest)
    try:
        write_atomic(output, content)
        if report is not None:
            write_table(report, table, {"source": config.source, "output": config.output, "network": model.name})
    except OSError as error:
        raise DataError(f"{error.filename or output}: cannot be written ({error.strerror})") from error
    print("\n".join(aligned([Line._fields, *(line.texts() for line in table)])))
    print(f"{model.name}, {known_from}: {len(tensors)} tensors taken")
    print(f"wrote {output}")


def choose_model(config: ConvertConfig, source: Source) -> tuple[ModelConfig, str]:
    """The network to convert for, and where that is known from.

    Raises:
        CheckpointError: nothing tells.
    """
    if config.model.name != _GUESS:
        return config.model, "as model= says"
    if source.model is not None:
        return source.model, "as the source says"
    names = source.rename(source.tensors, ())
    shapes = {name: source.tensors[own].shape for own, name in names.items()}
    name = guess_network(shapes)
    if name is None:
        raise CheckpointError(
            f"source={config.source}: its names tell of no known network ({shortened(list(shapes))}); give model="
        )
    model = ModelConfig(name=name)
    model.head_conv = _outputs(shapes, ".hm.0.weight", model.head_conv)
    model.reid_dim = _outputs(shapes, ".id.2.weight", model.reid_dim)
    return model, "guessed from the tensors' names (model= chooses another)"


def _outputs(shapes: Shapes, entry: str, otherwise: int) -> int:
    """Output channels of a layer, if it is there."""
    return next((shape[0] for name, shape in shapes.items() if f".{name}".endswith(entry)), otherwise)


def fit(
    config: ConvertConfig, source: Source, model: ModelConfig, known_from: str, shapes: Shapes
) -> tuple[Tensors, list[Row], dict[str, str]]:
    """The source's tensors for a network.

    Args:
        config: what may be left out.
        source: what was read.
        model: the network.
        known_from: where that is known from, for the message.
        shapes: its entries under the original's names.

    Returns:
        Float32 arrays and what became of every entry, under the original's names; those names -> the source's.

    Raises:
        CheckpointError: an entry of one side has no partner on the other; the message names them.
    """
    names = source.rename(source.tensors, shapes)
    tensors = {name: source.tensors[own] for own, name in names.items()}
    if len(tensors) < len(names):
        raise CheckpointError(f"source={config.source}: has tensors twice, with and without what wraps their names")
    found = {name: array.shape for name, array in tensors.items()}
    wanted = {**shapes, **loss_shapes(found, model.reid_dim)}
    matched = match(found, wanted, config.skip, config.drop_deformable)
    if matched.deformable:
        raise CheckpointError(
            f"source={config.source}: has deformable convolutions ({shortened(matched.deformable)}), but {model.name}, "
            f"{known_from}, has plain ones. Choose a deformable network by model=, or take the kernels alone by "
            "drop_deformable=true: the network then computes something else and must be trained on"
        )
    if problems := differences(matched):
        listed = "\n  ".join(problems)
        raise CheckpointError(f"source={config.source} does not fit {model.name}, {known_from}:\n  {listed}")
    for bias, mean in matched.folded.items():
        tensors[mean] = tensors[mean] - tensors[bias]
    rows = [_with_type(row, tensors[row.name]) if row.taken else row for row in matched.rows]
    taken = {row.name: tensors[row.name].astype(np.float32) for row in rows if row.taken}
    return taken, rows, {name: own for own, name in names.items()}


def _with_type(row: Row, array: np.ndarray) -> Row:
    return row if array.dtype == np.float32 else dataclasses.replace(row, note=f"{array.dtype} made float32")


def _counter_lines(tensors: Tensors) -> list[Line]:
    return [Line("", name, (), "PyTorch's counter of batches, 0") for name in counters(tensors)]


def for_original(tensors: Tensors, epoch: int) -> bytes:
    """What the original's load_model reads; the loss stands beside, where load_model does not look."""
    content: dict[str, Any] = {"epoch": epoch, "state_dict": {}, "loss": {}}
    for name, array in tensors.items():
        group = "loss" if name.startswith(LOSS) else "state_dict"
        content[group][name.removeprefix(LOSS)] = array
    content["state_dict"] |= {name: np.zeros((), np.int64) for name in counters(tensors)}
    return torch_file({key: value for key, value in content.items() if value != {}})


if __name__ == "__main__":
    run_command(convert, ConvertConfig, "convert")
