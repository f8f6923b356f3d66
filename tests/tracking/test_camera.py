import cv2
import numpy as np
import pytest

from fairmot.tracking.camera import CameraMotion

NOBODY = np.zeros((0, 4))


def world(height=360, width=640, seed=0):
    picture = np.random.default_rng(seed).integers(0, 255, (height // 12, width // 12)).astype(np.uint8)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)


def corners_after(motion, size):
    height, width = size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    return corners @ motion[:, :2].T + motion[:, 2]


@pytest.mark.parametrize(
    ("degrees", "zoom", "shift"), [(0, 1, (13, -6)), (2, 1, (0, 0)), (0, 1.04, (-8, 3)), (-1.5, 0.97, (5, 5))]
)
def test_a_known_motion_is_measured(degrees, zoom, shift):
    picture = world()
    truth = cv2.getRotationMatrix2D((320, 180), degrees, zoom)
    truth[:, 2] += shift
    camera = CameraMotion()
    np.testing.assert_array_equal(camera.estimate(picture, NOBODY), np.eye(2, 3))
    moved = cv2.warpAffine(picture, truth, (640, 360), borderMode=cv2.BORDER_REFLECT)
    measured = camera.estimate(cv2.cvtColor(moved, cv2.COLOR_GRAY2BGR), NOBODY)
    np.testing.assert_allclose(corners_after(measured, (360, 640)), corners_after(truth, (360, 640)), atol=1.0)


def test_large_frames_are_measured_in_their_own_pixels():
    picture = world(1080, 1920)
    camera = CameraMotion()
    camera.estimate(picture, NOBODY)
    moved = np.roll(picture, (12, 26), axis=(0, 1))
    np.testing.assert_allclose(camera.estimate(moved, NOBODY)[:, 2], [26, 12], atol=1.0)


def test_what_moves_by_itself_is_left_out():
    """A passer-by with more texture than the background walks against a still wall."""
    background = (world(seed=1) // 4).astype(np.uint8)
    passer_by = world(300, 400, seed=2)
    first, second = background.copy(), background.copy()
    first[30:330, 50:450], second[30:330, 70:470] = passer_by, passer_by
    box = np.array([[50.0, 30, 450, 330]])
    camera = CameraMotion()
    camera.estimate(first, box)
    np.testing.assert_allclose(camera.estimate(second, box + np.array([20, 0, 20, 0])), np.eye(2, 3), atol=0.05)


@pytest.mark.parametrize(
    "frames",
    [
        [np.full((200, 300, 3), 90, np.uint8)] * 3,
        [world(), np.zeros((360, 640), np.uint8), world()],
        [world(), world(seed=9), world(seed=10)],
        [world(), world(180, 320)],
        [np.zeros((1, 1), np.uint8)] * 2,
    ],
    ids=["no texture", "black in between", "cuts", "change of size", "one pixel"],
)
def test_what_tells_too_little_is_no_motion(frames):
    camera = CameraMotion()
    for frame in frames:
        np.testing.assert_array_equal(camera.estimate(frame, NOBODY), np.eye(2, 3))


def test_boxes_beyond_the_border_and_over_everything():
    camera = CameraMotion()
    everything = np.array([[-1e9, -50, 1e9, 500], [900, 900, 1000, 1000]])
    for _ in range(3):
        np.testing.assert_array_equal(camera.estimate(world(), everything), np.eye(2, 3))
