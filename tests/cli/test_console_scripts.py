"""The commands' short names, fairmot-track and so on."""

import re
import sys
from pathlib import Path

import pytest

from fairmot.cli.console_scripts import MODULES, start

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_package_declares_them():
    table = (REPOSITORY / "pyproject.toml").read_text().partition("[project.scripts]\n")[2].partition("\n\n")[0]
    declared = dict(re.findall(r'^(\S+) = "(\S+)"$', table, re.MULTILINE))
    assert declared == dict.fromkeys(MODULES, "fairmot.cli.console_scripts:start")


def test_every_command_has_one():
    from configuration_page import COMMANDS

    commands = {command.split()[2] for command, _ in COMMANDS.values()} - {"train.deliver"}  # an operator's rare remedy
    assert commands | {"train.launch"} == set(MODULES.values())


def test_one_does_what_the_module_does(monkeypatch, capsys):
    """Also what it says: the line to type names the module, which works from any shell."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/fairmot-prepare", "--dataset=mot17"])
    with pytest.raises(SystemExit) as left:
        start()
    assert left.value.code == 2
    assert capsys.readouterr().err.endswith("type python -m fairmot.prepare dataset=mot17\n")
