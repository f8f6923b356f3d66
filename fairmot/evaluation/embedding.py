"""How well embeddings tell identities apart: true positive rate at given false accept rates."""

from collections.abc import Sequence

import numpy as np

from fairmot.errors import DataError

FALSE_ACCEPT_RATES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_BINS = 2**20  # 2e-6 wide: the rounding of a float32 cosine of 128 elements
_BLOCK_PAIRS = 2**23


def true_positive_rates(
    embeddings: np.ndarray, ids: np.ndarray, false_accept_rates: Sequence[float] = FALSE_ACCEPT_RATES
) -> dict[float, float]:
    """Verify every pair of objects by the cosine of their embeddings, as the original's embedding test does.

    A pair is accepted when its cosine is above a threshold. For each rate the threshold is the lowest
    that accepts at most this share of the pairs of different identities. Cosines are counted in bins
    rather than kept, so memory does not grow with the number of pairs (2e8 at 20,000 objects).

    Args:
        embeddings: float [N, D], any length.
        ids: int [N]; rows below 0 have no identity and are left out.
        false_accept_rates: shares of the different pairs, 0 to 1. A rate below one such pair accepts none.

    Returns:
        rate -> share, 0 to 1, of the pairs of equal identity that are accepted.

    Raises:
        DataError: an embedding is not finite, or no two objects are the same, or all are.
    """
    ids = np.asarray(ids)
    embeddings, ids = np.asarray(embeddings, np.float32)[ids >= 0], ids[ids >= 0]
    if not np.isfinite(embeddings).all():
        raise DataError(f"embeddings: row {np.argmin(np.isfinite(embeddings).all(1))} is not finite")
    same, different = _count_cosines(embeddings, ids)
    if not same.sum() or not different.sum():
        raise DataError(
            f"embeddings: {len(ids)} objects of {len(np.unique(ids))} identities; "
            "need two objects of one identity and two of different ones"
        )
    accepted_same, accepted_different = same[::-1].cumsum(), different[::-1].cumsum()
    rates = {}
    for rate in false_accept_rates:
        allowed = np.floor(rate * different.sum() * (1 + 1e-12))  # 0.29 * 100 is 28.999999999999996
        bins = int(np.searchsorted(accepted_different, allowed, side="right"))
        rates[rate] = float(accepted_same[bins - 1] / same.sum()) if bins else 0.0
    return rates


def _count_cosines(embeddings: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Histograms int64 [_BINS] over cosines -1 to 1: of pairs of the same identity, of different ones."""
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = embeddings / np.maximum(norms, 1e-12)
    same, different = np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64)
    rows = max(1, _BLOCK_PAIRS // max(1, len(ids)))
    for start in range(0, len(ids), rows):
        block = slice(start, start + rows)
        cosines = unit[block] @ unit[start:].T
        bins = np.clip((cosines + 1) * (_BINS / 2), 0, _BINS - 1).astype(np.int32)
        later = np.arange(cosines.shape[1]) > np.arange(cosines.shape[0])[:, None]  # each pair once, none with itself
        equal = ids[block, None] == ids[start:]
        same += np.bincount(bins[later & equal], minlength=_BINS)
        different += np.bincount(bins[later & ~equal], minlength=_BINS)
    return same, different
