"""What the launcher would start: processes, environments, commands; and how it understands its command line."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rank_tables import table_of

from fairmot.errors import ConfigError
from train.cluster.allocation import Allocation
from train.cluster.job import Job, Starter, choose_starter, meeting_point
from train.cluster.rank_table import read_rank_table
from train.launch import __main__ as launcher
from train.launch.arguments import Arguments, parse
from train.launch.dry_run import describe, headline
from train.launch.plan import plan_host, whole_environment
from train.preflight.checks import CHECKS

TABLES = Path(__file__).resolve().parents[3] / "rank_table"
FOLDER = Path("/tmp/launch")


def job(starter, name="2x8.json", device="ascend", num_ranks=16, **changes):
    table = read_rank_table(TABLES / name) if name else None
    words = ["device=ascend", "run_dir=/shared/run"]
    return replace(
        Job(starter, num_ranks, table, words, "/shared/run", device, ("10.0.0.1", 8118), hang_timeout_s=1800), **changes
    )


@pytest.mark.parametrize(
    ("wanted", "device", "num_ranks", "has_table", "starter"),
    [
        ("", "ascend", 8, True, Starter.msrun),
        ("", "ascend", 1, True, Starter.alone),
        ("", "ascend", 8, False, Starter.msrun),
        ("", "cpu", 2, True, Starter.msrun),
        ("", "cpu", 2, False, Starter.msrun),
        ("", "cpu", 1, False, Starter.alone),
        ("", "ascend", 1, False, Starter.alone),
        ("msrun", "ascend", 8, True, Starter.msrun),
        ("msrun", "cpu", 1, False, Starter.msrun),
        ("rank_table", "ascend", 1, True, Starter.rank_table),
    ],
)
def test_the_starter(wanted, device, num_ranks, has_table, starter):
    assert choose_starter(wanted, device, num_ranks, has_table) is starter


@pytest.mark.parametrize(
    ("wanted", "device", "has_table"),
    [("mpirun", "cpu", True), ("rank_table", "cpu", True), ("rank_table", "ascend", False)],
)
def test_a_starter_that_cannot_be(wanted, device, has_table):
    with pytest.raises(ConfigError, match=f"LAUNCHER={wanted}"):
        choose_starter(wanted, device, 8, has_table)


def test_a_rank_table_start_sets_what_mindspore_documents():
    host = plan_host(job(Starter.rank_table), 1, list(range(32)), {}, FOLDER)
    assert host.name == "10.0.0.2"
    assert host.starts_each
    assert host.environment["RANK_TABLE_FILE"] == str(TABLES / "2x8.json")
    assert host.environment["RANK_SIZE"] == "16"
    assert [rank.rank for rank in host.ranks] == list(range(8, 16))
    assert host.ranks[3].environment == {"RANK_ID": "11", "DEVICE_ID": "3"}
    environment = whole_environment(host, {"HOME": "/home/me", "RANK_ID": "77", "MS_ROLE": "MS_SCHED"}, 3)
    assert environment["RANK_ID"] == "11"
    assert environment["HOME"] == "/home/me"
    assert "MS_ROLE" not in environment
    assert host.command[1].endswith("train/launch/worker.py")
    assert host.command[2:] == ["device=ascend", "run_dir=/shared/run", "runtime.threads=4"]


def test_msrun_gets_scheduler_and_node_rank_from_the_table():
    host = plan_host(job(Starter.msrun), 1, list(range(32)), {"PATH": "/bin"}, FOLDER)
    assert not host.starts_each
    assert Path(host.command[0]).name == "msrun"
    assert host.command[1:6] == [
        "--worker_num=16", "--local_worker_num=8", "--master_addr=10.0.0.1", "--master_port=8118", "--node_rank=1",
    ]  # fmt: skip
    assert "--join=True" not in host.command
    assert host.ranks[3].environment == {"RANK_ID": "11", "MS_NODE_ID": "11", "DEVICE_ID": "3"}
    assert host.environment["PATH"].endswith(f"{os.pathsep}/bin")


@pytest.mark.parametrize("starter", [Starter.msrun, Starter.rank_table])
@pytest.mark.parametrize("device_ids", [(4, 5, 6, 7), (6, 1, 3)], ids=str)
def test_a_rank_takes_the_device_of_the_table(starter, device_ids, tmp_path):
    table = table_of(tmp_path / "table.json", *device_ids)
    host = plan_host(job(starter, num_ranks=len(device_ids), table=table), 0, [0], {}, FOLDER)
    assert [rank.environment["DEVICE_ID"] for rank in host.ranks] == [str(number) for number in device_ids]
    assert [rank.environment["RANK_ID"] for rank in host.ranks] == [str(rank) for rank in range(len(device_ids))]


def test_a_single_rank_takes_the_device_of_the_table(tmp_path):
    table = table_of(tmp_path / "table.json", 5)
    host = plan_host(job(Starter.alone, num_ranks=1, table=table), 0, [0], {}, FOLDER)
    assert host.ranks[0].environment == {"DEVICE_ID": "5"}
    on_cpu = plan_host(job(Starter.alone, num_ranks=1, table=table, device="cpu"), 0, [0], {}, FOLDER)
    assert on_cpu.ranks[0].environment == {}


def test_without_a_table_msrun_counts_the_devices_that_the_user_lets_it_see():
    inherited = {"ASCEND_RT_VISIBLE_DEVICES": "4,5", "DEVICE_ID": "7"}
    host = plan_host(job(Starter.msrun, name=None, num_ranks=2), 0, [0], inherited, FOLDER)
    assert [rank.environment for rank in host.ranks] == [{"RANK_ID": str(k), "MS_NODE_ID": str(k)} for k in range(2)]
    assert whole_environment(host, inherited, None)["ASCEND_RT_VISIBLE_DEVICES"] == "4,5"


def test_msrun_does_not_pass_on_the_table_nor_another_count_of_devices():
    """With RANK_TABLE_FILE MindSpore leaves out its AllFinite kernel; a table means the host's own numbers."""
    inherited = {"RANK_TABLE_FILE": "/user/hccl.json", "ASCEND_RT_VISIBLE_DEVICES": "7,6,5,4,3,2,1,0"}
    host = plan_host(job(Starter.msrun), 1, [0], inherited, FOLDER)
    assert not {"RANK_TABLE_FILE", "ASCEND_RT_VISIBLE_DEVICES"} & whole_environment(host, inherited, None).keys()
    assert not any("rank_table" in word for word in host.command)


def test_each_pod_of_an_ascend_job_starts_its_own_ranks():
    pods = Allocation(names=("pod 0", "pod 1"), ranks_each=8, node_rank=1, scheduler=("10.96.0.7", 2222))
    in_pods = job(Starter.msrun, name=None, allocation=pods, master=meeting_point(None, pods))
    host = plan_host(in_pods, 1, list(range(8)), {}, FOLDER)
    assert host.name == "pod 1"
    assert host.command[1:6] == [
        "--worker_num=16", "--local_worker_num=8", "--master_addr=10.96.0.7", "--master_port=2222", "--node_rank=1",
    ]  # fmt: skip
    assert [rank.rank for rank in host.ranks] == list(range(8, 16))
    assert host.ranks[0].environment == {"RANK_ID": "8", "MS_NODE_ID": "8"}  # msrun gives devices 0 to 7


def test_several_launchers_of_a_host_take_its_devices_in_turn():
    names = tuple(f"node{host}, task {task}" for host in "ab" for task in (0, 1))
    tasks = Allocation(names, ranks_each=1, node_rank=3, scheduler=("10.0.0.1", 20000), per_host=2)
    started = job(Starter.msrun, name=None, num_ranks=4, allocation=tasks)
    hosts = [plan_host(started, k, [0], {}, FOLDER) for k in range(4)]
    assert [host.ranks[0].environment["DEVICE_ID"] for host in hosts] == ["0", "1", "0", "1"]
    assert [host.ranks[0].rank for host in hosts] == [0, 1, 2, 3]
    assert {"--worker_num=4", "--local_worker_num=1", "--node_rank=3"} <= set(hosts[3].command)
    assert headline(started).startswith("4 rank(s) on 2 host(s) in 4 tasks, device=")


@pytest.mark.parametrize(
    ("cores", "ranks", "shares", "threads"),
    [
        (range(8), 2, [(0, 1, 2, 3), (4, 5, 6, 7)], 4),
        (range(10), 4, [(0, 1), (2, 3, 4), (5, 6), (7, 8, 9)], 2),
        ([3, 5], 1, [(3, 5)], 2),
        ([3, 5], 4, [(3,), (3,), (5,), (5,)], 1),
        ([7], 3, [(7,), (7,), (7,)], 1),
    ],
)
def test_cores_are_divided_among_ranks(cores, ranks, shares, threads):
    host = plan_host(job(Starter.msrun, name=None, num_ranks=ranks), 0, list(cores), {}, FOLDER)
    assert sorted(rank.cores for rank in host.ranks) == sorted(shares)
    assert host.environment["OMP_NUM_THREADS"] == str(threads)
    assert host.command[-1] == f"runtime.threads={threads}"


def test_what_the_user_has_set_wins():
    inherited = {"OMP_NUM_THREADS": "3", "MS_NODE_TIMEOUT": "7"}
    host = plan_host(job(Starter.msrun, divide_threads=False), 0, [0, 1], inherited, FOLDER)
    environment = whole_environment(host, inherited, None)
    assert (environment["OMP_NUM_THREADS"], environment["MS_NODE_TIMEOUT"]) == ("3", "7")
    assert not any("runtime.threads" in word for word in host.command)


@pytest.mark.parametrize(("starter", "names"), [
    (Starter.msrun, ["MS_NODE_TIMEOUT", "MS_HEARTBEAT_RETRY_TIMEOUT", "MS_CPU_COMM_OP_TIMEOUT", "HCCL_EXEC_TIMEOUT"]),
    (Starter.rank_table, ["HCCL_EXEC_TIMEOUT", "HCCL_CONNECT_TIMEOUT"]),
])  # fmt: skip
def test_who_waits_for_a_hung_rank_waits_longer_than_the_launcher(starter, names):
    for hang_timeout_s in (60, 1800):
        host = plan_host(job(starter, hang_timeout_s=hang_timeout_s), 0, [0], {}, FOLDER)
        assert all(int(host.environment[name]) > 3 * hang_timeout_s for name in names)
    longest = plan_host(job(starter, hang_timeout_s=10**6), 0, [0], {}, FOLDER).environment
    assert (longest["HCCL_EXEC_TIMEOUT"], longest["HCCL_CONNECT_TIMEOUT"]) == ("17340", "7200")


@pytest.mark.parametrize("starter", [Starter.rank_table, Starter.msrun])
def test_the_dry_run_shows_every_process_of_every_host(starter):
    text = describe(job(starter), [0, 1], {})
    assert [text.count(f"RANK_ID={rank}\n") + text.endswith(f"RANK_ID={rank}") for rank in range(16)] == [1] * 16
    assert "host 10.0.0.1" in text
    assert "host 10.0.0.2" in text
    assert text.count("$ ") == (16 if starter is Starter.rank_table else 2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("8", (8, None, False, [])),
        ("8 table.json epochs=3", (8, Path("table.json"), False, ["epochs=3"])),
        ("8 --dry-run epochs=3 ~mlflow", (8, None, True, ["epochs=3", "~mlflow"])),
        ("1 a/b --dry-run", (1, Path("a/b"), True, [])),
        ("2 --selfcheck epochs=3", (2, None, False, ["epochs=3"], True)),
        ("2 run_dir=/a/table.json", (2, None, False, ["run_dir=/a/table.json"])),
    ],
)
def test_the_command_line(words, expected):
    assert parse(words.split()) == Arguments(*expected)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "the first word must be the number of ranks, such as .* 2$"),
        ("table.json 8", "the first word must be the number of ranks"),
        ("0 epochs=3", "the first word must be the number of ranks, such as .* 2 epochs=3$"),
        ("-1", "the first word must be the number of ranks"),
        ("8 table.json other.json", "other.json: not of the form key=value"),
        ("8 --multirun a=b", "--multirun: not of the form key=value"),
        ("8 --dry-run t.json --experiment quickstart", "type .* 8 --dry-run t.json experiment=quickstart$"),
        ("8 epochs = 3", "type .* 8 epochs=3$"),
        ("8 --dryrun", "--dryrun: no such key or option"),
    ],
)
def test_a_command_line_that_is_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        parse(words.split())


def run_command(monkeypatch, capsys, *words, **environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["launch", *words])
    code = launcher.main()
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_dry_run_of_the_example_needs_no_device(monkeypatch, capsys, tmp_path):
    table = str(TABLES / "2x8.json")
    words = ["16", table, "--dry-run", "device=ascend", f"run_dir={tmp_path}/run"]
    code, shown, said = run_command(monkeypatch, capsys, *words)
    assert (code, said) == (0, "")
    assert shown.startswith(f"16 rank(s) on 2 host(s), device=ascend, through msrun, devices of {table}")
    assert not (tmp_path / "run").exists()


def test_the_rank_table_start_says_what_it_changes(monkeypatch, capsys, tmp_path):
    words = ["16", str(TABLES / "2x8.json"), "--dry-run", "device=ascend", f"run_dir={tmp_path}/run"]
    code, shown, said = run_command(monkeypatch, capsys, *words, LAUNCHER="rank_table")
    assert code == 0
    assert shown.startswith("16 rank(s) on 2 host(s), device=ascend, by rank table ")
    assert said.startswith("warning: LAUNCHER=rank_table: MindSpore then compiles with jit_level O2")


def test_a_dry_run_may_be_cut_short():
    command = [sys.executable, "-m", "train.launch", "2", "--dry-run", "device=cpu"]
    with subprocess.Popen(
        command, cwd=TABLES.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as dry_run:
        dry_run.stdout.close()  # as head does
        assert (dry_run.stderr.read(), dry_run.wait()) == ("", 0)


def test_a_host_that_hangs_up_is_no_success(monkeypatch, capfd):
    def hang_up(arguments, config):
        raise BrokenPipeError

    monkeypatch.setattr("train.launch.command.launch", hang_up)
    monkeypatch.setattr("sys.argv", ["launch", "2"])
    assert launcher.main() == 1
    assert "error: BrokenPipeError" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("words", "environment", "fault"),
    [
        (["8", "2x8.json", "device=ascend"], {}, "2x8.json: server_list: holds 16 devices, but 8 ranks are asked for"),
        (["16", "2x8.json", "device=ascend"], {}, "2 hosts need one run directory"),
        (["16", "2x8.json", "device=ascend", "run_dir=r"], {}, "no server_id is an address of this host"),
        (["2", "optim.l=3"], {}, "unknown key 'optim.l': did you mean 'optim.lr'?"),
        (["2", "epochs=0"], {}, "epochs=0: must be at least 1"),
        (["2", "experiment=mot2"], {}, "unknown experiment 'mot2'"),
        (["2"], {"LAUNCHER": "mpirun"}, "LAUNCHER=mpirun: must be msrun or rank_table"),
        (["2"], {"MS_LOCAL_WORKER": "1"}, "but not MS_SCHED_HOST"),
        (["2"], {"MASTER_PORT": "70000"}, "MASTER_PORT=70000: must be a number from 1024 to 65534"),
    ],
)
def test_what_is_refused_before_anything_is_started(monkeypatch, capsys, tmp_path, words, environment, fault):
    words = [str(TABLES / word) if word.endswith(".json") else word for word in words]
    monkeypatch.chdir(tmp_path)
    code, _, said = run_command(monkeypatch, capsys, *words, **environment)
    assert code == 2
    assert fault in said
    assert not list(tmp_path.iterdir())


def test_a_pre_flight_is_for_all_ranks_of_the_table(monkeypatch, capsys):
    """It looks at everything; here only at what needs nothing else."""
    monkeypatch.setattr("train.preflight.run.CHECKS", {"rank table": CHECKS["rank table"]})
    code, shown, _ = run_command(monkeypatch, capsys, "8", str(TABLES / "2x8.json"), "preflight=true", "run_dir=r")
    assert code == 1
    assert "holds 16 devices, but 8 ranks are asked for" in " ".join(shown.split())


def test_ranks_inherit_what_the_user_set_and_nothing_that_an_import_has_added():
    code = (
        "import os; given = dict(os.environ); os.environ['ADDED_BY_AN_IMPORT'] = '1';"
        "from train.launch.processes import given_environment; assert given_environment() == given"
    )
    environment = {**os.environ, "SET_BY_THE_USER": "a=b\nc", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
