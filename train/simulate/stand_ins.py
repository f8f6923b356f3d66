"""Stand-ins for CANN's shared libraries, so that MindSpore's Ascend backend loads for a dry run without CANN.

MindSpore's package holds its whole Ascend backend; of CANN it wants some libraries and a few hundred functions, nearly
all of which a dry run never calls. What they are is read from the package itself: each missing function becomes one
that returns 0, the few that must do something are in stand_ins.cc, and nothing of CANN is copied. Nothing binary is
kept but in the user's cache folder.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from fairmot.errors import ConfigError, FairMOTError

_SPECIAL = Path(__file__).with_name("stand_ins.cc")
_PROCESS_REPORT = Path(__file__).with_name("process_report.cc")
PROCESS_REPORT = "libfairmot_process_report.so"
"""Beside the stand-ins; to be loaded first."""
_TOOLS = ("nm", "as", "g++")
_LIBRARIES = [
    *("acl_cblas", "acl_op_compiler", "acl_tdt_channel", "ascend_hal", "ascendcl", "c_sec", "cust_opapi", "ge_runner"),
    *("graph", "hccl", "msprofiler", "nnopbase", "opapi", "platform", "profapi", "runtime"),
]
_INSTALLED = ("/usr/local/Ascend/cann", "/usr/local/Ascend/ascend-toolkit/latest")
_USERS = ("libd_collective", "libhccl_plugin", "libmindspore_ascend_res_manager", "libmindspore_graph_ir")
"""Libraries of the plugin, beside its main ones, that link against CANN."""
_OF_THE_SYSTEM = ("libstdc++.so.6", "libgomp.so.1", "libgcc_s.so.1", "libc.so.6", "libm.so.6")
_FAMILIES = re.compile(r"(acl|Hccl|hccl|Hcom|Msprof|rt[A-Z]|hal[A-Z]|_ZNK?2ge\d)\w*$")
"""Interfaces whose functions may return 0 in a dry run; other symbols were never tried."""
_LOOKED_UP = re.compile(rb"(?:acl[a-zA-Z0-9]{3,}|[Hh]ccl[A-Za-z0-9]{3,})(?=\0)")
_UNUSED_S = 30 * 86400
"""Stand-ins that no dry run has asked for in so long belong to a version that is gone."""
_HCCL_MODULE = '''"""The part of CANN's hccl package that MindSpore asks in a dry run."""

import os

_DEVICES = int(os.environ.get("FAIRMOT_SIMULATED_DEVICES", "8"))  # of a host


def create_group(group, rank_num, rank_ids):
    return 0


def destroy_group(group):
    return 0


def get_rank_size(group=None):
    return int(os.environ.get("RANK_SIZE", "1"))


def get_rank_id(group=None):
    return int(os.environ.get("RANK_ID", "0"))


def get_local_rank_size(group=None):
    return min(_DEVICES, get_rank_size())


def get_local_rank_id(group=None):
    return get_rank_id() % _DEVICES


def get_world_rank_from_group_rank(group, rank):
    return rank


def get_group_rank_from_world_rank(rank, group):
    return rank


def set_split_strategy_by_idx(*arguments):
    return 0


def set_split_strategy_by_size(*arguments):
    return 0
'''


def cann_paths(environment: dict[str, str]) -> tuple[Path, Path]:
    """Folders of shared libraries and of Python packages: of CANN where it is installed, else of its stand-ins.

    Args:
        environment: where ASCEND_HOME_PATH may say where CANN is.

    Raises:
        ConfigError: there is no CANN, and no stand-ins can be made here.
        FairMOTError: making them failed.
    """
    named = environment.get("ASCEND_HOME_PATH")
    for home in map(Path, [named] if named else _INSTALLED):
        if (home / "lib64" / "libascendcl.so").exists():
            return home / "lib64", home / "python" / "site-packages"
    return build_stand_ins(environment)


def cann_variables(libraries: Path, packages: Path, project: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Variables by which a process finds CANN or its stand-ins, and this project.

    Args:
        libraries: see `cann_paths`.
        packages: see `cann_paths`.
        project: the folder of fairmot and train.
        inherited: the environment that they are added to.
    """
    paths = {"LD_LIBRARY_PATH": [libraries], "PYTHONPATH": [project, packages]}
    if (libraries / PROCESS_REPORT).exists():
        paths["LD_PRELOAD"] = [libraries / PROCESS_REPORT]
    return {
        name: os.pathsep.join(filter(None, [*map(str, ours), inherited.get(name, "")])) for name, ours in paths.items()
    }


def build_stand_ins(environment: dict[str, str]) -> tuple[Path, Path]:
    """Make the stand-ins, unless they are in the user's cache: a few seconds once a version of MindSpore.

    Raises:
        ConfigError: no binutils or compiler, another processor than x86-64, or MindSpore wants what they lack.
        FairMOTError: a tool failed, or the cache cannot be written.
    """
    version = importlib.metadata.version("mindspore")
    generator = hashlib.sha256(
        Path(__file__).read_bytes() + _SPECIAL.read_bytes() + _PROCESS_REPORT.read_bytes()
    ).hexdigest()[:8]
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # MindSpore cuts the path of what it has loaded at a folder named cann or latest.
    home = cache / "fairmot" / "stand_ins" / f"{version}-{generator}" / "cann"
    if not home.is_dir():
        _check_host(environment)
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home.parent.parent, prefix=".building-") as folder:
                made = Path(folder) / "cann"
                _build(made, Path(folder), version)
                _keep(made, home)
        except OSError as error:
            raise FairMOTError(f"stand-ins for CANN: {home} cannot be written ({error.strerror})") from error
        _remove_unused(home.parent.parent)
    with contextlib.suppress(OSError):  # a cache that others own is as good
        os.utime(home.parent)
    return home / "lib64", home / "python"


def _keep(made: Path, home: Path) -> None:
    """Move what was built to its place, unless another process was faster: the first one stays."""
    try:
        made.rename(home)
    except OSError:
        if not home.is_dir():
            raise


def _remove_unused(cache: Path) -> None:
    """Remove what other versions left, and what a build that was killed did; not what others may be using now."""
    for folder in cache.iterdir():
        with contextlib.suppress(OSError):  # another process may remove it too
            if time.time() - folder.stat().st_mtime > _UNUSED_S:
                shutil.rmtree(folder)


def _check_host(environment: dict[str, str]) -> None:
    if platform.machine() not in ("x86_64", "AMD64"):
        raise ConfigError(
            f"simulate.chip: stand-ins for CANN exist for x86-64 only, this processor is {platform.machine()}; install "
            "CANN, or run the dry run on another machine"
        )
    if missing := [tool for tool in _TOOLS if shutil.which(tool, path=environment.get("PATH", "")) is None]:
        raise ConfigError(
            f"simulate.chip: {' and '.join(missing)} not found: without CANN its stand-ins are made with binutils and "
            "g++; install them (apt install binutils g++), or CANN"
        )


def _build(home: Path, scratch: Path, version: str) -> None:
    """Write the libraries and the Python package below `home`; `scratch` is for what lies between."""
    (home / "lib64").mkdir(parents=True)
    special, plain = scratch / "special.o", scratch / "plain.o"
    _run("g++", "-O1", "-fPIC", "-D_GLIBCXX_USE_CXX11_ABI=0", "-c", str(_SPECIAL), "-o", str(special))
    wanted = wanted_symbols() - _symbols(special, "--defined-only", dynamic=False)
    if unknown := sorted(name for name in wanted if not _FAMILIES.match(name)):
        raise ConfigError(
            f"simulate.chip: MindSpore {version} wants {len(unknown)} symbols of CANN that the stand-ins do not know, "
            f"such as {', '.join(unknown[:3])}; install CANN, or use a version that was tried (2.10.0)"
        )
    assembly = scratch / "plain.s"
    assembly.write_text(_assembly(sorted(wanted)), encoding="ascii")
    _run("as", str(assembly), "-o", str(plain))
    for name in _LIBRARIES:
        target = home / "lib64" / f"lib{name}.so"
        _run("g++", "-shared", f"-Wl,-soname,{target.name}", "-o", str(target), str(special), str(plain))
    _run("g++", "-O1", "-fPIC", "-shared", str(_PROCESS_REPORT), "-o", str(home / "lib64" / PROCESS_REPORT))
    package = home / "python" / "hccl"
    (package / "manage").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "manage" / "__init__.py").touch()
    (package / "manage" / "api.py").write_text(_HCCL_MODULE, encoding="utf-8")
    (package / "sys_version.py").write_text('__sys_version__ = "8.5.0"\n', encoding="utf-8")


def wanted_symbols() -> set[str]:
    """What MindSpore's Ascend backend wants from elsewhere: linked against, or looked up by name while it runs."""
    root = _mindspore()
    plugin = root / "lib" / "plugin"
    users = [plugin / "libmindspore_ascend.so.2", plugin / "libmindspore_ops_ascend.so"]
    users += [plugin / "ascend" / f"{name}.so" for name in _USERS]
    users += sorted((plugin / "ascend" / "ms_kernels_symmetric_memory").rglob("*.so"))
    users = [path for path in users if path.is_file()]
    if not users:
        raise ConfigError(f"simulate.chip: this package of MindSpore ({root}) has no Ascend backend")
    linked = set().union(*(_symbols(path, "--undefined-only") for path in users))
    of_mindspore = [*root.glob("*.so"), *root.glob("lib/*.so*"), *root.glob("lib/plugin/*.so*")]
    of_mindspore += (root / "lib" / "plugin" / "ascend").rglob("*.so*")
    present = set().union(*(_symbols(path, "--defined-only") for path in of_mindspore if "gpu" not in path.name))
    present |= set().union(*(_symbols(path, "--defined-only") for path in _system_libraries()))
    missing = {name for name in linked - present if not name.startswith(("_ZN8mindspore", "Py", "_Py"))}
    looked_up = {match.decode() for path in users for match in _LOOKED_UP.findall(path.read_bytes())}
    looked_up |= {f"{name}GetWorkspaceSize" for name in looked_up if name.startswith("aclnn")}
    return missing | looked_up


def _mindspore() -> Path:
    spec = importlib.util.find_spec("mindspore")
    if spec is None or not spec.submodule_search_locations:
        raise FairMOTError("simulate.chip: MindSpore is not installed")
    return Path(spec.submodule_search_locations[0])


def _system_libraries() -> list[Path]:
    """The C and C++ runtime's files, as the compiler finds them."""
    return [Path(_run("g++", f"-print-file-name={name}").strip()) for name in _OF_THE_SYSTEM]


def _symbols(path: Path, which: str, dynamic: bool = True) -> set[str]:
    """Names in a library's table, without versions and without weak ones that may stay undefined."""
    names = set()
    for row in _run("nm", *(["-D"] if dynamic else []), which, str(path)).splitlines():
        kind, _, name = row.strip().rpartition(" ")
        symbol, _, version = name.partition("@")
        of_system = version.lstrip("@").startswith(("GLIBC", "CXXABI", "GCC", "GOMP", "OMP"))
        if which == "--defined-only" or not (of_system or kind[-1:] in ("w", "v")):
            names.add(symbol)
    return names


def _assembly(names: list[str]) -> str:
    """One function a name: it returns 0, or, as a member of ge::Operator, its object."""
    lines = [".text"]
    for name in names:
        value = "mov %rdi, %rax" if name.startswith("_ZN2ge8Operator") else "xor %eax, %eax"
        lines += [f".globl {name}", f".type {name}, @function", f"{name}:", value, "ret", f".size {name}, .-{name}"]
    return "\n".join([*lines, '.section .note.GNU-stack, "", @progbits', ""])


def _run(*command: str) -> str:
    """The output of a tool.

    Raises:
        FairMOTError: it failed.
    """
    environment = os.environ | {"LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    if done.returncode != 0:
        raise FairMOTError(f"stand-ins for CANN: {command[0]} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
