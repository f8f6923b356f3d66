"""A batch for the step that is measured: drawn, of the shapes and types that the loader gives."""

import numpy as np

from train.build import empty_batch
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
    pictures, targets = empty_batch(config, slots)  # every object is identity 0, which there always is
    num_cells = targets.hm[0, 0].size
    count = min(_OBJECTS, slots, num_cells)
    for sample in range(len(pictures)):
        cells = generator.choice(num_cells, count, replace=False)
        targets.hm[sample, 0].reshape(-1)[cells] = 1
        targets.reg_mask[sample, :count] = 1
        targets.ind[sample, :count] = cells
        targets.wh[sample, :count] = generator.uniform(1, 5, targets.wh[sample, :count].shape)
        targets.reg[sample, :count] = generator.uniform(0, 1, (count, 2))
    return [generator.integers(0, 256, pictures.shape, dtype=np.uint8), *targets]
