"""Pre-flight: everything a job needs, checked before it holds a device.

    python -m train preflight=true experiment=mot20_finetune ...

A check that fails does not keep the others from running. Nothing is opened but files, one port for a moment, and the
MLflow server; the network is built on the CPU.
"""

import os
from collections.abc import Callable
from pathlib import Path

from fairmot.device import Device, use_device
from fairmot.errors import FairMOTError
from train.config import TrainConfig
from train.preflight.checks import CHECKS
from train.preflight.context import Context
from train.preflight.finding import Finding, Status, as_rows, failed, wants_colour


def run_preflight(config: TrainConfig, ranks: int | None = None, rank_table: Path | None = None) -> bool:
    """Check everything, print one row a check, and say whether the job can start.

    Args:
        config: of the run.
        ranks: processes of the whole job; None: RANK_SIZE of the environment, else what the table lists.
        rank_table: its file; None: RANK_TABLE_FILE of the environment, else none.

    Returns:
        Whether no check failed; warnings do not count.
    """
    use_device(Device.cpu)  # the network is built to be measured: that must not open an NPU
    path = rank_table or os.environ.get("RANK_TABLE_FILE")
    job = Context(config, ranks or int(os.environ.get("RANK_SIZE", "0")), Path(path) if path else None)
    width = max(map(len, CHECKS))
    colour = wants_colour()
    outcomes = []
    for name, check in CHECKS.items():
        finding = _run(check, job)
        print(as_rows(name, finding, width, colour), flush=True)
        outcomes.append(finding.status)
    print("pre-flight: " + ", ".join(f"{outcomes.count(status)} {status.value}" for status in Status), flush=True)
    return Status.failed not in outcomes


def _run(check: Callable[[Context], Finding], job: Context) -> Finding:
    try:
        return check(job)
    except FairMOTError as error:  # says itself how to mend it
        return failed(str(error))
    except Exception as error:  # the other checks must still run
        return failed(f"{type(error).__name__}: {error}", "not foreseen: please report it with this row")
