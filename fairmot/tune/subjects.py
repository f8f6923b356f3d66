"""The sequences of a search and their detections, which a checkpoint's network finds once."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from fairmot.detections.file import ENDING, origin_of, read_detections, write_detections
from fairmot.detections.find import find_detections, open_detections
from fairmot.detections.recorder import DetectionRecorder
from fairmot.detections.sequence import SequenceDetections
from fairmot.detections.text import ScoreRange
from fairmot.device import Device
from fairmot.errors import DataError
from fairmot.evaluation.sequences import GroundTruthSequence
from fairmot.inference.detector import Detector
from fairmot.inference.exported import open_detector
from fairmot.inference.scoring import frames_of
from fairmot.inference.tracks import detect_frames
from fairmot.mot.sequence import read_frame_rate
from fairmot.tune.search import Subject
from fairmot.weights.checkpoint import MANIFEST, digest, read_checkpoint


def subjects_of_files(
    sequences: Sequence[GroundTruthSequence], place: str, score_range: ScoreRange | None
) -> list[Subject]:
    """Sequences with detections that are there already; arguments as of `find_detections` and `open_detections`.

    Raises:
        DataError: a sequence has none, or they cannot be used, or are of something else.
    """
    found = {one.name: open_detections(find_detections(place, one.name), score_range) for one in sequences}
    for one in sequences:
        found[one.name].check_source(one.name, None, one.frames)
    return [_subject(one, found[one.name]) for one in sequences]


def subjects_of_checkpoint(
    sequences: Sequence[GroundTruthSequence],
    checkpoint: Path,
    folder: Path,
    least_score: float,
    device: Device,
    batch_size: int,
) -> list[Subject]:
    """Sequences with the detections of a network, which are kept in `folder` and found again there next time.

    Args:
        sequences: with their pictures.
        checkpoint: a checkpoint or run directory, or a file of fairmot.convert or fairmot.export.
        folder: receives <sequence>_detections.safetensors.
        least_score: what scores less is left out.
        device: where the network runs.
        batch_size: pictures that go through it together.

    Raises:
        DataError: pictures are missing or cannot be read, or the folder refuses.
        CheckpointError: the checkpoint cannot be used.
        ConfigError: the device is not there.
    """
    lengths = {one.name: frames_of(one).length or 0 for one in sequences}  # all are there before the first is opened
    origin = f"{_digest(checkpoint)} from {least_score:g}"
    paths = {one.name: folder / f"{one.name}{ENDING}" for one in sequences}
    missing = [one for one in sequences if origin_of(paths[one.name]) != origin]
    if missing:
        detector = open_detector(checkpoint, device, batch_size=batch_size)
        with tqdm(total=sum(lengths[one.name] for one in missing), unit="frame", disable=None) as bar:
            for one in missing:
                bar.set_description(one.name)
                found = _detect(detector, one, least_score, bar)
                try:
                    write_detections(paths[one.name], found, origin)
                except OSError as error:
                    raise DataError(f"{paths[one.name]}: cannot be written ({error.strerror})") from error
    return [_subject(one, read_detections(paths[one.name])) for one in sequences]


def _detect(detector: Detector, sequence: GroundTruthSequence, least_score: float, bar: tqdm) -> SequenceDetections:
    source, recorder = frames_of(sequence), DetectionRecorder(least_score)
    with closing(detect_frames(detector, source.read())) as detected:
        for frame, detections in detected:
            recorder.add(frame.number, frame.time_s, detections)
            bar.update()
    return recorder.finished(sequence.name, source.size_hw, source.frame_rate, detector.num_classes)


def _digest(checkpoint: Path) -> str:
    """Tells networks apart: a checkpoint directory's manifest holds the digests of its files."""
    return digest(checkpoint if checkpoint.is_file() else read_checkpoint(checkpoint).path / MANIFEST)


def _subject(sequence: GroundTruthSequence, found: SequenceDetections) -> Subject:
    rate = None if sequence.folder is None else read_frame_rate(sequence.folder / "seqinfo.ini")
    return Subject(sequence, found, rate or found.frame_rate)
