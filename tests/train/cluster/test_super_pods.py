"""Rank tables of Atlas A3 super pods (version 1.2): read, every fault named, made from what hosts say."""

import copy
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rank_tables import REMOVED, changed_document, write

from fairmot.errors import ConfigError
from train.cluster.job import meeting_point
from train.cluster.rank_table import find_server, read_rank_table

FOLDER = Path(__file__).resolve().parents[3] / "rank_table"


def host(number):
    """Two devices; super_device_id counts anew in every super pod, which two hosts share."""
    return {
        "server_id": f"10.0.0.{number + 1}",
        "device": [
            {
                "device_id": str(i),
                "super_device_id": str(number % 2 * 2 + i),
                "device_ip": f"192.168.{number}.{i}",
                "rank_id": str(2 * number + i),
            }
            for i in range(2)
        ],
    }


GOOD = {
    "version": "1.2",
    "server_count": "4",
    "server_list": [host(number) for number in range(4)],
    "super_pod_list": [
        {"super_pod_id": pod, "server_list": [{"server_id": f"10.0.0.{i}"} for i in members]}
        for pod, members in (("0", (1, 2)), ("1", (3, 4)))
    ],
    "status": "completed",
}
POD = ("super_pod_list", 1)
DEVICE = ("server_list", 1, "device", 0)


changed = partial(changed_document, GOOD)


def members(*names):
    return [{"server_id": name} for name in names]


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (changed("super_pod_list", REMOVED), "super_pod_list: must be a list with at least one entry"),
        (changed(*POD, "super_pod_id", REMOVED), "super_pod_list[1].super_pod_id: is missing; must be a name"),
        (changed(*POD, "super_pod_id", 1), 'super_pod_list[1].super_pod_id: 1 is not a string; write "1" in quotes'),
        (changed(*POD, "super_pod_id", "0"), "super_pod_list[1].super_pod_id: 0 is already that of super_pod_list[0]"),
        (changed(*POD, "server_list", []), "super_pod_list[1].server_list: must be a list with at least one entry"),
        (changed(*POD, "server_list", 0, "server_id", ""), 'super_pod_list[1].server_list[0].server_id: "": must be a'),
        (changed(*POD, "server_list", 0, "server_id", "10.0.0.9"), "10.0.0.9 is no server_id of server_list; there"),
        (changed(*POD, "server_list", members("10.0.0.3")), "server_list[3].server_id: 10.0.0.4 is in no super pod"),
        (
            changed(*POD, "server_list", members("10.0.0.3", "10.0.0.4", "10.0.0.1")),
            "super_pod_list[1].server_list[2].server_id: 10.0.0.1 is already that of super_pod_list[0].server_list[0]",
        ),
        (
            changed(*DEVICE, "super_device_id", REMOVED),
            "server_list[1].device[0].super_device_id: is missing; must be the",
        ),
        (changed(*DEVICE, "super_device_id", "x"), 'device[0].super_device_id: "x": must be the SDID of npu-smi'),
        (changed(*DEVICE, "super_device_id", "1"), "device[0].super_device_id: 1 is already that of server_list[0]"),
        (changed(*DEVICE, "device_ip", REMOVED), "server_list[1].device[0].device_ip: is missing"),
        (changed("server_list", 1, "server_id", "node-1"), "must be the host's IP address (a name needs host_ip)"),
        (changed("server_list", 1, "host_ip", "node-1"), 'server_list[1].host_ip: "node-1": must be the host\'s IP'),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path, document, fault):
    path = write(tmp_path / "table.json", document)
    with pytest.raises(ConfigError) as error:
        read_rank_table(path)
    assert fault in str(error.value)
    assert all(line.startswith(f"{path}: ") for line in str(error.value).splitlines())


def test_ranks_of_a_super_pod_follow_each_other(tmp_path):
    document = changed("super_pod_list", 0, "server_list", members("10.0.0.1", "10.0.0.3"))
    document["super_pod_list"][1]["server_list"] = members("10.0.0.2", "10.0.0.4")
    for number, server in enumerate(document["server_list"]):
        for i, device in enumerate(server["device"]):
            device["super_device_id"] = str(2 * number + i)
    with pytest.raises(ConfigError) as error:
        read_rank_table(write(tmp_path / "table.json", document))
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "server_list[2].server_id",
        "server_list[3].server_id",
    ]
    assert "the ranks of a super pod must follow each other" in " ".join(str(error.value).split())


def test_several_super_pods_are_read(tmp_path):
    table = read_rank_table(write(tmp_path / "table.json", GOOD), 8)
    assert [server.server_id for server in table.servers] == [f"10.0.0.{i}" for i in range(1, 5)]
    assert table.servers[3].devices[1].device_ip == "192.168.3.1"


def test_hosts_may_have_names_and_one_super_pod_needs_no_addresses_of_devices(tmp_path):
    """As in HCCL's own example."""
    document = copy.deepcopy(GOOD)
    document["server_list"] = document["server_list"][:2]
    document["server_count"] = "2"
    document["super_pod_list"] = [{"super_pod_id": "pod-a", "server_list": members("node_0", "node_1")}]
    for i, server in enumerate(document["server_list"]):
        server |= {"server_id": f"node_{i}", "host_ip": f"127.0.0.{i + 1}" if i else "198.51.100.1"}
        for device in server["device"]:
            del device["device_ip"]
    table = read_rank_table(write(tmp_path / "table.json", document), 4)
    assert table.servers[0].devices[0].device_ip is None
    assert find_server(table, None).server_id == "node_1"
    assert find_server(table, "node_0").address == "198.51.100.1"
    assert meeting_point(table)[0] == "198.51.100.1"


def run(program, *words):
    command = [sys.executable, "-S", str(FOLDER / program), *map(str, words)]
    run = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60, check=False)
    return run.returncode, run.stdout + run.stderr


def say_spod(path, pod, first, count=16):
    """What npu-smi prints of each device of a host."""
    text = "".join(
        f"        SDID                           : {first + 65536 * i}\n        Super Pod Size                 : 384\n"
        f"        Super Pod ID                   : {pod}\n        Server Index                   : 11\n"
        for i in range(count)
    )
    path.write_text(text)


def generate(folder, *more):
    addresses = ",".join(f"192.168.{h}.{i}" for h in range(3) for i in range(16))
    output = folder / "table.json"
    words = ["hosts=10.0.0.1,10.0.0.2,10.0.0.3", "devices=16", f"device_ips={addresses}", f"output={output}"]
    return run("generate.py", *words, f"spod={folder}/{{host}}.txt", *more), output


def test_a_table_is_made_from_what_the_hosts_say(tmp_path):
    for number, (pod, first) in enumerate(((7, 0), (7, 4_000_000), (8, 0)), 1):
        say_spod(tmp_path / f"10.0.0.{number}.txt", pod, first)
    (code, said), output = generate(tmp_path)
    assert code == 0, said
    document = json.loads(output.read_text())
    assert document["version"] == "1.2"
    assert document["super_pod_list"] == [
        {"super_pod_id": "7", "server_list": members("10.0.0.1", "10.0.0.2")},
        {"super_pod_id": "8", "server_list": members("10.0.0.3")},
    ]
    assert document["server_list"][1]["device"][15]["super_device_id"] == str(4_000_000 + 15 * 65536)
    assert read_rank_table(output, 48).servers[2].devices[15].rank == 47
    assert run("check.py", output, 48)[0] == 0


def test_the_generator_names_the_host_that_says_something_else(tmp_path):
    for number in (1, 2, 3):
        say_spod(tmp_path / f"10.0.0.{number}.txt", 7, 0, count=16 if number < 3 else 8)
    (code, said), output = generate(tmp_path)
    assert (code, output.exists()) == (2, False)
    assert f"spod: {tmp_path}/10.0.0.3.txt: 8 SDID and 1 different Super Pod ID; 16 devices of one host have 16" in said
    (tmp_path / "10.0.0.3.txt").unlink()
    (code, said), _ = generate(tmp_path)
    assert (code, f"spod: {tmp_path}/10.0.0.3.txt: cannot be read" in said) == (2, True)
