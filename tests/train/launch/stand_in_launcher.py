"""A launcher whose ranks run a few lines of Python instead of a training: `python stand_in_launcher.py '{...}'`.

Keys: run_dir, programs (one a rank, with the names of STAND_IN at hand), host (0), ranks (a host's number of ranks),
num_hosts, port, restarts, hang_s, grace_s.
"""

import json
import sys
from pathlib import Path

from train.launch.hosts import Hosts
from train.launch.plan import HostPlan, RankPlan
from train.launch.supervise import Limits, Signals, supervise
from train.output import say

STAND_IN = """
import faulthandler, json, os, signal, subprocess, sys, time
from pathlib import Path
faulthandler.register(signal.SIGUSR1)
folder = Path(os.environ["FAIRMOT_LAUNCH_FOLDER"])
launch = json.loads((folder / "launch.json").read_text())
rank = launch["ranks"][int(os.environ["FAIRMOT_LOCAL_RANK"])]["rank"]
attempt = launch["attempt"]
def beat(step):
    (folder / f"rank_{rank}.beat").write_text(str(step))
def finish(code=0):
    (folder / f"rank_{rank}.end").write_text(str(code))
    sys.exit(code)
print(f"rank {rank} begins start {attempt}", flush=True)
exec(json.loads(sys.argv[1])[rank])
"""


def main() -> int:
    orders = {"host": 0, "num_hosts": 1, "port": 0, "restarts": 0, "hang_s": 60, "grace_s": 5}
    orders |= json.loads(sys.argv[1])
    count = len(orders["programs"]) // orders["num_hosts"]
    names = [f"127.0.0.{i + 1}" for i in range(orders["num_hosts"])]

    def prepare(folder: Path) -> HostPlan:
        first = orders["host"] * count
        ranks = tuple(RankPlan(first + i, (0,), {}) for i in range(count))
        environment = {"FAIRMOT_LAUNCH_FOLDER": str(folder), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-c", STAND_IN, json.dumps(orders["programs"])]
        name = names[orders["host"]]
        return HostPlan(name, orders["host"], ranks, environment, command, starts_each=True, not_inherited=())

    run_dir = Path(orders["run_dir"])
    hosts = Hosts(names, orders["host"], ("127.0.0.1", orders["port"]), {"programs": orders["programs"]}, run_dir)
    signals = Signals()
    try:
        hosts.gather(lambda: bool(signals.names), say)
        limits = Limits(orders["restarts"], orders["hang_s"], orders["grace_s"])
        (run_dir / "logs").mkdir(exist_ok=True)
        return supervise(prepare, run_dir, limits, hosts, signals)
    except Exception as error:
        say(f"error: {error}")
        return getattr(error, "exit_code", 99)


if __name__ == "__main__":
    sys.exit(main())
