"""Everything a training run is at one moment, and how it gets into and out of checkpoints."""

import dataclasses
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

import fairmot
from fairmot.data.identities import IdentityTable
from fairmot.errors import CheckpointError
from fairmot.model.config import ModelConfig
from fairmot.model.network import FairMOT
from fairmot.weights.checkpoint import EMA, GROUPS, Checkpoint, Tensors, read_checkpoint, shortened, tensor_differences
from fairmot.weights.weights_file import read_weights_file
from train.average import WeightAverage
from train.flat_optimizer import FlatOptimizer
from train.optimizer import Optimizer
from train.packing import Part, read_arrays, whole_parameters, write_arrays
from train.shards import NO_SHARDS, RowShards
from train.step import SCALARS, LossScale

_OFFSETS = ".conv_offset_mask."
_LEAST_SHARE = 1 / 3  # of the network's tensors that weights= must bring
_MOST = 2**48
"""What all ranks can agree on."""


@dataclass
class Progress:
    """How far training is. Together with the seed it decides every future sample and random number.

    Attributes:
        epoch: epochs finished.
        samples_in_epoch: samples that all ranks together have taken from the running epoch.
        step: optimiser steps done.
        epoch_steps: steps that the sums below hold.
        epoch_sums: sums of the step's SCALARS over the running epoch, for its means.
        validated_step: the step after which the network was last validated.
        best: the metric that chooses the best checkpoint and its highest value so far; empty before a validation.
        best_step: the last step at which it was reached, of this run or of the one it was resumed from.
    """

    epoch: int = 0
    samples_in_epoch: int = 0
    step: int = 0
    epoch_steps: int = 0
    epoch_sums: list[float] = field(default_factory=lambda: [0.0] * len(SCALARS))
    validated_step: int = 0
    best: dict[str, float] = field(default_factory=dict)
    best_step: int = 0

    def __post_init__(self) -> None:
        """Refuse what no training counts up to (ValueError)."""
        for name in ("epoch", "samples_in_epoch", "step", "epoch_steps", "validated_step", "best_step"):
            if not 0 <= getattr(self, name) < _MOST:
                raise ValueError(f"{name}={getattr(self, name)}: must be from 0 to {_MOST - 1}")
        if len(self.epoch_sums) != len(SCALARS):
            raise ValueError(f"epoch_sums: {len(self.epoch_sums)} values instead of {len(SCALARS)}")

    def begin_epoch(self) -> None:
        """Count the running epoch as finished."""
        self.epoch += 1
        self.samples_in_epoch = 0
        self.epoch_steps = 0
        self.epoch_sums = [0.0] * len(SCALARS)

    def is_best(self, metric: str, value: float) -> bool:
        """Compare the newest step's value with the best so far and remember the higher one, of equal ones the newer."""
        if metric in self.best and value < self.best[metric]:
            return False
        self.best, self.best_step = {metric: value}, self.step
        return True


@dataclass
class TrainState:
    """What a checkpoint holds.

    Attributes:
        network: weights and batch-norm buffers.
        loss: the cell with classifier, s_det, s_id.
        optimizer: moments and counters.
        loss_scale: scale and counters.
        identities: which identity is which class of the classifier.
        model: the network's settings.
        input_size: height and width of its input, pixels.
        num_classes: its heatmap channels.
        seed: of all random numbers; they are functions of it and the progress, so no generator has a state to save.
        average: of the network's weights, where one is kept.
        progress: how far it is.
        shards: which tensors of a checkpoint the ranks hold in shares.
        saved_step: the step whose tensors the run's newest checkpoint holds; None before there is one.
    """

    network: FairMOT
    loss: nn.Cell
    optimizer: Optimizer | FlatOptimizer
    loss_scale: LossScale
    identities: IdentityTable
    model: ModelConfig
    input_size: list[int]
    num_classes: int
    seed: int
    average: WeightAverage | None = None
    progress: Progress = field(default_factory=Progress)
    shards: RowShards = NO_SHARDS
    saved_step: int | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """The tensor files of its checkpoints."""
        return GROUPS if self.average is None else (*GROUPS, EMA)

    def parameters(self, group: str) -> dict[str, Parameter | Part]:
        """The parameters of one checkpoint file, or what parts of them, by the names they have there."""
        if group == "network":
            held = self.optimizer.held()
            return {name: held.get(name, buffer) for name, buffer in self.network.state().items()}
        if group == "loss":
            return dict(self.loss.parameters_and_names())
        if group == EMA and self.average is not None:
            averages = self.average.averages
            return {name: averages.get(name, buffer) for name, buffer in self.network.state().items()}
        counters = [*self.loss_scale.get_parameters(), *([self.average.updates] if self.average is not None else [])]
        return self.optimizer.state() | {parameter.name: parameter for parameter in counters}

    def weights(self) -> list[Parameter]:
        """What the optimiser changes, which all ranks hold alike."""
        held = {name: entry for name, entry in self.optimizer.held().items() if not self.shards.holds(name)}
        return whole_parameters(held)

    def common_arrays(self) -> Iterator[np.ndarray]:
        """Every array of every group that all ranks hold alike, in a fixed order."""
        for group in self.groups:
            for name, array in read_arrays(self.parameters(group)).items():
                if not self.shards.holds(name):
                    yield array

    def whole_shards(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Group, name and whole array of what the ranks hold in shares; all of them must ask at the same time."""
        for group in self.groups:
            mine = {name: entry for name, entry in self.parameters(group).items() if self.shards.holds(name)}
            for name, array in read_arrays(mine).items():
                yield group, name, self.shards.whole(array)

    def whole_tensors(self, copy: bool = True) -> dict[str, Tensors]:
        """`tensors` as a checkpoint has them; the other ranks must ask for `whole_shards` at the same time."""
        groups = self.tensors(copy)
        for group, name, array in self.whole_shards():
            groups[group][name] = array
        return groups

    def tensors(self, copy: bool = True) -> dict[str, Tensors]:
        """All arrays of this rank, by checkpoint file. Without `copy` they may change with the next step."""
        groups = {group: read_arrays(self.parameters(group)) for group in self.groups}
        if not copy:
            return groups
        return {group: {name: np.array(array) for name, array in arrays.items()} for group, arrays in groups.items()}

    def manifest(self, mlflow_run_id: str | None, world_size: int) -> dict[str, Any]:
        """What checkpoint.json remembers of this state."""
        return {
            "progress": dataclasses.asdict(self.progress),
            "identities": dataclasses.asdict(self.identities),
            "model": dataclasses.asdict(self.model),
            "input_size": list(self.input_size),
            "num_classes": self.num_classes,
            "random": {"seed": self.seed},
            "mlflow_run_id": mlflow_run_id,
            "world_size": world_size,
            "versions": {
                "fairmot": fairmot.__version__,
                "mindspore": ms.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Become exactly what was saved.

        Raises:
            CheckpointError: it belongs to another network, other identities or another optimiser; the message lists
                the differences and nothing has been changed.
        """
        progress = checkpoint.said("progress", Progress)
        differences = self._differences_in_meaning(checkpoint)
        arrays = {}
        for group in checkpoint.groups if checkpoint.groups == self.groups else GROUPS:
            arrays[group] = checkpoint.tensors(group)
            shapes = {
                name: self.shards.whole_shape(name, tuple(parameter.shape))
                for name, parameter in self.parameters(group).items()
            }
            differences += [f"{group}: {text}" for text in tensor_differences(shapes, arrays[group])]
        if differences:
            listed = "\n  ".join(differences)
            raise CheckpointError(
                f"{checkpoint.path} does not belong to this run:\n  {listed}\n"
                "Set the keys as in its config.yaml, or take its network weights alone by weights="
            )
        for group in self.groups:
            own = {name: self.shards.own(name, array) for name, array in arrays[group].items()}
            write_arrays(self.parameters(group), own)
        self.progress = progress

    def _differences_in_meaning(self, checkpoint: Checkpoint) -> list[str]:
        differences = []
        mine = dataclasses.asdict(self.model)
        for key, saved in dataclasses.asdict(checkpoint.said("model", ModelConfig)).items():
            if mine[key] != saved:
                differences.append(f"model.{key}: checkpoint {saved}, this run {mine[key]}")
        differences += self.identities.differences(checkpoint.said("identities", IdentityTable))
        saved_seed = checkpoint.said("random", dict[str, int]).get("seed")
        if saved_seed != self.seed:
            differences.append(f"seed: checkpoint {saved_seed}, this run {self.seed} (the data order would change)")
        if checkpoint.groups != self.groups:
            differences.append(
                f"optim.ema_decay: the checkpoint {'has' if EMA in checkpoint.groups else 'lacks'} averaged weights"
            )
        return differences


@dataclass(frozen=True)
class WeightsReport:
    """What loading network weights did, by parameter name."""

    taken: list[str]
    other_shape: list[str]
    unknown: list[str]
    left_at_init: list[str]

    def __str__(self) -> str:
        parts = [f"{len(self.taken)} tensors taken"]
        for label, names in (
            ("skipped, other shape", self.other_shape),
            ("skipped, not in this network", self.unknown),
            ("left at their initial values", self.left_at_init),
        ):
            parts.append(f"{len(names)} {label}" + (f" ({shortened(names)})" if names else ""))
        return "; ".join(parts)


def load_weights(wanted: Mapping[str, Parameter | Part], path: Path) -> WeightsReport:
    """Take network weights alone, where name and shape agree.

    Args:
        wanted: a network's state, which takes them.
        path: a .safetensors file of network weights, a checkpoint directory or a run directory.

    Raises:
        CheckpointError: nothing there, unreadable, or less than a third of the network fits, as of another network;
            a backbone alone is more, another number of classes or embeddings leaves little out.
    """
    if not path.exists():
        raise CheckpointError(
            f"weights={path} does not exist; give a .safetensors file, a checkpoint or run directory, or weights=null "
            "to start from scratch"
        )
    found = (read_checkpoint(path) if path.is_dir() else read_weights_file(path)).network_to_use()
    if any(_OFFSETS in name for name in found) and not any(_OFFSETS in name for name in wanted):
        raise CheckpointError(
            f"weights={path}: its neck is deformable, that of this network is plain; set model=dla_34 (or the network "
            "of the weights), or convert them with drop_deformable=true"
        )
    taken = {
        name: array for name, array in found.items() if name in wanted and tuple(wanted[name].shape) == array.shape
    }
    report = WeightsReport(
        taken=list(taken),
        other_shape=[name for name in found if name in wanted and name not in taken],
        unknown=[name for name in found if name not in wanted],
        left_at_init=[name for name in wanted if name not in found],
    )
    if len(taken) < _LEAST_SHARE * len(wanted):
        raise CheckpointError(
            f"weights={path}: only {len(taken)} of this network's {len(wanted)} tensors are there by name and shape "
            f"({report}); set model= to the network of the weights, or weights=null to start from scratch"
        )
    write_arrays(wanted, taken)
    return report
