"""Make a submission to MOTChallenge: python -m fairmot.submit root=<download> checkpoint=<run> output=<folder>."""

import io
import logging
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fairmot.errors import ConfigError, DataError
from fairmot.evaluation.preprocess import PEDESTRIAN
from fairmot.export.engine import open_with_engine
from fairmot.files import write_atomic
from fairmot.inference.detector import Detector
from fairmot.inference.tracks import track_source
from fairmot.inference.trained_rules import say_whose_rules
from fairmot.media.video import FrameSource, open_source
from fairmot.mot.benchmarks import TEST_LENGTHS, TRAIN_LENGTHS, Benchmark, benchmark_of, file_names, scene_of
from fairmot.mot.number_table import holds_rows
from fairmot.mot.rows import NOT_GIVEN, MotRows, read_results, write_results
from fairmot.mot.sequence import find_sequences, one_variant_a_scene
from fairmot.submit.config import SubmitConfig

_log = logging.getLogger(__name__)


def submit(config: SubmitConfig) -> None:
    """Track, or take results, and write what the evaluation server wants.

    Raises:
        ConfigError: the submission is there already, or the device is not.
        DataError: sequences are missing, too short or unknown, or files that cannot be used or written.
        CheckpointError: the checkpoint cannot be used.
    """
    output = Path(config.output).expanduser()
    if output.is_dir() and any(output.iterdir()) and not config.overwrite:
        raise ConfigError(f"output={config.output}: is not empty; choose another folder or set overwrite=true")
    if config.results is not None:
        benchmark, results = _read_results(Path(config.results).expanduser())
    else:
        benchmark, results = _track(config)
    try:
        archive = write_submission(output, benchmark, results)
    except OSError as error:
        raise DataError(f"{error.filename or output}: cannot be written ({error.strerror})") from error
    tested = [scene for scene in results if scene in TEST_LENGTHS[benchmark]]
    print(f"{benchmark.value}: all {len(tested)} test and {len(results) - len(tested)} training scenes")
    print(f"wrote {archive}: upload this file")


def write_submission(output: Path, benchmark: Benchmark, results: dict[str, MotRows]) -> Path:
    """Write a text file for each official sequence and the archive of them, all at its top level.

    Args:
        output: the folder.
        benchmark: decides the files' names.
        results: scene -> tracks.

    Returns:
        The archive, `<benchmark>.zip`.

    Raises:
        OSError: the folder or the disk refuses.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, scene in file_names(benchmark, sorted(results)).items():
            write_results(output / name, _pedestrians(scene, results[scene]))
            archive.write(output / name, name)
    path = output / f"{benchmark.value}.zip"
    write_atomic(path, packed.getvalue())
    return path


def _pedestrians(scene: str, rows: MotRows) -> MotRows:
    """Without the classes that the server refuses."""
    kept = np.isin(rows.classes, (NOT_GIVEN, PEDESTRIAN))
    if not kept.all():
        _log.warning("%s: %d boxes that are no pedestrians are left out", scene, np.count_nonzero(~kept))
    return rows.select(kept)


def benchmark_of_scenes(place: Path, scenes: Iterable[str]) -> Benchmark:
    """The benchmark whose test set these scenes complete.

    Raises:
        DataError: they are of several benchmarks, one is unknown to it, or scenes of the test set are missing.
    """
    by_benchmark: dict[Benchmark, list[str]] = {}
    for scene in scenes:
        by_benchmark.setdefault(benchmark_of(scene), []).append(scene)
    if len(by_benchmark) != 1:
        found = "; ".join(f"{key.value}: {', '.join(names)}" for key, names in by_benchmark.items()) or "no sequence"
        raise DataError(f"{place}: a submission is for one benchmark, found {found}")
    ((benchmark, found_scenes),) = by_benchmark.items()
    known = TEST_LENGTHS[benchmark] | TRAIN_LENGTHS[benchmark]
    unknown = [scene for scene in found_scenes if scene not in known]
    if unknown:
        raise DataError(f"{place}: {', '.join(unknown)} is no sequence of {benchmark.value}")
    missing = [scene for scene in TEST_LENGTHS[benchmark] if scene not in found_scenes]
    if missing:
        raise DataError(
            f"{place}: {len(missing)} of the {len(TEST_LENGTHS[benchmark])} test scenes of {benchmark.value} are "
            f"missing: {', '.join(missing)}; the server takes only complete test sets"
        )
    return benchmark


def _length(benchmark: Benchmark, scene: str) -> int:
    return (TEST_LENGTHS[benchmark] | TRAIN_LENGTHS[benchmark])[scene]


def _read_results(folder: Path) -> tuple[Benchmark, dict[str, MotRows]]:
    """Results tracked before; a scene may be there under one detector's name or all of them."""
    if not folder.is_dir():
        raise DataError(f"results={folder}: no such folder; name one with <sequence>.txt files")
    files: dict[str, Path] = {}
    for path in sorted(path for path in folder.glob("*.txt") if path.name[0] != "." and holds_rows(path)):
        same = files.setdefault(scene_of(path.stem), path)
        if same.read_bytes() != path.read_bytes():
            raise DataError(f"{path}: differs from {same.name}; one result a scene is submitted, keep one of them")
    benchmark = benchmark_of_scenes(folder, sorted(files))
    results = {scene: read_results(path) for scene, path in sorted(files.items())}
    for scene, rows in results.items():
        last, length = rows.frames.max(initial=0), _length(benchmark, scene)
        if last > length:
            raise DataError(f"{files[scene]}: frame {last}, but {scene} has {length} frames")
    return benchmark, results


def _track(config: SubmitConfig) -> tuple[Benchmark, dict[str, MotRows]]:
    """Track every scene once; everything is looked at before the first is tracked."""
    root = Path(str(config.root)).expanduser()
    sources = {scene_of(path.name): open_source(str(path)) for path in one_variant_a_scene(find_sequences(str(root)))}
    benchmark = benchmark_of_scenes(root, sources)
    for scene, source in sources.items():
        if source.length != _length(benchmark, scene):
            raise DataError(
                f"{root}: {source.name} holds {source.length} pictures, but {scene} has {_length(benchmark, scene)}; "
                "is the download complete?"
            )
    say_whose_rules(Path(str(config.checkpoint)))
    n_frames = sum(source.length or 0 for source in sources.values())
    detector = open_with_engine(
        Path(str(config.checkpoint)), config.engine, config.device, batch_size=config.batch_size, n_frames=n_frames
    )
    with tqdm(total=n_frames, unit="frame", disable=None) as bar:
        return benchmark, {scene: _track_scene(config, detector, source, bar) for scene, source in sources.items()}


def _track_scene(config: SubmitConfig, detector: Detector, source: FrameSource, bar: tqdm) -> MotRows:
    bar.set_description(source.name)
    return track_source(detector, source, config.tracker, watch=lambda _: bar.update())
