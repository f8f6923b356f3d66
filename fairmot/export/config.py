"""Everything `python -m fairmot.export` can be told."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from fairmot.inference.config import MAX_OBJECTS
from fairmot.input_size import check_input_size


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
