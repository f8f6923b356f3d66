"""Export a trained network: python -m fairmot.export checkpoint=<run> output=model.onnx format=onnx."""

import logging
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from fairmot.cli.command import run_command
from fairmot.device import Device, use_device
from fairmot.errors import ConfigError, DataError
from fairmot.export.write import describe, require_onnx, write_checked
from fairmot.inference.exported_file import description_path
from fairmot.inference.network import MAX_OBJECTS, load_network
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
        require_onnx("format=onnx")
    use_device(Device.cpu)
    checkpoint = Path(config.checkpoint)
    say_which(checkpoint)
    trained = load_network(checkpoint.expanduser())
    height, width = config.input_size or trained.input_size_hw
    description = describe(trained, output.suffix, (height, width), config.batch_size, config.max_objects)
    try:
        written = write_checked(output, trained, description)
    except OSError as error:
        raise DataError(f"{error.filename or output}: cannot be written ({error.strerror})") from error
    count = "any number of" if config.batch_size is None else config.batch_size
    print(
        f"{description.network}: {count} pictures of {height} x {width} at once, {description.max_objects} objects each"
    )
    print(written.checked)
    print(f"wrote {output} ({written.size_bytes / 1e6:.1f} MB) and {description_path(output).name}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    run_command(export, ExportConfig, "export")
