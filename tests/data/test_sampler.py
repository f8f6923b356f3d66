import numpy as np
import pytest

from fairmot.data.sampler import epoch_order, rank_indices


def global_batches(length: int, world_size: int, batch_size: int, start_sample: int = 0) -> np.ndarray:
    """[steps, world * batch]: what all ranks together take in each step."""
    ranks = [
        rank_indices(
            length, 7, 3, rank=rank, world_size=world_size, batch_size=batch_size, start_sample=start_sample
        ).reshape(-1, batch_size)
        for rank in range(world_size)
    ]
    return np.concatenate(ranks, axis=1)


def test_order_is_a_permutation_that_depends_on_seed_and_epoch() -> None:
    order = epoch_order(100, seed=7, epoch=3)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(100))
    np.testing.assert_array_equal(order, epoch_order(100, seed=7, epoch=3))
    for other in (epoch_order(100, 8, 3), epoch_order(100, 7, 4)):
        assert (order != other).sum() > 50
    np.testing.assert_array_equal(epoch_order(5, 7, 3, shuffle=False), np.arange(5))


def test_the_order_never_changes() -> None:
    """A checkpoint written in the middle of an epoch must continue the same epoch under a later version."""
    assert epoch_order(10, seed=1, epoch=2).tolist() == [7, 8, 3, 4, 2, 1, 9, 6, 0, 5]


@pytest.mark.parametrize(("world_size", "batch_size"), [(1, 12), (2, 6), (3, 4), (4, 3), (6, 2), (12, 1)])
def test_steps_do_not_depend_on_the_number_of_ranks(world_size: int, batch_size: int) -> None:
    order = epoch_order(103, 7, 3)
    np.testing.assert_array_equal(global_batches(103, world_size, batch_size), order[:96].reshape(8, 12))


def test_resume_with_another_world_size_takes_every_remaining_sample_once() -> None:
    first = global_batches(96, world_size=2, batch_size=4)[:5]
    rest = global_batches(96, world_size=4, batch_size=7, start_sample=first.size)
    taken = np.concatenate([first.ravel(), rest.ravel()])
    assert sorted(taken) == list(range(96))


def test_an_epoch_that_is_over_gives_nothing() -> None:
    assert len(rank_indices(10, 0, 0, rank=0, world_size=1, batch_size=4, start_sample=8)) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 6}, r"batch larger than the data: 2 rank\(s\) x batch_size_per_rank=6 = 12, but .* 10 images"),
        ({"batch_size": 0}, "batch_size_per_rank must be at least 1"),
        ({"rank": 2}, "rank 2 is not one of 2 ranks"),
        ({"start_sample": 11}, "cannot start an epoch of 10 samples at sample 11"),
        ({"start_sample": -1}, "cannot start an epoch"),
    ],
)
def test_refused_arguments(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank_indices(10, 0, 0, **({"rank": 0, "world_size": 2, "batch_size": 2} | arguments))
