"""Everything `python -m fairmot.submit` can be told."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fairmot.device import Device
from fairmot.inference.config import Engine
from fairmot.inference.trained_rules import TrackerOfCheckpoint
from fairmot.tracking.config import TrackerConfig


@dataclass
class SubmitConfig(TrackerOfCheckpoint):
    """Everything `python -m fairmot.submit` can be told.

    Attributes:
        root: the data set's folder, with test/ (and train/) in it, to track; with checkpoint.
        checkpoint: as for fairmot.track: its network tracks the sequences.
        results: folder with `<sequence>.txt` of all sequences, tracked before; instead of root and checkpoint.
        output: folder for the submission's files and their archive.
        overwrite: write over an earlier submission.
        batch_size: frames that go through the network together.
        device: where the network runs: cpu, ascend, or auto: an NPU where one is found, else the CPU.
        engine: what runs a checkpoint's network: mindspore; onnx, ONNX Runtime, on CPUs; or auto: onnx on a CPU where
            it saves time, else mindspore. Onnx exports the checkpoint once, into a folder beside it.
        tracker: the tracker's rules; what is not given is as in the checkpoint's training. frame_rate counts where
            a sequence does not know its own.
    """

    root: str | None = None
    checkpoint: str | None = None
    results: str | None = None
    output: str = MISSING
    overwrite: bool = False
    batch_size: int = 1
    device: Device = Device.auto
    engine: Engine = Engine.auto
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        to_track = self.root is not None and self.checkpoint is not None
        named = [key for key in ("root", "checkpoint", "results") if getattr(self, key) is not None]
        if not (named == ["results"] or (to_track and self.results is None)):
            raise ValueError(
                "give root=<data set> and checkpoint=<run or checkpoint>, or results=<folder> alone; "
                f"given: {', '.join(named) or 'none of them'}"
            )
        if self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size}: must be at least 1")
