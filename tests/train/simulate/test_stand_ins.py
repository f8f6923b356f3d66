"""Stand-ins for CANN: made from MindSpore's package alone, once, or refused with a reason."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fairmot.errors import ConfigError
from train.simulate import stand_ins

REPOSITORY = Path(__file__).resolve().parents[3]
HAS_TOOLS = all(shutil.which(tool) for tool in ("nm", "as", "g++"))
needs_tools = pytest.mark.skipif(not HAS_TOOLS, reason="no binutils or g++")


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """A cache of its own, and no CANN."""
    kept = {name: value for name, value in os.environ.items() if name != "ASCEND_HOME_PATH"}
    return kept | {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@needs_tools
def test_they_define_what_mindspore_wants_and_are_made_once(environment, monkeypatch):
    libraries, packages = stand_ins.build_stand_ins(environment)
    assert libraries.parent.name == "cann"
    assert (packages / "hccl" / "manage" / "api.py").is_file()
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", libraries / "libascendcl.so"], capture_output=True, text=True, check=True
    ).stdout
    defined = {row.split()[-1] for row in listed.splitlines()}
    assert {"aclInit", "aclrtGetSocName", "HcclAllReduce", "_ZN2ge13StatusFactory8InstanceEv"} <= defined
    assert not stand_ins.wanted_symbols() - defined
    monkeypatch.setattr(stand_ins, "_build", None)  # a second time nothing is built
    assert stand_ins.build_stand_ins(environment) == (libraries, packages)
    assert [path.name for path in libraries.parent.parent.iterdir()] == ["cann"]


@needs_tools
def test_a_symbol_of_an_unknown_kind_is_refused_by_name(environment, monkeypatch):
    monkeypatch.setattr(stand_ins, "wanted_symbols", lambda: {"aclInit", "_ZTVN2ge3NewE"})
    with pytest.raises(ConfigError, match="wants 1 symbols of CANN .* such as _ZTVN2ge3NewE"):
        stand_ins.build_stand_ins(environment)
    assert not list(Path(environment["XDG_CACHE_HOME"]).rglob("lib*.so"))


def test_missing_tools_are_named(environment, tmp_path):
    with pytest.raises(ConfigError, match=r"nm and as and g\+\+ not found: .*apt install binutils g\+\+"):
        stand_ins.build_stand_ins(environment | {"PATH": str(tmp_path)})


def test_other_processors_are_refused(environment, monkeypatch):
    monkeypatch.setattr(stand_ins.platform, "machine", lambda: "aarch64")
    with pytest.raises(ConfigError, match="x86-64 only, this processor is aarch64"):
        stand_ins.build_stand_ins(environment)


def test_an_installed_cann_is_used(environment, tmp_path):
    home = tmp_path / "cann"
    (home / "lib64").mkdir(parents=True)
    (home / "lib64" / "libascendcl.so").touch()
    found = stand_ins.cann_paths(environment | {"ASCEND_HOME_PATH": str(home)})
    assert found == (home / "lib64", home / "python" / "site-packages")


def test_nothing_binary_lies_beside_the_generator():
    suffixes = {path.suffix for path in (REPOSITORY / "train" / "simulate").rglob("*") if path.is_file()}
    assert suffixes - {".pyc"} == {".py", ".cc"}
