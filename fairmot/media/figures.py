"""What all plots share: quiet axes, and PNG files that are whole or not there."""

import io
import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.text import Text

from fairmot.files import write_atomic
from fairmot.media.fonts import in_fonts

BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
PURPLE, SKY, YELLOW, BROWN = "#cc79a7", "#56b4e9", "#d6c400", "#8a5a2b"
"""Colours that the colour-blind can tell apart (Okabe and Ito 2008, the yellow darker, with a brown)."""

_LETTER_SHARE = 0.62  # of a letter's size, its width; the title's is that of matplotlib's defaults
_TITLE_PT = 12


def fitted_title(width_inches: float, text: str) -> str:
    """A title in as many lines as a figure of this width asks for; matplotlib would cut off what does not fit."""
    letters = int(72 * width_inches / (_LETTER_SHARE * _TITLE_PT))
    return textwrap.fill(text, max(letters, 12), break_on_hyphens=False)


def tidy(axes: Axes) -> None:
    """Without the frame's upper and right side, with a light grid behind everything."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e5e5", linewidth=0.7)
    axes.set_axisbelow(True)


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a PNG file through a canvas of its own: no display, no global state, safe beside a training loop's threads.

    Raises:
        OSError: the folder or the disk refuses.
    """
    _spell(figure)
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    write_atomic(path, stream.getvalue())


def _spell(figure: Figure) -> None:
    """Give all texts fonts that have their letters. Dollars in them are dollars, not formulas."""
    ticked = [(axis, [label.get_text() for label in axis.get_ticklabels()]) for axis in _axis_of(figure)]
    texts = figure.findobj(Text)
    fonts = {path for text in texts if not text.get_text().isascii() for _, path in in_fonts(text.get_text())}
    families = ["DejaVu Sans", *sorted(_family(path) for path in fonts)]
    for text in texts:
        written = text.get_text()
        text.set_parse_math(written.startswith("$"))  # as matplotlib writes powers of ten
        if fonts:
            text.set_text(_in_known_letters(written))
            text.set_fontfamily(families)
    for axis, labels in ticked:
        if any(_in_known_letters(label) != label for label in labels):  # made anew when they are drawn
            axis.set_ticks(axis.get_ticklocs(), labels=[_in_known_letters(label) for label in labels])


def _axis_of(figure: Figure) -> list[Axis]:
    return [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]


def _in_known_letters(text: str) -> str:
    return text if text.isascii() else "".join(part for part, _ in in_fonts(text))


def _family(path: Path) -> str:
    if str(path) not in {entry.fname for entry in fontManager.ttflist}:
        fontManager.addfont(path)
    return FontProperties(fname=path).get_name()
