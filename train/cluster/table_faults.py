"""What is wrong with a rank table's content: form first, then what its values say.

Version 1.2, of Atlas A3 super pods, has more: every device's number in its super pod, and which hosts form a super pod.

    "server_list": [{"server_id": "10.0.0.1", "device": [{..., "super_device_id": "0"}]}],
    "super_pod_list": [{"super_pod_id": "0", "server_list": [{"server_id": "10.0.0.1"}]}]

Source: HCCL's user guide, "rank table configuration", for Atlas A2 and A3.
"""

import ipaddress
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from fairmot.errors import excerpt

PLAIN, SUPER_PODS = "1.0", "1.2"
"""The schemas that are read: without super pods, and with them."""
_LONGEST_NAME = 64
_MOST_DIGITS = 10
"""Of a number; an SDID has 32 bits."""


def faults_of(document: Any, num_ranks: int | None = None) -> list[str]:
    """What is wrong with a table's content, each as `JSON path: fault and how to mend it`; nothing if it is good."""
    # What is said of meanings would be nonsense while there are faults of form.
    return list(_faults_of_form(document)) or list(_faults_of_meaning(document, num_ranks))


def _faults_of_form(document: object) -> Iterator[str]:
    """Missing keys and values of the wrong kind."""
    if not isinstance(document, dict):
        yield 'the file must hold one JSON object: {"version": "1.0", "server_list": [...], ...}'
        return
    known = f'"{PLAIN}", or "{SUPER_PODS}" for super pods: no other schema is read here'
    yield from _text(document, "version", "", lambda text: text in (PLAIN, SUPER_PODS), known)
    yield from _text(document, "server_count", "", _is_number, "a number in quotes")
    yield from _text(
        document, "status", "", lambda text: text == "completed", '"completed" (else whoever writes it is still at it)'
    )
    servers = yield from _entries(document, "server_list", "")
    has_super_pods = document.get("version") == SUPER_PODS
    pods = (yield from _form_of_super_pods(document)) if has_super_pods else 0
    for server, server_path in servers:
        if "host_ip" in server:
            yield from _text(server, "host_ip", server_path, _is_ip, "the host's IP address")
            yield from _text(server, "server_id", server_path, _is_name, f"a name of 1 to {_LONGEST_NAME} characters")
        else:
            yield from _text(server, "server_id", server_path, _is_ip, "the host's IP address (a name needs host_ip)")
        devices = yield from _entries(server, "device", server_path)
        for device, device_path in devices:
            yield from _text(device, "device_id", device_path, _is_number, "the device's number in quotes")
            if pods != 1 or "device_ip" in device:  # inside one super pod they are not needed
                wanted = "the IP address in the host's /etc/hccn.conf"
                yield from _text(device, "device_ip", device_path, _is_ip, wanted)
            if has_super_pods:
                wanted = "the SDID of npu-smi info -t spod-info in quotes"
                yield from _text(device, "super_device_id", device_path, _is_number, wanted)
            yield from _text(device, "rank_id", device_path, _is_number, "a rank's number in quotes")


def _form_of_super_pods(document: dict[str, Any]) -> Generator[str, None, int]:
    """Yields faults; returns how many super pods there are."""
    pods = yield from _entries(document, "super_pod_list", "")
    for pod, path in pods:
        yield from _text(pod, "super_pod_id", path, _is_name, f"a name of 1 to {_LONGEST_NAME} characters")
        servers = yield from _entries(pod, "server_list", path)
        for server, server_path in servers:
            yield from _text(server, "server_id", server_path, _is_name, "a server_id of server_list")
    return len(pods)


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
        shown = _shown(value)
        in_quotes = isinstance(value, int | float) and not isinstance(value, bool) and shown == str(value)
        yield f"{path}{key}: {shown} is not a string; " + (
            f'write "{value}" in quotes' if in_quotes else f"must be {wanted}"
        )
    elif not is_good(value):
        yield f"{path}{key}: {_shown(value)}: must be {wanted}"


def _shown(value: object) -> str:
    """A value for a message, as it stands in the file, and not endless."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return excerpt(json.dumps(value))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    return 0 < len(text.strip()) <= _LONGEST_NAME


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
    yield from _repeated((f"{path}.device_ip", device["device_ip"]) for path, device in paths if "device_ip" in device)
    faults = list(_repeated((f"{path}.rank_id", int(device["rank_id"])) for path, device in paths))
    yield from faults or _faults_of_ranks(servers)
    if document["version"] == SUPER_PODS:
        yield from _faults_of_super_pods(servers, document["super_pod_list"])
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


def _faults_of_super_pods(servers: list[dict[str, Any]], pods: list[dict[str, Any]]) -> Iterator[str]:
    """Every host is in one super pod, whose devices have numbers of their own and whose ranks follow each other."""
    members = [
        (f"super_pod_list[{i}].server_list[{j}].server_id", server["server_id"], i)
        for i, pod in enumerate(pods)
        for j, server in enumerate(pod["server_list"])
    ]
    yield from _repeated((f"super_pod_list[{i}].super_pod_id", pod["super_pod_id"]) for i, pod in enumerate(pods))
    yield from _repeated((path, name) for path, name, _ in members)
    pod_of = {name: i for _, name, i in members}
    places = {server["server_id"]: i for i, server in enumerate(servers)}
    for path, name, _ in members:
        if name not in places:
            yield f"{path}: {name} is no server_id of server_list; there are: {', '.join(places)}"
    for name, i in places.items():
        if name not in pod_of:
            yield f"server_list[{i}].server_id: {name} is in no super pod; add it to one of super_pod_list"
    for number in range(len(pods)):
        yield from _repeated(
            (f"server_list[{i}].device[{j}].super_device_id", int(device["super_device_id"]))
            for name, i in places.items()
            if pod_of.get(name) == number
            for j, device in enumerate(servers[i]["device"])
        )
    yield from _faults_of_order(servers, pods, pod_of)


def _faults_of_order(
    servers: list[dict[str, Any]], pods: list[dict[str, Any]], pod_of: dict[str, int]
) -> Iterator[str]:
    """HCCL takes the hosts of a super pod only one after the other."""
    left: set[int] = set()
    before = None
    for index in sorted(range(len(servers)), key=lambda i: int(servers[i]["device"][0]["rank_id"])):
        name = servers[index]["server_id"]
        number = pod_of.get(name)
        if number is None:
            continue
        if number in left:
            yield (
                f"server_list[{index}].server_id: {name} of super pod {pods[number]['super_pod_id']} has ranks behind "
                "those of another super pod, others of it have ranks before: the ranks of a super pod must follow each "
                "other"
            )
        if before is not None and number != before:
            left.add(before)
        before = number
