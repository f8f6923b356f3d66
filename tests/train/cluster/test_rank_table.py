"""Rank tables: every fault is named with its place, and generated tables have none."""

import copy
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rank_tables import REMOVED, changed_document, write

from fairmot.errors import ConfigError
from train.cluster.rank_table import find_server, read_rank_table

FOLDER = Path(__file__).resolve().parents[3] / "rank_table"
GOOD = {
    "version": "1.0",
    "server_count": "2",
    "server_list": [
        {
            "server_id": server,
            "device": [
                {"device_id": str(i), "device_ip": f"192.168.{first}.{i}", "rank_id": str(first + i)} for i in range(2)
            ],
            "host_nic_ip": "reserve",
        }
        for first, server in ((0, "10.0.0.1"), (2, "10.0.0.2"))
    ],
    "status": "completed",
}


changed = partial(changed_document, GOOD)
SERVERS, SECOND = "server_list", ("server_list", 1)
DEVICE = ("server_list", 1, "device", 0)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ([], "the file must hold one JSON object"),
        (changed("version", "1.1"), 'version: "1.1": must be "1.0", or "1.2" for super pods'),
        (changed("version", REMOVED), 'version: is missing; must be "1.0"'),
        (changed("version", 1.0), 'version: 1.0 is not a string; write "1.0" in quotes'),
        (changed("status", "initializing"), 'status: "initializing": must be "completed"'),
        (changed("server_count", "3"), 'server_count: "3", but server_list has 2: write "2"'),
        (changed("server_count", "two"), 'server_count: "two": must be a number in quotes'),
        (changed(SERVERS, []), "server_list: must be a list with at least one entry"),
        (changed(SERVERS, REMOVED), "server_list: must be a list with at least one entry"),
        (changed(SERVERS, 1, "10.0.0.2"), "server_list[1]: must be an object in braces"),
        (changed(*SECOND, "server_id", "node-1"), 'server_list[1].server_id: "node-1": must be the host\'s IP address'),
        (changed(*SECOND, "server_id", "10.0.0.1"), "server_list[1].server_id: 10.0.0.1 is already that of"),
        (changed(*SECOND, "device", {}), "server_list[1].device: must be a list with at least one entry"),
        (changed(*DEVICE, "rank_id", 2), 'server_list[1].device[0].rank_id: 2 is not a string; write "2" in quotes'),
        (changed(*DEVICE, "rank_id", None), "server_list[1].device[0].rank_id: null is not a string; must be a rank's"),
        (changed(*DEVICE, "rank_id", "-1"), 'server_list[1].device[0].rank_id: "-1": must be a rank\'s number'),
        (changed(*DEVICE, "rank_id", "1"), "server_list[1].device[0].rank_id: 1 is already that of"),
        (changed(*DEVICE, "rank_id", "4"), "device[0].rank_id: 4, but the ranks of 10.0.0.2 must be 2 to 3"),
        (changed(*DEVICE, "device_id", "1"), "server_list[1].device[1].device_id: 1 is already that of server_list[1]"),
        (changed(*DEVICE, "device_id", REMOVED), "server_list[1].device[0].device_id: is missing"),
        (changed(*DEVICE, "device_ip", "192.168.0.1"), "192.168.0.1 is already that of server_list[0].device[1]"),
        (changed(*DEVICE, "device_ip", "192.168.0.256"), 'device_ip: "192.168.0.256": must be the IP address'),
        (changed(*DEVICE, "rank_id", "2" * 5000), 'rank_id: "2222222222222222'),
        (changed(*DEVICE, "rank_id", "٢"), "server_list[1].device[0].rank_id: "),
        (changed(*DEVICE, "device_id", "9" * 11), "device_id: \"99999999999\": must be the device's number"),
        (changed("server_count", int("2" * 4000)), "2... is not a string; must be a number in quotes"),
        (changed(*SECOND, "server_id", [[[]]]), "server_list[1].server_id: a list is not a string; must be the host's"),
        (changed(*SECOND, "server_id", "10.0.0.0"), "device[0].rank_id: 2, but the ranks of 10.0.0.0 must be 0 to 1"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_place(tmp_path, document, fault):
    path = write(tmp_path / "table.json", document)
    with pytest.raises(ConfigError) as error:
        read_rank_table(path)
    assert fault in str(error.value)
    assert all(line.startswith(f"{path}: ") for line in str(error.value).splitlines())


def test_all_faults_are_named_at_once(tmp_path):
    document = changed(*DEVICE, "rank_id", 2)
    document["status"] = "broken"
    with pytest.raises(ConfigError) as error:
        read_rank_table(write(tmp_path / "table.json", document))
    assert len(str(error.value).splitlines()) == 2


def test_the_number_of_ranks_must_agree(tmp_path):
    path = write(tmp_path / "table.json", GOOD)
    assert read_rank_table(path, 4).num_ranks == 4
    with pytest.raises(ConfigError, match="holds 4 devices, but 8 ranks are asked for"):
        read_rank_table(path, 8)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"version": ', "line 1 column 13: not JSON"),
        (b"\xff\xfe", "not text"),
        (None, "cannot be read"),
        (b'{"version": ' + b"1" * 5000 + b"}", r"not a rank table \(.*4300 digits"),
        (b"[" * 100_000, r"not a rank table \(maximum recursion depth"),
    ],
)
def test_a_file_that_is_no_table(tmp_path, content, fault):
    path = tmp_path / "table.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path}.*{fault}"):
        read_rank_table(path)


def test_a_device_is_no_table():
    with pytest.raises(ConfigError, match="/dev/zero: cannot be read .*a device"):
        read_rank_table(Path("/dev/zero"))


def test_servers_and_devices_come_by_rank(tmp_path):
    document = copy.deepcopy(GOOD)
    document["server_list"].reverse()
    document["server_list"][0]["device"].reverse()
    table = read_rank_table(write(tmp_path / "table.json", document))
    assert [server.server_id for server in table.servers] == ["10.0.0.1", "10.0.0.2"]
    assert [device.rank for server in table.servers for device in server.devices] == [0, 1, 2, 3]
    assert table.servers[1].devices[1].device_ip == "192.168.2.1"


def test_this_host_is_found_by_its_address(tmp_path):
    document = changed(*SECOND, "server_id", "127.0.0.1")
    table = read_rank_table(write(tmp_path / "table.json", document))
    assert find_server(table, None).server_id == "127.0.0.1"
    assert find_server(table, "10.0.0.1").server_id == "10.0.0.1"


@pytest.mark.parametrize(
    ("first", "second", "wanted", "fault"),
    [
        ("10.0.0.1", "10.0.0.2", "10.0.0.3", "FAIRMOT_SERVER_ID=10.0.0.3 is none of its servers"),
        ("198.51.100.1", "203.0.113.1", None, "no server_id is an address of this host"),
        ("127.0.0.1", "127.0.0.2", None, "several servers are this host"),
    ],
)
def test_a_host_that_cannot_be_told(tmp_path, first, second, wanted, fault):
    document = changed("server_list", 0, "server_id", first)
    document["server_list"][1]["server_id"] = second
    table = read_rank_table(write(tmp_path / "table.json", document))
    with pytest.raises(ConfigError, match=fault):
        find_server(table, wanted)


def run(program, *words):
    """A program of rank_table/, from a folder that is not the project's, without the project installed."""
    command = [sys.executable, "-S", str(FOLDER / program), *map(str, words)]
    run = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60, check=False)
    return run.returncode, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("name", "hosts", "ranks"), [("1x8.json", 1, 8), ("2x8.json", 2, 16), ("2x16_super_pod.json", 2, 32)]
)
def test_the_examples_are_good(name, hosts, ranks):
    table = read_rank_table(FOLDER / name, ranks)
    assert len(table.servers) == hosts
    assert run("check.py", FOLDER / name, ranks) == (0, run("check.py", FOLDER / name)[1])


@pytest.mark.parametrize("program", ["check.py", "generate.py"])
def test_the_programs_say_how_they_are_used(program):
    code, said = run(program, "--help")
    assert (code, f"python rank_table/{program}" in said, "Exit codes: 0" in said) == (0, True, True)


def test_the_checker_names_faults_and_leaves_with_2(tmp_path):
    code, said = run("check.py", write(tmp_path / "table.json", changed("version", "2.0")), 4)
    wanted = 'must be "1.0", or "1.2" for super pods: no other schema is read here'
    assert (code, said) == (2, f'error: {tmp_path}/table.json: version: "2.0": {wanted}\n')


def test_a_table_is_made_from_hccn_files(tmp_path):
    """Ranks follow the dictionary order of the hosts, not the order of the list."""
    for host, net in (("10.0.0.9", 9), ("10.0.0.10", 10)):
        lines = [f"address_{i}=192.168.{net}.{i}\nnetmask_{i}=255.255.255.0\n" for i in range(2)]
        (tmp_path / f"{host}.conf").write_text("".join(lines))
    (tmp_path / "hosts").write_text("10.0.0.9\n10.0.0.10\n\n")
    output = tmp_path / "table.json"
    words = [f"hosts={tmp_path}/hosts", "devices=2", f"output={output}", f"hccn={tmp_path}/{{host}}.conf"]
    code, said = run("generate.py", *words)
    assert code == 0, said
    table = read_rank_table(output, 4)
    assert [server.server_id for server in table.servers] == ["10.0.0.10", "10.0.0.9"]
    assert [device.device_ip for device in table.servers[0].devices] == ["192.168.10.0", "192.168.10.1"]
    assert run("check.py", output, 4)[0] == 0


def test_a_table_is_made_from_addresses(tmp_path):
    output = tmp_path / "table.json"
    addresses = "192.168.0.1,192.168.0.2,192.168.1.1,192.168.1.2"
    assert (
        run("generate.py", "hosts=10.0.0.1,10.0.0.2", "devices=2", f"output={output}", f"device_ips={addresses}")[0]
        == 0
    )
    assert [device.device_ip for device in read_rank_table(output, 4).servers[1].devices] == [
        "192.168.1.1",
        "192.168.1.2",
    ]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["hosts=10.0.0.1", "devices=1"], "output= is missing"),
        (["hosts=10.0.0.1", "devices=1", "output=t.json"], "give either hccn= or device_ips="),
        (["hosts=10.0.0.1", "devices=none", "output=t.json", "device_ips=1.1.1.1"], "devices=none: must be the number"),
        (["hosts=10.0.0.1", "devices=2", "output=t.json", "device_ips=1.1.1.1"], "1 hosts with 2 devices have 2"),
        (["hosts=10.0.0.1", "devices=1", "output=t.json", "hccn=nowhere/{host}"], "nowhere/10.0.0.1: cannot be read"),
        (["hosts=10.0.0.1,10.0.0.1", "devices=1", "output=t.json", "device_ips=1.1.1.1,1.1.1.2"], "none twice"),
        (["hosts=a", "devices=1", "output=t.json", "device_ips=1.1.1.1"], 'server_id: "a": must be the host'),
        (["host=10.0.0.1"], "host=10.0.0.1: expected one of"),
    ],
)  # fmt: skip
def test_the_generator_refuses(words, fault):
    code, said = run("generate.py", *words)
    assert code == 2
    assert fault in said
    assert not Path("/t.json").exists()
