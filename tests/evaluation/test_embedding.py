import numpy as np
import pytest

from fairmot.errors import DataError
from fairmot.evaluation import embedding
from fairmot.evaluation.embedding import FALSE_ACCEPT_RATES, true_positive_rates


def people(seed: int, count: int = 300, identities: int = 40, noise: float = 0.17) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    ids = generator.integers(0, identities, count)
    means = generator.normal(size=(identities, 64))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    lengths = generator.uniform(0.1, 10, (count, 1))
    return (means[ids] + noise * generator.normal(size=(count, 64))) * lengths, ids


def all_pairs(embeddings: np.ndarray, ids: np.ndarray, rate: float) -> float:
    """Sort every cosine in float64; accept what is above the first different pair too many."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    upper = np.triu_indices(len(ids), 1)
    cosines, equal = (unit @ unit.T)[upper], (ids[:, None] == ids)[upper]
    different = np.sort(cosines[~equal])[::-1]
    return float((cosines[equal] > different[int(rate * len(different))]).mean())


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_sorting_all_pairs(seed: int) -> None:
    embeddings, ids = people(seed)
    rates = true_positive_rates(embeddings, ids)
    assert list(rates) == list(FALSE_ACCEPT_RATES)
    for rate, share in rates.items():
        assert share == pytest.approx(all_pairs(embeddings, ids, rate), abs=1e-3)
    assert 0 < rates[1e-3] < rates[1e-1] < 1


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, ids = people(seed=4)
    whole = true_positive_rates(embeddings, ids)
    monkeypatch.setattr(embedding, "_BLOCK_PAIRS", 2000)  # 6 rows a block
    assert true_positive_rates(embeddings, ids) == pytest.approx(whole, abs=2e-4)


def test_perfect_embeddings() -> None:
    ids = np.repeat(np.arange(5), 4)
    assert set(true_positive_rates(np.eye(5)[ids], ids).values()) == {1.0}


def test_equal_embeddings_tell_nothing() -> None:
    ids = np.repeat(np.arange(5), 4)
    assert set(true_positive_rates(np.ones((20, 3)), ids).values()) == {0.0}


def test_rows_without_identity_are_left_out() -> None:
    embeddings, ids = people(seed=5)
    extra = np.random.default_rng(0).normal(size=(50, 64))
    extra[0] = np.nan
    with_extra = true_positive_rates(np.concatenate([extra, embeddings]), np.concatenate([np.full(50, -1), ids]))
    assert with_extra == true_positive_rates(embeddings, ids)


def test_a_rate_is_exact() -> None:
    # One identity twice at cosine 0.5; of its pairs with others exactly 2 of 5 lie above.
    angles = np.arccos([1.0, 0.5])
    first, second = (np.array([np.cos(angle), np.sin(angle)]) for angle in angles)
    other = np.array([np.cos(-0.2), np.sin(-0.2)])
    third = np.array([np.cos(1.3), np.sin(1.3)])
    embeddings, ids = np.stack([first, second, other, third]), np.array([0, 0, 1, 2])
    assert true_positive_rates(embeddings, ids, (0.39, 0.4)) == {0.39: 0.0, 0.4: 1.0}


@pytest.mark.parametrize("ids", [[0, 1, 2], [1, 1, 1], [-1, -1, -1], [0, 1, -1]])
def test_pairs_of_both_kinds_are_needed(ids: list[int]) -> None:
    with pytest.raises(DataError, match="need two objects of one identity and two of different ones"):
        true_positive_rates(np.ones((3, 2)), np.array(ids))


def test_numbers_that_are_none() -> None:
    with pytest.raises(DataError, match="row 1 is not finite"):
        true_positive_rates(np.array([[1.0, 2], [np.inf, 1]]), np.array([0, 0]))
