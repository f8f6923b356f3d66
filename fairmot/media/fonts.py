"""Fonts that have the letters of a name: matplotlib's own, then one shipped for Chinese, then the system's.

The shipped one has the 6763 characters of GB 2312. What no font has becomes a question mark, and is said once.
"""

import functools
import logging
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_CHINESE = Path(__file__).parent / "font" / "DroidSansFallback-GB2312.ttf"
_UNKNOWN = "?"
_STYLES = ("bold", "black", "heavy", "medium", "light", "thin", "italic", "oblique", "mono", "serif")
_logger = logging.getLogger(__name__)


def in_fonts(text: str) -> list[tuple[str, Path]]:
    """A text in parts that follow each other, each with a font file that has all of its characters."""
    fonts = {character: font_of(character) for character in {*text, _UNKNOWN}}
    known = "".join(character if fonts[character] else _UNKNOWN for character in text)
    return [("".join(part), font) for font, part in groupby(known, fonts.__getitem__) if font is not None]


@functools.cache
def font_of(character: str) -> Path | None:
    """The file of a font that has a character; None: there is none, which is said for the first one of them."""
    code = ord(character)
    for path in (_default(), _CHINESE):
        if code in _characters(path):
            return path
    found = next((path for path in _system_fonts() if code in _characters(path)), None)
    if found is None:
        _say_once(
            f"no font here has some characters of these names, which become {_UNKNOWN} in pictures; install one that "
            "has them, such as the package fonts-noto-cjk"
        )
    return found


@functools.cache
def _say_once(message: str) -> None:
    _logger.warning(message)


def _default() -> Path:
    import matplotlib  # noqa: PLC0415 (half a second that plain names need not pay)

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@functools.cache
def _characters(path: Path) -> frozenset[int]:
    """Code points of a font; none of a file that is no font."""
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415

    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@functools.cache
def _system_fonts() -> list[Path]:
    """Upright ones of ordinary weight first."""
    from matplotlib.font_manager import findSystemFonts  # noqa: PLC0415

    def rank(path: Path) -> tuple[bool, bool, Path]:
        style = path.stem.lower()
        return "regular" not in style, any(word in style for word in _STYLES), path

    return sorted(map(Path, findSystemFonts()), key=rank)


def text_mask(text: str, size_px: int) -> np.ndarray:
    """How much ink a line of text leaves: uint8 [H, W], 0 to 255.

    Args:
        text: one line.
        size_px: of the letters, pixels.
    """
    parts = [(part, ImageFont.truetype(str(path), size_px)) for part, path in in_fonts(text)]
    ascent = max(font.getmetrics()[0] for _, font in parts)
    height = ascent + max(font.getmetrics()[1] for _, font in parts)
    canvas = Image.new("L", (1 + round(sum(font.getlength(part) for part, font in parts)), height))
    pen, x = ImageDraw.Draw(canvas), 0.0
    for part, font in parts:
        pen.text((x, ascent), part, fill=255, font=font, anchor="ls")
        x += font.getlength(part)
    return np.asarray(canvas)
