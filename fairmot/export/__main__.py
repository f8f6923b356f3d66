"""Export a trained network: python -m fairmot.export checkpoint=<run> output=model.onnx format=onnx."""

import importlib.util
import logging
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor
from omegaconf import MISSING

from fairmot.cli.command import run_command
from fairmot.device import Device, use_device
from fairmot.errors import ConfigError, DataError, FairMOTError
from fairmot.export.check import check
from fairmot.files import sync_directory
from fairmot.inference.exported_file import INPUT, INSTALL, OUTPUTS, Description, description_path, write_exported
from fairmot.inference.network import MAX_OBJECTS, DetectionGraph, TrainedNetwork, load_network
from fairmot.input_size import check_input_size
from fairmot.weights.named import say_which


class Format(Enum):
    """What is written."""

    mindir = "mindir"
    onnx = "onnx"


@dataclass
class ExportConfig:
    """Everything `python -m fairmot.export` can be told.

    Attributes:
        checkpoint: a checkpoint or run directory, best or newest alone or behind a run directory, or a .safetensors
            file of fairmot.convert.
        output: the file to write; its name ends in .mindir or .onnx.
        format: mindir or onnx.
        input_size: height and width of its input, pixels; null: as the checkpoint says.
        batch_size: pictures that it takes at once; null: any number, with onnx.
        max_objects: objects it gives for a picture.
        overwrite: write over an earlier output.
    """

    checkpoint: str = MISSING
    output: str = MISSING
    format: Format = MISSING
    input_size: list[int] | None = None
    batch_size: int | None = 1
    max_objects: int = MAX_OBJECTS
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.format is Format.mindir and self.batch_size is None:
            raise ValueError("batch_size=null: a mindir file takes one batch size; give a number, or use format=onnx")
        for key in ("batch_size", "max_objects"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: must be at least 1")
        if self.input_size is not None:
            check_input_size("input_size", self.input_size)
        if MISSING not in (self.output, self.format) and Path(self.output).suffix != f".{self.format.value}":
            raise ValueError(f"output={self.output}: end it in .{self.format.value}, or choose the other format=")


def export(config: ExportConfig) -> None:
    """Write the graph, run it beside the checkpoint's own network, and only then give it its name.

    Raises:
        ConfigError: the output is there already, or a package is missing.
        CheckpointError: the checkpoint cannot be used.
        FairMOTError: an operator cannot be exported, or the file's outputs differ from the checkpoint's.
        DataError: the output cannot be written.
    """
    output = Path(config.output).expanduser()
    for path in (output, description_path(output)):
        if path.is_dir() or (path.exists() and not config.overwrite):
            raise ConfigError(f"output: {path} exists; choose another name or set overwrite=true")
    if config.format is Format.onnx:
        _require("onnx", "onnxruntime")
    use_device(Device.cpu)
    checkpoint = Path(config.checkpoint)
    say_which(checkpoint)
    trained = load_network(checkpoint.expanduser())
    trained.network.set_train(False)
    description = _description(config, trained)
    graph = _graph(config, trained, description.input_size_hw)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
            partial = Path(folder) / output.name
            write_exported(partial, graph, description)
            said = _check(partial, description, trained)
            partial.replace(output)
            description_path(partial).replace(description_path(output))
        sync_directory(output.parent)
    except OSError as error:
        raise DataError(f"{error.filename or output}: cannot be written ({error.strerror})") from error
    height, width = description.input_size_hw
    count = "any number of" if config.batch_size is None else config.batch_size
    print(
        f"{description.network}: {count} pictures of {height} x {width} at once, {description.max_objects} objects each"
    )
    print(said)
    print(f"wrote {output} ({len(graph) / 1e6:.1f} MB) and {description_path(output).name}")


def _check(path: Path, description: Description, trained: TrainedNetwork) -> str:
    try:
        return check(path, description, trained.network)
    except FairMOTError as error:
        if description.batch_size is not None:
            raise
        advice = f"{description.network} may have its batch size built in: try batch_size=1"
        raise FairMOTError(f"{error}; {advice}") from error


def _require(*packages: str) -> None:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(f"format=onnx: {' and '.join(missing)} not installed: {INSTALL}")


def _description(config: ExportConfig, trained: TrainedNetwork) -> Description:
    height, width = config.input_size or trained.input_size_hw
    ratio = trained.config.down_ratio
    return Description(
        ending=f".{config.format.value}",
        network=trained.config.name,
        input_size_hw=(height, width),
        batch_size=config.batch_size,
        max_objects=min(config.max_objects, trained.num_classes * (height // ratio) * (width // ratio)),
        down_ratio=ratio,
        num_classes=trained.num_classes,
        reid_dim=trained.config.reid_dim,
    )


def _graph(config: ExportConfig, trained: TrainedNetwork, input_size_hw: tuple[int, int]) -> bytes:
    """The serialised graph of network and decoder."""
    cell = DetectionGraph(trained.network, config.max_objects)
    cell.set_train(False)
    image = Tensor(np.zeros((config.batch_size or 1, *input_size_hw, 3), np.uint8))
    with tempfile.TemporaryDirectory() as folder:  # MindSpore changes the permissions of the folder it writes to
        path = Path(folder) / "graph.mindir"
        ms.export(cell, image, file_name=str(path), file_format="MINDIR")
        mindir = path.read_bytes()
    if config.format is Format.mindir:
        return mindir
    from fairmot.export.to_onnx import to_onnx  # noqa: PLC0415

    return to_onnx(mindir, INPUT, OUTPUTS, any_batch=config.batch_size is None).SerializeToString()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_command(export, ExportConfig, "export")
