"""What runs a checkpoint's network: MindSpore, or on CPUs ONNX Runtime, by a file that is exported once and kept.

    <checkpoint directory>/onnx/<key>.onnx and .onnx.json            of a checkpoint
    <weights>.safetensors.onnx/<key>.onnx and .onnx.json             of a file of weights
    $XDG_CACHE_HOME/fairmot/onnx/..., else ~/.cache/fairmot/onnx/...  where that folder cannot be written

The key is a digest of all that the file depends on, the weights' bytes first. A file is kept only if it found what
MindSpore found (fairmot/export/check.py), and run again only if its own digest fits. Where that failed,
<key>.onnx.failed says why, and `auto` does not try again.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import mindspore as ms

import fairmot
from fairmot.device import Device, find_device, say_device, use_device
from fairmot.errors import LONGEST_REASON, CheckpointError, ConfigError, DataError, FairMOTError, excerpt
from fairmot.export.write import describe, require_onnx, write_checked
from fairmot.files import new_file, read_bounded, write_atomic
from fairmot.inference.config import MAX_OBJECTS, Engine
from fairmot.inference.detector import Detector
from fairmot.inference.exported import is_exported, open_detector, open_exported
from fairmot.inference.exported_file import FORMAT_VERSION, MINDIR, ONNX, description_path, read_description
from fairmot.inference.network import load_network
from fairmot.weights.checkpoint import Checkpoint, digest
from fairmot.weights.weights_file import open_weights

WORTH_FRAMES = 100
"""From so many on `auto` exports: by docs/experiments.md processor time is then saved even in the run that exports."""

_KEPT = 4  # files of one folder: batch sizes, and weights that were replaced
_FAILED = ".failed"
_LONGEST_NOTE = 4096  # bytes
_RUNS = {Engine.mindspore: MINDIR, Engine.onnx: ONNX}


def open_with_engine(
    path: Path,
    engine: Engine,
    device: Device,
    *,
    max_objects: int = MAX_OBJECTS,
    batch_size: int = 1,
    n_frames: int | None = None,
) -> Detector:
    """A detector from whatever holds a trained network.

    Args:
        path: a checkpoint or run directory, or a file of fairmot.convert or fairmot.export.
        engine: what runs it. auto: on a CPU ONNX Runtime, if its file is there already or `n_frames` make up for
            exporting it, and if that works; else MindSpore.
        device: where to run.
        max_objects: objects taken from a picture.
        batch_size: pictures that go through the network together.
        n_frames: how many are to come; None: nobody knows, so many.

    Raises:
        CheckpointError: it cannot be used.
        ConfigError: it cannot run there, so, or with this batch size, or a package is missing.
        FairMOTError: engine=onnx, and the exported file does not find what MindSpore finds.
        DataError: engine=onnx, and there is no folder to keep the file in.
    """
    path = path.expanduser()
    if is_exported(path) and _RUNS.get(engine, path.suffix) != path.suffix:
        raise ConfigError(f"engine={engine.value}: cannot run {path}; leave engine out, or give the checkpoint")
    on_cpu = find_device(device).device is Device.cpu
    if engine is Engine.onnx and not on_cpu:
        raise ConfigError("engine=onnx: runs on the CPU here; say device=cpu too, or leave engine out")
    found: Detector | None = None
    if on_cpu and engine is not Engine.mindspore and not is_exported(path):
        try:
            found = _by_onnx(path, engine, max_objects, batch_size, n_frames)
        except Exception as error:  # nothing on the way to a faster engine may cost the run
            if engine is Engine.onnx:
                raise
            reason = f"ONNX Runtime cannot take its place: {_reason(error)}"
            print(f"engine=auto: mindspore, because {reason}", file=sys.stderr)
    if found is None:
        return open_detector(path, device, max_objects=max_objects, batch_size=batch_size)
    say_device(device)
    return found


def _by_onnx(path: Path, engine: Engine, max_objects: int, batch_size: int, n_frames: int | None) -> Detector | None:
    """The detector; None: MindSpore is to open the checkpoint, and to say what is wrong with it."""
    try:
        checkpoint = open_weights(path)
    except CheckpointError:
        return None
    require_onnx(f"engine={engine.value}")
    name, folders = f"{_key(checkpoint, max_objects, batch_size)}{ONNX}", _folders(checkpoint)
    file = next((folder / name for folder in folders if _is_whole(folder / name)), None)
    if file is None:
        if engine is Engine.auto and n_frames is not None and n_frames < WORTH_FRAMES:
            return None
        if engine is Engine.auto:
            _refuse_what_failed([folder / name for folder in folders])
        file = _writable(folders) / name
        print(f"engine={engine.value}: exporting the checkpoint, once, to {file}", file=sys.stderr)
        use_device(Device.cpu)
        trained = load_network(path)
        description = describe(trained, ONNX, trained.input_size_hw, batch_size, max_objects, embedding_map=True)
        with _failure_noted(file):
            write_checked(file, trained, description)
        _remove_old(file.parent)
    detector = open_exported(file, Device.cpu, max_objects=max_objects, batch_size=batch_size)
    print(f"engine={engine.value}: ONNX Runtime runs {file}", file=sys.stderr)
    return detector


def _key(checkpoint: Checkpoint, max_objects: int, batch_size: int) -> str:
    """Changes with whatever the exported file depends on, and with the runtime that it was checked by."""
    import onnxruntime  # noqa: PLC0415

    network = [checkpoint.manifest.get(key) for key in ("model", "input_size", "num_classes")]
    versions = [FORMAT_VERSION, fairmot.__version__, ms.__version__, onnxruntime.__version__]
    everything = [digest(checkpoint.file_to_use), network, max_objects, batch_size, versions, "heads at peaks"]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:32]


def _folders(checkpoint: Checkpoint) -> list[Path]:
    """Where the file may lie, the best place first."""
    beside = checkpoint.path / "onnx" if checkpoint.path.is_dir() else Path(f"{checkpoint.path}.onnx")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [beside, cache / "fairmot" / "onnx"]


def _is_whole(file: Path) -> bool:
    try:
        read_description(file)
    except CheckpointError:
        return False
    return True


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}{_FAILED}")


def _reason(error: Exception) -> str:
    return excerpt(str(error).partition("\n")[0], LONGEST_REASON)


def _refuse_what_failed(files: list[Path]) -> None:
    """Raise FairMOTError where exporting to one of these places failed before: it takes a minute to fail again."""
    for file in files:
        with contextlib.suppress(OSError):
            why = read_bounded(_note(file), _LONGEST_NOTE).decode(errors="replace")
            raise FairMOTError(f"tried before (remove {_note(file)} to try again): {why}")


@contextlib.contextmanager
def _failure_noted(file: Path) -> Iterator[None]:
    """Leave a note beside `file` where what would write it fails for a reason that lasts."""
    try:
        yield
    except (OSError, MemoryError):  # a full disk or memory is the moment's
        raise
    except Exception as error:
        with contextlib.suppress(OSError):
            write_atomic(_note(file), _reason(error))
        raise
    _note(file).unlink(missing_ok=True)


def _writable(folders: list[Path]) -> Path:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, sample = new_file(folder / "sample")
            os.close(descriptor)
            sample.unlink()
            return folder
    raise DataError(f"neither {' nor '.join(map(str, folders))} can be written, to keep the exported checkpoint in")


def _remove_old(folder: Path) -> None:
    """Keep the newest few: weights change, and each has 80 MB."""
    with contextlib.suppress(OSError):
        for ending in (ONNX, f"{ONNX}{_FAILED}"):
            for file in sorted(folder.glob(f"*{ending}"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
                description_path(file).unlink(missing_ok=True)
                file.unlink()
