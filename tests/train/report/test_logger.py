"""The local record and the console of a training run; nothing here starts MLflow."""

import errno
import fcntl
import math
import os
import shutil
import struct
import subprocess
import sys
import termios
import time
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from full_disk import FullDisk

from fairmot.errors import DataError, FairMOTError
from train.report.config import MlflowConfig
from train.report.console import print_summary
from train.report.logger import RunLogger, flatten
from train.report.record import SPOOL_NAME, RunRecord, read_metrics, read_records

LOCAL_ONLY = MlflowConfig(enabled=False)
REPOSITORY = Path(__file__).resolve().parents[3]


def started(run_dir: Path, params: dict | None = None, resumed_at_step: int | None = None) -> RunLogger:
    logger = RunLogger(run_dir, LOCAL_ONLY)
    logger.start(params or {}, tags={}, artifacts=[], resumed_at_step=resumed_at_step, total_steps=100)
    return logger


def lines(run_dir: Path, kind: str) -> list[dict]:
    return [record for record, _ in read_records(run_dir) if record["kind"] == kind]


def run_python(code: str, *arguments: str, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **options.pop("env", {})}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, **options)


def test_the_record_holds_every_value_exactly(tmp_path):
    logger = started(tmp_path)
    values = [0.1 + 0.2, 1e-300, -1.85, 5e20]
    for step, value in enumerate(values):
        logger.metrics(step, {"loss": value, "s_det": -value})
    logger.metrics(4, {"loss": np.float32(0.5)})
    logger.epoch_metrics(1, {"loss": 2.5})
    logger.close("FINISHED")
    curves = read_metrics(tmp_path)
    assert curves["loss"] == [*enumerate(values), (4, 0.5)]
    assert curves["s_det"] == [(step, -value) for step, value in enumerate(values)]
    assert curves["epoch/loss"] == [(1, 2.5)]
    assert lines(tmp_path, "end")[0]["status"] == "FINISHED"


def test_values_that_are_not_finite_are_recorded_once(tmp_path):
    logger = started(tmp_path)
    logger.metrics(1, {"loss": math.nan, "hm_loss": math.inf, "wh_loss": -math.inf})
    logger.close("FAILED")
    logger = started(tmp_path, resumed_at_step=0)
    logger.metrics(1, {"loss": math.nan, "hm_loss": math.inf, "wh_loss": -math.inf})
    curves = read_metrics(tmp_path)
    assert math.isnan(curves["loss"][0][1])
    assert curves["hm_loss"] == [(1, math.inf)]
    assert curves["wh_loss"] == [(1, -math.inf)]
    assert len(lines(tmp_path, "metrics")) == 1


def test_a_half_last_line_is_left_out_then_overwritten(tmp_path):
    logger = started(tmp_path)
    logger.metrics(1, {"loss": 3.0})
    logger.metrics(2, {"loss": 2.0})
    spool = tmp_path / SPOOL_NAME
    spool.write_bytes(spool.read_bytes()[:-5])
    assert read_metrics(tmp_path) == {"loss": [(1, 3.0)]}
    logger = started(tmp_path, resumed_at_step=1)
    logger.metrics(2, {"loss": 2.5})
    assert read_metrics(tmp_path) == {"loss": [(1, 3.0), (2, 2.5)]}


def test_a_line_that_is_not_json_is_named(tmp_path):
    started(tmp_path)
    with (tmp_path / SPOOL_NAME).open("a") as stream:
        stream.write("{oops}\n")
    with pytest.raises(DataError, match=SPOOL_NAME):
        read_metrics(tmp_path)


def test_a_resumed_run_repeats_only_what_changed(tmp_path):
    logger = started(tmp_path)
    for step in range(1, 7):
        logger.metrics(step, {"loss": 10.0 - step, "id_loss": 1.0})
    logger.epoch_metrics(1, {"loss": 7.0})
    logger = started(tmp_path, resumed_at_step=3)
    logger.metrics(4, {"loss": 6.0, "id_loss": 1.0})  # as before
    logger.metrics(5, {"loss": 5.5, "id_loss": 1.0})  # one value differs
    logger.epoch_metrics(1, {"loss": 7.0})
    logger.metrics(7, {"loss": 3.0, "id_loss": 1.0})
    assert [(line["step"], line["values"]) for line in lines(tmp_path, "metrics")[7:]] == [
        (5, {"loss": 5.5}),
        (7, {"loss": 3.0, "id_loss": 1.0}),
    ]
    assert dict(read_metrics(tmp_path)["loss"]) == {1: 9.0, 2: 8.0, 3: 7.0, 4: 6.0, 5: 5.5, 6: 4.0, 7: 3.0}


def test_a_parameter_keeps_its_first_value_and_its_change_becomes_a_tag(tmp_path):
    started(tmp_path, {"epochs": 20, "optim": {"lr": 1e-4}})
    started(tmp_path, {"epochs": 30, "optim": {"lr": 1e-4}, "seed": 1}, resumed_at_step=5)
    started(tmp_path, {"epochs": 30, "optim": {"lr": 1e-4}, "seed": 1}, resumed_at_step=6)
    assert [line["values"] for line in lines(tmp_path, "params")] == [
        {"epochs": "20", "optim.lr": "0.0001"},
        {"seed": "1"},
        {},
    ]
    assert [line["values"] for line in lines(tmp_path, "tags")] == [
        {},
        {"resumed_param.epochs": "30"},
        {"resumed_param.epochs": "30"},
    ]


def test_nested_parameters_get_dotted_keys():
    class Device(Enum):
        CPU = "cpu"

    @dataclass
    class Data:
        root: str = "/data"
        sizes: list[int] = field(default_factory=lambda: [608, 1088])
        weights: dict = field(default_factory=dict)

    @dataclass
    class Config:
        data: Data = field(default_factory=Data)
        device: Device = Device.CPU
        clip: float | None = None

    assert flatten(asdict(Config())) == {
        "data.root": "/data",
        "data.sizes": "[608, 1088]",
        "data.weights": "{}",
        "device": "CPU",
        "clip": "null",
    }


def test_a_record_survives_kill_9_and_goes_on(tmp_path):
    code = """
import sys
from pathlib import Path
from train.report.record import RunRecord
record, step = RunRecord(Path(sys.argv[1])), 0
while True:
    step += 1
    record.append("metrics", step=step, values={"loss": step / 7})
    print(step, flush=True)
"""
    with run_python(code, str(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while int(process.stdout.readline()) < 500:
            assert time.monotonic() < deadline
        process.kill()
        acknowledged = [int(line) for line in process.stdout.read().split("\n")[:-1]] or [500]
    before = read_metrics(tmp_path)["loss"]
    assert before == [(step, step / 7) for step in range(1, len(before) + 1)]
    assert len(before) >= acknowledged[-1]
    RunRecord(tmp_path).append("metrics", step=len(before) + 1, values={"loss": 0.5})
    assert read_metrics(tmp_path)["loss"] == [*before, (len(before) + 1, 0.5)]


@pytest.mark.parametrize("limit_bytes", [0, 20, 150, 1000])
def test_lines_wait_for_a_full_disk_and_none_is_lost(tmp_path, caplog, limit_bytes):
    with FullDisk() as disk:
        disk.fill(limit_bytes)
        record = RunRecord(tmp_path)
        for step in range(30):
            record.append("metrics", step=step, values={"loss": 1.5})
        assert len(read_metrics(tmp_path).get("loss", [])) < 30
    record.append("metrics", step=30, values={"loss": 2.5})
    assert read_metrics(tmp_path) == {"loss": [*((step, 1.5) for step in range(30)), (30, 2.5)]}
    assert [record["kind"] for record, _ in read_records(tmp_path)][:2] == ["record", "metrics"]
    assert caplog.text.count("cannot be written") == 1


def test_lines_that_never_found_room_are_counted(tmp_path, caplog):
    with FullDisk() as disk:
        record = RunRecord(tmp_path)
        disk.fill()
        for step in range(3):
            record.append("metrics", step=step, values={"loss": 1.5})
        record.close()
    assert "its last 3 lines are lost" in caplog.text


@pytest.mark.parametrize("end", ["removed", "renamed", "made anew"])
def test_a_run_whose_folder_is_gone_ends_at_the_next_line(tmp_path, end):
    logger = started(tmp_path / "run")
    logger.metrics(1, {"loss": 2.5})
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    if end != "renamed":
        shutil.rmtree(tmp_path / "elsewhere")
    if end == "made anew":
        RunRecord(tmp_path / "run")
    with pytest.raises(FairMOTError, match=rf"^{tmp_path}/run: the run's folder, or {SPOOL_NAME} in it, was removed"):
        logger.metrics(2, {"loss": 2.5})
    with pytest.raises(FairMOTError, match="was removed"):
        logger.close("FAILED")
    assert (tmp_path / "run").exists() == (end == "made anew")


def test_storage_that_does_not_answer_is_not_gone(tmp_path, monkeypatch):
    record = RunRecord(tmp_path)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        record.append("metrics", step=1, values={"loss": 1.5})
    assert read_metrics(tmp_path) == {"loss": [(1, 1.5)]}


def test_logging_a_step_costs_the_loop_almost_nothing(tmp_path):
    logger = started(tmp_path)
    values = {f"metric_{index}": float(index) for index in range(12)}
    begun_s = time.perf_counter()
    for step in range(2000):
        logger.metrics(step, values)
    assert (time.perf_counter() - begun_s) / 2000 < 0.001


def test_without_mlflow_there_is_no_process_and_no_mlflow_import(tmp_path):
    code = """
import sys
from pathlib import Path
from train.report.config import MlflowConfig
from train.report.logger import RunLogger
logger = RunLogger(Path(sys.argv[1]), MlflowConfig(enabled=False))
logger.start({"a": 1}, {}, [], None, total_steps=100)
logger.metrics(1, {"loss": 1.0})
logger.close("FINISHED")
print({"mlflow", "mindspore"} & set(sys.modules), logger._delivery)
"""
    process = run_python(code, str(tmp_path), stdout=subprocess.PIPE, text=True)
    assert process.communicate(timeout=20)[0] == "set() None\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [SPOOL_NAME]


def test_other_ranks_report_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    logger = RunLogger(tmp_path, LOCAL_ONLY, is_lead=False)
    logger.start({"a": 1}, {"b": "c"}, [tmp_path], None, total_steps=100)
    logger.metrics(1, {"loss": 1.0})
    logger.epoch_metrics(1, {"loss": 1.0})
    logger.artifact(tmp_path)
    logger.tags({"b": "d"})
    logger.image(tmp_path, "a", 1)
    logger.progress(1, {"loss": 1.0})
    logger.close("FINISHED")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_where_pictures_are_is_said_once_and_early(tmp_path, capfd):
    logger = started(tmp_path)
    logger.curves()  # of nothing yet
    for step in (1, 2):
        logger.metrics(step, {"loss": 1 / step})
        logger.image(tmp_path / f"{step}.jpg", "validation", step)
    for _ in range(2):
        logger.curves()
    logger.close("FINISHED")
    said = [f"validation: {tmp_path / '1.jpg'}", f"curves: {tmp_path / 'losses.png'}"]
    assert capfd.readouterr().err.splitlines() == said


def test_the_summary_is_two_aligned_columns(capsys):
    print_summary([("run", "runs/a"), ("batch per rank", "4"), ("empty", "")])
    assert capsys.readouterr().out == "run             runs/a\nbatch per rank  4\nempty\n"


PROGRESS = """
import sys
from pathlib import Path
from train.report.config import MlflowConfig
from train.report.logger import RunLogger
logger = RunLogger(Path(sys.argv[1]), MlflowConfig(enabled=False))
logger.start({}, {}, [], 10, total_steps=40)
logger.progress(11)
logger.progress(20, {"loss": 1.23456, "images/s": 24.0})
logger.close("FINISHED")
"""


def progress_on_a_terminal(run_dir: Path, **environment: str) -> str:
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    quiet = {"CI": "", "NO_COLOR": "", **environment}
    process = run_python(PROGRESS, str(run_dir), stderr=follower, env=quiet)
    os.close(follower)
    assert process.wait(timeout=20) == 0
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:  # the terminal's other side is closed
        pass
    os.close(leader)
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_gets_a_bar(tmp_path):
    shown = progress_on_a_terminal(tmp_path)
    assert "\r" in shown
    assert "20/40" in shown
    assert "loss=1.235" in shown
    assert "images/s=24" in shown


@pytest.mark.parametrize("variable", ["CI", "NO_COLOR"])
def test_a_terminal_that_wants_no_bar_gets_plain_lines(tmp_path, variable):
    shown = progress_on_a_terminal(tmp_path, **{variable: "1"})
    assert "\r" not in shown
    assert shown.startswith("step 20/40  loss 1.235  images/s 24  left 00:")


def test_a_log_file_gets_one_plain_line_for_each_report(tmp_path):
    process = run_python(PROGRESS, str(tmp_path), stderr=subprocess.PIPE, text=True)
    _, errors = process.communicate(timeout=20)
    assert "\r" not in errors
    assert len(errors.splitlines()) == 1
    assert errors.startswith("step 20/40  loss 1.235  images/s 24  left 00:")
