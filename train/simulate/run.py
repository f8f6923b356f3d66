"""The dry run as a whole: a process of its own compiles for the chip, and what it wrote becomes the report.

    python -m train simulate.chip=910b experiment=mot20_finetune simulate.ranks=8

MindSpore's simulation is switched on by variables that must stand before it is imported, hence the second process. It
works in a temporary folder; no run directory is made.
"""

import dataclasses
import importlib.metadata
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fairmot.addresses import is_address
from fairmot.device import Device
from fairmot.errors import ConfigError, FairMOTError
from fairmot.files import write_atomic
from fairmot.json_files import read_json
from train.config import TrainConfig
from train.simulate.child import Measured
from train.simulate.config import CHIPS, Chip
from train.simulate.graphs import read_log
from train.simulate.report import as_text, does_not_fit, make_report
from train.simulate.stand_ins import cann_paths, cann_variables
from train.simulate.watch import run_watched

_PROJECT = Path(__file__).resolve().parents[2]
_OF_A_LAUNCHER = re.compile(
    r"MS_(ROLE|SCHED|WORKER|NODE|LOCAL|CLUSTER)|RANK_|DEVICE_ID|FAIRMOT_|GLOG_|MS_DEV_|MS_SUB|MS_COMPILER_CACHE"
)
_logger = logging.getLogger(__name__)


def simulate(config: TrainConfig) -> None:
    """Compile what a run of `config` would compile on simulate.chip, print the report, and write it where asked.

    Raises:
        ConfigError: no stand-ins for CANN can be made here, or a value is refused.
        FairMOTError: it does not compile for the chip; the message says why. It compiles and is reported, but does not
            fit into the chip's memory.
    """
    report = simulated(config)
    print(as_text(report), flush=True)
    if config.simulate.report is not None:
        try:
            write_atomic(Path(config.simulate.report), json.dumps(report, indent=2) + "\n")
        except OSError as error:
            raise FairMOTError(f"simulate.report={config.simulate.report}: {error.strerror}") from error
    if message := does_not_fit(report["peak_gb_with_fragments"], Chip(report["chip"])):
        raise FairMOTError(f"simulate: {message}")


def simulated(config: TrainConfig) -> dict[str, Any]:
    """The report of `config`; see `simulate`."""
    chip = config.simulate.chip
    if chip is None:
        raise ConfigError("simulate.chip=null: name the chip to compile for")
    if config.device is Device.cpu:
        _logger.info("dry run: device=cpu does not count, a dry run compiles for the NPU of simulate.chip")
    libraries, packages = cann_paths(dict(os.environ))
    _logger.info(
        "dry run: MindSpore %s compiles for %s with %s; a full network takes some minutes",
        importlib.metadata.version("mindspore"),
        CHIPS[chip].soc_name,
        libraries.parent,
    )
    with tempfile.TemporaryDirectory(prefix="fairmot-dry-run-") as name:
        folder = Path(name)
        config_file, result, log_file = folder / "config.yaml", folder / "measured.json", folder / "log.txt"
        OmegaConf.save(OmegaConf.structured(_for_child(config, folder)), config_file)
        exit_code = run_watched(
            [sys.executable, "-m", "train.simulate.child", str(config_file), str(result)],
            environment_of_child(config, chip, libraries, packages, folder, os.environ),
            log_file,
            config.simulate.time_limit_s,
        )
        text = log_file.read_text(encoding="utf-8", errors="replace")
        written = _written(result)
        if exit_code != 0 or "error" in written or not written:
            _raise_failure(exit_code, written, text)
        return make_report(chip, Measured(**written), read_log(text.splitlines()), folder, _PROJECT)


def _for_child(config: TrainConfig, folder: Path) -> TrainConfig:
    """The same configuration for a process that works elsewhere and must write nothing beside the data."""
    data = dataclasses.replace(
        config.data,
        root=str(Path(config.data.root).absolute()),
        packed=_absolute(config.data.packed),
        cache_dir=str(folder / "labels"),
    )
    return dataclasses.replace(config, device=Device.ascend, data=data)


def _absolute(packed: str | None) -> str | None:
    return packed if packed is None or is_address(packed) else str(Path(packed).absolute())


def environment_of_child(
    config: TrainConfig, chip: Chip, libraries: Path, packages: Path, folder: Path, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Variables that switch the simulation on, for one rank; those of a real launch are taken out.

    Args:
        config: says which rank of how many.
        chip: to compile for.
        libraries: CANN's shared libraries or their stand-ins.
        packages: its Python packages.
        folder: for everything that MindSpore writes.
        inherited: this process's environment.
    """
    kept = {name: value for name, value in inherited.items() if not _OF_A_LAUNCHER.match(name)}
    rank, ranks = config.simulate.rank, config.simulate.ranks
    return kept | {
        **cann_variables(libraries, packages, _PROJECT, inherited),
        "FAIRMOT_SIMULATED_SOC": CHIPS[chip].soc_name,
        "FAIRMOT_SIMULATED_DEVICES": str(CHIPS[chip].devices_per_host),
        "MS_SIMULATION_LEVEL": "1",
        "RANK_SIZE": str(ranks),
        "RANK_ID": str(rank),
        "DEVICE_ID": str(rank % CHIPS[chip].devices_per_host),
        # Few cores switch the runtime's pipeline off, which inlined branches need; they stay graphs of their own.
        "MS_DEV_RUNTIME_CONF": "switch_inline:False",
        "MS_DEV_SAVE_GRAPHS": "1",
        "MS_DEV_SAVE_GRAPHS_PATH": str(folder / "graphs"),
        "MS_DEV_DUMP_IR_PASSES": "graph_build",
        "MS_SUBMODULE_LOG_v": "{DEVICE:1}",
        "MS_JIT_DISPLAY_PROGRESS": "1",
    }


def _written(result: Path) -> dict[str, Any]:
    """What the compiling process left: nothing where it died before, or while it wrote."""
    try:
        return read_json(result, dict[str, Any], FairMOTError)
    except FairMOTError:
        return {}


def _raise_failure(exit_code: int, written: Mapping[str, Any], log: str) -> None:
    """Say why nothing was compiled.

    Raises:
        ConfigError: what the child refused.
        FairMOTError: everything else.
    """
    if "error" in written:
        raise (ConfigError if written["exit_code"] == ConfigError.exit_code else FairMOTError)(written["error"])
    said = [line for line in log.splitlines() if line.strip() and not re.match(r"\[(INFO|WARNING)\]", line)]
    reasons = [line for line in said if re.match(r"\w*Error\b", line) or "failed" in line] or said[-5:]
    raise FairMOTError(
        f"simulate: does not compile for this chip (exit code {exit_code}):\n  " + "\n  ".join(reasons[-6:])
    )
