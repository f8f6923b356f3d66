"""Jobs started by scripts/run_distribute.sh: small trainings on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from small_run import command_environment, overrides

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "run_distribute.sh"
PATIENCE_S = 300


class Launched:
    """One host's launcher and everything below it.

    Args:
        root: folder of the small data.
        run_dir: where the run writes; also how its processes are recognised.
        num_ranks: of all hosts.
        table: rank table, if any.
        extra: further overrides.
        environment: further variables.
        prefix: words before the command, such as those that enter a network namespace.
        changes: of the small run's overrides.
    """

    def __init__(self, root, run_dir, num_ranks=2, table=None, extra=(), environment=None, prefix=(), **changes):
        self.run_dir = run_dir
        words = overrides(root, run_dir, **changes)
        command = [*prefix, "bash", SCRIPT, str(num_ranks), *([table] if table else []), *words, *extra]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.output = run_dir.with_name(f"{run_dir.name}_{len(list(run_dir.parent.iterdir()))}.output")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                env={**command_environment(), "PATH": path, **(environment or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self):
        return self.output.read_text()

    def log(self, rank):
        path = self.run_dir / "logs" / f"rank_{rank}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for(self, text, rank=0):
        """Until rank's log has it."""
        until_s = time.monotonic() + PATIENCE_S
        while text not in self.log(rank):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until_s, self.said()
            time.sleep(0.1)

    def end(self, timeout_s=PATIENCE_S):
        """The launcher's exit code."""
        return self.process.wait(timeout_s)

    def processes(self):
        """Command lines of all living processes of this run, by process id, the launcher's left out."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                environment = (entry / "environ").read_bytes() if entry.name.isdecimal() else b""
                if f"FAIRMOT_RUN_DIR={self.run_dir}\0".encode() in environment:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def rank_pid(self, rank):
        """As the header of the newest start in its log says."""
        return int(self.log(rank).rsplit(", process ", 1)[1].split()[0])

    def port(self):
        """Where the scheduler listens: a word of msrun's workers' environment."""
        environment = Path(f"/proc/{self.rank_pid(0)}/environ").read_bytes()
        return int(environment.split(b"MS_SCHED_PORT=")[1].split(b"\0")[0])

    def is_gone(self, within_s=10):
        """Whether nothing of the run lives any more."""
        until_s = time.monotonic() + within_s
        while (left := self.processes()) and time.monotonic() < until_s:
            time.sleep(0.1)
        return not left

    def clear(self):
        """For the end of a test that failed."""
        self.process.kill()
        self.process.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


def is_free(port, within_s=5):
    """Whether nobody listens there any more; a process gives back its memory, and looks gone, before its sockets."""
    until_s = time.monotonic() + within_s
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return True
        if time.monotonic() > until_s:
            return False
        time.sleep(0.1)


def free_port():
    """With the one above it free as well, most likely."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
