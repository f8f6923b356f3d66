"""A batch for the step that is measured: drawn, of the shapes and types that the loader gives."""

import numpy as np

from fairmot.data.targets import Targets, empty_targets
from train.config import TrainConfig

_OBJECTS = 4


def drawn_batch(config: TrainConfig, slots: int, seed: int) -> list[np.ndarray]:
    """One micro-batch of noise with a few objects on each picture.

    Args:
        config: sizes, classes and kind of boxes.
        slots: K, objects that a sample has room for.
        seed: of the noise and of the places.

    Returns:
        uint8 pictures [B, H, W, 3], then the targets in the loader's order.
    """
    generator = np.random.default_rng(seed)
    (height, width), size = config.data.input_size, config.batch_size_per_rank
    cells_hw = height // config.model.down_ratio, width // config.model.down_ratio
    room = empty_targets(size, cells_hw, slots, ltrb=config.model.ltrb, num_classes=config.data.num_classes)
    targets = Targets(*map(np.zeros_like, room))  # every object is identity 0, which there always is
    count = min(_OBJECTS, slots, cells_hw[0] * cells_hw[1])
    for sample in range(size):
        cells = generator.choice(cells_hw[0] * cells_hw[1], count, replace=False)
        targets.hm[sample, 0].reshape(-1)[cells] = 1
        targets.reg_mask[sample, :count] = 1
        targets.ind[sample, :count] = cells
        targets.wh[sample, :count] = generator.uniform(1, 5, targets.wh[sample, :count].shape)
        targets.reg[sample, :count] = generator.uniform(0, 1, (count, 2))
    return [generator.integers(0, 256, (size, height, width, 3), dtype=np.uint8), *targets]
