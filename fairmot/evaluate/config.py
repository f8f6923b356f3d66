"""Everything `python -m fairmot.evaluate` can be told."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fairmot.device import Device
from fairmot.evaluation.rules import Rules
from fairmot.inference.config import Engine
from fairmot.inference.trained_rules import TrackerOfCheckpoint
from fairmot.mot.benchmarks import Benchmark
from fairmot.tracking.config import TrackerConfig


@dataclass
class EvaluateConfig(TrackerOfCheckpoint):
    """Everything `python -m fairmot.evaluate` can be told.

    Attributes:
        gt: folder of sequences (`<name>/gt/gt.txt`, or `<name>.txt`), or one sequence's folder.
        results: folder with `<name>.txt` for every sequence; instead of checkpoint.
        checkpoint: as for fairmot.track: its network tracks
            the sequences first; instead of results.
        output: folder for tables and plots.
        benchmark: whose pre-processing applies (which classes distract, rows with flag 0); null: that of each
            sequence's name.
        rules: who matches and counts: official, as MOTChallenge's own evaluation, or motmetrics, as that library.
        class_id: score the objects of this class alone, as the files' eighth column numbers it; null: all classes,
            each within itself where the results say theirs. AP and TPR are always over all.
        workers: processes that score sequences and draw their plots.
        plots: draw pictures beside the tables.
        overwrite: write over an earlier evaluation.
        batch_size: frames that go through the network together.
        device: where the network runs: cpu, ascend, or auto: an NPU where one is found, else the CPU.
        engine: what runs a checkpoint's network: mindspore; onnx, ONNX Runtime, on CPUs; or auto: onnx on a CPU where
            it saves time, else mindspore. Onnx exports the checkpoint once, into a folder beside it.
        tracker: the tracker's rules; what is not given is as in the checkpoint's training. frame_rate counts where
            a sequence does not know its own.
    """

    gt: str = MISSING
    results: str | None = None
    checkpoint: str | None = None
    output: str = MISSING
    benchmark: Benchmark | None = None
    rules: Rules = Rules.official
    class_id: int | None = None
    workers: int = 1
    plots: bool = True
    overwrite: bool = False
    batch_size: int = 1
    device: Device = Device.auto
    engine: Engine = Engine.auto
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        if (self.results is None) == (self.checkpoint is None):
            given = "neither was given" if self.results is None else "both were given"
            raise ValueError(f"give either results=<folder> or checkpoint=<run or checkpoint>; {given}")
        for key in ("workers", "batch_size", "class_id"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: must be at least 1")
