"""Who trains on which sample when: a pure function of seed, epoch, position and world size.

The order of an epoch does not depend on the number of ranks. Step t takes the t-th global batch of
it and every rank a slice of that batch, so a run resumed with another number of ranks continues with
exactly the samples that are left.
"""

import numpy as np


def epoch_order(length: int, seed: int, epoch: int, shuffle: bool = True) -> np.ndarray:
    """The order in which an epoch visits the samples: int64 [length], each index once."""
    if not shuffle:
        return np.arange(length, dtype=np.int64)
    # The spawn key keeps this stream apart from the augmentation's (seed, epoch, sample): SeedSequence
    # pads with zeros, so (seed, epoch) alone would be sample 0's stream.
    sequence = np.random.SeedSequence([seed, epoch], spawn_key=(0,))
    return np.random.Generator(np.random.PCG64(sequence)).permutation(length).astype(np.int64)


def rank_indices(
    length: int,
    seed: int,
    epoch: int,
    *,
    rank: int,
    world_size: int,
    batch_size: int,
    start_sample: int = 0,
    shuffle: bool = True,
) -> np.ndarray:
    """The samples one rank trains on in the rest of an epoch; the last incomplete global batch is dropped.

    Args:
        length: number of samples.
        seed: the run's seed, not negative.
        epoch: counted from 0.
        rank: which slice of every global batch.
        world_size: number of ranks.
        batch_size: samples per rank and step.
        start_sample: how many samples all ranks together have already taken from this epoch.
        shuffle: False visits the samples in their own order.

    Returns:
        int64 [steps * batch_size]; empty when less than a global batch is left.

    Raises:
        ValueError: the data does not fill one global batch, or an argument is out of range.
    """
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is not one of {world_size} ranks")
    if batch_size < 1:
        raise ValueError(f"batch_size_per_rank must be at least 1, got {batch_size}")
    if not 0 <= start_sample <= length:
        raise ValueError(f"cannot start an epoch of {length} samples at sample {start_sample}")
    global_batch = batch_size * world_size
    if length < global_batch:
        raise ValueError(
            f"batch larger than the data: {world_size} rank(s) x batch_size_per_rank={batch_size} = {global_batch}, "
            f"but there are {length} images; lower batch_size_per_rank"
        )
    remaining = epoch_order(length, seed, epoch, shuffle)[start_sample:]
    steps = len(remaining) // global_batch
    return remaining[: steps * global_batch].reshape(steps, world_size, batch_size)[:, rank].reshape(-1)
