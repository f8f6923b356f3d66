"""The loss curves as a picture."""

from pathlib import Path

from train.report.record import read_metrics

_PANELS = (
    ("total loss", ("loss",)),
    ("detection", ("hm_loss", "wh_loss", "off_loss")),
    ("identity", ("id_loss",)),
    ("uncertainty weights", ("s_det", "s_id")),
)


def draw_curves(run_dir: Path) -> Path | None:
    """Draw what the run recorded so far as <run_dir>/losses.png; None when nothing was recorded yet."""
    metrics = read_metrics(run_dir)
    if len(metrics.get("loss", [])) < 2:
        return None
    # A second of import that a failing start need not pay.
    from matplotlib.figure import Figure  # noqa: PLC0415

    from fairmot.media.figures import save_figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 6), dpi=110, layout="constrained")
    for axes, (title, names) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        for name in names:
            points = metrics.get(name, [])
            axes.plot([step for step, _ in points], [value for _, value in points], label=name, linewidth=1)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend()
    path = run_dir / "losses.png"
    save_figure(figure, path)
    return path
