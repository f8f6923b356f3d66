"""The moving pictures of the synthetic data set: a street, a slowly panning camera, walkers that hide each other."""

from dataclasses import dataclass

import cv2
import numpy as np

from fairmot.data.synthetic.figure import (
    FIGURE_HEIGHT_PX,
    FIGURE_WIDTH_PX,
    GAIT_PHASES,
    Figure,
    draw_gait,
    random_appearance,
)

_HORIZON = 0.2  # of the image height; a walker's height is proportional to how far below it the feet stand
_WALL_FOOT = 0.38
_HEIGHT_PER_DROP = 0.66
_PAN_PX = 24
_STRIDE_PER_HEIGHT = 0.85
# Width and height of the box, in heights of the picture. The feet reach 0.98 of it, the swinging limbs its whole width.
_EXTENT = {Figure.person: (0.44, 1.0), Figure.cart: (0.48, 0.42)}


@dataclass(frozen=True)
class Walker:
    """One identity: its pictures and its path, a swing along x and a slow drift in depth.

    Lengths are pixels in the street's frame (the camera's pan is subtracted later); times are seconds.
    """

    figure: Figure
    gait: list[np.ndarray]
    centre_x: float
    amplitude_x: float
    period_s: float
    turn_s: float
    foot_y: float
    drift_y: float
    drift_period_s: float
    horizon_y: float

    def stand(self, time_s: float) -> tuple[float, float, float, bool]:
        """Where the walker stands: foot x, foot y, body height, and whether it walks to the right."""
        angle = 2 * np.pi * (time_s - self.turn_s) / self.period_s
        x = self.centre_x + self.amplitude_x * np.cos(angle)
        foot_y = self.foot_y + self.drift_y * np.sin(2 * np.pi * time_s / self.drift_period_s)
        return x, foot_y, _HEIGHT_PER_DROP * (foot_y - self.horizon_y), self.amplitude_x * np.sin(angle) < 0


@dataclass(frozen=True)
class Scene:
    """One sequence's street, walkers in order from far to near, and camera."""

    street: np.ndarray
    walkers: list[Walker]
    pan_period_s: float
    light_period_s: float
    light_change: float


@dataclass(frozen=True)
class Seen:
    """A walker in a frame: index in the scene, whole body's box in pixels (it may leave the image), visible part."""

    walker: int
    figure: Figure
    box_xywh: tuple[float, float, float, float]
    visibility: float


def make_scene(
    rng: np.random.Generator, height: int, width: int, walkers: int, duration_s: float, classes: int = 1
) -> Scene:
    """Draw the street and choose who walks there, figures in turn; everything follows from `rng`."""
    # Depths stay apart, so nobody walks through anybody else: whoever is nearer hides whoever is farther.
    feet = np.linspace(0.55, 1.03, walkers) if walkers > 1 else np.array([0.8])
    looks = rng.permutation(walkers)
    people = [
        _make_walker(
            rng,
            height,
            width,
            foot_y=foot * height,
            duration_s=duration_s,
            look=int(look),
            walkers=walkers,
            order=order,
            figure=Figure(order % classes),
        )
        for order, (foot, look) in enumerate(zip(feet, looks, strict=True))
    ]
    return Scene(
        street=_draw_street(rng, height, width + 2 * _PAN_PX + 2),
        walkers=people,
        pan_period_s=float(rng.uniform(8, 14)),
        light_period_s=float(rng.uniform(5, 10)),
        light_change=float(rng.uniform(0.06, 0.14)),
    )


def _make_walker(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    foot_y: float,
    duration_s: float,
    look: int,
    walkers: int,
    order: int,
    figure: Figure,
) -> Walker:
    """Give every third walker a turn just outside the image (it comes back); the others cross the street."""
    body_px = _HEIGHT_PER_DROP * (foot_y - _HORIZON * height)
    speed_px_per_s = 0.75 * body_px * rng.uniform(0.75, 1.25)
    side = 1.0 if rng.uniform() < 0.5 else -1.0
    comes_back = order % 3 == 1
    amplitude = width * (rng.uniform(0.28, 0.42) if comes_back else rng.uniform(0.45, 0.62))
    period_s = 2 * np.pi * amplitude / speed_px_per_s
    if comes_back:
        turn_x = width / 2 + side * (width / 2 + body_px * rng.uniform(0.35, 0.6))
        centre_x = turn_x - side * amplitude
        turn_s = duration_s * rng.uniform(0.35, 0.65)
    else:
        centre_x = width * rng.uniform(0.42, 0.58)
        turn_s = duration_s * rng.uniform(0.2, 0.8) + period_s / 4  # a quarter swing after passing the middle
    return Walker(
        figure=figure,
        gait=draw_gait(random_appearance(rng, look, walkers), figure),
        centre_x=float(centre_x),
        amplitude_x=float(side * amplitude),
        period_s=float(period_s),
        turn_s=float(turn_s),
        foot_y=float(foot_y),
        drift_y=float(0.2 * height / walkers * rng.uniform(0.5, 1)),
        drift_period_s=float(rng.uniform(6, 12)),
        horizon_y=_HORIZON * height,
    )


def render(scene: Scene, height: int, width: int, time_s: float) -> tuple[np.ndarray, list[Seen]]:
    """Paint one frame.

    Returns:
        uint8 BGR [height, width, 3], and the walkers of whom at least one pixel shows, in order of their index.
    """
    pan_px = _PAN_PX * np.sin(2 * np.pi * time_s / scene.pan_period_s)
    frame = _shifted_crop(scene.street, _PAN_PX + pan_px, width)
    owner = np.full((height, width), -1, np.int16)
    boxes, body_pixels = [], []
    for index, walker in enumerate(scene.walkers):
        foot_x, foot_y, body_px, to_right = walker.stand(time_s)
        phase = int(foot_x / (_STRIDE_PER_HEIGHT * body_px) * GAIT_PHASES) % GAIT_PHASES
        picture = walker.gait[phase] if to_right else walker.gait[phase][:, ::-1]
        middle_x = foot_x - pan_px
        _shadow(frame, middle_x, foot_y, body_px)
        body_pixels.append(_paste(frame, owner, picture, (middle_x, foot_y - body_px, body_px), index))
        wide_px, high_px = (share * body_px for share in _EXTENT[walker.figure])
        boxes.append((middle_x - wide_px / 2, foot_y - high_px, wide_px, high_px))
    shown = np.bincount(owner[owner >= 0], minlength=len(boxes))
    seen = [
        Seen(index, scene.walkers[index].figure, boxes[index], float(shown[index] / body_pixels[index]))
        for index in range(len(boxes))
        if shown[index] > 0
    ]
    light = 1 + scene.light_change * np.sin(2 * np.pi * time_s / scene.light_period_s)
    return cv2.convertScaleAbs(frame, alpha=light), seen


def _shifted_crop(street: np.ndarray, left_px: float, width: int) -> np.ndarray:
    whole = int(left_px)
    part = left_px - whole
    crop = street[:, whole : whole + width + 1]
    return cv2.addWeighted(crop[:, :-1], 1 - part, crop[:, 1:], part, 0)


def _shadow(frame: np.ndarray, foot_x: float, foot_y: float, body_px: float) -> None:
    half_width, half_height = 0.26 * body_px, 0.06 * body_px
    left, right = max(0, int(foot_x - half_width)), min(frame.shape[1], int(foot_x + half_width) + 1)
    top, bottom = max(0, int(foot_y - half_height)), min(frame.shape[0], int(foot_y + half_height) + 1)
    if left >= right or top >= bottom:
        return
    x = (np.arange(left, right, dtype=np.float32) - foot_x) / half_width
    y = (np.arange(top, bottom, dtype=np.float32) - foot_y) / half_height
    light = 1 - 0.5 * np.clip(1 - x[None, :] ** 2 - y[:, None] ** 2, 0, 1)
    area = frame[top:bottom, left:right]
    area[:] = (area * light[..., None]).astype(np.uint8)


def _paste(
    frame: np.ndarray, owner: np.ndarray, picture: np.ndarray, place: tuple[float, float, float], index: int
) -> int:
    """Blend the figure over `frame` and note its pixels in `owner`; returns how many it has, inside or not.

    Args:
        frame: uint8 BGR [height, width, 3].
        owner: int16 [height, width].
        picture: the figure.
        place: middle x, top y and height of the picture in the frame, pixels.
        index: of the walker.
    """
    middle_x, top, height = place
    scale = height / FIGURE_HEIGHT_PX
    if scale < 0.6:  # bilinear sampling alone would flicker
        picture = cv2.resize(picture, (FIGURE_WIDTH_PX // 2, FIGURE_HEIGHT_PX // 2), interpolation=cv2.INTER_AREA)
        scale *= 2
    picture_left = middle_x - height / 4
    x0, y0 = int(np.floor(picture_left)), int(np.floor(top))
    size = (int(np.ceil(height / 2)) + 2, int(np.ceil(height)) + 2)
    placed = np.array([[scale, 0, picture_left - x0], [0, scale, top - y0]], np.float64)
    figure = cv2.warpAffine(np.ascontiguousarray(picture), placed, size, flags=cv2.INTER_LINEAR)
    solid = figure[..., 3] > 127
    x1, y1 = max(0, x0), max(0, y0)
    x2, y2 = min(frame.shape[1], x0 + size[0]), min(frame.shape[0], y0 + size[1])
    if x1 < x2 and y1 < y2:
        inside = (slice(y1 - y0, y2 - y0), slice(x1 - x0, x2 - x0))
        area = frame[y1:y2, x1:x2]
        uncovered = 255 - figure[inside][..., 3:].astype(np.uint16)
        area[:] = np.minimum(area * uncovered // 255 + figure[inside][..., :3], 255)
        owner[y1:y2, x1:x2][solid[inside]] = index
    return int(np.count_nonzero(solid))


def _draw_street(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A wall with windows above a paved ground whose joints run to the horizon; uint8 BGR [height, width, 3]."""
    wall_foot, horizon = round(_WALL_FOOT * height), _HORIZON * height
    street = np.empty((height, width, 3), np.float32)
    street[:wall_foot] = rng.uniform(110, 170) + rng.uniform(-25, 25, 3)
    street[wall_foot:] = rng.uniform(95, 150) + rng.uniform(-14, 14, 3)
    _draw_windows(rng, street, wall_foot)
    y, x = np.mgrid[wall_foot:height, 0:width].astype(np.float32)
    depth = height / (y - horizon)
    rows, columns = np.floor(depth * 5), np.floor((x - width / 2) / height * depth * 4)
    stones = rng.uniform(0.88, 1.08, (64, 64)).astype(np.float32)
    street[wall_foot:] *= stones[rows.astype(int) % 64, columns.astype(int) % 64][..., None]
    street[wall_foot : wall_foot + max(2, height // 60)] *= 0.6
    for cells, strength in ((8, 0.10), (32, 0.08), (128, 0.06)):
        noise = rng.uniform(-strength, strength, (max(2, cells * height // width), cells)).astype(np.float32)
        street *= 1 + cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(street, 0, 255).astype(np.uint8)


def _draw_windows(rng: np.random.Generator, street: np.ndarray, wall_foot: int) -> None:
    left, frame_colour = int(rng.integers(4, 20)), tuple((rng.uniform(60, 200) + rng.uniform(-40, 40, 3)).tolist())
    while left < street.shape[1]:
        right = left + int(wall_foot * rng.uniform(0.35, 0.8))
        top, is_door = int(wall_foot * 0.2), rng.uniform() < 0.25
        bottom = wall_foot if is_door else int(wall_foot * 0.72)
        glass = tuple((rng.uniform(30, 110) * np.array([1.2, 1.05, 0.9])).tolist())
        cv2.rectangle(street, (left, top), (right, bottom), glass, -1)
        cv2.rectangle(street, (left, top), (right, bottom), frame_colour, 2)
        if not is_door:
            cv2.line(street, ((left + right) // 2, top), ((left + right) // 2, bottom), frame_colour, 1)
        left = right + int(wall_foot * rng.uniform(0.15, 0.5))
