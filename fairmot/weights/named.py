"""From what people write as `checkpoint=`, `weights=` or `resume_from=` to the directory or file that is meant."""

import sys
from pathlib import Path

from fairmot.errors import CheckpointError, excerpt
from fairmot.weights.checkpoint import LATEST, MANIFEST, NAME, step_of, whole_checkpoints

_BEST, _NEWEST = "best", "newest"
_RUNS = Path("runs")


def located(path: Path) -> Path:
    """The checkpoint's directory that is named, or the path as it is where it names a file or nothing.

    Args:
        path: a checkpoint's directory; a run directory, which means its newest checkpoint; `best` or `newest` behind a
            run directory, or alone, of the newest run below `runs/`; one of the files `best` and `latest` that training
            leaves beside its checkpoints; or another file.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    path = path.expanduser()
    if path.is_dir():
        return path if (path / MANIFEST).is_file() else _newest_in(_folder_of(path), path)
    if path.name not in (_BEST, _NEWEST, LATEST):
        return path
    folder = _folder_of(path.parent) if path.is_file() or path.parent != Path() else _folder_of_newest_run(path)
    return _pointed_at(folder / _BEST) if path.name == _BEST else _newest_in(folder, path)


def say_which(named: Path) -> None:
    """One line for people, where what they wrote is not the checkpoint's own path."""
    found = located(named)
    if found != named.expanduser():
        print(f"checkpoint: {found} (step {step_of(found)})", file=sys.stderr)


def _folder_of(run_dir: Path) -> Path:
    """A run's checkpoints folder, which may be given itself."""
    return run_dir / "checkpoints" if (run_dir / "checkpoints").is_dir() else run_dir


def _folder_of_newest_run(word: Path) -> Path:
    depths = ("*", "*/*", "*/*/*")  # runs/<name>/<time>, and a sweep's
    found = [pointer for depth in depths for pointer in _RUNS.glob(f"{depth}/checkpoints/{LATEST}")]
    if not found:
        raise CheckpointError(f"{word}: no run below {_RUNS.absolute()}; write <run directory>/{word}")
    return max(found, key=lambda pointer: pointer.stat().st_mtime).parent


def _newest_in(folder: Path, named: Path) -> Path:
    newest = whole_checkpoints(folder)
    if not newest:
        raise CheckpointError(f"{named}: no checkpoint there; give a step_... directory or the run directory above")
    return newest[-1]


def _pointed_at(pointer: Path) -> Path:
    try:
        name = pointer.read_text(errors="replace").strip()
    except OSError:
        raise CheckpointError(
            f"{pointer}: not there: no checkpoint of this run was validated; write {_NEWEST}, or name a "
            "step_... directory"
        ) from None
    if not NAME.fullmatch(name) or not (pointer.parent / name / MANIFEST).is_file():
        raise CheckpointError(f"{pointer}: says {excerpt(name)!r}, which is no checkpoint beside it")
    return pointer.parent / name
