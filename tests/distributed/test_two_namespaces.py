"""Two hosts as two network namespaces of this machine: the same script on both, one table. Needs root."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from launched import Launched
from small_run import write_pictures

from fairmot.weights.checkpoint import read_checkpoint

pytestmark = [pytest.mark.distributed, pytest.mark.timeout(900)]
HOSTS = {f"fairmot-{os.getpid()}-{i}": f"10.203.17.{i}" for i in (1, 2)}
GENERATE = Path(__file__).resolve().parents[2] / "rank_table" / "generate.py"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30)


@pytest.fixture
def namespaces():
    """Two namespaces that reach each other, and nothing else, over one cable."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("ip") is None:
        pytest.skip("network namespaces need the program `ip` (package iproute2)")
    first, second = HOSTS
    try:
        for name in HOSTS:
            ip("netns", "add", name)
        ip("link", "add", "fairmot0", "netns", first, "type", "veth", "peer", "name", "fairmot0", "netns", second)
        for name, address in HOSTS.items():
            ip("-n", name, "address", "add", f"{address}/24", "dev", "fairmot0")
            for device in ("lo", "fairmot0"):
                ip("-n", name, "link", "set", device, "up")
        yield
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
    finally:
        for name in HOSTS:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False, timeout=30)


def test_two_namespaces_train_and_fail_together_and_one_of_them_goes_on_alone(namespaces, tmp_path):
    write_pictures(tmp_path / "data", count=13)

    def start(names, **changes):
        table = tmp_path / f"table_{len(names)}.json"
        addresses = ",".join(HOSTS[name] for name in names)
        devices = ",".join(f"192.168.0.{HOSTS[name][-1]}" for name in names)
        words = [f"hosts={addresses}", "devices=1", f"device_ips={devices}", f"output={table}"]
        subprocess.run([sys.executable, GENERATE, *words], check=True, timeout=60)
        return [
            Launched(
                tmp_path / "data", tmp_path / "run", len(names), table, prefix=("ip", "netns", "exec", name),
                save_every_steps=1, epochs=1000, **changes,
            )
            for name in names
        ]  # fmt: skip

    hosts = start(list(HOSTS))
    try:
        hosts[0].wait_for("step 2/")
        killed_at_s = time.monotonic()
        os.kill(hosts[1].rank_pid(1), signal.SIGKILL)
        assert [host.end(timeout_s=30) for host in hosts] == [1, 1]
        print(f"both launchers left {time.monotonic() - killed_at_s:.2f} s after the kill")
        assert hosts[0].is_gone(within_s=0), hosts[0].processes()
        assert "10.203.17.2: rank 1 was killed by signal 9" in hosts[0].said()
        step = read_checkpoint(tmp_path / "run").manifest["progress"]["step"]
        hosts += start(list(HOSTS)[1:], max_steps=step + 2)
        assert hosts[2].end() == 0, hosts[2].said()
        assert f"continues this run from step_{step:08d}, saved by 2 rank(s), continued by 1" in hosts[2].said()
        assert read_checkpoint(tmp_path / "run").manifest["progress"]["step"] == step + 2
    finally:
        for host in hosts:
            host.clear()
