"""Weights from PyTorch and back: python -m fairmot.convert source=<weights> output=<file> [model=<network>]."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from fairmot.convert.config import GUESS, ORIGINALS_ENDING, ConvertConfig
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
from fairmot.model.config import ModelConfig
from fairmot.model.network import build_network
from fairmot.text_tables import aligned
from fairmot.weights.checkpoint import Tensors, shortened
from fairmot.weights.weights_file import weights_file

_ORIGINALS_INPUT_SIZE = [608, 1088]


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
    if output.suffix == ORIGINALS_ENDING:
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
    if config.model.name != GUESS:
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
