"""Delivery to real MLflow stores and servers, with what can go wrong between them and training."""

import errno
import math
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow_server import Server, run_id_of, wait_until

from fairmot.cli.command import compose
from fairmot.errors import ConfigError, FairMOTError
from train.config import TrainConfig
from train.report.config import MlflowConfig
from train.report.logger import RunLogger
from train.report.mlflow_delivery import follow, only_deliverer, resolve_tracking_uri
from train.report.mlflow_run import DELIVERED_NAME, RUN_ID_NAME, MlflowRun, read_run_id, undelivered_lines
from train.report.record import SPOOL_NAME, RunRecord, read_metrics

REPOSITORY = Path(__file__).resolve().parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
NAMES = ("loss", "hm_loss", "wh_loss", "off_loss", "id_loss", "det_loss", "s_det", "s_id")
NAMES += ("learning_rate", "loss_scale", "overflow_steps", "images_per_second")


@pytest.fixture(autouse=True)
def no_tracking_uri_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)


def points(uri: str, run_id: str, name: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in MlflowClient(uri).get_metric_history(run_id, name))


def delivered_steps(run_dir: Path) -> int:
    return len(read_metrics(run_dir).get("loss", [])) - undelivered_lines(run_dir)


def record_run(run_dir: Path, steps: range, resumed_at_step: int | None = None, status: str = "FINISHED") -> None:
    logger = RunLogger(run_dir, MlflowConfig(enabled=False))
    logger.start({"epochs": 3}, {}, [], resumed_at_step, total_steps=100)
    for step in steps:
        logger.metrics(step, {name: step + index / 7 for index, name in enumerate(NAMES)})
    logger.close(status)


def assert_delivered(uri: str, run_dir: Path) -> None:
    """Everything in the local record is in MLflow exactly once."""
    assert undelivered_lines(run_dir) == 0
    for name, curve in read_metrics(run_dir).items():
        assert points(uri, run_id_of(run_dir), name) == curve


def run_command(*overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "train.deliver", *overrides]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=90, check=False)


def test_the_address_comes_from_the_config_then_the_environment_then_the_working_folder(tmp_path, monkeypatch):
    assert resolve_tracking_uri(MlflowConfig()) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment:5000")
    assert resolve_tracking_uri(MlflowConfig()) == "http://environment:5000"
    assert resolve_tracking_uri(MlflowConfig(tracking_uri="http://config:5000")) == "http://config:5000"


@pytest.mark.parametrize("values", [{"tracking_uri": ""}, {"experiment_name": ""}, {"flush_timeout_s": -1.0}])
def test_a_refused_value_names_its_key(values):
    with pytest.raises(ValueError, match=f"mlflow.{next(iter(values))}"):
        MlflowConfig(**values)


@pytest.mark.parametrize(
    "address",
    [
        *("http://me:secret@host:5000", "https://secret@host/mlflow", "http://me:sec@ret@host"),
        *("postgresql://me:secret@host/db", "mysql+pymysql://me:secret@host:3306/db"),
        *("postgresql://me:sec/ret@host/db", "postgresql://me:1/secret@host/db", "postgresql://me:sec ret@host/db"),
        *("postgresql://host/db?user=me&password=secret", "https://host/mlflow?api_token=secret"),
        *("http://me:1 secret@host", "https://host/#access_token=secret"),
    ],
)
def test_a_password_in_the_configuration_is_refused(address):
    with pytest.raises(ConfigError, match=r"^mlflow.tracking_uri .* MLFLOW_TRACKING_PASSWORD=") as refused:
        compose([f"mlflow.tracking_uri={address}", "mlflow.enabled=false"], TrainConfig, "train")
    assert not {"secret", "sec", "ret"} & set(re.split(r"\W+", str(refused.value)))


@pytest.mark.parametrize("address", ["sqlite:///a@b:c/mlflow.db", "http://host:5000/a@b", "databricks://profile"])
def test_addresses_that_say_only_where_are_taken(address):
    assert resolve_tracking_uri(MlflowConfig(tracking_uri=address)) == address


def test_a_training_run_is_in_mlflow_when_it_closes(tmp_path, store_uri, capfd):
    config_file = tmp_path / "config.yaml"
    config_file.write_text("epochs: 3\n")
    logger = RunLogger(tmp_path / "first_run", MlflowConfig(flush_timeout_s=90))
    logger.start(
        {"optim": {"lr": 1e-4}, "long": "x" * 9000}, {"git_commit": "abc"}, [config_file], None, total_steps=100
    )
    for step in range(200):  # more than one request
        logger.metrics(step, {name: step + index / 7 for index, name in enumerate(NAMES)})
    logger.metrics(200, {"loss": math.nan, "hm_loss": math.inf})
    logger.epoch_metrics(1, {"loss": 2.5})
    logger.close("FINISHED")

    client, run_id = MlflowClient(store_uri), run_id_of(tmp_path / "first_run")
    run = client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "first_run")
    assert client.get_experiment(run.info.experiment_id).name == "fairmot"
    assert run.data.params == {"optim.lr": "0.0001", "long": "x" * 5999 + "…"}
    assert run.data.tags["git_commit"] == "abc"
    for index, name in enumerate(NAMES):
        assert points(store_uri, run_id, name)[:200] == [(step, step + index / 7) for step in range(200)]
    assert math.isnan(points(store_uri, run_id, "loss")[200][1])
    assert points(store_uri, run_id, "hm_loss")[200:] == [(200, sys.float_info.max)]  # how SQL stores keep infinity
    assert points(store_uri, run_id, "epoch/loss") == [(1, 2.5)]
    assert run.info.artifact_uri.startswith(str(tmp_path / "mlruns"))
    assert Path(run.info.artifact_uri, "config.yaml").read_text() == "epochs: 3\n"
    assert capfd.readouterr().err == ""


def test_a_resumed_job_continues_the_same_run(tmp_path, store_uri):
    run_dir, config = tmp_path / "run", MlflowConfig(tracking_uri=store_uri)
    record_run(run_dir, range(1, 6), status="KILLED")
    follow(run_dir, config, parent_pid=None)
    first_id = run_id_of(run_dir)
    assert MlflowClient(store_uri).get_run(first_id).info.status == "KILLED"
    record_run(run_dir, range(4, 9), resumed_at_step=3)
    follow(run_dir, config, parent_pid=None)
    assert run_id_of(run_dir) == first_id
    assert MlflowClient(store_uri).get_run(first_id).info.status == "FINISHED"
    assert points(store_uri, first_id, "loss") == [(step, float(step)) for step in range(1, 9)]
    assert_delivered(store_uri, run_dir)


@pytest.mark.parametrize("damage", [b"", b"\xff\x00", b"17", b"-1", b"9" * 40])
def test_a_damaged_note_of_what_is_delivered_means_nothing_is(tmp_path, damage):
    record_run(tmp_path, range(3))
    (tmp_path / DELIVERED_NAME).write_bytes(damage)
    assert undelivered_lines(tmp_path) == 8


@pytest.mark.parametrize("damage", [b"", b"\n", None])
def test_a_damaged_note_of_the_run_is_none(tmp_path, damage):
    if damage is not None:
        (tmp_path / RUN_ID_NAME).write_bytes(damage)
    assert read_run_id(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "damage"), [(DELIVERED_NAME, None), (DELIVERED_NAME, b"17"), (RUN_ID_NAME, None), (RUN_ID_NAME, b"0a\xff")]
)
def test_lines_sent_again_are_recorded_once_and_in_one_run(tmp_path, store_uri, name, damage):
    run_dir, config = tmp_path / "run", MlflowConfig(tracking_uri=store_uri)
    record_run(run_dir, range(100))
    follow(run_dir, config, parent_pid=None)
    first_id = run_id_of(run_dir)
    if damage is None:
        (run_dir / name).unlink()
    else:
        (run_dir / name).write_bytes(damage)
    record_run(run_dir, range(100, 102), resumed_at_step=99)
    follow(run_dir, config, parent_pid=None)
    assert run_id_of(run_dir) == first_id
    assert_delivered(store_uri, run_dir)


def test_a_record_without_its_first_line_is_delivered_whole_and_to_one_run(tmp_path, store_uri):
    """Somebody may delete a line that is damaged, as the message about it says."""
    run_dir, config = tmp_path / "run", MlflowConfig(tracking_uri=store_uri)
    record_run(run_dir, range(5))
    spool = run_dir / SPOOL_NAME
    spool.write_bytes(spool.read_bytes().partition(b"\n")[2])
    follow(run_dir, config, parent_pid=None)
    first_id = run_id_of(run_dir)
    (run_dir / RUN_ID_NAME).unlink()
    record_run(run_dir, range(5, 7), resumed_at_step=4)
    follow(run_dir, config, parent_pid=None)
    assert run_id_of(run_dir) == first_id
    assert_delivered(store_uri, run_dir)


def test_a_line_deleted_from_a_delivered_record_holds_nothing_back(tmp_path, store_uri):
    run_dir, config = tmp_path / "run", MlflowConfig(tracking_uri=store_uri)
    record_run(run_dir, range(5))
    follow(run_dir, config, parent_pid=None)
    spool = run_dir / SPOOL_NAME
    spool.write_bytes(spool.read_bytes().partition(b"\n")[2])
    record_run(run_dir, range(5, 9), resumed_at_step=4)
    follow(run_dir, config, parent_pid=None)
    assert_delivered(store_uri, run_dir)


def test_a_full_disk_keeps_no_values_from_mlflow(tmp_path, store_uri, monkeypatch, capfd):
    record_run(tmp_path / "run", range(100))  # more than one pass

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("train.report.mlflow_run.write_atomic", refuse)
        follow(tmp_path / "run", MlflowConfig(tracking_uri=store_uri), parent_pid=None)
    assert capfd.readouterr().err.count("cannot be written (No space left on device)") == 1
    follow(tmp_path / "run", MlflowConfig(tracking_uri=store_uri), parent_pid=None)
    assert_delivered(store_uri, tmp_path / "run")
    client = MlflowClient(store_uri)
    assert len(client.search_runs([client.get_run(run_id_of(tmp_path / "run")).info.experiment_id])) == 1


def test_a_run_whose_folder_is_removed_has_failed(tmp_path, store_uri, monkeypatch):
    run_dir, removed = tmp_path / "run", []
    RunRecord(run_dir).append("metrics", step=1, values={"loss": 1.0})

    def remove(_):
        removed.append(run_id_of(run_dir))
        shutil.rmtree(run_dir)

    monkeypatch.setattr("train.report.mlflow_delivery.time.sleep", remove)
    follow(run_dir, MlflowConfig(tracking_uri=store_uri), parent_pid=os.getppid())
    assert MlflowClient(store_uri).get_run(removed[0]).info.status == "FAILED"
    assert not run_dir.exists()


def test_a_deleted_run_is_replaced_by_a_new_one_with_the_whole_record(tmp_path, store_uri, capfd):
    run_dir, config = tmp_path / "run", MlflowConfig(tracking_uri=store_uri)
    record_run(run_dir, range(1, 6))
    follow(run_dir, config, parent_pid=None)
    first_id = run_id_of(run_dir)
    MlflowClient(store_uri).delete_run(first_id)
    record_run(run_dir, range(6, 9), resumed_at_step=5)
    follow(run_dir, config, parent_pid=None)
    assert run_id_of(run_dir) != first_id
    assert f"{first_id} is unknown or deleted" in capfd.readouterr().err
    assert points(store_uri, run_id_of(run_dir), "loss") == [(step, float(step)) for step in range(1, 9)]


@pytest.mark.parametrize("left", [["metrics", "end"], ["end"]])
def test_a_run_deleted_while_it_is_delivered_is_replaced_too(tmp_path, store_uri, left):
    record = RunRecord(tmp_path / "run")
    record.append("metrics", step=1, values={"loss": 3.0})
    run = MlflowRun(tmp_path / "run", store_uri, "fairmot", None)
    run.send_pending()
    MlflowClient(store_uri).delete_run(run_id_of(tmp_path / "run"))
    if "metrics" in left:
        record.append("metrics", step=2, values={"loss": 2.0})
    record.append("end", status="FINISHED")
    with pytest.raises(MlflowException):
        run.send_pending()
    run.send_pending()
    assert_delivered(store_uri, tmp_path / "run")
    assert MlflowClient(store_uri).get_run(run_id_of(tmp_path / "run")).info.status == "FINISHED"


def test_what_mlflow_refuses_holds_nothing_else_back(tmp_path, store_uri, capfd):
    run_dir = tmp_path / "run"
    logger = RunLogger(run_dir, MlflowConfig(enabled=False))
    logger.start({}, {}, [tmp_path / "never_written.png"], None, total_steps=100)
    for step in range(10):
        logger.metrics(step, {"loss": 1.0 * step, "bad!name": 2.0, "hm_loss": 3.0 * step})
    logger.close("FINISHED")
    follow(run_dir, MlflowConfig(tracking_uri=store_uri), parent_pid=None)
    assert undelivered_lines(run_dir) == 0
    assert points(store_uri, run_id_of(run_dir), "loss") == [(step, 1.0 * step) for step in range(10)]
    assert points(store_uri, run_id_of(run_dir), "hm_loss") == [(step, 3.0 * step) for step in range(10)]
    errors = capfd.readouterr().err
    assert errors.count("bad!name") == errors.count("refuses metrics") + errors.count("Invalid value") == 2
    assert errors.count("never_written.png could not be stored") == 1


def test_an_address_mlflow_does_not_know_is_one_warning_and_training_goes_on(tmp_path, capfd):
    config = MlflowConfig(tracking_uri="gopher://tracking:70", flush_timeout_s=90)
    logger = RunLogger(tmp_path / "run", config)
    logger.start({}, {}, [], None, total_steps=100)
    logger.metrics(1, {"loss": 1.0})
    logger.close("FINISHED")
    errors = capfd.readouterr().err
    assert errors.count("mlflow.tracking_uri 'gopher://tracking:70' cannot be used") == 1
    assert read_metrics(tmp_path / "run") == {"loss": [(1, 1.0)]}


def test_a_server_that_never_answers_costs_training_nothing(tmp_path, monkeypatch, capfd):
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{silent_server.getsockname()[1]}")
        logger = RunLogger(tmp_path / "run", MlflowConfig(flush_timeout_s=1.0))
        logger.start({}, {}, [], None, total_steps=100)
        silent_server.settimeout(90)
        connection, _ = silent_server.accept()  # delivery now hangs in a request
        costs_s = []
        for step in range(1000):
            begun_s = time.perf_counter()
            logger.metrics(step, dict.fromkeys(NAMES, 1.0))
            costs_s.append(time.perf_counter() - begun_s)
        begun_s = time.perf_counter()
        logger.close("FINISHED")
        assert time.perf_counter() - begun_s < 5.0
        connection.close()
    assert sum(costs_s) / len(costs_s) < 0.002
    assert max(costs_s) < 0.5  # a busy machine's scheduler; a request would wait for seconds
    errors = capfd.readouterr().err
    assert "lines are not delivered" in errors
    assert f"To deliver: python -m train.deliver run_dir={tmp_path / 'run'}\n" in errors
    assert "secret" not in errors
    assert len(read_metrics(tmp_path / "run")["loss"]) == 1000


def test_the_command_delivers_what_was_kept(tmp_path, store_uri):
    run_dir = tmp_path / "run"
    record_run(run_dir, range(5))
    done = run_command(f"run_dir={run_dir}", f"mlflow.tracking_uri={store_uri}")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"delivered 10 lines of {run_dir}" in done.stdout
    assert_delivered(store_uri, run_dir)
    assert MlflowClient(store_uri).get_run(run_id_of(run_dir)).info.status == "FINISHED"


def test_a_password_of_the_environment_is_in_no_message_and_no_file(tmp_path, monkeypatch, capfd):
    """The server is not there; MLflow's own error names the address with everything in it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{taken.getsockname()[1]}")
    record_run(tmp_path / "run", range(5))
    with pytest.raises(FairMOTError, match=r"MLflow at http://\*\*\*@127.* did not take the values") as failed:
        follow(tmp_path / "run", MlflowConfig(flush_timeout_s=0.5), parent_pid=None)
    said = capfd.readouterr()
    assert "takes no values" in said.err
    assert "secret" not in said.out + said.err + str(failed.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]


def test_the_command_fails_with_one_clear_error(tmp_path):
    record_run(tmp_path / "run", range(5))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead_port = taken.getsockname()[1]
    uri = f"http://127.0.0.1:{dead_port}"
    failed = run_command(f"run_dir={tmp_path / 'run'}", f"mlflow.tracking_uri={uri}", "mlflow.flush_timeout_s=1")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith(f"error: MLflow at {uri} did not take the values: ")
    assert "Traceback" not in failed.stderr
    nothing = run_command(f"run_dir={tmp_path / 'absent'}")
    assert nothing.returncode == 1
    assert nothing.stderr.splitlines()[-1].startswith(f"error: run_dir={tmp_path / 'absent'}: no training has left")
    assert run_command().returncode == 2


def test_a_record_has_one_deliverer_at_a_time(tmp_path):
    record_run(tmp_path, range(1))
    with (
        only_deliverer(tmp_path, wait=False),
        pytest.raises(FairMOTError, match="being delivered"),
        only_deliverer(tmp_path, wait=False),
    ):
        pass
    with only_deliverer(tmp_path, wait=False):
        pass


TRAINING = """
import sys, time
from pathlib import Path
from train.report.config import MlflowConfig
from train.report.logger import RunLogger
logger = RunLogger(Path(sys.argv[1]), MlflowConfig(tracking_uri=sys.argv[2], flush_timeout_s=30))
logger.start({}, {}, [], None, total_steps=100)
for step in range(10_000):
    logger.metrics(step, {"loss": step / 7})
    time.sleep(0.01)
"""


@pytest.fixture
def training(tmp_path) -> Iterator[Callable[[str], subprocess.Popen]]:
    """Starts a training process that logs a hundred steps a second into tmp_path/run."""
    started: list[subprocess.Popen] = []

    def start(uri: str) -> subprocess.Popen:
        command = [sys.executable, "-c", TRAINING, str(tmp_path / "run"), uri]
        started.append(subprocess.Popen(command, env=ENVIRONMENT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_what_a_killed_training_had_logged_is_still_delivered(tmp_path, store_uri, training):
    run_dir = tmp_path / "run"
    process = training(store_uri)
    wait_until((run_dir / RUN_ID_NAME).exists)
    process.kill()
    process.wait()
    client = MlflowClient(store_uri)
    wait_until(lambda: client.get_run(run_id_of(run_dir)).info.status == "KILLED")
    assert len(read_metrics(run_dir)["loss"]) > 50
    assert_delivered(store_uri, run_dir)


@pytest.fixture
def server(tmp_path, store_uri) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()


@pytest.mark.slow
def test_a_server_started_after_training_gets_everything(tmp_path, server, capfd):
    run_dir, warnings = tmp_path / "run", ""
    (tmp_path / "note.txt").write_text("kept")
    logger = RunLogger(run_dir, MlflowConfig(tracking_uri=server.uri, flush_timeout_s=90))
    logger.start({"epochs": 3}, {}, [tmp_path / "note.txt"], None, total_steps=100)
    logger.metrics(1, {"loss": math.nan, "hm_loss": 1.0})

    def warned() -> bool:
        nonlocal warnings
        warnings += capfd.readouterr().err
        return "takes no values" in warnings

    wait_until(warned)
    server.start()
    for step in range(2, 300):
        logger.metrics(step, dict.fromkeys(NAMES, 1.0 * step))
    logger.close("FINISHED")
    warnings += capfd.readouterr().err
    assert (warnings.count("takes no values"), warnings.count("answers again")) == (1, 1)
    run = MlflowClient(server.uri).get_run(run_id_of(run_dir))
    assert (run.info.status, run.data.params) == ("FINISHED", {"epochs": "3"})
    assert points(server.uri, run_id_of(run_dir), "hm_loss") == read_metrics(run_dir)["hm_loss"]
    assert math.isnan(points(server.uri, run_id_of(run_dir), "loss")[0][1])
    assert [found.path for found in MlflowClient(server.uri).list_artifacts(run_id_of(run_dir))] == ["note.txt"]


@pytest.mark.slow
def test_a_server_killed_and_restarted_has_everything_exactly_once(tmp_path, server, training, capfd):
    run_dir = tmp_path / "run"
    server.start()
    process = training(server.uri)
    for lines_before in (50, 400):
        wait_until(lambda at_least=lines_before: delivered_steps(run_dir) > at_least)
        server.kill()
        time.sleep(1)
        server.start()
    process.kill()
    process.wait()
    client = MlflowClient(server.uri)
    wait_until(lambda: client.get_run(run_id_of(run_dir)).info.status == "KILLED")
    assert len(read_metrics(run_dir)["loss"]) > 200
    assert_delivered(server.uri, run_dir)
    assert len(client.search_runs([client.get_run(run_id_of(run_dir)).info.experiment_id])) == 1


@pytest.fixture
def guarded_server(tmp_path, store_uri) -> Iterator[Server]:
    """One that wants a name and a password."""
    pytest.importorskip("flask_wtf", reason="MLflow's basic-auth needs mlflow[auth]")
    settings = tmp_path / "auth.ini"
    settings.write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{tmp_path}/auth.db\n"
        "admin_username = keeper\nadmin_password = a-long-secret-1\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    secrets = {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": "any"}
    server = Server(tmp_path, "--app-name", "basic-auth", **secrets)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.mark.slow
def test_a_server_that_wants_a_password_gets_it_from_mlflows_own_variables(
    tmp_path, guarded_server, monkeypatch, capfd
):
    (tmp_path / "note.txt").write_text("kept")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "keeper")
    for name, password, patience_s in (("stranger", "not-the-secret", 8.0), ("known", "a-long-secret-1", 60.0)):
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
        config = MlflowConfig(tracking_uri=guarded_server.uri, flush_timeout_s=patience_s)
        logger = RunLogger(tmp_path / name, config)
        logger.start({"epochs": 3}, {}, [tmp_path / "note.txt"], None, total_steps=100)
        logger.metrics(1, {"loss": 2.5})
        logger.close("FINISHED")
    errors = capfd.readouterr().err
    assert "not authenticated" in errors
    assert "secret" not in errors
    assert undelivered_lines(tmp_path / "stranger") == 7
    assert undelivered_lines(tmp_path / "known") == 0
    client = MlflowClient(guarded_server.uri)
    assert client.get_run(run_id_of(tmp_path / "known")).info.status == "FINISHED"
    assert [found.path for found in client.list_artifacts(run_id_of(tmp_path / "known"))] == ["note.txt"]


def test_the_printed_command_is_one_the_shell_takes(tmp_path, capfd):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
    config = MlflowConfig(tracking_uri=uri, experiment_name="my tests", run_name="a", flush_timeout_s=0.0)
    logger = RunLogger(tmp_path / "my run", config)
    logger.start({}, {}, [], None, total_steps=100)
    logger.close("FINISHED")
    command = shlex.split(capfd.readouterr().err.split("To deliver: ")[1])
    assert command == [
        *("python", "-m", "train.deliver"),
        f"run_dir={tmp_path / 'my run'}",
        f"mlflow.tracking_uri={uri}",
        "mlflow.experiment_name=my tests",
        "mlflow.run_name=a",
    ]
