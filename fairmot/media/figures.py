"""What all plots share: quiet axes, and PNG files that are whole or not there."""

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fairmot.files import write_atomic


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
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream)
    write_atomic(path, stream.getvalue())
