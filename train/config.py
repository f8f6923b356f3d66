"""TrainConfig: every owner's configuration dataclass, put together."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import OmegaConf

from fairmot.addresses import is_address, masked_address
from fairmot.cli.recorded import Recorded, recorded
from fairmot.data.dataset import DataConfig
from fairmot.device import Device, ExecutorConfig, find_device
from fairmot.evaluation.rules import Rules
from fairmot.inference.config import Engine
from fairmot.losses.config import LossConfig
from fairmot.model.config import ModelConfig
from fairmot.tracking.config import TrackerConfig
from train.report.config import MlflowConfig
from train.simulate.config import SimulateConfig
from train.step_config import BatchNorm, LossScaleConfig, OptimConfig, Precision


@dataclass
class RuntimeConfig(ExecutorConfig):
    """How the program runs; but for precision and rounding, without effect on what it learns.

    Attributes:
        precision: of the network's arithmetic: fp32, fp16, or bf16 (Ascend only).
        threads: CPU threads for operators; 0 leaves the choice to MindSpore.
        bind_cores: with NPUs: the launcher binds each rank to CPU cores near its NPU, as npu-smi (topo) says;
            where it does not say, with false, and on a CPU, each rank gets as many cores in order.
        check_ranks_every_steps: compare all ranks' parameters this often; 0: at the start only.
        loss_scale: scaling of the loss against fp16 underflow.
        log_system_every_steps: steps between two looks at every rank's processor and memory; 0: never.
        profile_steps: steps, after the first few, that MindSpore's profiler records into <run_dir>/profile.
        wait_for_lead_s: how long the other ranks wait for rank 0 to index labels or to make files visible.
        max_restarts: how often the launcher starts all ranks again, from the newest checkpoint, after one has died.
        hang_timeout_s: a rank that makes no step for so long is ended by the launcher; three times as long before its
            first step, which compiles.
        stop_grace_s: how long the launcher leaves the ranks to save a checkpoint after Ctrl-C or SIGTERM.
    """

    precision: Precision = Precision.fp32
    threads: int = 0
    bind_cores: bool = True
    check_ranks_every_steps: int = 0
    loss_scale: LossScaleConfig = field(default_factory=LossScaleConfig)
    log_system_every_steps: int = 50
    profile_steps: int = 0
    wait_for_lead_s: int = 3600
    max_restarts: int = 0
    hang_timeout_s: int = 1800
    stop_grace_s: int = 60

    def __post_init__(self) -> None:
        not_negative = ("threads", "check_ranks_every_steps", "log_system_every_steps", "profile_steps", "max_restarts")
        for key in not_negative:
            if getattr(self, key) < 0:
                raise ValueError(f"runtime.{key}={getattr(self, key)}: must be at least 0")
        for key in ("wait_for_lead_s", "hang_timeout_s", "stop_grace_s"):
            if getattr(self, key) < 1:
                raise ValueError(f"runtime.{key}={getattr(self, key)}: must be at least 1 second")


class BestMetric(Enum):
    """What can choose the best checkpoint; higher is better."""

    MOTA = "MOTA"
    IDF1 = "IDF1"
    HOTA = "HOTA"
    AP = "AP"


@dataclass
class TrainConfig(Recorded):
    """Everything `python -m train` can be told.

    Attributes:
        name: of the experiment; part of the default run directory and of the MLflow run's name.
        run_dir: where everything of this run is written; null: runs/<name>/<time>. An existing one is continued.
            Of a sweep: the folder above its jobs' run directories; null: runs/sweeps/<time>.
        seed: of initial values, sample order and augmentation.
        epochs: how often the data is seen.
        max_steps: stop after so many optimiser steps, if that is earlier.
        batch_size_per_rank: samples of one micro-batch on one rank; a step sees this times ranks times
            optim.accumulation.
        device: cpu, ascend, or auto: an NPU where one is found, else the CPU; the start says which and why.
        batch_norm: whose statistics batch normalisation uses: those of each rank's batch (rank, the original's), the
            running ones, kept as they are (frozen), or those of all ranks' batches (sync, Ascend only).
        preflight: only check that training could start, hold no device, and print what is wrong.
        weights: network weights to start from: a .safetensors file, a checkpoint or run directory, or best or newest,
            alone or behind a run directory.
        resume_from: a checkpoint, named in the same ways, whose whole training state is continued in a new run
            directory.
        log_every_steps: steps between two logged values; the host waits for the device only then.
        log_pictures_every_epochs: epochs between two pictures of what the network sees in some training images, for
            MLflow; 0: never.
        save_every_steps: steps between two checkpoints; one more is saved at the end.
        validate_every_epochs: epochs between two validations on data.validation; one more follows at the end;
            0: never.
        validation_video_frames: how many frames, the first ones, the annotated video of a validation sequence has at
            most; of the first three sequences, for MLflow; 0: no videos.
        validation_rules: who matches and counts: official, as MOTChallenge's own evaluation, or motmetrics, as that
            library.
        validation_engine: what runs the network in validations: mindspore, or on a CPU ONNX Runtime (onnx), which is
            faster but has to be given the network first and takes memory beside the training's; auto: onnx on a CPU in
            fp32 where a validation has 200 frames or more.
        best_metric: what a validation must improve for its checkpoint to be kept as the best: MOTA, IDF1, HOTA or AP.
        keep_checkpoints: how many of the newest are kept.
        data: training data.
        model: network.
        loss: losses.
        optim: optimiser and schedule.
        runtime: how the program runs.
        mlflow: where runs are logged.
        tracker: how validation tracks; its frame_rate is that of the sequences that do not say theirs.
        simulate: the Ascend dry run, which trains nothing.
    """

    name: str = "train"
    run_dir: str | None = None
    seed: int = 317
    epochs: int = 30
    max_steps: int | None = None
    batch_size_per_rank: int = 12
    device: Device = Device.auto
    batch_norm: BatchNorm = BatchNorm.rank
    preflight: bool = False
    weights: str | None = None
    resume_from: str | None = None
    log_every_steps: int = 10
    log_pictures_every_epochs: int = 0
    save_every_steps: int = 500
    validate_every_epochs: int = 0
    validation_video_frames: int = 150
    validation_rules: Rules = Rules.official
    validation_engine: Engine = Engine.auto
    best_metric: BestMetric = BestMetric.MOTA
    keep_checkpoints: int = 3
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    mlflow: MlflowConfig = field(default_factory=MlflowConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    simulate: SimulateConfig = field(default_factory=SimulateConfig)

    def __post_init__(self) -> None:
        if self.run_dir is not None and is_address(self.run_dir):
            raise ValueError(far_run_dir(self.run_dir))
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must be at least 0")
        for key in ("epochs", "batch_size_per_rank", "log_every_steps", "save_every_steps", "keep_checkpoints"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: must be at least 1")
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"max_steps={self.max_steps}: must be at least 1, or null for no limit")
        for key in ("validate_every_epochs", "validation_video_frames", "log_pictures_every_epochs"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key}={getattr(self, key)}: must be at least 0 (0: never)")
        if self.validate_every_epochs and not self.data.validation:
            raise ValueError(
                "data.validation is empty: name folders of sequences such as [mot17/images/train/*], or set "
                "validate_every_epochs=0"
            )
        if self.validation_engine is Engine.onnx and (
            self.simulate.chip or find_device(self.device).device is Device.ascend
        ):
            raise ValueError("validation_engine=onnx: ONNX Runtime runs on the CPU here; leave it out on an NPU")
        if self.batch_norm is BatchNorm.sync:
            self._check_npu("batch_norm=sync", "has no synchronised batch normalisation; choose rank or frozen")
        if self.runtime.precision is Precision.bf16:
            self._check_npu("runtime.precision=bf16", "has no bfloat16 convolution in MindSpore; choose fp32 or fp16")
        if not self.data.train:
            raise ValueError("data.train is empty: name at least one list file, such as '+data.train.mine=mine.train'")

    def _check_npu(self, setting: str, lack: str) -> None:
        """Refuse what a CPU cannot do; a dry run is always for an NPU."""
        if self.simulate.chip is not None:
            return
        device, reason = find_device(self.device)
        if device is Device.cpu:
            asked = "" if self.device is Device.cpu else f" (device=auto: {reason})"
            raise ValueError(f"{setting}: device=cpu{asked} {lack}")


def far_run_dir(address: str) -> str:
    """Why a run directory is no address."""
    return (
        f"run_dir={masked_address(address)}: must be a folder; stores behind an address cannot rename in one step, so "
        "half a checkpoint could pass for a whole one. Name a folder that all ranks share and copy it there afterwards"
    )


def as_yaml(config: TrainConfig) -> str:
    """The composed configuration, as runs and checkpoints keep it."""
    return OmegaConf.to_yaml(OmegaConf.create(recorded(config)))


def register_sweep_folder() -> None:
    """Let `hydra.sweep.dir` of conf/train.yaml take the first of several values that is given."""
    OmegaConf.register_new_resolver("first_given", lambda *values: next(filter(None, values)), replace=True)
