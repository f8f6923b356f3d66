"""Sweeps: `python -m train -m optim.lr=1e-4,5e-4` trains one job after the other, each in a folder of its own.

    <sweep's folder>/                      run_dir=, or runs/sweeps/<time>
        mlflow_spool.jsonl                 record of the sweep itself: its run in MLflow is the parent of the jobs' runs
        optim.lr=0.0001/                   a job's run directory, named by what the sweep changes
        optim.lr=0.0005/

The same command with the same run_dir continues the jobs that are not done; further values add jobs.
"""

import contextlib
import dataclasses
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from fairmot.addresses import masked
from fairmot.errors import ConfigError, FairMOTError
from fairmot.locks import lock
from train.config import TrainConfig
from train.report.origin import origin
from train.report.record import SPOOL_NAME, RunRecord
from train.run_dir import RUN_DIR_VARIABLE

_LONGEST_NAME = 150


@contextlib.contextmanager
def job_of_sweep(config: TrainConfig) -> Iterator[TrainConfig]:
    """The configuration of one job, with its own run directory; without a sweep `config` as it is.

    Raises:
        ConfigError: a launcher has started this process: its ranks cannot sweep.
        FairMOTError: the job's own, with the job's name before it.
    """
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        yield config
        return
    if RUN_DIR_VARIABLE in os.environ:
        raise ConfigError("a sweep (-m) trains on one rank: start its jobs one by one by the launcher, without -m")
    hydra = HydraConfig.get()
    swept = _swept_values([*(f"{key}={values}" for key, values in (hydra.sweeper.params or {}).items()), *sys.argv[1:]])
    name = _job_name([word for word in hydra.overrides.task if word.partition("=")[0] in swept]) or str(hydra.job.num)
    folder = Path(hydra.sweep.dir)
    _record_sweep(folder, config, swept)
    print(f"\nsweep {folder}, job {hydra.job.num}: {name}", flush=True)
    try:
        written = {place: words for place, words in config.as_written.items() if place != ("run_dir",)}
        yield dataclasses.replace(config, run_dir=str(folder / name), as_written=written)
    except FairMOTError as error:
        raise type(error)(f"{name}: {error}") from error


def _record_sweep(folder: Path, config: TrainConfig, swept: Mapping[str, str]) -> None:
    """Begin the sweep's own record, once: a launcher of Hydra's plugins starts several jobs at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".sweep.lock").open("a") as stream:
        with contextlib.suppress(OSError):  # a file system without locks
            lock(stream, wait=True)
        if (folder / SPOOL_NAME).exists():
            return
        record = RunRecord(folder)
        record.append("params", values={key: masked(values) for key, values in swept.items()})
        note = "\n".join(f"- **{key}**: {masked(values)}" for key, values in swept.items())
        tags = {"experiment": config.name, "sweep_dir": str(folder.absolute()), **origin()}
        record.append("tags", values={**tags, "mlflow.note.content": f"A sweep; its runs differ in\n{note}"})
        record.close()


def _swept_values(words: list[str]) -> dict[str, str]:
    """The keys that have several values, as on the command line: {"optim.lr": "1e-4,5e-4"}."""
    parser = OverridesParser.create()
    overrides = parser.parse_overrides([word for word in words if "=" in word and not word.startswith("-")])
    return {
        each.get_key_element(): str(each.input_line).partition("=")[2] for each in overrides if each.is_sweep_override()
    }


def _job_name(words: list[str]) -> str:
    """A folder's name; long ones are cut and, as those with masked passwords, told apart by a digest."""
    name, exact = (quote(",".join(each), safe="=,[]+ ") for each in (map(masked, words), words))
    if len(name) <= _LONGEST_NAME and name == exact:
        return name
    return f"{name[: _LONGEST_NAME - 9]}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"
