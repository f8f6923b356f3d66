"""Rank tables: which device of which host is which rank (JSON, schema 1.0, all values strings).

    {"version": "1.0", "server_count": "1", "status": "completed", "server_list": [
        {"server_id": "10.0.0.1", "host_nic_ip": "reserve", "device": [
            {"device_id": "0", "device_ip": "192.168.100.101", "rank_id": "0"}]}]}

Source: MindSpore's tutorial "rank table startup" and HCCL's description of the file. Keys beyond these are left alone.
"""

import ipaddress
import json
import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairmot.errors import ConfigError

VERSION = "1.0"
SERVER_VARIABLE = "FAIRMOT_SERVER_ID"
"""Names this host's entry where its addresses do not tell."""


@dataclass(frozen=True)
class TableDevice:
    """One accelerator of a host.

    Attributes:
        device_id: its number on the host.
        device_ip: address of its own network interface.
        rank: number of the process that uses it.
    """

    device_id: int
    device_ip: str
    rank: int


@dataclass(frozen=True)
class Server:
    """One host.

    Attributes:
        server_id: its IP address.
        devices: by ascending rank.
    """

    server_id: str
    devices: tuple[TableDevice, ...]


@dataclass(frozen=True)
class RankTable:
    """A table without faults.

    Attributes:
        path: the file.
        servers: by ascending rank; the first one leads.
    """

    path: Path
    servers: tuple[Server, ...]

    @property
    def num_ranks(self) -> int:
        """Devices of all hosts."""
        return sum(len(server.devices) for server in self.servers)


def read_rank_table(path: Path, num_ranks: int | None = None) -> RankTable:
    """Read and check a rank table.

    Args:
        path: the JSON file.
        num_ranks: how many ranks it must hold; None accepts any number.

    Raises:
        ConfigError: it cannot be read or is faulty. One line a fault: file, JSON path, how to mend it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give the path of a rank table") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not text in UTF-8; give the path of a rank table") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: line {error.lineno} column {error.colno}: not JSON ({error.msg})") from error
    if faults := faults_of(document, num_ranks):
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
    return RankTable(path, _servers(document))


def faults_of(document: Any, num_ranks: int | None = None) -> list[str]:
    """What is wrong with a table's content, each as `JSON path: fault and how to mend it`; nothing if it is good."""
    # What is said of meanings would be nonsense while there are faults of form.
    return list(_faults_of_form(document)) or list(_faults_of_meaning(document, num_ranks))


def find_server(table: RankTable, wanted: str | None) -> Server:
    """The entry of this host: the one named `wanted`, otherwise the one whose address is this host's.

    Raises:
        ConfigError: none, or more than one.
    """
    names = [server.server_id for server in table.servers]
    found = [name for name in names if (name == wanted if wanted else _is_own_address(name))]
    if len(found) == 1:
        return table.servers[names.index(found[0])]
    if wanted:
        problem = f"{SERVER_VARIABLE}={wanted} is none of its servers"
    elif found:
        problem = f"several servers are this host ({', '.join(found)}); name one by {SERVER_VARIABLE}="
    else:
        problem = (
            f"no server_id is an address of this host ({socket.gethostname()}); correct the table, or name this "
            f"host's entry by {SERVER_VARIABLE}="
        )
    raise ConfigError(f"{table.path}: server_list: {problem}; there are: {', '.join(names)}")


def _is_own_address(address: str) -> bool:
    """Only an address of this host can be bound; no list of interfaces is needed to know."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _servers(document: dict[str, Any]) -> tuple[Server, ...]:
    servers = []
    for entry in document["server_list"]:
        devices = [
            TableDevice(int(device["device_id"]), device["device_ip"], int(device["rank_id"]))
            for device in entry["device"]
        ]
        servers.append(Server(entry["server_id"], tuple(sorted(devices, key=lambda device: device.rank))))
    return tuple(sorted(servers, key=lambda server: server.devices[0].rank))


def _faults_of_form(document: object) -> Iterator[str]:
    """Missing keys and values of the wrong kind."""
    if not isinstance(document, dict):
        yield 'the file must hold one JSON object: {"version": "1.0", "server_list": [...], ...}'
        return
    yield from _text(document, "version", "", lambda text: text == VERSION, f'"{VERSION}", the only schema read here')
    yield from _text(document, "server_count", "", str.isdecimal, "a number in quotes")
    yield from _text(
        document, "status", "", lambda text: text == "completed", '"completed" (else whoever writes it is still at it)'
    )
    servers = yield from _entries(document, "server_list", "")
    for server, server_path in servers:
        yield from _text(server, "server_id", server_path, _is_ip, "the host's IP address")
        devices = yield from _entries(server, "device", server_path)
        for device, device_path in devices:
            yield from _text(device, "device_id", device_path, str.isdecimal, "the device's number in quotes")
            yield from _text(device, "device_ip", device_path, _is_ip, "the IP address in the host's /etc/hccn.conf")
            yield from _text(device, "rank_id", device_path, str.isdecimal, "a rank's number in quotes")


def _entries(node: dict[str, Any], key: str, path: str) -> Generator[str, None, list[tuple[dict[str, Any], str]]]:
    """Yields faults; returns the objects of the list `key`, each with its JSON path ending in a dot."""
    value = node.get(key)
    if not isinstance(value, list) or not value:
        yield f"{path}{key}: must be a list with at least one entry"
        return []
    entries = []
    for index, entry in enumerate(value):
        entry_path = f"{path}{key}[{index}]"
        if isinstance(entry, dict):
            entries.append((entry, f"{entry_path}."))
        else:
            yield f"{entry_path}: must be an object in braces"
    return entries


def _text(node: dict[str, Any], key: str, path: str, is_good: Callable[[str], bool], wanted: str) -> Iterator[str]:
    if key not in node:
        yield f"{path}{key}: is missing; must be {wanted}"
        return
    value = node[key]
    if not isinstance(value, str):
        in_quotes = isinstance(value, int | float) and not isinstance(value, bool)
        yield f"{path}{key}: {json.dumps(value)} is not a string; " + (
            f'write "{value}" in quotes' if in_quotes else f"must be {wanted}"
        )
    elif not is_good(value):
        yield f"{path}{key}: {json.dumps(value)}: must be {wanted}"


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _faults_of_meaning(document: dict[str, Any], num_ranks: int | None) -> Iterator[str]:
    """Values that contradict each other; the form is known to be good."""
    servers = document["server_list"]
    if int(document["server_count"]) != len(servers):
        yield f'server_count: "{document["server_count"]}", but server_list has {len(servers)}: write "{len(servers)}"'
    paths = [
        (f"server_list[{i}].device[{j}]", device)
        for i, server in enumerate(servers)
        for j, device in enumerate(server["device"])
    ]
    yield from _repeated((f"server_list[{i}].server_id", server["server_id"]) for i, server in enumerate(servers))
    for i, server in enumerate(servers):
        yield from _repeated(
            (f"server_list[{i}].device[{j}].device_id", int(device["device_id"]))
            for j, device in enumerate(server["device"])
        )
    yield from _repeated((f"{path}.device_ip", device["device_ip"]) for path, device in paths)
    faults = list(_repeated((f"{path}.rank_id", int(device["rank_id"])) for path, device in paths))
    yield from faults or _faults_of_ranks(servers)
    if num_ranks is not None and num_ranks != len(paths):
        yield (
            f"server_list: holds {len(paths)} devices, but {num_ranks} ranks are asked for: start {len(paths)}, or "
            "give the table of the devices to use"
        )


def _repeated(values: Iterable[tuple[str, object]]) -> Iterator[str]:
    first: dict[object, str] = {}
    for path, value in values:
        if value in first:
            yield f"{path}: {value} is already that of {first[value]}; each must be unique"
        first.setdefault(value, path)


def _faults_of_ranks(servers: list[dict[str, Any]]) -> Iterator[str]:
    """Ranks count up from 0, host by host in the dictionary order of server_id, as HCCL numbers them."""
    first = 0
    for index in sorted(range(len(servers)), key=lambda i: servers[i]["server_id"]):
        server = servers[index]
        last = first + len(server["device"]) - 1
        for j, device in enumerate(server["device"]):
            if not first <= int(device["rank_id"]) <= last:
                yield (
                    f"server_list[{index}].device[{j}].rank_id: {device['rank_id']}, but the ranks of "
                    f"{server['server_id']} must be {first} to {last}: ranks count from 0 without a gap, hosts in "
                    "the dictionary order of server_id (10.0.0.10 comes before 10.0.0.9)"
                )
        first = last + 1
