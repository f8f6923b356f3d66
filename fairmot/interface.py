"""Commands as functions for Python programs. `fairmot/__init__.py` lists the interface, docs/python.md shows it."""

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from fairmot.cli.command import compose
from fairmot.evaluate.command import Scores, evaluate
from fairmot.evaluate.config import EvaluateConfig
from fairmot.track.command import Report, track
from fairmot.track.config import TrackConfig


def track_video(source: str | Path, checkpoint: str | Path, output: str | Path, **keys: Any) -> Report:
    """Track one source and write the results, as `python -m fairmot.track` does.

    Args:
        source: a video, a folder of pictures, a MOTChallenge sequence, an address or a camera.
        checkpoint: a checkpoint or run directory, or a file of fairmot.convert or fairmot.export.
        output: folder for `<name>.txt` and `<name>.mp4`.
        keys: the command's other keys, such as `frames=True`; those of a group as a dictionary,
            `tracker={"byte": True}`, or the name of its file, `tracker="byte"`.

    Returns:
        What was found, how long it took and which files were written.

    Raises:
        ConfigError: a key is unknown or its value refused, results are there already, or the device is not.
        DataError: frames cannot be read, or results not written.
        CheckpointError: the checkpoint cannot be used.
    """
    given = {"source": source, "checkpoint": checkpoint, "output": output, **keys}
    return track(compose(list(_words(given)), TrackConfig, "track"))


def evaluate_tracks(gt: str | Path, output: str | Path, **keys: Any) -> Scores:
    """Score tracks against ground truth and write the tables, as `python -m fairmot.evaluate` does.

    Args:
        gt: a folder of MOTChallenge sequences, or one of them.
        output: folder for tables and plots.
        keys: `results=` a folder of result files, or `checkpoint=` a network that tracks the sequences first; and the
            command's other keys, as for `track_video`.

    Raises:
        ConfigError: a key is unknown or its value refused, the output is there already, or the device is not.
        DataError: ground truth, results or pictures that cannot be used, or an output that cannot be written.
        CheckpointError: the checkpoint cannot be used.
    """
    return evaluate(compose(list(_words({"gt": gt, "output": output, **keys})), EvaluateConfig, "evaluate"))


def _words(keys: Mapping[str, Any], group: str = "") -> Iterator[str]:
    """The words of a command line; a dictionary's become `<group>.<key>=<value>`."""
    for key, value in keys.items():
        if isinstance(value, Mapping):
            yield from _words(value, f"{group}{key}.")
        else:
            plain = value.name if isinstance(value, Enum) else value
            yield f"{group}{key}={plain if isinstance(plain, str | Path) else json.dumps(plain)}"
