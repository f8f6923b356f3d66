"""The motion model of a box: constant velocity, many boxes at a time.

The state is that of SORT, DeepSORT and FairMOT: centre x, centre y, aspect (width / height), height, then their
velocities per frame. Every matrix of that filter (start, motion, process and measurement noise) couples a
coordinate with its own velocity and with nothing else, so the 8x8 covariance is, exactly, four 2x2 blocks. Their
three numbers are kept instead: 12 values a box, no matrix product and no Cholesky factor anywhere.

    means      [T, 8]     x y a h, then velocities
    variances  [T, 3, 4]  rows: variance of the position, covariance of position and velocity, variance of the velocity
"""

import numpy as np

GATE_4_DEGREES = 9.4877
"""95 % quantile of chi-square with four degrees of freedom, as rounded in the original."""

_POSITION_PER_HEIGHT = 1 / 20
_VELOCITY_PER_HEIGHT = 1 / 160
_ASPECT, _HEIGHT = 2, 3
_ASPECT_STD, _ASPECT_VELOCITY_STD, _ASPECT_MEASURED_STD = 1e-2, 1e-5, 1e-1


def _noise(heights_px: np.ndarray, per_height: float, aspect_std: float) -> np.ndarray:
    """Variances [T, 4] of independent errors: a share of the height for lengths, a constant for the aspect."""
    variances = np.empty((len(heights_px), 4))
    variances[:] = np.square(per_height * heights_px)[:, None]
    variances[:, _ASPECT] = aspect_std**2
    return variances


def initiate(measurements_xyah: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First state of boxes [N, 4]: at rest, with a wide uncertainty. Returns means [N, 8], variances [N, 3, 4]."""
    heights_px = measurements_xyah[:, _HEIGHT]
    means = np.concatenate([measurements_xyah, np.zeros_like(measurements_xyah)], axis=1)
    variances = np.zeros((len(means), 3, 4))
    variances[:, 0] = _noise(heights_px, 2 * _POSITION_PER_HEIGHT, _ASPECT_STD)
    variances[:, 2] = _noise(heights_px, 10 * _VELOCITY_PER_HEIGHT, _ASPECT_VELOCITY_STD)
    return means, variances


def predict(means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states one frame later, as new arrays of the same shapes."""
    heights_px = means[:, _HEIGHT]
    position, cross, velocity = variances[:, 0], variances[:, 1], variances[:, 2]
    later_means = means.copy()
    later_means[:, :4] += means[:, 4:]
    later = np.empty_like(variances)
    later[:, 0] = position + 2 * cross + velocity + _noise(heights_px, _POSITION_PER_HEIGHT, _ASPECT_STD)
    later[:, 1] = cross + velocity
    later[:, 2] = velocity + _noise(heights_px, _VELOCITY_PER_HEIGHT, _ASPECT_VELOCITY_STD)
    return later_means, later


def innovation_variances(means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """How far measurements are expected to fall from the means: variances [T, 4] of x, y, a, h."""
    return variances[:, 0] + _noise(means[:, _HEIGHT], _POSITION_PER_HEIGHT, _ASPECT_MEASURED_STD)


def update(means: np.ndarray, variances: np.ndarray, measurements_xyah: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states corrected by one measurement [T, 4] each, as new arrays of the same shapes."""
    expected = innovation_variances(means, variances)
    gains = variances[:, :2] / expected[:, None]  # [T, 2, 4]: of positions, of velocities
    innovations = measurements_xyah - means[:, :4]
    corrected_means = means + (gains * innovations[:, None]).reshape(-1, 8)
    corrected = variances.copy()
    corrected[:, :2] -= gains[:, :1] * variances[:, :2]
    corrected[:, 2] -= gains[:, 1] * variances[:, 1]
    return corrected_means, corrected


def move(means: np.ndarray, variances: np.ndarray, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states as seen after the camera moved, as new arrays of the same shapes.

    Rotation, zoom and shift keep the blocks apart exactly: x and y always have equal variances.

    Args:
        means: [T, 8].
        variances: [T, 3, 4].
        similarity: [2, 3], takes pixels of the previous frame to pixels of this one.
    """
    linear, shift = similarity[:, :2], similarity[:, 2]
    zoom = np.sqrt(np.abs(np.linalg.det(linear)))
    moved = means.copy()
    moved[:, :2] = means[:, :2] @ linear.T + shift
    moved[:, 4:6] = means[:, 4:6] @ linear.T
    moved[:, [3, 7]] *= zoom
    factors = np.array([zoom, zoom, 1, zoom]) ** 2
    return moved, variances * factors
