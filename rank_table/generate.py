"""Write a rank table from a list of hosts: `python rank_table/generate.py hosts=... devices=8 output=table.json ...`.

Needs Python alone, no installation. The rank ids follow the dictionary order of the hosts' addresses.

    hosts=10.0.0.1,10.0.0.2         IP addresses, or the name of a file with one in each line
    devices=8                       devices 0 to 7 of every host
    output=rank_table.json          where to write
    hccn=/shared/hccn/{host}.conf   copies of every host's /etc/hccn.conf, which holds the devices' addresses; or
    device_ips=192.168.100.101,...  these addresses, host by host in the order of hosts=
    spod=/shared/spod/{host}.txt    Atlas A3 super pods (version 1.2): what every host says of its devices, in order,
                                    for npu in 0 1 2 3 4 5 6 7; do for chip in 0 1; do
                                        npu-smi info -t spod-info -i $npu -c $chip; done; done > <host>.txt

Exit codes: 0 written, 2 refused.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also from a checkout that is not installed

from fairmot.errors import ConfigError
from fairmot.files import write_atomic
from train.cluster.table_faults import PLAIN, SUPER_PODS, faults_of

_KEYS = ("hosts", "devices", "output", "hccn", "device_ips", "spod")


def main(words: list[str]) -> int:
    """Make the table, check it and write it."""
    if not words or {"-h", "--help"} & set(words):
        print(__doc__)
        return 0 if words else ConfigError.exit_code
    try:
        options = _options(words)
        hosts = _hosts(options["hosts"])
        table = make_table(_device_ips(options, hosts))
        if "spod" in options:
            count = int(options["devices"])
            add_super_pods(
                table, {host: _read_spod(Path(options["spod"].replace("{host}", host)), count) for host in hosts}
            )
        if faults := faults_of(table):
            raise ConfigError("\n".join(faults))
        write_atomic(options["output"], _as_text(table))
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ConfigError.exit_code
    print(f"{options['output']}: {len(hosts)} hosts with {options['devices']} devices")
    return 0


def make_table(device_ips: dict[str, list[str]]) -> dict[str, Any]:
    """The table's content from the addresses of each host's devices 0, 1, ..."""
    servers, rank = [], 0
    for host in sorted(device_ips):
        devices = []
        for device_id, device_ip in enumerate(device_ips[host]):
            devices.append({"device_id": str(device_id), "device_ip": device_ip, "rank_id": str(rank)})
            rank += 1
        servers.append({"server_id": host, "device": devices, "host_nic_ip": "reserve"})
    return {"version": PLAIN, "server_count": str(len(servers)), "server_list": servers, "status": "completed"}


def add_super_pods(table: dict[str, Any], known: dict[str, tuple[str, list[str]]]) -> None:
    """Make a table one of version 1.2.

    Args:
        table: its content.
        known: super pod and the devices' numbers in it, of each host.
    """
    table["version"] = SUPER_PODS
    pods: dict[str, list[dict[str, str]]] = {}
    for server in table["server_list"]:
        pod, numbers = known[server["server_id"]]
        pods.setdefault(pod, []).append({"server_id": server["server_id"]})
        for device, number in zip(server["device"], numbers, strict=True):
            device["super_device_id"] = number
    table["super_pod_list"] = [{"super_pod_id": pod, "server_list": servers} for pod, servers in pods.items()]


def _as_text(table: dict[str, Any]) -> str:
    """JSON with a line for each device."""
    return re.sub(r"\{\s+(\"device_id\": [^}]*?)\s+\}", _in_one_line, json.dumps(table, indent=2)) + "\n"


def _in_one_line(device: re.Match[str]) -> str:
    return "{" + re.sub(r"\s*\n\s*", " ", device.group(1)) + "}"


def _options(words: list[str]) -> dict[str, str]:
    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key not in _KEYS or not equals:
            raise ConfigError(f"{word}: expected one of {', '.join(f'{key}=' for key in _KEYS)}")
        options[key] = value
    for key in ("hosts", "devices", "output"):
        if key not in options:
            raise ConfigError(f"{key}= is missing")
    if ("hccn" in options) == ("device_ips" in options):
        raise ConfigError("the devices' addresses: give either hccn= or device_ips=")
    return options


def _hosts(text: str) -> list[str]:
    path = Path(text)
    entries = path.read_text().split("\n") if path.is_file() else text.split(",")
    hosts = [entry.strip() for entry in entries if entry.strip()]
    if not hosts or len(set(hosts)) != len(hosts):
        raise ConfigError(f"hosts={text}: must name at least one host and none twice")
    return hosts


def _device_ips(options: dict[str, str], hosts: list[str]) -> dict[str, list[str]]:
    text = options["devices"]
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"devices={text}: must be the number of devices of a host")
    count = int(text)
    if "hccn" in options:
        return {host: _read_hccn(Path(options["hccn"].replace("{host}", host)), count) for host in hosts}
    addresses = options["device_ips"].split(",")
    if len(addresses) != count * len(hosts):
        raise ConfigError(
            f"device_ips: {len(addresses)} addresses, but {len(hosts)} hosts with {count} devices have "
            f"{count * len(hosts)}"
        )
    return {host: addresses[i * count : (i + 1) * count] for i, host in enumerate(hosts)}


def _read_hccn(path: Path, count: int) -> list[str]:
    """The lines `address_0=192.168.100.101` of a host's hccn.conf."""
    try:
        found = dict(re.findall(r"^\s*address_(\d+)\s*=\s*(\S+)", path.read_text(), re.MULTILINE))
    except OSError as error:
        raise ConfigError(f"hccn: {path}: cannot be read ({error.strerror})") from error
    missing = [f"address_{device}" for device in range(count) if str(device) not in found]
    if missing:
        raise ConfigError(f"hccn: {path}: no line {missing[0]}=; the host has {len(found)} devices there")
    return [found[str(device)] for device in range(count)]


def _read_spod(path: Path, count: int) -> tuple[str, list[str]]:
    """The lines `SDID : 2883584` and `Super Pod ID : 0` that npu-smi prints of each device."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"spod: {path}: cannot be read ({error.strerror})") from error
    numbers = re.findall(r"\bSDID\s*:\s*(\d+)", text)
    pods = set(re.findall(r"\bSuper Pod ID\s*:\s*(\d+)", text))
    if len(numbers) != count or len(pods) != 1:
        raise ConfigError(
            f"spod: {path}: {len(numbers)} SDID and {len(pods)} different Super Pod ID; {count} devices of one host "
            f"have {count} and 1 (npu-smi info -t spod-info, once a device)"
        )
    return pods.pop(), numbers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
