"""The dry run as a command: refused words, its environment, and real ones of a narrow network."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ascend_process import needs_tools

from fairmot.cli.command import compose
from fairmot.errors import ConfigError, FairMOTError
from train.config import TrainConfig
from train.simulate import run
from train.simulate.child import _dataset
from train.simulate.config import Chip
from train.simulate.graphs import KINDS
from train.simulate.run import _for_child, _raise_failure, environment_of_child
from train.simulate.stand_ins import PROCESS_REPORT

REPOSITORY = Path(__file__).resolve().parents[3]
NARROW = ["experiment=quickstart", "data.input_size=[64,96]", "batch_size_per_rank=1", "data.root=nowhere"]


def configured(*words: str) -> TrainConfig:
    return compose([*NARROW, *words], TrainConfig, "train")


def command_and_environment(*words: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    python_path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "train", *NARROW, "simulate.chip=910b", "simulate.report=report.json", *words]
    return command, os.environ | {"PYTHONPATH": python_path} | variables


def dry_run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command, environment = command_and_environment(*words, **variables)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["simulate.chip=910c"], "simulate.chip: .*910a, 910b, 910b4, a3"),
        (["simulate.ranks=8", "simulate.rank=8"], "simulate.rank=8: must lie between 0 and simulate.ranks - 1 = 7"),
        (["simulate.ranks=0"], "simulate.ranks=0: must be at least 1"),
        (["simulate.chip=910b", "simulate.ranks=12"], "hosts with 910b have 8 NPUs; give a multiple of 8"),
        (["simulate.chip=a3", "simulate.ranks=24"], "hosts with a3 have 16 NPUs"),
        (["simulate.objects=0"], "simulate.objects=0: must be at least 1"),
        (["simulate.time_limit_s=0"], "simulate.time_limit_s=0: must be at least 1"),
    ],
)
def test_what_cannot_be_simulated_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        configured(*words)


def test_the_child_is_told_of_a_pack_far_away_and_asks_no_store(tmp_path):
    config = _for_child(configured("simulate.chip=910b", "data.packed=nosuch://host/pack"), tmp_path)
    assert config.data.packed == "nosuch://host/pack"
    assert _dataset(config) is None


def test_the_child_gets_a_simulated_rank_and_nothing_of_a_launcher(tmp_path):
    config = configured("simulate.chip=910b4", "simulate.ranks=16", "simulate.rank=11")
    inherited = {"MS_ROLE": "MS_WORKER", "RANK_TABLE_FILE": "table.json", "FAIRMOT_RUN_DIR": "a", "HOME": "/home/me"}
    given = environment_of_child(config, Chip["910b4"], Path("/lib64"), Path("/python"), tmp_path, inherited)
    assert not {"MS_ROLE", "RANK_TABLE_FILE", "FAIRMOT_RUN_DIR"} & given.keys()
    assert given["HOME"] == "/home/me"
    assert (given["RANK_SIZE"], given["RANK_ID"], given["DEVICE_ID"]) == ("16", "11", "3")
    assert (given["MS_SIMULATION_LEVEL"], given["FAIRMOT_SIMULATED_SOC"]) == ("1", "Ascend910B4")
    assert given["FAIRMOT_SIMULATED_DEVICES"] == "8"
    assert given["LD_LIBRARY_PATH"] == "/lib64"
    assert "LD_PRELOAD" not in given
    (tmp_path / PROCESS_REPORT).touch()
    given = environment_of_child(config, Chip["910b4"], tmp_path, Path("/python"), tmp_path, {"LD_PRELOAD": "/a.so"})
    assert given["LD_PRELOAD"] == f"{tmp_path / PROCESS_REPORT}:/a.so"


def test_a_graph_that_does_not_compile_is_reported_with_its_reason():
    log = "[INFO] DEVICE(1): x\nRuntimeError: Ascend operator selection failed info: MaxPool\n[WARNING] y\n"
    with pytest.raises(FairMOTError, match="does not compile for this chip .*\n  RuntimeError: Ascend operator"):
        _raise_failure(1, {}, log)
    with pytest.raises(ConfigError, match="no such network"):
        _raise_failure(2, {"error": "no such network", "exit_code": 2}, "")


def test_without_a_compiler_the_command_ends_with_one_message(tmp_path):
    """An empty PATH, an empty cache, no CANN."""
    done = dry_run(tmp_path, PATH="", XDG_CACHE_HOME=str(tmp_path / "cache"), ASCEND_HOME_PATH=str(tmp_path))
    assert done.returncode == 2
    assert "nm and as and g++ not found" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_dry_run_reports_and_leaves_nothing_else(tmp_path):
    done = dry_run(tmp_path, "simulate.ranks=8", "simulate.rank=7", "simulate.identities=100", "device=cpu")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    expected = {"ranks": 8, "rank": 7, "identities": 101, "objects": 128, "fits": {"32": True, "64": True}}
    assert expected.items() <= report.items()
    kernels = report["kernels_per_step"]
    assert kernels["total"] == sum(kernels[kind] for kind in KINDS) == sum(report["kernels_by_graph"].values())
    assert kernels["total"] == sum(row["kernels"] for row in report["kernels_by_name"])
    assert kernels["hccl"] == report["collectives_per_step"] > 0
    assert report["detector_kernels"]["total"] > 100  # quickstart validates
    # The gradients of all weights are reduced, and little else; running statistics are not.
    assert 0.9 < report["collective_bytes"] / report["parameter_bytes"] < 1.1
    assert report["parameter_bytes"] > 1e6
    assert len(report["kernels_by_line"]) == 20
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert "TrainOneStep: generating kernels" in done.stderr
    assert "DetectionGraph: compiled" in done.stderr
    assert "device=cpu does not count" in done.stderr


@pytest.mark.parametrize(
    ("peak_gb", "chip", "fits"), [(39.8, "910b4", False), (39.8, "910b", True), (None, "910a", True)]
)
def test_a_step_that_does_not_fit_is_reported_and_refused(tmp_path, monkeypatch, capsys, peak_gb, chip, fits):
    """Simulation plans beyond any memory: quickstart with a batch of 8000 gave 39.8 GB on a 910b4."""
    found = {"chip": chip, "peak_gb_with_fragments": peak_gb}
    monkeypatch.setattr(run, "simulated", lambda config: found)
    monkeypatch.setattr(run, "as_text", lambda report: "the report")
    config = configured(f"simulate.chip={chip}", f"simulate.report={tmp_path / 'report.json'}")
    if fits:
        run.simulate(config)
    else:
        with pytest.raises(FairMOTError, match=r"simulate: 39\.8 GB do not fit into 32 GB of 910b4: lower batch_size"):
            run.simulate(config)
    assert json.loads((tmp_path / "report.json").read_text()) == found
    assert capsys.readouterr().out == "the report\n"


def test_a_dry_run_ends_at_its_time_limit(tmp_path):
    """Long before MindSpore is ready."""
    done = dry_run(tmp_path, "simulate.time_limit_s=1")
    assert done.returncode == 1
    assert "error: simulate: not compiled within simulate.time_limit_s=1 seconds" in done.stderr


@needs_tools
@pytest.mark.slow
def test_ctrl_c_ends_the_compiling_process_too(tmp_path):
    (tmp_path / "temporary").mkdir()
    command, environment = command_and_environment(TMPDIR=str(tmp_path / "temporary"))
    parent = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    below = psutil.Process(parent.pid)
    until_s = time.monotonic() + 300
    compiling = []  # imports start processes too, for a moment
    while not compiling and time.monotonic() < until_s:
        time.sleep(0.1)
        with contextlib.suppress(psutil.NoSuchProcess):
            compiling = [each for each in below.children() if "train.simulate.child" in each.cmdline()]
    (child,) = compiling
    parent.send_signal(signal.SIGINT)
    said = parent.communicate(timeout=60)[1]
    assert parent.returncode == 130, said
    assert not child.is_running()
    assert "Traceback" not in said
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
@needs_tools
def test_the_papers_network_at_its_size_fits_with_few_kernels():
    """As rank 0 of 8, a batch of 12: no aim here, but what was counted with a little room."""
    words = ["experiment=mot20_finetune", "simulate.chip=910b", "simulate.ranks=8", "data.root=nowhere"]
    report = run.simulated(compose(words, TrainConfig, "train"))
    assert report["launches_per_step"] < 1160
    assert (report["collectives_per_step"], report["kernels_per_step"]["host"]) == (4, 0)
    assert report["peak_gb"] < 13
    assert report["fits"] == {"32": True, "64": True}
