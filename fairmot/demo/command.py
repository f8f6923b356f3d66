"""A first look: python -m fairmot.demo draws a street, tracks its people with a small network and scores it."""

import shutil
from pathlib import Path

import cv2
from tqdm import tqdm

from fairmot.data.synthetic.generate import SyntheticConfig, draw_sequence
from fairmot.demo import CHECKPOINT, RULES
from fairmot.demo.config import DemoConfig
from fairmot.errors import ConfigError, DataError
from fairmot.evaluate.command import evaluate
from fairmot.evaluate.config import EvaluateConfig
from fairmot.evaluation.metrics import SequenceMetrics
from fairmot.files import write_atomic
from fairmot.media.drawing import sheet
from fairmot.media.video import open_source
from fairmot.text_tables import aligned
from fairmot.track.command import Report, track
from fairmot.track.config import TrackConfig
from fairmot.tracking.config import TrackerConfig

_DRAWN, _TRACKED, _SCORES, _SHEET = "drawn", "tracked", "scores", "sheet.jpg"
_SHEET_PICTURES, _SHEET_COLUMNS = 9, 3
_HEIGHT_PX, _WIDTH_PX = 448, 768


def demo(config: DemoConfig) -> None:
    """Draw, track, score, and say where everything is.

    Raises:
        ConfigError: an earlier demo's output is there, or the device is not.
        DataError: the disk refuses.
    """
    output = Path(config.output).expanduser()
    sequence = str(draw_street(output / _DRAWN, config))
    print("A network trained on drawn people meets a street that it has not seen. Preparing it takes some seconds.")
    tracked, scores = str(output / _TRACKED), str(output / _SCORES)
    rules, overwrite = TrackerConfig(**RULES), config.overwrite
    report = track(
        TrackConfig(
            source=sequence,
            checkpoint=str(CHECKPOINT),
            output=tracked,
            tracker=rules,
            device=config.device,
            engine=config.engine,
            overwrite=overwrite,
        )
    )
    found = evaluate(EvaluateConfig(gt=sequence, results=tracked, output=scores, plots=False, overwrite=overwrite))
    video = next(path for path in report.written if path.suffix == ".mp4")
    write_sheet(output / _SHEET, video)
    for line in aligned(_summary(output, video, report, found.overall)):
        print(line)


def draw_street(folder: Path, config: DemoConfig) -> Path:
    """Draw a scene; returns its MOTChallenge sequence folder.

    Raises:
        ConfigError: the folder is there and `overwrite` is off.
        DataError: the disk refuses.
    """
    if folder.exists():
        if not config.overwrite:
            raise ConfigError(f"output: {folder} exists; choose another folder (output=...) or set overwrite=true")
        shutil.rmtree(folder)
    drawn = SyntheticConfig(
        frames_per_sequence=config.frames, height=_HEIGHT_PX, width=_WIDTH_PX, walkers=config.walkers, seed=config.seed
    )
    try:
        with tqdm(total=config.frames, desc="drawing", unit="frame", disable=None) as bar:
            report = draw_sequence(folder, "val", 1, first_identity=0, config=drawn, bar=bar)
    except OSError as error:
        raise DataError(f"{error.filename or folder}: cannot be written ({error.strerror})") from error
    return folder / "images" / "val" / report.name


def write_sheet(path: Path, video: Path) -> None:
    """Frames of a video, evenly spread, on one picture.

    Raises:
        DataError: the video cannot be read, or the sheet not written.
    """
    pictures = list(open_source(str(video)))
    count = min(_SHEET_PICTURES, len(pictures))
    chosen = [pictures[position * len(pictures) // count] for position in range(count)]
    try:
        write_atomic(path, cv2.imencode(path.suffix, sheet(chosen, _SHEET_COLUMNS))[1].tobytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def _summary(output: Path, video: Path, report: Report, scores: SequenceMetrics) -> list[tuple[str, str]]:
    figures = scores.figures()
    shown = "  ".join(f"{name} {figures[name]:.1f}" for name in ("MOTA", "IDF1", "HOTA"))
    return [
        ("tracked", f"{report.n_identities} identities in {report.n_frames} frames, "
                    f"{report.n_frames / report.elapsed_s:.1f} frames a second"),
        ("scores", f"{shown}  identity switches {scores.switches}, against the drawn truth"),
        ("video", str(video)),
        ("sheet", str(output / _SHEET)),
        ("tables", str(output / _SCORES)),
        ("frames", f"{output / _DRAWN}, with their ground truth"),
        ("note", "this network knows drawn people only; your own video needs the published weights: docs/weights.md"),
    ]  # fmt: skip
