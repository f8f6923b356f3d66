"""The moving figures of the synthetic data set: one person, or cart, drawn in every phase of a step."""

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

GAIT_PHASES = 16
FIGURE_HEIGHT_PX, FIGURE_WIDTH_PX = 128, 64
_SUPERSAMPLING = 3
_SKIN_TONES_BGR = ((180, 205, 240), (140, 175, 225), (95, 135, 190), (60, 90, 140))
_HAIR_COLOURS_BGR = ((30, 30, 35), (35, 60, 95), (70, 130, 190), (150, 150, 155), (25, 40, 130))


class Figure(Enum):
    """What a walker is; the value is its class."""

    person = 0
    cart = 1


@dataclass(frozen=True)
class Appearance:
    """What makes a walker recognisable; colours are BGR, 0..255."""

    shirt: np.ndarray
    accent: np.ndarray
    pattern: int
    trousers: tuple[int, int, int]
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shoes: tuple[int, int, int]
    shoulder_width: float
    carries_bag: bool


def random_appearance(rng: np.random.Generator, index: int, count: int) -> Appearance:
    """Draw the looks of walker `index` of `count`; shirts of one sequence are spread around the colour circle."""
    hue = (index + rng.uniform(-0.25, 0.25)) / count % 1.0
    shirt = _colour(hue, rng.uniform(0.55, 0.95), rng.uniform(0.55, 0.95))
    accent = _colour(hue + rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.9), rng.uniform(0.25, 1.0))
    return Appearance(
        shirt=np.array(shirt, np.float32),
        accent=np.array(accent, np.float32),
        pattern=int(rng.integers(5)),
        trousers=_colour(rng.uniform(), rng.uniform(0.1, 0.6), rng.uniform(0.15, 0.6)),
        skin=_SKIN_TONES_BGR[rng.integers(len(_SKIN_TONES_BGR))],
        hair=_HAIR_COLOURS_BGR[rng.integers(len(_HAIR_COLOURS_BGR))],
        shoes=_colour(rng.uniform(), 0.2, rng.uniform(0.1, 0.9)),
        shoulder_width=float(rng.uniform(0.26, 0.33)),
        carries_bag=bool(rng.uniform() < 0.35),
    )


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    hsv = np.array([[[hue % 1.0 * 179, saturation * 255, value * 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def draw_gait(appearance: Appearance, figure: Figure = Figure.person) -> list[np.ndarray]:
    """Draw the figure, moving to the right, in each of `GAIT_PHASES` equal parts of one full step cycle.

    Returns:
        uint8 [FIGURE_HEIGHT_PX, FIGURE_WIDTH_PX, 4] pictures: BGR multiplied by coverage, then coverage (0..255).
    """
    height, width = FIGURE_HEIGHT_PX * _SUPERSAMPLING, FIGURE_WIDTH_PX * _SUPERSAMPLING
    cloth = _cloth(appearance, height, width)
    draw = _draw_person if figure is Figure.person else _draw_cart
    return [draw(appearance, cloth, 2 * np.pi * phase / GAIT_PHASES) for phase in range(GAIT_PHASES)]


def _draw_cart(look: Appearance, cloth: np.ndarray, angle: float) -> np.ndarray:
    """A box on two wheels in the lower part of the canvas; its cloth is the walker's."""
    canvas = np.zeros_like(cloth)
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [_pixels([(0.04, 0.6), (0.9, 0.6), (0.96, 0.88), (0.04, 0.88)])], 255)
    cv2.copyTo(cloth, mask, canvas)
    _limb(canvas, _darker(look.trousers, 0.8), 0.025, [(0.04, 0.88), (0.96, 0.88)])
    radius = round(0.075 * FIGURE_HEIGHT_PX * _SUPERSAMPLING)
    for x in (0.26, 0.74):
        hub = (x, 0.9)
        cv2.circle(canvas, _pixels([hub])[0].tolist(), radius, (25, 25, 25, 255), -1)
        rim = (x + 2 * 0.06 * np.cos(angle), 0.9 + 0.06 * np.sin(angle))
        _limb(canvas, look.shoes, 0.02, [hub, rim])
    return cv2.resize(canvas, (FIGURE_WIDTH_PX, FIGURE_HEIGHT_PX), interpolation=cv2.INTER_AREA)


def _draw_person(look: Appearance, cloth: np.ndarray, angle: float) -> np.ndarray:
    canvas = np.zeros_like(cloth)
    swing = float(np.sin(angle))
    # The body drops a little when the legs are apart, so that the feet stay on the ground.
    top = 0.012 * abs(swing)
    hip, shoulder = (0.5, 0.52 + top), (0.5, 0.21 + top)

    _limb(canvas, look.skin, 0.05, _arm(shoulder, 0.55 * swing))
    _leg(
        canvas,
        _darker(look.trousers, 0.7),
        _darker(look.shoes, 0.7),
        hip,
        swing=-0.42 * swing,
        lift=float(np.cos(angle)),
    )
    _leg(canvas, look.trousers, look.shoes, hip, swing=0.42 * swing, lift=-float(np.cos(angle)))
    _torso(canvas, cloth, look.shoulder_width, top)
    _limb(canvas, _darker(tuple(look.shirt.tolist()), 0.75), 0.055, _arm(shoulder, -0.55 * swing))
    if look.carries_bag:
        bag = [(0.33, 0.26 + top), (0.42, 0.26 + top), (0.42, 0.46 + top), (0.31, 0.46 + top)]
        cv2.fillPoly(canvas, [_pixels(bag)], (*_darker(tuple(look.accent.tolist()), 0.8), 255))
    _head(canvas, look, top)
    return cv2.resize(canvas, (FIGURE_WIDTH_PX, FIGURE_HEIGHT_PX), interpolation=cv2.INTER_AREA)


def _pixels(points: list[tuple[float, float]]) -> np.ndarray:
    """Points in figure heights, x doubled to fill the canvas (half as wide as high), to whole canvas pixels."""
    scale = np.array([FIGURE_WIDTH_PX, FIGURE_HEIGHT_PX], np.float32) * _SUPERSAMPLING
    return np.round(np.array(points, np.float32) * scale).astype(np.int32)


def _darker(colour: tuple[float, ...], factor: float) -> tuple[int, ...]:
    return tuple(int(channel * factor) for channel in colour)


def _limb(canvas: np.ndarray, colour: tuple[int, ...], thickness: float, points: list[tuple[float, float]]) -> None:
    thickness_px = max(1, round(thickness * FIGURE_HEIGHT_PX * _SUPERSAMPLING))
    cv2.polylines(canvas, [_pixels(points)], False, (*colour, 255), thickness_px, cv2.LINE_8)


def _arm(shoulder: tuple[float, float], swing: float) -> list[tuple[float, float]]:
    elbow = (shoulder[0] + 2 * 0.15 * np.sin(swing), shoulder[1] + 0.15 * np.cos(swing))
    bent = swing + 0.25
    hand = (elbow[0] + 2 * 0.14 * np.sin(bent), elbow[1] + 0.14 * np.cos(bent))
    return [shoulder, elbow, hand]


def _leg(
    canvas: np.ndarray,
    colour: tuple[int, ...],
    shoe: tuple[int, ...],
    hip: tuple[float, float],
    *,
    swing: float,
    lift: float,
) -> None:
    knee_bend = 0.45 * max(0.0, lift)
    knee = (hip[0] + 2 * 0.23 * np.sin(swing), hip[1] + 0.23 * np.cos(swing))
    ankle = (knee[0] + 2 * 0.21 * np.sin(swing - knee_bend), knee[1] + 0.21 * np.cos(swing - knee_bend))
    _limb(canvas, colour, 0.078, [hip, knee, ankle])
    _limb(canvas, shoe, 0.04, [(ankle[0] - 0.02, ankle[1] + 0.015), (ankle[0] + 0.09, ankle[1] + 0.018)])


def _torso(canvas: np.ndarray, cloth: np.ndarray, half: float, top: float) -> None:
    outline = [
        (0.5 - half, 0.20 + top),
        (0.5 - half * 0.55, 0.165 + top),
        (0.5 + half * 0.55, 0.165 + top),
        (0.5 + half, 0.20 + top),
        (0.5 + half * 0.72, 0.55 + top),
        (0.5 - half * 0.72, 0.55 + top),
    ]
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [_pixels(outline)], 255)
    cv2.copyTo(cloth, mask, canvas)


def _cloth(look: Appearance, height: int, width: int) -> np.ndarray:
    """The shirt's pattern over the whole canvas: plain, stripes across, stripes down, checks or dots."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    across, down = np.floor(y * 22) % 2, np.floor(x * 26) % 2
    dots = ((np.mod(x, 0.075) - 0.0375) ** 2 + (np.mod(y, 0.075) - 0.0375) ** 2 < 0.022**2).astype(np.float32)
    use_accent = (np.zeros_like(x), across, down, np.abs(across - down), dots)[look.pattern][..., None]
    shade = 1.1 - 0.9 * np.abs(x - 0.25)[..., None]
    colours = (look.shirt * (1 - use_accent) + look.accent * use_accent) * shade
    opaque = np.full((height, width, 1), 255, np.float32)
    return np.clip(np.concatenate([colours, opaque], axis=-1), 0, 255).astype(np.uint8)


def _head(canvas: np.ndarray, look: Appearance, top: float) -> None:
    _limb(canvas, _darker(look.skin, 0.85), 0.05, [(0.5, 0.12 + top), (0.5, 0.17 + top)])
    radius = round(0.068 * FIGURE_HEIGHT_PX * _SUPERSAMPLING)
    centre_x, centre_y = _pixels([(0.52, 0.08 + top)])[0].tolist()
    axes = (round(radius * 0.82), radius)
    cv2.ellipse(canvas, (centre_x, centre_y), axes, 0, 0, 360, (*look.skin, 255), -1)
    cv2.ellipse(canvas, (centre_x, centre_y), axes, 0, 110, 320, (*look.hair, 255), -1)
