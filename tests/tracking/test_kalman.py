import numpy as np

from fairmot.tracking import kalman


def followed(measurements_xyah, frames=5, step=(3.0, -2.0, 0.0, 0.5)):
    state = kalman.initiate(measurements_xyah)
    for frame in range(1, frames):
        state = kalman.update(*kalman.predict(*state), measurements_xyah + frame * np.array(step))
    return state


def turned(zoom=1.1, degrees=7.0, shift=(20.0, -9.0)):
    angle = np.radians(degrees)
    rotation = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([rotation, np.array(shift)[:, None]], axis=1)


BOXES = np.array([[100.0, 200.0, 0.4, 120.0], [640.0, 360.0, 0.5, 60.0]])


def test_a_steady_walk_is_learned():
    means, variances = followed(BOXES, frames=30)
    np.testing.assert_allclose(means[:, 4:6], [[3, -2], [3, -2]], atol=0.2)
    assert (variances[:, 0] * variances[:, 2] >= variances[:, 1] ** 2).all()


def test_camera_motion_moves_the_state_as_it_moves_the_world():
    similarity = turned()
    moved = kalman.move(*followed(BOXES), similarity)
    centre = BOXES[:, :2] @ similarity[:, :2].T + similarity[:, 2]
    boxes = np.column_stack([centre, BOXES[:, 2], BOXES[:, 3] * 1.1])
    step = np.append(similarity[:, :2] @ (3.0, -2.0), (0, 0.5 * 1.1))
    np.testing.assert_allclose(moved[0], followed(boxes, step=step)[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moved[1][:, :, [0, 1, 3]], followed(boxes, step=step)[1][:, :, [0, 1, 3]], rtol=1e-9)


def test_there_and_back_is_no_motion_and_inputs_stay():
    state = followed(BOXES)
    kept = [array.copy() for array in state]
    similarity = turned()
    linear = np.linalg.inv(similarity[:, :2])
    back = np.concatenate([linear, -linear @ similarity[:, 2:]], axis=1)
    for ours, original in zip(kalman.move(*kalman.move(*state, similarity), back), kept, strict=True):
        np.testing.assert_allclose(ours, original, rtol=1e-9, atol=1e-9)
    kalman.predict(*state)
    kalman.update(*state, BOXES)
    for ours, original in zip(state, kept, strict=True):
        np.testing.assert_array_equal(ours, original)
