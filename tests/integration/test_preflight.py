"""Every check of the pre-flight is made to pass and made to fail by what it looks at, not by a stand-in for it."""

import http.server
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from small_run import compose_config, overrides, run_training, write_pictures

from fairmot.errors import CheckpointError, ConfigError, DataError, FairMOTError
from fairmot.weights.checkpoint import save_checkpoint
from train.build import build_state
from train.preflight import host, storage
from train.preflight.checks import CHECKS
from train.preflight.context import Context
from train.preflight.finding import Status, as_rows, failed, wants_colour
from train.preflight.run import run_preflight
from train.report.config import MlflowConfig


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pictures(root, count=11)
    return root


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("RANK_SIZE", "RANK_TABLE_FILE", "FAIRMOT_SERVER_ID", "FAIRMOT_RUN_DIR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


def config(root, tmp_path, **changes):
    return compose_config(overrides(root, changes.pop("run_dir", tmp_path / "run"), **changes))


def after(job, *names):
    """What the last of these checks finds once the ones before it have run."""
    for name in names:
        finding = CHECKS[name](job)
    return finding


def write_table(path, hosts):
    """A rank table; hosts: their addresses, two devices each."""
    servers = [
        {
            "server_id": address,
            "host_nic_ip": "reserve",
            "device": [
                {"device_id": str(k), "device_ip": f"192.168.{number}.{k + 1}", "rank_id": str(2 * number + k)}
                for k in range(2)
            ],
        }
        for number, address in enumerate(hosts)
    ]
    table = {"version": "1.0", "server_count": str(len(hosts)), "server_list": servers, "status": "completed"}
    path.write_text(json.dumps(table))
    return path


def rows(output):
    """Outcome of each check in what was printed."""
    found = re.findall(rf"^(pass|warn|fail|skip)  (.{{{max(map(len, CHECKS))}}})  ", output, re.MULTILINE)
    return {name.strip(): outcome for outcome, name in found}


def test_a_job_that_can_start(root, tmp_path, capsys):
    assert run_preflight(config(root, tmp_path))
    output = capsys.readouterr().out
    outcomes = rows(output)
    assert list(outcomes) == list(CHECKS)
    assert "fail" not in outcomes.values()
    assert outcomes["labels"] == outcomes["images"] == outcomes["start"] == outcomes["storage"] == "pass"
    assert "11 images" in output
    assert "\033" not in output
    assert not (tmp_path / "run").exists()  # nothing is left behind


def test_everything_is_checked_though_much_is_wrong(tmp_path, capsys):
    (tmp_path / "table.json").write_text("{")
    (tmp_path / "run").write_text("a file where the folder should be")
    wrong = config(tmp_path / "nowhere", tmp_path, weights=tmp_path / "none.safetensors")
    assert not run_preflight(wrong, ranks=2, rank_table=tmp_path / "table.json")
    outcomes = rows(capsys.readouterr().out)
    assert list(outcomes) == list(CHECKS)
    assert [name for name, outcome in outcomes.items() if outcome == "fail"] == [
        "rank table",
        "storage",
        "labels",
        "start",
    ]


def test_ranks_and_table_come_from_the_environment_too(root, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RANK_SIZE", "2")
    monkeypatch.setenv("RANK_TABLE_FILE", str(write_table(tmp_path / "table.json", ["127.0.0.1"])))
    run_preflight(config(root, tmp_path))
    assert "2 devices on 1 host(s), this one is 127.0.0.1" in " ".join(capsys.readouterr().out.split())


def test_a_fault_nobody_thought_of_is_a_row_like_others(root, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(CHECKS, "labels", lambda job: 1 / 0)
    assert not run_preflight(config(root, tmp_path))
    assert re.search(r"fail  labels +ZeroDivisionError", capsys.readouterr().out)


def test_rank_table(root, tmp_path, monkeypatch):
    table = write_table(tmp_path / "table.json", ["127.0.0.1"])
    assert after(Context(config(root, tmp_path), 0, table), "rank table").status is Status.passed
    with pytest.raises(ConfigError, match="holds 2 devices, but 8 ranks are asked for"):
        after(Context(config(root, tmp_path), 8, table), "rank table")
    elsewhere = write_table(tmp_path / "elsewhere.json", ["203.0.113.1", "203.0.113.2"])
    with pytest.raises(ConfigError, match="no server_id is an address of this host"):
        after(Context(config(root, tmp_path), 4, elsewhere), "rank table")
    monkeypatch.setenv("FAIRMOT_SERVER_ID", "203.0.113.2")
    job = Context(config(root, tmp_path), 4, elsewhere)
    assert after(job, "rank table").status is Status.passed
    assert (job.hosts, job.ranks_here) == (2, 2)


def test_several_hosts_need_a_common_run_directory(root, tmp_path, monkeypatch):
    table = write_table(tmp_path / "table.json", ["203.0.113.1", "203.0.113.2"])
    monkeypatch.setenv("FAIRMOT_SERVER_ID", "203.0.113.1")
    without = config(root, tmp_path)
    without.run_dir = None
    with pytest.raises(ConfigError, match="2 hosts need one run directory, .* give run_dir="):
        after(Context(without, 4, table), "rank table", "configuration")
    monkeypatch.setenv("FAIRMOT_RUN_DIR", str(tmp_path / "run"))
    assert after(Context(without, 4, table), "rank table", "configuration").status is Status.passed
    # pytest's folder is this host's own
    assert storage.file_system(tmp_path) not in storage.LOCAL_FILE_SYSTEMS or (
        after(Context(without, 4, table), "rank table", "storage").status is Status.warned
    )


def test_versions(tmp_path, monkeypatch):
    folder = tmp_path / "fairmot_mindspore-0.1.0.dist-info"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    head = "Metadata-Version: 2.1\nName: fairmot-mindspore\nVersion: 0.1.0\n"

    def declare(text):
        (folder / "METADATA").write_text(head + text)
        return host.check_versions()

    good = 'Requires-Python: >=3.10\nRequires-Dist: numpy>=1.26,<2\nRequires-Dist: nothing-like-it; extra == "dev"\n'
    assert declare(good).status is Status.passed
    finding = declare("Requires-Python: >=4\nRequires-Dist: numpy>=99\nRequires-Dist: nothing-like-it\n")
    assert finding.status is Status.failed
    assert ">=4" in finding.detail
    assert re.search(r"numpy [\d.]+ is not >=99", finding.detail)
    assert "nothing-like-it is not installed" in finding.detail
    assert declare("Requires-Python: >=3.10\nRequires-Dist: nothing-like-it\n").status is Status.warned


def test_cann(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "ASCEND", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert "no CANN found" in host.check_cann().detail
    info = tmp_path / "cann" / f"{os.uname().machine}-linux" / "ascend_toolkit_install.info"
    info.parent.mkdir(parents=True)
    info.write_text("package_name=Ascend-cann-toolkit\nversion=9.1.0\ninnerversion=V100\n")
    assert "no driver" in host.check_cann().detail
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver" / "version.info").write_text("Version=25.0.rc1\nascendhal_version=7.35\n")
    assert host.check_cann() == host.passed("CANN 9.1.0, driver 25.0.rc1")
    own = tmp_path / "home" / "Ascend"  # installed by a user, without root
    own.mkdir(parents=True)
    (tmp_path / "cann").rename(own / "cann")
    assert host.check_cann() == host.passed("CANN 9.1.0, driver 25.0.rc1")
    (own / "cann").rename(tmp_path / "cann")
    info.write_text("version=8.5.0\n")
    assert host.check_cann().status is Status.warned
    info.write_text("version=7.0.0\n")
    assert host.check_cann().status is Status.failed
    home = tmp_path / "elsewhere"
    (home / "compiler").mkdir(parents=True)
    (home / "compiler" / "version.info").write_text("Version=9.1.0\n")
    monkeypatch.setenv("ASCEND_HOME_PATH", str(home))
    assert host.check_cann().status is Status.passed


@pytest.fixture
def two_npus(tmp_path, monkeypatch):
    """Device files and an npu-smi as they look on a host with two NPUs."""
    (tmp_path / "dev").mkdir()
    for name in ("davinci0", "davinci1", "davinci_manager", "devmm_svm", "hisi_hdc"):
        (tmp_path / "dev" / name).touch()
    (tmp_path / "npu-smi").write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
    (tmp_path / "npu-smi").chmod(0o755)
    (tmp_path / "answer").write_text(
        "| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|\n"
        "| 0     910B1               | OK            | 88.4        46                0    / 0             |\n"
        "| 0                         | 0000:C1:00.0  | 0           0    / 0          4175 / 65536         |\n"
        "| 1     910B1               | OK            | 92.1        47                0    / 0             |\n"
        "| 0                         | 0000:01:00.0  | 0           0    / 0          4175 / 65536         |\n"
        "| No running processes found in NPU 0                                                        |\n"
    )
    monkeypatch.setattr(host, "DEVICES", tmp_path / "dev")
    monkeypatch.setattr(host, "HCCN", tmp_path / "hccn.conf")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def test_npus(two_npus, monkeypatch):
    finding = host.check_npus([0, 1], {0: "192.168.0.1", 1: "192.168.0.2"})
    assert (finding.status, finding.detail) == (Status.passed, "NPUs 0, 1 are there, npu-smi calls 2 of them healthy")
    assert "davinci2" in host.check_npus([0, 1, 2], {}).detail
    (two_npus / "hccn.conf").write_text("address_0=192.168.0.1\nnetmask_0=255.255.255.0\naddress_1=192.168.9.9\n")
    assert "NPU 1 has 192.168.9.9" in host.check_npus([0, 1], {0: "192.168.0.1", 1: "192.168.0.2"}).detail
    (two_npus / "hccn.conf").unlink()
    answer = (two_npus / "answer").read_text()
    (two_npus / "answer").write_text(f"{answer}| 1       0                 | 4711          | python | 60000 |\n")
    assert host.check_npus([0], {}).status is Status.passed
    busy = host.check_npus([0, 1], {})
    assert busy.status is Status.warned, busy
    assert "NPU 1 by process 4711" in busy.detail
    (two_npus / "answer").write_text(answer.replace("| OK            | 92.1", "| Alarm         | 92.1"))
    assert host.check_npus([0, 1], {}).detail == "NPU 1: Alarm"
    (two_npus / "npu-smi").write_text("#!/bin/sh\necho driver is not loaded >&2\nexit 3\n")
    assert host.check_npus([0], {}).detail == "npu-smi info ended with 3: driver is not loaded"
    monkeypatch.setenv("PATH", "/nowhere")
    assert host.check_npus([0], {}).status is Status.warned


def test_an_npu_of_two_devices(two_npus):
    """Atlas A3: npu-smi counts NPUs, two devices each."""
    for number in (2, 3):
        (two_npus / "dev" / f"davinci{number}").touch()
    (two_npus / "answer").write_text(
        "| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|\n"
        "| Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |\n"
        "| 0     Ascend910           | OK            | 170.7       49                0    / 0             |\n"
        "| 0     0                   | 0000:9D:00.0  | 0           0    / 0          51255/ 65536         |\n"
        "| 0     Ascend910           | OK            | -           51                0    / 0             |\n"
        "| 1     1                   | 0000:9F:00.0  | 0           0    / 0          45292/ 65536         |\n"
        "| 1     Ascend910           | OK            | 170.7       49                0    / 0             |\n"
        "| 0     2                   | 0000:99:00.0  | 0           0    / 0          51255/ 65536         |\n"
        "| 1     Ascend910           | Warning       | -           51                0    / 0             |\n"
        "| 1     3                   | 0000:9B:00.0  | 0           0    / 0          45292/ 65536         |\n"
        "| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |\n"
        "| 1       0                 | 4711          | python                   | 60000                   |\n"
    )
    assert host.check_npus([0, 1], {}).detail == "NPUs 0, 1 are there, npu-smi calls 2 of them healthy"
    assert "in use: NPU 2 by process 4711" in host.check_npus([1, 2], {}).detail
    assert host.check_npus([2, 3], {}).detail == "NPU 3: Warning"


@pytest.mark.skipif(Path("/dev/davinci0").exists(), reason="this host has NPUs")
def test_ascend_on_a_host_without_npus(root, tmp_path):
    job = Context(config(root, tmp_path, device="ascend"), 8, None)
    finding = after(job, "NPUs")
    assert finding.status is Status.failed
    assert "/dev/davinci7" in finding.detail
    assert "docs/cluster.md" in finding.mend


def test_cores_and_memory(tmp_path, monkeypatch):
    assert host.check_cores_and_memory(1, 2).status in (Status.passed, Status.warned)
    assert "wait for each other's cores" in host.check_cores_and_memory(10_000, 2).detail or (
        "a rank takes" in host.check_cores_and_memory(10_000, 2).detail
    )
    monkeypatch.setattr(host, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("3000000000\n")
    (tmp_path / "memory.current").write_text("2500000000\n")
    assert "0.5 GB of memory" in host.check_cores_and_memory(1, 2).detail
    assert host.check_cores_and_memory(1, 2).status is Status.warned
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert "0.5 cores" in host.check_cores_and_memory(1, 2).detail


def test_pods_of_an_ascend_job(root, tmp_path, monkeypatch):
    of_a_worker = {
        "MS_SCHED_HOST": "10.96.0.7", "MS_SCHED_PORT": "22222", "MS_WORKER_NUM": "4", "MS_LOCAL_WORKER": "2",
        "MS_NODE_RANK": "1", "MS_ROLE": "MS_WORKER",
    }  # fmt: skip
    for name, value in of_a_worker.items():
        monkeypatch.setenv(name, value)
    job = Context(config(root, tmp_path), 4, None)
    assert after(job, "rank table").detail == "none needed: this is pod 1 (1 of 2, from 0), 2 ranks each"
    assert (job.hosts, job.ranks_here) == (2, 2)
    assert after(job, "ports") == host.skipped("pod 0 is the one that listens")
    monkeypatch.setenv("MS_NODE_RANK", "0")
    monkeypatch.setenv("MS_ROLE", "MS_SCHED")
    first = Context(config(root, tmp_path), 4, None)
    assert after(first, "rank table", "ports") == host.passed("22222 and 22223 can be listened on")
    with pytest.raises(ConfigError, match="MS_WORKER_NUM=4, but 8 ranks are asked for"):
        after(Context(config(root, tmp_path), 8, None), "rank table")


def test_the_rank_table_start_is_warned_of(root, tmp_path, monkeypatch):
    monkeypatch.setenv("LAUNCHER", "rank_table")
    job = Context(config(root, tmp_path, device="ascend"), 2, write_table(tmp_path / "table.json", ["127.0.0.1"]))
    finding = after(job, "rank table", "configuration")
    assert (finding.status, "jit_level O2" in finding.mend) == (Status.warned, True)


def test_ports(root, tmp_path, monkeypatch):
    table = write_table(tmp_path / "table.json", ["203.0.113.1", "203.0.113.2"])
    job = Context(config(root, tmp_path), 2, None)
    assert after(job, "rank table", "ports") == host.skipped("on one host a free port is chosen at the start")
    monkeypatch.setenv("FAIRMOT_SERVER_ID", "203.0.113.1")
    first = Context(config(root, tmp_path), 4, table)
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        for taken in (job, first):
            finding = after(taken, "rank table", "ports")
            assert finding.status is Status.failed
            assert f"port {port}" in finding.detail
            assert "MASTER_PORT" in finding.mend
        monkeypatch.setenv("MASTER_PORT", str(port - 1))  # the launchers meet on the port after it
        assert f"port {port}" in after(first, "ports").detail
        monkeypatch.setenv("FAIRMOT_SERVER_ID", "203.0.113.2")
        second = Context(config(root, tmp_path), 4, table)
        assert after(second, "rank table", "ports") == host.skipped("203.0.113.1 is the host that listens")
    assert after(job, "ports").status is Status.passed
    for refused in ("eighty", "80", "65535"):  # as the launcher does
        monkeypatch.setenv("MASTER_PORT", refused)
        with pytest.raises(ConfigError, match=f"MASTER_PORT={refused}: must be a number from 1024 to 65534"):
            after(job, "ports")
    monkeypatch.setenv("MASTER_PORT", "")  # as good as none
    assert after(job, "ports").status is Status.skipped


def test_storage(root, tmp_path):
    job = Context(config(root, tmp_path), 1, None)
    assert after(job, "storage").status is Status.passed
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    code = (
        "import sys, pathlib; from train.shared_storage import lock_run_dir;"
        f"lock = lock_run_dir(pathlib.Path({str(tmp_path / 'run')!r})); print('held', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(FairMOTError, match="is being written by another training"):
            after(job, "storage")
        other.communicate("")
    assert after(job, "storage").status is Status.passed
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "run").write_text("")
    assert after(job, "storage").status is Status.failed


@pytest.fixture
def one_megabyte(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small file system: {error}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk(root, tmp_path, one_megabyte):
    job = Context(config(root, tmp_path, run_dir=one_megabyte / "run", keep_checkpoints=20), 1, None)
    finding = after(job, "storage")
    assert finding.status is Status.failed
    assert "No space left" in finding.detail
    assert list(one_megabyte.iterdir()) == []
    assert storage.file_system(one_megabyte) == "tmpfs"
    space = after(job, "labels", "start", "free space")
    assert space.status is Status.failed
    assert "1 MB free" in space.detail


def test_a_reader_who_sees_half_a_file(tmp_path, monkeypatch):
    def write_in_place(path, data, sync=True):
        path.write_bytes(data[: len(data) // 2])
        with path.open("ab") as stream:
            threading.Event().wait(0.002)
            stream.write(data[len(data) // 2 :])

    monkeypatch.setattr(storage, "write_atomic", write_in_place)
    with pytest.raises(storage.NotAtomicError, match="bytes that were never written as a whole"):
        storage.write_speed(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_file_system_is_that_of_the_closest_mount(tmp_path):
    mounts = tmp_path / "mounts"
    (tmp_path / "with space" / "run").mkdir(parents=True)
    mounts.write_text(
        f"/dev/sda1 / ext4 rw 0 0\nhost:/x {tmp_path} nfs4 rw 0 0\n"
        f"host:/y {tmp_path}/with\\040space lustre rw 0 0\nnone /proc proc rw 0 0\n"
    )
    assert storage.file_system(tmp_path, mounts) == "nfs4"
    assert storage.file_system(tmp_path / "with space" / "run", mounts) == "lustre"
    assert storage.file_system(Path("/usr"), mounts) == "ext4"
    assert storage.file_system(tmp_path, tmp_path / "none") == "unknown"


def test_labels_and_what_needs_them(tmp_path):
    write_pictures(tmp_path / "data")
    (tmp_path / "data/small/images/004.jpg").unlink()
    job = Context(config(tmp_path / "data", tmp_path), 1, None)
    with pytest.raises(DataError, match=r"small.train:5: image .*004.jpg does not exist"):
        after(job, "labels")
    for name in ("batches", "images", "start"):
        assert after(job, name) == host.skipped("needs the label index")
    assert after(job, "free space").status is Status.skipped


def test_images_that_cannot_be_decoded(tmp_path):
    write_pictures(tmp_path / "data")
    for path in (tmp_path / "data/small/images").iterdir():
        path.write_bytes(path.read_bytes()[:-200])
    finding = after(Context(config(tmp_path / "data", tmp_path), 1, None), "labels", "images")
    assert finding.status is Status.failed
    assert finding.detail.count("is cut short") == 8


def test_batches(root, tmp_path):
    job = Context(config(root, tmp_path), 2, None)
    assert after(job, "labels", "batches").detail == "2 steps an epoch, 3 images left over each time"
    job.ranks = 6
    finding = after(job, "batches")
    assert finding.status is Status.failed
    assert "6 rank(s) x batch_size_per_rank=2 = 12, but there are 11 images" in finding.detail
    job = Context(config(root, tmp_path, optim__accumulation=6), 1, None)
    assert "an epoch has only 5 batches" in after(job, "labels", "batches").detail


def test_validation(root, tmp_path):
    assert after(Context(config(root, tmp_path), 1, None), "validation").status is Status.skipped
    wanted = config(root, tmp_path, data__validation="[nowhere/*]", validate_every_epochs=1)
    with pytest.raises(DataError, match="no folder .*nowhere"):
        after(Context(wanted, 1, None), "validation")


def test_start_and_the_space_it_needs(root, tmp_path):
    job = Context(config(root, tmp_path, keep_checkpoints=3), 1, None)
    finding = after(job, "labels", "start")
    assert "from scratch" in finding.detail
    state = build_state(job.config, job.index.identities)
    saved = save_checkpoint(tmp_path / "other", 1, state.tensors(), state.manifest(None, 1), "", keep=1)
    on_disk = sum(path.stat().st_size for path in saved.iterdir())
    assert job.checkpoint_bytes == pytest.approx(on_disk, rel=0.1)  # headers weigh more than in a real network
    assert after(job, "free space").detail.split(", ")[1].startswith("5 checkpoints of ")

    hoarder = Context(config(root, tmp_path, keep_checkpoints=10**9), 1, None)
    finding = after(hoarder, "labels", "start", "free space")
    assert (finding.status, "keep_checkpoints=" in finding.mend) == (Status.failed, True)

    resumed = Context(config(root, tmp_path, resume_from=saved), 1, None)
    assert f"resumes from {saved}" in after(resumed, "labels", "start").detail
    other_seed = Context(config(root, tmp_path, resume_from=saved, seed=3), 1, None)
    with pytest.raises(CheckpointError, match="seed: checkpoint 317, this run 3"):
        after(other_seed, "labels", "start")
    missing = Context(config(root, tmp_path, weights=tmp_path / "none.safetensors"), 1, None)
    with pytest.raises(CheckpointError, match="none.safetensors does not exist"):
        after(missing, "start")
    fitting = Context(config(root, tmp_path, weights=saved / "network.safetensors"), 1, None)
    assert "tensors taken" in after(fitting, "start").detail


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(401)

    def log_message(self, *args):
        pass


def test_mlflow(tmp_path, monkeypatch):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{server.server_port}")
        there = host.check_mlflow(MlflowConfig())
        server.shutdown()
    assert there.status is Status.passed  # it answers; whether it lets us in is not asked
    gone = host.check_mlflow(MlflowConfig())
    assert gone.status is Status.warned
    assert "secret" not in there.detail + gone.detail
    assert "train.deliver" in gone.mend
    assert host.check_mlflow(MlflowConfig(enabled=False)).status is Status.skipped
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:sec/ret@127.0.0.1")  # a slash ends the host's name
    assert host.check_mlflow(MlflowConfig()).detail == "http://***@127.0.0.1 is no address"

    database = tmp_path / "mlflow.db"
    local = MlflowConfig(tracking_uri=f"sqlite:///{database}")
    assert host.check_mlflow(local).status is Status.passed
    assert not database.exists()
    sqlite3.connect(database).execute("create table t (x)").connection.close()
    assert host.check_mlflow(local).status is Status.passed
    database.write_text("this is no database, it is a text that is long enough " * 20)
    assert host.check_mlflow(local).status is Status.warned
    nowhere = MlflowConfig(tracking_uri=f"sqlite:///{tmp_path}/nowhere/mlflow.db")
    assert host.check_mlflow(nowhere).status is Status.warned


def test_colours_and_wrapping(monkeypatch):
    finding = failed("one two three " * 20, "mend it")
    plain = as_rows("storage", finding, 14, colour=False)
    assert plain.startswith("fail  storage         one two")
    assert plain.endswith("        mend          mend it")
    assert all(len(line) <= 120 for line in plain.splitlines())
    assert re.sub(r"\033\[\d*m", "", as_rows("storage", finding, 14, colour=True)) == plain
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not wants_colour()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert wants_colour()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour()


@pytest.mark.slow
def test_the_command_checks_and_trains_nothing(tmp_path):
    write_pictures(tmp_path)
    words = overrides(tmp_path, tmp_path / "run", preflight="true")
    code, output = run_training(words)
    assert code == 0, output
    assert "pre-flight:" in output
    assert not (tmp_path / "run" / "checkpoints").exists()
    code, output = run_training([*words, f"data.root={tmp_path / 'nowhere'}"])
    assert code == 1
    assert "nowhere" in output
