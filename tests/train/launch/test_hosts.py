"""How the launchers of two hosts come together, and who is not let in; both in this process."""

import contextlib
import json
import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from fairmot.errors import ConfigError, FairMOTError
from train.launch import reception
from train.launch.hosts import Event, Hosts, Kind
from train.launch.job_key import make_key, proof, read_key

NAMES = ["lead", "other"]
JOB = {"ranks": 2, "overrides": "seed=1"}


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gathering(threading.Thread):
    """A launcher that waits for the others."""

    def __init__(self, node_rank: int, port: int, run_dir: Path, **job: object) -> None:
        super().__init__(daemon=True)
        run_dir.mkdir(exist_ok=True)
        self.hosts = Hosts(NAMES, node_rank, ("127.0.0.1", port), JOB | job, run_dir)
        self.said: list[str] = []
        self.error: BaseException | None = None
        self._given_up = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            self.hosts.gather(self._given_up.is_set, self.said.append)
        except BaseException as error:
            self.error = error

    def end(self) -> BaseException | None:
        """What it ended with; None: all are together."""
        self.join(20)
        assert not self.is_alive()
        return self.error

    def give_up(self) -> None:
        self._given_up.set()
        self.join(20)
        self.hosts.close()


@pytest.fixture
def lead(port, tmp_path):
    lead = Gathering(0, port, tmp_path / "run")
    yield lead
    lead.give_up()


def connected(port: int) -> socket.socket:
    """A stranger at the lead's door."""
    until_s = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=20)
        except OSError:
            assert time.monotonic() < until_s
            time.sleep(0.02)


def is_hung_up_on(stranger: socket.socket) -> bool:
    with contextlib.suppress(ConnectionError):
        while stranger.recv(65536):
            pass
    return True


def test_two_launchers_of_one_job_come_together(lead, port, tmp_path):
    other = Gathering(1, port, tmp_path / "run")
    assert (lead.end(), other.end()) == (None, None)
    other.hosts.tell(Event(Kind.failed, "rank 1 died", "other"))
    until_s = time.monotonic() + 10
    while lead.hosts.event is None and time.monotonic() < until_s:
        lead.hosts.poll()
    assert lead.hosts.event == Event(Kind.failed, "rank 1 died", "other")
    assert lead.said == other.said == []
    other.hosts.close()


STRANGE = {
    "a half hello": b'{"hello": 1}\n',
    "a hello without proof": json.dumps({"hello": 1, "job": JOB, "challenge": "a"}).encode() + b"\n",
    "a wrong proof": json.dumps({"hello": 1, "job": JOB, "challenge": "a", "proof": "ä" * 64}).encode() + b"\n",
    "a proof of another type": json.dumps({"hello": 1, "job": JOB, "challenge": "a", "proof": {}}).encode() + b"\n",
    "a web request": b"GET / HTTP/1.1\r\nHost: lead\r\n\r\n{}\n",
    "an event": b'{"event": {"kind": "stopped", "text": "", "host": ""}, "verdict": {"exit_code": 0}}\n',
    "nested without end": b"[" * 500_000 + b"\n{}\n",
    "a line without end": b"x" * 3_000_000,
}


@pytest.mark.parametrize("message", STRANGE.values(), ids=STRANGE)
def test_a_stranger_is_dropped_with_a_line_and_the_job_starts(lead, port, tmp_path, message):
    with connected(port) as stranger:
        with contextlib.suppress(ConnectionError):  # hung up on in the middle of it
            stranger.sendall(message)
        assert is_hung_up_on(stranger)
    other = Gathering(1, port, tmp_path / "run")
    assert (lead.end(), other.end()) == (None, None)
    assert [line.startswith("127.0.0.1: dropped, not a launcher of this job") for line in lead.said] == [True]
    other.hosts.close()


def test_one_who_says_nothing_is_dropped_in_time_and_holds_nobody_up(lead, port, tmp_path, monkeypatch):
    monkeypatch.setattr(reception, "_HELLO_TIME_S", 0.3)
    with connected(port) as silent:
        assert is_hung_up_on(silent)
    assert len(lead.said) == 1
    crowd = [connected(port) for _ in range(reception._MOST_STRANGERS + 5)]
    other = Gathering(1, port, tmp_path / "run")
    assert (lead.end(), other.end()) == (None, None)
    assert len(lead.said) == 1, "one line for all that come from there"
    for stranger in crowd:
        stranger.close()
    other.hosts.close()


def test_an_answer_that_was_overheard_opens_nothing(lead, port, tmp_path):
    key = read_when_there(tmp_path / "run")
    with connected(port) as stranger:
        overheard = proof(key, "hello", "an earlier challenge", 1, JOB, "a")
        message = {"hello": 1, "job": JOB, "challenge": "a", "proof": overheard}
        stranger.sendall(json.dumps(message).encode() + b"\n")
        assert is_hung_up_on(stranger)


def read_when_there(run_dir: Path) -> bytes:
    until_s = time.monotonic() + 20
    while (key := read_key(run_dir)) is None:
        assert time.monotonic() < until_s
        time.sleep(0.02)
    return key


def test_a_launcher_of_another_job_ends_alone(lead, port, tmp_path):
    (tmp_path / "another").mkdir()
    make_key(tmp_path / "another")
    another = Gathering(1, port, tmp_path / "another")
    assert isinstance(another.end(), FairMOTError)
    assert "is another job's" in str(another.error)
    assert lead.is_alive()
    assert len(lead.said) == 1


def test_one_of_this_job_that_was_told_otherwise_is_refused_by_name(lead, port, tmp_path):
    other = Gathering(1, port, tmp_path / "run", overrides="seed=2")
    assert isinstance(other.end(), ConfigError)
    assert str(lead.end()) == "other was told to start something else: overrides: seed=2 there, seed=1 here"


def test_who_listens_in_the_leads_place_starts_nobody(port, tmp_path):
    (tmp_path / "run").mkdir()
    make_key(tmp_path / "run")
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(20)
        other = Gathering(1, port, tmp_path / "run")
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b'{"start": true}\n{"refused": "no", "proof": ""}\n{"challenge": "a"}\n')
            assert json.loads(connection.makefile().readline())["hello"] == 1
            time.sleep(0.3)
            assert other.is_alive()
    assert isinstance(other.end(), FairMOTError)


def test_a_launcher_waits_for_the_key_and_says_where(port, tmp_path, monkeypatch):
    monkeypatch.setattr("train.launch.hosts._SILENCE_S", 0.1)
    other = Gathering(1, port, tmp_path / "run")
    until_s = time.monotonic() + 20
    while not other.said and time.monotonic() < until_s:
        time.sleep(0.02)
    assert other.said[0] == f"waiting for the key that lead leaves in {tmp_path / 'run'}, which all hosts must share"
    lead = Gathering(0, port, tmp_path / "run")
    assert (lead.end(), other.end()) == (None, None)
    for each in (lead, other):
        each.hosts.close()


def test_the_key_is_made_once_for_its_owner_alone(tmp_path):
    assert read_key(tmp_path) is None
    before = os.umask(0)
    try:
        key = make_key(tmp_path)
    finally:
        os.umask(before)
    assert make_key(tmp_path) == read_key(tmp_path) == key
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for damaged in (b"", b"0" * 64, b"x" * 64 + b"\n", b"0" * 100_000):
        file.write_bytes(damaged)
        with pytest.raises(FairMOTError, match="is no launchers' key: delete it"):
            make_key(tmp_path)
