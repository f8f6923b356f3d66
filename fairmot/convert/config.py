"""Everything `python -m fairmot.convert` can be told."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from fairmot.input_size import check_input_size
from fairmot.model.config import ModelConfig

ORIGINALS_ENDING = ".pth"
ENDINGS = (".safetensors", ORIGINALS_ENDING)
GUESS = ""
"""The name of a network that nobody has named."""


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
    model: ModelConfig = field(default_factory=lambda: ModelConfig(name=GUESS))
    num_classes: int | None = None
    input_size: list[int] | None = None
    skip: list[str] = field(default_factory=list)
    drop_deformable: bool = False
    report: Report | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.output != MISSING and Path(self.output).suffix not in ENDINGS:
            raise ValueError(f"output={self.output}: end it in .safetensors (this project) or .pth (the original)")
        if self.model.name == GUESS and self.model != ModelConfig(name=GUESS):
            raise ValueError("model: its settings need the network they are of; add model=<network>")
        if self.num_classes is not None and self.num_classes < 1:
            raise ValueError(f"num_classes={self.num_classes}: must be at least 1")
        if self.input_size is not None:
            check_input_size("input_size", self.input_size)
