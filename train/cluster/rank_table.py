"""Rank tables: which device of which host is which rank (JSON, schema 1.0 or 1.2, all values strings).

    {"version": "1.0", "server_count": "1", "status": "completed", "server_list": [
        {"server_id": "10.0.0.1", "host_nic_ip": "reserve", "device": [
            {"device_id": "0", "device_ip": "192.168.100.101", "rank_id": "0"}]}]}

Version 1.2 is that of Atlas A3 super pods; train.cluster.table_faults says what it has more.

Source: MindSpore's tutorial "rank table startup" and HCCL's description of the file. Keys beyond these are left alone.
"""

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairmot.errors import ConfigError
from fairmot.files import read_bounded
from train.cluster.table_faults import faults_of

_MOST_BYTES = 16 << 20
"""A hundred thousand devices."""
SERVER_VARIABLE = "FAIRMOT_SERVER_ID"
"""Names this host's entry where its addresses do not tell."""


@dataclass(frozen=True)
class TableDevice:
    """One accelerator of a host.

    Attributes:
        device_id: its number on the host.
        device_ip: address of its own network interface; None in a table of one super pod that leaves it out.
        rank: number of the process that uses it.
    """

    device_id: int
    device_ip: str | None
    rank: int


@dataclass(frozen=True)
class Server:
    """One host.

    Attributes:
        server_id: its name in the table, mostly its IP address.
        devices: by ascending rank.
        address: its IP address.
    """

    server_id: str
    devices: tuple[TableDevice, ...]
    address: str


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
        document = json.loads(read_bounded(path, _MOST_BYTES).decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give the path of a rank table") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not text in UTF-8; give the path of a rank table") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: line {error.lineno} column {error.colno}: not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise ConfigError(f"{path}: not a rank table ({error})") from error
    if faults := faults_of(document, num_ranks):
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in faults))
    return RankTable(path, _servers(document))


def find_server(table: RankTable, wanted: str | None) -> Server:
    """The entry of this host: the one named `wanted`, otherwise the one whose address is this host's.

    Raises:
        ConfigError: none, or more than one.
    """
    names = [server.server_id for server in table.servers]
    found = [
        server for server in table.servers
        if (server.server_id == wanted if wanted else _is_own_address(server.address))
    ]  # fmt: skip
    if len(found) == 1:
        return found[0]
    if wanted:
        problem = f"{SERVER_VARIABLE}={wanted} is none of its servers"
    elif found:
        here = ", ".join(server.server_id for server in found)
        problem = f"several servers are this host ({here}); name one by {SERVER_VARIABLE}="
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
            TableDevice(int(device["device_id"]), device.get("device_ip"), int(device["rank_id"]))
            for device in entry["device"]
        ]
        by_rank = tuple(sorted(devices, key=lambda device: device.rank))
        servers.append(Server(entry["server_id"], by_rank, entry.get("host_ip", entry["server_id"])))
    return tuple(sorted(servers, key=lambda server: server.devices[0].rank))
