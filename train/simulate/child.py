"""The process that compiles: started by `run.simulate` with MindSpore's simulation switched on.

    python -m train.simulate.child <configuration.yaml> <measured.json>

Builds what training builds, calls the step once on empty samples, with validation on also the detector, and writes down
what only it can know. No kernel is launched: MindSpore compiles, chooses kernels and plans memory.
"""

import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor
from omegaconf import OmegaConf

from fairmot.addresses import is_address
from fairmot.data.dataset import JointDataset
from fairmot.data.identities import IdentityTable
from fairmot.data.packed import open_index
from fairmot.errors import FairMOTError
from train.build import build_dataset, build_detector, build_state, build_step, empty_batch
from train.config import TrainConfig
from train.distributed import connect
from train.packing import num_bytes
from train.simulate.graphs import count_branches, saved_graphs
from train.state import TrainState


@dataclass(frozen=True)
class Measured:
    """What the compiling process knows.

    Attributes:
        ranks: of the simulated world.
        rank: this process's.
        sizes_from: where identities and objects come from, in words.
        identities: classes of the classifier.
        objects: slots of a sample.
        compile_s: the step's first call, wall time.
        detector_compile_s: the detector's; None: validation is off.
        parameter_bytes: of network and losses.
        optimizer_bytes: of everything else that a checkpoint holds.
        host_to_device_bytes: one micro-batch's.
        branches: of the step: how often the host waits for a value to know which graph comes next.
        step_graphs: names of the files that hold the step's graphs; further ones are the detector's.
    """

    ranks: int
    rank: int
    sizes_from: str
    identities: int
    objects: int
    compile_s: float
    detector_compile_s: float | None
    parameter_bytes: int
    optimizer_bytes: int
    host_to_device_bytes: int
    branches: int
    step_graphs: list[str]


def compile_all(config: TrainConfig, graphs: Path) -> Measured:
    """Compile the step, and the detector where validation is on.

    Args:
        config: of the run to be simulated, with device ascend.
        graphs: where MindSpore saves what it compiles.

    Raises:
        FairMOTError: bad data, a refused value.
    """
    world = connect(config.device, config.runtime.threads, config.runtime)
    dataset = _dataset(config)
    if dataset is None:
        identities = IdentityTable(["assumed"], [config.simulate.identities])
        slots = config.data.max_objects or config.simulate.objects
    else:
        identities, slots = dataset.index.identities, dataset.slots
    state = build_state(config, identities, world)
    step = build_step(config, state, world)
    step.set_train()
    pictures, targets = empty_batch(config, slots)
    batch = [pictures, *targets]
    began_at_s = time.perf_counter()
    step(*map(Tensor, batch), Tensor(config.optim.lr, ms.float32), Tensor(0.0, ms.float32), Tensor(True))
    compile_s = time.perf_counter() - began_at_s
    branches = count_branches(graphs)
    step_graphs = sorted(path.name for path in saved_graphs(graphs))
    detector_s = _compile_detector(config, state) if config.validate_every_epochs else None
    trained = {group: num_bytes(state.parameters(group).values()) for group in state.groups}
    weights = trained.pop("network") + trained.pop("loss")
    return Measured(
        world.size,
        world.rank,
        "assumed: the data is not there" if dataset is None else "the data",
        identities.num_identities,
        slots,
        compile_s,
        detector_s,
        weights,
        sum(trained.values()),
        sum(column.nbytes for column in batch),
        branches,
        step_graphs,
    )


def _dataset(config: TrainConfig) -> JointDataset | None:
    """The data set, if it is there; nothing is drawn or downloaded for a dry run."""
    data = config.data
    if data.packed and is_address(data.packed):
        return None
    needed = [Path(data.packed)] if data.packed else [Path(data.root) / name for name in data.train.values()]
    if not all(path.exists() for path in needed):
        return None
    return build_dataset(config, open_index(data.packed, data.root, data.train, data.cache_dir, progress=False))


def _compile_detector(config: TrainConfig, state: TrainState) -> float:
    """Seconds that the graph of validation takes to compile."""
    height, width = config.data.input_size
    detector = build_detector(config, state)
    began_at_s = time.perf_counter()
    detector.run(np.zeros((1, height, width, 3), np.uint8))
    return time.perf_counter() - began_at_s


def main(config_file: Path, result: Path) -> int:
    """Compile what the file says and write the result; the exit code."""
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.load(config_file)))
    assert isinstance(config, TrainConfig)
    try:
        measured = compile_all(config, result.parent / "graphs")
    except FairMOTError as error:
        result.write_text(json.dumps({"error": str(error), "exit_code": error.exit_code}), encoding="utf-8")
        return error.exit_code
    result.write_text(json.dumps(dataclasses.asdict(measured)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
