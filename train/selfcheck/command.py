"""The command: python -m train.selfcheck device=ascend."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fairmot.errors import ConfigError, FairMOTError
from fairmot.json_files import as_shape, read_json
from train.distributed import connect
from train.heartbeat import beat
from train.run_dir import make_run_dir
from train.selfcheck.check import Session
from train.selfcheck.config import SelfcheckConfig
from train.selfcheck.report import NAMES, Report, as_line
from train.selfcheck.run import chosen, run_checks


@dataclass(frozen=True)
class _Planned:
    """What the checks want of a dry run's report, by its keys."""

    identities: int
    objects: int
    ranks: int
    parameter_bytes: int
    kernels_per_step: dict[str, int]
    peak_gb_with_fragments: float | None

    def __post_init__(self) -> None:
        """Refuse a report of nothing (ValueError)."""
        if "total" not in self.kernels_per_step:
            raise ValueError("kernels_per_step: total is missing")


def selfcheck(config: SelfcheckConfig) -> None:
    """Make the checks, print a line for each, and keep the report in the run directory up to date.

    Raises:
        ConfigError: an unknown check, or a report that is none.
        FairMOTError: a check failed or broke off, or the report cannot be written.
    """
    checks = chosen(config.selfcheck.checks)
    planned = _planned(config.selfcheck.report)
    world = connect(config.device, config.runtime.threads, config.runtime)
    session = Session(config, world, planned)
    run_dir = make_run_dir(config, world)
    report = Report(session, ["python", "-m", "train.selfcheck", *sys.argv[1:]], running=checks[0].name)
    for number, result in enumerate(run_checks(session, checks), start=1):
        report.results.append(result)
        report.running = checks[number].name if number < len(checks) else None
        beat(number)
        if world.is_lead or result.is_bad:
            print(as_line(result), flush=True)
        if world.is_lead:
            _write(report, run_dir)
    if world.is_lead:
        print(f"report: {' and '.join(str(run_dir / name) for name in NAMES)}", flush=True)
    if not report.is_good:
        bad = [result.check.name for result in report.results if result.is_bad]
        raise FairMOTError(f"{len(bad)} of {len(checks)} checks failed: {', '.join(bad)}")


def _planned(report: str | None) -> Mapping[str, Any] | None:
    """The dry run's report.

    Raises:
        ConfigError: it cannot be read, or is no such report.
    """
    if report is None:
        return None

    def refused(why: str) -> ConfigError:
        return ConfigError(
            f"selfcheck.report={report}: no report of a dry run ({why}); "
            "python -m train simulate.chip=910b simulate.report=... writes one"
        )

    planned: dict[str, Any] = read_json(Path(report), dict[str, Any], refused)
    wanted = {field.name for field in fields(_Planned)}
    as_shape({key: value for key, value in planned.items() if key in wanted}, _Planned, refused)
    return planned


def _write(report: Report, run_dir: Path) -> None:
    try:
        report.write(run_dir)
    except OSError as error:
        raise FairMOTError(f"run_dir={run_dir}: the report cannot be written ({error.strerror})") from error
