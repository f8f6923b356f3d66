"""Start script of one process: a rank, or the scheduler that msrun starts beside the ranks.

It prepares the process before anything heavy is imported, then becomes `python -m train <words>`, or
`python -m train.selfcheck <words>`. The launcher's
temporary folder holds launch.json (what to become) and takes from each rank: rank_<k>.pid, rank_<k>.beat (see
train.heartbeat) and rank_<k>.end (its exit code, written when the training's own work is over, whatever the
frameworks' clean-up does to the process after that).
"""

import contextlib
import ctypes
import faulthandler
import json
import os
import runpy
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

SELFCHECK = "--selfcheck"
"""As the first word: the rank makes the self-check instead of training."""

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become what the launcher wants."""
    folder = Path(os.environ["FAIRMOT_LAUNCH_FOLDER"])
    launch = json.loads((folder / "launch.json").read_text())
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        if launch["node_rank"] != 0:
            return  # msrun starts a scheduler wherever the first host's address is local: one is enough
        name = "scheduler"
    else:
        name = _become_rank(launch["ranks"], folder)
    _write(folder / f"{name}.pid", os.getpid())
    _redirect_output(Path(launch["logs"]) / f"{name}.log")
    began = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"=== {name}, start {launch['attempt']}, {began}, process {os.getpid()} on {socket.gethostname()} ===")
    _die_with_launcher(launch["launcher_pid"])
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # instead of this script's folder
    exit_code = _train()
    with contextlib.suppress(OSError):  # a full disk: the launcher goes by the process's own exit code then
        _write(folder / f"{name}.end", exit_code)
    sys.exit(exit_code)


def _become_rank(ranks: list[dict[str, Any]], folder: Path) -> str:
    """Take a rank's environment and CPU cores; msrun numbers its processes of a host by DEVICE_ID."""
    entry = ranks[int(os.environ.get("FAIRMOT_LOCAL_RANK") or os.environ["DEVICE_ID"])]
    name = f"rank_{entry['rank']}"
    os.environ.update(entry["environment"])
    os.environ["FAIRMOT_HEARTBEAT"] = str(folder / f"{name}.beat")
    os.sched_setaffinity(0, entry["cores"])
    return name


def _redirect_output(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _die_with_launcher(launcher: int) -> None:
    """Let the kernel kill this process when the launcher ends, however that ends.

    The kernel watches the present parent. Under msrun that is msrun, which ends by itself a second after it has
    started everything; then the launcher adopts this process.
    """
    parent = os.getppid()
    while parent != launcher and os.getppid() == parent:
        time.sleep(0.01)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != launcher:
        sys.exit("the launcher is gone")


def _train() -> int:
    """Run the training; returns its exit code, after everything it has to say is in the log."""
    module = "train"
    if sys.argv[1:2] == [SELFCHECK]:
        module = f"train.{SELFCHECK.removeprefix('--')}"
        del sys.argv[1]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
            return 1
        return leaving.code or 0
    except BaseException as error:
        traceback.print_exc()
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _write(path: Path, number: int) -> None:
    """Never to be read half-written."""
    beside = path.with_suffix(".tmp")
    beside.write_text(str(number))
    beside.replace(path)


if __name__ == "__main__":
    main()
