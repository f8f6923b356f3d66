"""In place of train/launch/worker.py: a rank, or the scheduler, that finds the others and says which NPU it holds."""

import json
import os
from pathlib import Path

from fairmot.device import Device
from fairmot.errors import FairMOTError
from train.distributed import connect
from train.launch.worker import _become_rank

FOLDER = Path(os.environ["FAIRMOT_LAUNCH_FOLDER"])
LAUNCH = json.loads((FOLDER / "launch.json").read_text())


def main() -> None:
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        (FOLDER / "scheduler.pid").write_text(str(os.getpid()))
        connect(Device.ascend)
        return
    name = _become_rank(LAUNCH["ranks"], FOLDER)
    try:
        connect(Device.ascend)
    except FairMOTError as error:  # the ranks have met; HCCL is not there
        print(error, flush=True)
    import mindspore

    beside = FOLDER / f"{name}.tmp"
    beside.write_text(f"rank {os.environ['RANK_ID']}: device {mindspore.get_context('device_id')}")
    beside.rename(FOLDER / f"{name}.said")
    os._exit(0)  # MindSpore's clean-up waits for what is not there


main()
