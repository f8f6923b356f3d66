"""Stand-ins for CANN: made from MindSpore's package alone, once, or refused with a reason."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
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
@pytest.mark.slow
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
def test_two_may_be_built_at_the_same_time(environment, monkeypatch):
    both_build = threading.Barrier(2, timeout=60)

    def build(home: Path, scratch: Path, version: str) -> None:
        both_build.wait()  # neither has found the other's
        (home / "lib64").mkdir(parents=True)

    monkeypatch.setattr(stand_ins, "_build", build)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(stand_ins.build_stand_ins, [environment, environment])
    assert first == second
    assert first[0].is_dir()
    assert len(list((Path(environment["XDG_CACHE_HOME"]) / "fairmot" / "stand_ins").iterdir())) == 1


def test_the_first_of_two_builds_stays(tmp_path):
    home, made = tmp_path / "cann", tmp_path / "made"
    for folder, owner in ((home, "first"), (made, "second")):
        folder.mkdir()
        (folder / "owner").write_text(owner)
    stand_ins._keep(made, home)
    assert (home / "owner").read_text() == "first"
    with pytest.raises(FileNotFoundError):
        stand_ins._keep(tmp_path / "missing", tmp_path / "elsewhere")


@needs_tools
def test_what_old_versions_left_is_removed_and_what_may_be_in_use_is_not(environment, monkeypatch):
    monkeypatch.setattr(stand_ins, "_build", lambda home, scratch, version: home.mkdir())
    cache = Path(environment["XDG_CACHE_HOME"]) / "fairmot" / "stand_ins"
    for name, unused_days in (("2.9.0-0123", 31), (".building-killed", 31), ("2.9.1-0123", 29)):
        (cache / name / "cann").mkdir(parents=True)
        last_used_s = time.time() - unused_days * 86400
        os.utime(cache / name, (last_used_s, last_used_s))
    libraries, _ = stand_ins.build_stand_ins(environment)
    own = libraries.parent.parent
    assert {path.name for path in cache.iterdir()} == {"2.9.1-0123", own.name}
    os.utime(own, (0, 0))
    stand_ins.build_stand_ins(environment)
    assert time.time() - own.stat().st_mtime < 60  # every use counts


@pytest.mark.parametrize(
    ("devices", "rank", "local"), [("16", "17", "16 1"), ("8", "17", "8 1"), ("16", "11", "16 11")]
)
def test_a_host_has_as_many_ranks_as_the_chip_has_devices(devices, rank, local):
    script = stand_ins._HCCL_MODULE + "print(get_local_rank_size(), get_local_rank_id())"
    variables = {"RANK_SIZE": "32", "RANK_ID": rank, "FAIRMOT_SIMULATED_DEVICES": devices}
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == local


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


def test_nothing_binary_is_committed():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("no git checkout")
    files = [REPOSITORY / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    assert REPOSITORY / "train" / "simulate" / "stand_ins.cc" in files
    assert binaries(files) == []


def test_a_committed_binary_would_be_found(tmp_path):
    files = {"a.txt": b"\x7fELF\x02", "libb.so.1": b"", "c.o": b"", "d.a": b"", "e.solo.py": b"# no library"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert [path.name for path in binaries(sorted(tmp_path.iterdir()))] == ["a.txt", "c.o", "d.a", "libb.so.1"]


def binaries(files: list[Path]) -> list[Path]:
    """Those that hold machine code, or are named so."""
    return [
        path
        for path in files
        if re.search(r"\.(o|a|so)(\.|$)", path.name)
        or (path.is_file() and path.open("rb").read(4) == b"\x7fELF")  # one that is deleted is not there
    ]
