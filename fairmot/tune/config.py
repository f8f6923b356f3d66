"""Everything `python -m fairmot.tune` can be told."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from fairmot.addresses import masked_address
from fairmot.detections.text import score_range_of
from fairmot.device import Device
from fairmot.inference.trained_rules import TrackerOfCheckpoint
from fairmot.mot.benchmarks import Benchmark
from fairmot.tracking.config import TrackerConfig


class Objective(Enum):
    """The figure to raise."""

    HOTA = "HOTA"
    IDF1 = "IDF1"
    MOTA = "MOTA"


@dataclass
class TuneConfig(TrackerOfCheckpoint):
    """Everything `python -m fairmot.tune` can be told.

    Attributes:
        gt: folder of sequences (`<name>/gt/gt.txt`, or `<name>.txt`), or one sequence's folder.
        checkpoint: a checkpoint or run directory, or a file of fairmot.convert or fairmot.export: its network finds
            the objects once, and they are kept in <output>/detections.
        detections: instead of checkpoint, a folder with <name>_detections.safetensors, <name>.txt or
            <name>/det/det.txt for every sequence, or the file of a single one.
        score_range: confidences of a det.txt that count as 0 and 1, such as [0,100]; null: they are from 0 to 1.
        store_least_score: detections of the network that score less are not kept.
        output: folder for the table, the picture and the best rules.
        objective: what is raised, over all sequences together and by the official rules.
        trials: how many rules are drawn and scored.
        seed: of the drawing.
        space: the tracker's keys that are searched, each key=low..high or key=one/other; empty: thresholds and limits.
        held_out: sequences that the search does not see; the best rules are scored on them at the end.
        benchmark: whose pre-processing applies (which classes distract, rows with flag 0); null: that of each
            sequence's name.
        mlflow_uri: MLflow's server or store, which gets the search as a run and every trial as its child; null: none.
        mlflow_experiment: the experiment there; made if absent.
        overwrite: write over an earlier search.
        batch_size: frames that go through the network together.
        device: where the network runs: cpu, ascend, or auto: an NPU where one is found, else the CPU.
        tracker: the rules that the search begins with, and that hold where it does not search. frame_rate counts
            where a sequence does not know its own.
    """

    gt: str = MISSING
    checkpoint: str | None = None
    detections: str | None = None
    score_range: list[float] | None = None
    store_least_score: float = 0.1
    output: str = MISSING
    objective: Objective = Objective.HOTA
    trials: int = 100
    seed: int = 0
    space: list[str] = field(default_factory=list)
    held_out: list[str] = field(default_factory=list)
    benchmark: Benchmark | None = None
    mlflow_uri: str | None = None
    mlflow_experiment: str = "fairmot-tune"
    overwrite: bool = False
    batch_size: int = 1
    device: Device = Device.auto
    tracker: TrackerConfig = field(default_factory=TrackerConfig)

    def __post_init__(self) -> None:
        if (self.checkpoint is None) == (self.detections is None):
            given = "neither was given" if self.checkpoint is None else "both were given"
            raise ValueError(f"give either checkpoint=<run or checkpoint> or detections=<file or folder>; {given}")
        for key in ("trials", "batch_size"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: must be at least 1")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed={self.seed}: must be from 0 to {2**32 - 1}")
        if not 0 <= self.store_least_score <= 1:
            raise ValueError(f"store_least_score={self.store_least_score}: must be from 0 to 1")
        if self.tracker.camera_motion:
            raise ValueError("tracker.camera_motion=true: needs pictures, and the search has none")
        if self.mlflow_uri is not None and masked_address(self.mlflow_uri) != self.mlflow_uri:
            raise ValueError(
                "mlflow_uri holds a user's name, a password or a key: take them out and export "
                "MLFLOW_TRACKING_USERNAME= and MLFLOW_TRACKING_PASSWORD="
            )
        score_range_of(self.score_range)
