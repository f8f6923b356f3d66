"""Drawing tracks and heatmaps on frames, and frames on a sheet. All pictures are uint8 [H, W, 3], BGR."""

import colorsys
from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np

from fairmot.media.fonts import text_mask
from fairmot.structures import Tracks

Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.618034
_SATURATIONS = (0.75, 0.9, 0.55)  # ids whose hues happen to be near still differ
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_BRIGHT = 140.0
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LETTER_PX = 30  # at OpenCV's size 1
_SHEET_GREY = 32
_HEAT_OPACITY = 0.75


def colour_of(identity: int) -> Colour:
    """The colour (B, G, R) of an identity, always the same; ids that follow each other get hues far apart."""
    saturation = _SATURATIONS[identity % len(_SATURATIONS)]
    red, green, blue = colorsys.hsv_to_rgb(identity * _GOLDEN_RATIO % 1, saturation, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


class Painter:
    """Draws the tracks of one sequence, frame by frame: boxes, identities and where they came from."""

    def __init__(self, trail_frames: int = 30, scores: bool = False, classes: bool = False) -> None:
        """Start a sequence.

        Args:
            trail_frames: how many past centres each trail joins; 0 draws none.
            scores: write each track's score behind its identity.
            classes: write each track's class, from c1, behind its identity.
        """
        self._scores = scores
        self._classes = classes
        self._past: deque[dict[int, tuple[int, int]]] = deque(maxlen=trail_frames)

    def draw(self, frame: np.ndarray, tracks: Tracks, caption: str = "") -> np.ndarray:
        """A picture of the next frame; the frame itself is left alone.

        Args:
            frame: uint8 [H, W, 3].
            tracks: of this frame, boxes in its pixels.
            caption: for the upper left corner, such as the frame's number.
        """
        canvas = np.ascontiguousarray(frame).copy()
        thickness = _thickness(canvas)
        limit = 4 * max(canvas.shape)  # OpenCV overflows on coordinates far outside
        boxes = np.clip(np.round(tracks.boxes_xyxy), -limit, limit).astype(int)
        identities = [int(identity) for identity in tracks.ids]
        centres = (boxes[:, :2] + boxes[:, 2:]) // 2
        self._past.append({identity: (int(x), int(y)) for identity, (x, y) in zip(identities, centres, strict=True)})
        for identity in identities:
            points = [past[identity] for past in self._past if identity in past]
            cv2.polylines(canvas, [np.array(points)], False, colour_of(identity), thickness, cv2.LINE_AA)
        for identity, (left, top, right, bottom) in zip(identities, boxes.tolist(), strict=True):
            cv2.rectangle(canvas, (left, top), (right, bottom), colour_of(identity), thickness)
        # Labels last: a neighbour's box must not cross out a number.
        for row, (identity, (left, top, _, _)) in enumerate(zip(identities, boxes.tolist(), strict=True)):
            words = [str(identity)]
            words += [f"c{tracks.classes[row] + 1}"] if self._classes else []
            words += [f"{tracks.scores[row]:.2f}"] if self._scores else []
            _write(canvas, " ".join(words), (left, top), colour_of(identity))
        if caption:
            _write(canvas, caption, (0, 0), _BLACK)
        return canvas


def overlay_heat(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A picture with a map over it: unchanged where the map is 0, bright yellow where it is 1.

    The colours in between rise in brightness, so that they say the same to the colour-blind and in print.

    Args:
        image: uint8 [H, W, 3].
        heat: [h, w] of any size, from 0 to 1.
    """
    levels = cv2.resize(np.clip(heat, 0, 1).astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap(np.round(255 * levels).astype(np.uint8), cv2.COLORMAP_INFERNO)
    share = _HEAT_OPACITY * levels
    return cv2.blendLinear(np.ascontiguousarray(image), colours, 1 - share, share)


def sheet(frames: Sequence[np.ndarray], columns: int, width_px: int = 1600) -> np.ndarray:
    """A contact sheet, row by row; each picture keeps its proportions.

    Args:
        frames: one or more pictures of any sizes.
        columns: pictures in a row.
        width_px: of the sheet.

    Raises:
        ValueError: no frame, or no column.
    """
    if not frames or columns < 1:
        raise ValueError(f"a sheet needs a frame and a column, got {len(frames)} frames and columns={columns}")
    gap = max(1, width_px // 400)
    cell_width = (width_px - gap) // columns - gap
    cell_height = max(round(cell_width * frame.shape[0] / frame.shape[1]) for frame in frames)
    rows = -(-len(frames) // columns)
    canvas = np.full((gap + rows * (cell_height + gap), width_px, 3), _SHEET_GREY, np.uint8)
    for position, frame in enumerate(frames):
        top = gap + position // columns * (cell_height + gap)
        left = gap + position % columns * (cell_width + gap)
        height = max(1, round(cell_width * frame.shape[0] / frame.shape[1]))
        small = cv2.resize(frame, (cell_width, height), interpolation=cv2.INTER_AREA)
        canvas[top : top + height, left : left + cell_width] = small
    return canvas


def _thickness(canvas: np.ndarray) -> int:
    """Of lines, in pixels: 1 on small pictures, 2 on 640x480, 3 on 1280x720, 4 on 1920x1080."""
    return 1 + max(canvas.shape[:2]) // 640


def _write(canvas: np.ndarray, text: str, corner: tuple[int, int], background: Colour) -> None:
    """Text on a filled background whose lower left is at `corner`, moved to where it is inside the picture."""
    thickness = _thickness(canvas)
    size = max(0.4, max(canvas.shape[:2]) / 2000)
    stroke = max(1, thickness // 2)
    (width, height), below = cv2.getTextSize(text, _FONT, size, stroke)
    ink_share = None
    if not text.isascii():  # OpenCV knows no other letters
        ink_share = text_mask(text, round(_LETTER_PX * size))
        (height, width), below = ink_share.shape, 0
    margin = 1 + thickness
    box_width, box_height = width + 2 * margin, height + below + margin
    left = int(np.clip(corner[0], 0, max(0, canvas.shape[1] - box_width)))
    top = int(np.clip(corner[1] - box_height, 0, max(0, canvas.shape[0] - box_height)))
    cv2.rectangle(canvas, (left, top), (left + box_width - 1, top + box_height - 1), background, cv2.FILLED)
    blue, green, red = background
    ink = _BLACK if 0.114 * blue + 0.587 * green + 0.299 * red > _BRIGHT else _WHITE
    if ink_share is not None:
        _ink(canvas, ink_share, (left + margin, top + margin // 2), ink)
        return
    place = (left + margin, top + margin // 2 + height)
    cv2.putText(canvas, text, place, _FONT, size, ink, stroke, cv2.LINE_AA)


def _ink(canvas: np.ndarray, share: np.ndarray, corner: tuple[int, int], ink: Colour) -> None:
    """Blend a colour into the canvas where `share` [h, w], 0 to 255, says so; `corner` is the upper left."""
    left, top = corner
    place = canvas[top : top + share.shape[0], left : left + share.shape[1]]
    weight = share[: place.shape[0], : place.shape[1], None] / 255
    place[:] = np.round(weight * np.array(ink) + (1 - weight) * place).astype(np.uint8)
