"""Weights for networks that nobody trained, by which they still tell places apart."""

import numpy as np


def drawn_weights(network, seed=4, scale=0.3):
    """Weights by the names of checkpoints that leave no two cells equal: no unit is off, all boxes have a size."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, parameter in network.state().items():
        drawn = rng.standard_normal(parameter.shape).astype(np.float32)
        is_positive = name.endswith(("moving_variance", "beta", ".0.bias", "wh.2.bias"))
        weights[name] = np.abs(drawn) + 1 if is_positive else scale * drawn
    return weights
