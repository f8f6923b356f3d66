"""How the camera moved between two frames, from the background's corners."""

import cv2
import numpy as np

_LONGEST_SIDE_PX = 960
_MAX_CORNERS = 600
_MIN_INLIERS = 12
_MIN_INLIER_SHARE = 0.4
_LARGEST_ZOOM = 1.5


class CameraMotion:
    """Follows corners outside the detections from one frame to the next (Lucas-Kanade, then RANSAC).

    A frame that tells too little (no texture, too few corners that agree, an implausible zoom) counts as no motion.
    """

    def __init__(self) -> None:
        self._previous_grey: np.ndarray | None = None
        self._previous_corners = np.zeros((0, 1, 2), np.float32)

    def estimate(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Motion since the frame before.

        Args:
            frame: uint8 [H, W, 3] or [H, W].
            boxes_xyxy: [N, 4], pixels of this frame: what lies in them moves by itself and is left out next time.

        Returns:
            Rotation, zoom and shift as float64 [2, 3], from pixels of the previous frame to this one's; the identity
            for the first frame, after a change of size, and where the picture tells too little.
        """
        scale = min(1.0, _LONGEST_SIDE_PX / max(frame.shape[:2]))
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 else frame
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
        motion = self._motion_to(grey)
        motion[:, 2] /= scale
        self._previous_grey, self._previous_corners = grey.copy(), _background_corners(grey, boxes_xyxy * scale)
        return motion

    def _motion_to(self, grey: np.ndarray) -> np.ndarray:
        still = np.eye(2, 3)
        previous, corners = self._previous_grey, self._previous_corners
        if previous is None or previous.shape != grey.shape or len(corners) < _MIN_INLIERS:
            return still
        followed, found, _ = cv2.calcOpticalFlowPyrLK(previous, grey, corners, None)
        kept = found[:, 0] == 1
        if kept.sum() < _MIN_INLIERS:
            return still
        motion, agrees = cv2.estimateAffinePartial2D(corners[kept], followed[kept], ransacReprojThreshold=2.0)
        if motion is None or agrees.sum() < max(_MIN_INLIERS, _MIN_INLIER_SHARE * kept.sum()):
            return still
        zoom = np.sqrt(np.linalg.det(motion[:, :2]))
        return motion if 1 / _LARGEST_ZOOM <= zoom <= _LARGEST_ZOOM else still


def _background_corners(grey: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """Corners outside the boxes, float32 [C, 1, 2]."""
    background = np.full(grey.shape, 255, np.uint8)
    height, width = grey.shape
    lows = np.clip(np.floor(boxes_xyxy[:, :2]), 0, (width, height)).astype(int)
    highs = np.clip(np.ceil(boxes_xyxy[:, 2:]), 0, (width, height)).astype(int)
    for (left, top), (right, bottom) in zip(lows, highs, strict=True):
        background[top:bottom, left:right] = 0
    corners = cv2.goodFeaturesToTrack(grey, _MAX_CORNERS, qualityLevel=0.01, minDistance=5, mask=background)
    return np.zeros((0, 1, 2), np.float32) if corners is None else corners
