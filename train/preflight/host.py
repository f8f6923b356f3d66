"""This machine: versions, NPUs, cores and memory, ports, the MLflow server."""

import http.client
import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sqlite3
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from fairmot.addresses import masked_address
from train.preflight.finding import Finding, failed, passed, skipped, warned
from train.preflight.npu_smi import read_answer
from train.report.config import MlflowConfig
from train.report.mlflow_delivery import resolve_tracking_uri

DISTRIBUTION = "fairmot-mindspore"
SUPPORTED_CANN = ("8.2", "8.3", "8.5", "9.0", "9.1")
"""What MindSpore 2.10 accepts (its run_check/_check_version.py)."""
BUILT_FOR_CANN = "9.1"
"""What the operators in MindSpore 2.10's wheel were compiled with (its custom_ascendc_910b/version.info)."""

ASCEND = Path("/usr/local/Ascend")
DEVICES = Path("/dev")
HCCN = Path("/etc/hccn.conf")
CGROUP = Path("/sys/fs/cgroup")

_SHARED_DEVICES = ("davinci_manager", "devmm_svm", "hisi_hdc")
_NPU_SMI_S = 30
_MLFLOW_S = 3.0
_RANK_BYTES = 2e9
_FILES = "pass the devices and mounts of docs/cluster.md to the container, or install the driver on this host"


def check_versions() -> Finding:
    """Python and every dependency against the ranges the project declares."""
    try:
        declared = importlib.metadata.metadata(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return skipped(f"{DISTRIBUTION} is not installed here, so its declared ranges are unknown (pip install -e .)")
    found, faults, missing = [f"Python {platform.python_version()}"], [], []
    if platform.python_version() not in SpecifierSet(declared["Requires-Python"]):
        faults.append(f"Python {platform.python_version()} is not {declared['Requires-Python']}")
    for requirement in map(Requirement, declared.get_all("Requires-Dist") or []):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{requirement.name} is not installed under that name")
            continue
        found.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            faults.append(f"{requirement.name} {version} is not {requirement.specifier}")
    mend = "install the project again: pip install -e . (numpy 2 breaks MindSpore 2.10)"
    if faults:
        return failed("; ".join(faults + missing), mend)
    if missing:  # this program runs, so something stands in for it
        return warned("; ".join(missing), mend)
    return passed(", ".join(found[:3]) + f" and {len(found) - 3} more as declared" if len(found) > 3 else found[0])


def check_cann() -> Finding:
    """CANN and driver, read where their installers write their versions."""
    machine = platform.machine()
    homes = [os.environ.get(name) for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")]
    places = [Path(home) for home in homes if home]
    places += [root / name for root in (ASCEND, Path.home() / "Ascend") for name in ("cann", "ascend-toolkit/latest")]
    names = (f"{machine}-linux/ascend_toolkit_install.info", "compiler/version.info")
    cann = _first_version([place / name for place in places for name in names])
    driver = _first_version([ASCEND / "driver" / "version.info"])
    if cann is None:
        looked = ", ".join(str(place) for place in places)
        return failed(f"no CANN found in {looked}", "install CANN, or source its set_env.sh, or use Dockerfile.ascend")
    if driver is None:
        return failed(f"CANN {cann}, but no driver: {ASCEND / 'driver' / 'version.info'} is not there", _FILES)
    release = ".".join(cann.split(".")[:2])
    if release not in SUPPORTED_CANN:
        return failed(
            f"CANN {cann}: MindSpore 2.10 takes {', '.join(SUPPORTED_CANN)}", f"install CANN {BUILT_FOR_CANN}"
        )
    if release != BUILT_FOR_CANN:
        return warned(f"CANN {cann}, driver {driver}: MindSpore's operators were compiled with CANN {BUILT_FOR_CANN}")
    return passed(f"CANN {cann}, driver {driver}")


def _first_version(files: list[Path]) -> str | None:
    """The value of the first `version=` line in the first of these files that can be read."""
    for file in files:
        try:
            found = re.search(r"^\s*version\s*=\s*(\S+)", file.read_text(), re.IGNORECASE | re.MULTILINE)
        except OSError:
            continue
        if found:
            return found.group(1)
    return None


def check_npus(device_ids: list[int], device_ips: dict[int, str]) -> Finding:
    """The NPUs this host's ranks would use, without opening one.

    Args:
        device_ids: which of this host's NPUs.
        device_ips: their addresses as the rank table has them; empty without a table.
    """
    wanted = [DEVICES / f"davinci{number}" for number in device_ids] + [DEVICES / name for name in _SHARED_DEVICES]
    missing = [str(path) for path in wanted if not path.exists()]
    closed = [str(path) for path in wanted if path.exists() and not os.access(path, os.R_OK | os.W_OK)]
    if missing:
        return failed(f"not there: {', '.join(missing)}", _FILES)
    if closed:
        group = "--group-add $(stat -c %g /dev/davinci0)"
        return failed(
            f"this user may not open {', '.join(closed)}", f"join the devices' group; for docker run: {group}"
        )
    other = [
        f"NPU {number} has {found}, the table says {device_ips[number]}"
        for number, found in _configured_ips().items()
        if device_ips.get(number, found) != found
    ]
    if other:
        return failed("; ".join(other), f"make the table again from {HCCN} (rank_table/README.md)")
    return _ask_npu_smi(device_ids)


def _configured_ips() -> dict[int, str]:
    """NPU addresses of this host; nothing where its file is not visible, as in most containers."""
    try:
        lines = re.findall(r"^address_(\d+)\s*=\s*(\S+)", HCCN.read_text(), re.MULTILINE)
    except OSError:
        return {}
    return {int(number): address for number, address in lines}


def _ask_npu_smi(device_ids: list[int]) -> Finding:
    present = f"NPUs {', '.join(map(str, device_ids))} are there"
    program = shutil.which("npu-smi")
    if program is None:
        return warned(f"{present}; their health is unknown: no npu-smi", "mount /usr/local/bin/npu-smi")
    try:
        answer = subprocess.run([program, "info"], capture_output=True, text=True, timeout=_NPU_SMI_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return failed(f"npu-smi info does not answer: {error}", "look at the driver: dmesg, npu-smi info")
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip().splitlines()[-1:]
        return failed(f"npu-smi info ended with {answer.returncode}: {' '.join(said)}", "look at the driver: dmesg")
    health, processes = read_answer(answer.stdout)
    sick = [f"NPU {number}: {health[number]}" for number in device_ids if health.get(number, "OK") != "OK"]
    if sick:
        return failed(", ".join(sick), "npu-smi info -t health -i <NPU> says more; leave it out of the rank table")
    busy = [f"NPU {number} by process {process}" for number, process in processes if number in device_ids]
    if busy:
        return warned(f"{present}, but in use: {', '.join(busy)}", "wait for that job, or end it")
    return passed(f"{present}, npu-smi calls {sum(number in health for number in device_ids)} of them healthy")


def check_cores_and_memory(ranks_here: int, workers: int) -> Finding:
    """Cores and memory this process may use, against what the ranks of this host want.

    Args:
        ranks_here: ranks that run on this host.
        workers: threads a rank that prepare samples.
    """
    cores = float(len(os.sched_getaffinity(0)))
    quota = _cgroup_numbers("cpu.max")
    if len(quota) == 2:
        cores = min(cores, quota[0] / quota[1])
    memory = _available_bytes()
    detail = f"{cores:g} cores, {memory / 1e9:.1f} GB of memory for {ranks_here} rank(s) with {workers} worker(s) each"
    if memory < ranks_here * _RANK_BYTES:
        return warned(f"{detail}: a rank takes {_RANK_BYTES / 1e9:.0f} GB or more", "fewer ranks, or a larger limit")
    if cores < ranks_here:
        return warned(f"{detail}: ranks will wait for each other's cores", "fewer ranks a host")
    return passed(detail)


def _available_bytes() -> float:
    """Memory that is free now, as far as a container's limit lets this process have it."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = float(fields["MemAvailable"].split()[0]) * 1024
    limit, used = _cgroup_numbers("memory.max"), _cgroup_numbers("memory.current")
    return min(available, limit[0] - used[0]) if limit and used else available


def _cgroup_numbers(name: str) -> list[float]:
    """The numbers of a limit; none where there is no limit ("max") or no such file."""
    try:
        words = (CGROUP / name).read_text().split()
    except OSError:
        return []
    return [float(word) for word in words] if words and words[0].isdigit() else []


def check_ports(ports: list[int]) -> Finding:
    """Whether these ports of this host can be listened on."""
    for port in ports:
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", port))
                probe.listen()
        except (OSError, OverflowError) as error:
            return failed(f"port {port} cannot be listened on: {error}", "export another MASTER_PORT= on all hosts")
    return passed(f"{' and '.join(map(str, ports))} can be listened on")


def check_mlflow(config: MlflowConfig) -> Finding:
    """Whether the tracking store answers. The run is recorded locally in any case, so this never fails a job."""
    if not config.enabled:
        return skipped("mlflow.enabled=false")
    uri = resolve_tracking_uri(config)
    shown = masked_address(uri)
    later = "values are kept in the run directory; python -m train.deliver run_dir=... sends them later"
    try:
        if uri.startswith(("http://", "https://")):
            _ask_server(uri)
        elif uri.startswith("sqlite:///"):
            _open_database(Path(uri.removeprefix("sqlite:///")))
        else:
            return skipped(f"{shown}: neither a server nor an SQLite file")
    except http.client.InvalidURL:  # which would show what it takes for a port
        return warned(f"{shown} is no address", later)
    except (OSError, ValueError, sqlite3.Error) as error:
        return warned(f"{shown} does not answer: {getattr(error, 'reason', None) or error}", later)
    return passed(f"{shown} answers")


def _ask_server(uri: str) -> None:
    """Any answer counts, a refusal too: delivery sends what this does not, such as user and password."""
    address = urllib.parse.urlsplit(uri)
    without_user = address._replace(netloc=address.netloc.rsplit("@", 1)[-1]).geturl()
    try:
        urllib.request.urlopen(f"{without_user.rstrip('/')}/health", timeout=_MLFLOW_S).close()
    except urllib.error.HTTPError:
        return


def _open_database(path: Path) -> None:
    """An existing file must be a database; a new one needs a folder that can be written."""
    if not path.exists():
        if not os.access(path.parent, os.W_OK):
            raise OSError(f"{path.parent} is no folder that can be written")
        return
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_MLFLOW_S)
    try:
        connection.execute("select count(*) from sqlite_master")
    finally:
        connection.close()
