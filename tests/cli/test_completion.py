"""Shell completion: what it offers, and that names of files are never more than names."""

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairmot.cli.console_scripts import MODULES

REPOSITORY = Path(__file__).resolve().parents[2]
HOSTILE = [
    "$(touch ran)",
    "`touch ran`",
    "a b",
    "it's",
    'a"b',
    "-rf",
    "a;touch ran;",
    "x$HOME",
    "街",
    "back\\slash",
    "*",
]


def complete(folder: Path, *words: str, module: str = "fairmot.track", python: str = sys.executable) -> list[str]:
    """What TAB offers behind `python -m <module> <words>`, the last of which is being typed as the shell sees it."""
    line = " ".join(["python", "-m", module, *words])
    script = f"""
source {REPOSITORY}/scripts/completion.bash
COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}; COMP_CWORD={2 + len(words)}
COMP_WORDS=({shlex.join([python, "-m", module, *words])})
_fairmot_complete
printf '%s\\0' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        [shutil.which("bash"), "-c", script],
        capture_output=True, text=True, timeout=120, cwd=folder, check=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "HOME": str(folder)},
    )  # fmt: skip
    assert done.stderr == ""
    return [offered for offered in done.stdout.split("\0") if offered]


def as_the_shell_reads(offered: list[str], folder: Path) -> list[str]:
    """The words that a command gets when these are on its line."""
    said = subprocess.run(
        [shutil.which("bash"), "-c", f"printf '%s\\0' {' '.join(offered)}"],
        capture_output=True, text=True, cwd=folder, timeout=60, check=True,
    )  # fmt: skip
    return said.stdout.split("\0")[:-1]


@pytest.fixture
def hostile(tmp_path) -> Path:
    for name in HOSTILE:
        (tmp_path / name).touch()
    return tmp_path


def test_keys_and_values_come_from_the_program():
    assert complete(REPOSITORY, "overw", module="fairmot.prepare") == ["overwrite="]
    assert complete(REPOSITORY, "da", module="http.server") == []


@pytest.mark.parametrize("typed", ["source=./", "source=~/"])
def test_names_of_files_are_offered_quoted_and_never_run(hostile, typed):
    offered = complete(hostile, typed)
    # The shell leaves ~ alone behind a quote; the commands know it.
    assert sorted(as_the_shell_reads(offered, hostile)) == sorted(f"{typed}{name}" for name in HOSTILE)
    assert not (hostile / "ran").exists()


def test_what_was_offered_is_completed_further(tmp_path):
    (tmp_path / "a $b").mkdir()
    (tmp_path / "a $b" / "c d").touch()
    assert complete(tmp_path, "source=./a") == ["source=./a\\ \\$b/"]
    assert complete(tmp_path, "source=./a\\") == ["source=./a\\ \\$b/"]
    assert complete(tmp_path, "source=./a\\ \\$b/") == ["source=./a\\ \\$b/c\\ d"]


@pytest.mark.parametrize(
    "typed", ["source=./$(touch ran)", "source=./`touch ran`", "source='./", 'source="./', "x=$HOME/"]
)
def test_what_the_shell_would_expand_is_left_to_it(hostile, typed):
    assert complete(hostile, typed) == []
    assert not (hostile / "ran").exists()


def test_an_answer_of_the_program_is_not_run_either(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'data=$(touch${IFS}ran) data=`touch${IFS}ran` data=* overwrite='\n")
    program.chmod(0o755)
    offered = complete(tmp_path, "data=", python=str(program))
    assert as_the_shell_reads(offered, tmp_path) == ["data=$(touch${IFS}ran)", "data=`touch${IFS}ran`", "data=*"]
    assert not (tmp_path / "ran").exists()


def test_an_installed_command_is_asked_itself(tmp_path):
    program = tmp_path / "fairmot-track"
    program.write_text('#!/bin/sh\necho "overwrite= output="\n')
    program.chmod(0o755)
    script = f"""
source {REPOSITORY}/scripts/completion.bash
complete -p fairmot-track
COMP_LINE='{program} a=1 o'; COMP_POINT=${{#COMP_LINE}}; COMP_CWORD=2; COMP_WORDS=({program} a=1 o)
_fairmot_complete
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run([shutil.which("bash"), "-c", script], capture_output=True, text=True, timeout=60, check=True)
    registered, offered = done.stdout.splitlines()
    assert "_fairmot_complete" in registered
    assert offered == "overwrite= output="


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("2 exp", "-m train: program exp"),
        ("2 table.json --dry-run seed=3 exp", "-m train: program seed=3 exp"),
        ("2 --selfcheck seed=3 exp", "-m train.selfcheck: program seed=3 exp"),
    ],
)
def test_the_launcher_completes_what_it_hands_on(typed, asked, tmp_path):
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\nset -- "$1 $2: $COMP_LINE"\nprintf "exp=%s" "$1" | tr " " "_"\n')
    program.chmod(0o755)
    (offered,) = complete(tmp_path, *typed.split(), module="train.launch", python=str(program))
    assert offered == f"exp={asked}".replace(" ", "_")


def test_every_installed_command_is_completed():
    script = f"source {REPOSITORY}/scripts/completion.bash; complete -p"
    done = subprocess.run([shutil.which("bash"), "-c", script], capture_output=True, text=True, timeout=60, check=True)
    completed = {line.split()[-1] for line in done.stdout.splitlines() if "_fairmot_complete" in line}
    assert completed == {"python", *MODULES}


def test_tab_on_a_terminal_runs_nothing(hostile):
    """The whole way through readline: completed by TAB, then listed, then sent off by Enter."""
    (hostile / "only").mkdir()
    (hostile / "only" / "$(touch ran) b").touch()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(hostile)
        os.execv(shutil.which("bash"), ["bash", "--norc", "--noprofile", "-i"])
    shown = b""

    def type_and_wait(text: str, until: bytes) -> None:
        nonlocal shown
        os.write(terminal, text.encode())
        give_up_at_s = time.monotonic() + 30
        while until not in shown:
            assert time.monotonic() < give_up_at_s, shown
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536)

    try:
        type_and_wait(
            f"source {REPOSITORY}/scripts/completion.bash; PS1=; python() {{ echo \"<$3>\"; }}; echo rea''dy\n",
            b"ready",
        )
        type_and_wait("python -m fairmot.track source=./\t\t", b"touch")
        type_and_wait("only/\t\n", b"<source=./only/$(touch ran) b>")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    assert not (hostile / "ran").exists()
