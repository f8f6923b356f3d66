"""What is released: the archives hold everything, and the commands work from any folder once installed."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import fairmot

REPOSITORY = Path(__file__).resolve().parent.parent
pytest.importorskip("build", reason="the package `build` is not installed: pip install '.[dev]'")
pytestmark = pytest.mark.slow


def run(*words, cwd, **environment):
    """Run without this checkout on the path; returns the finished process."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The source archive, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, REPOSITORY, cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def installed(archives, tmp_path_factory):
    """The Python of an environment that has the wheel; its dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "venv"
    assert run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=folder).returncode == 0
    python = environment / "bin" / "python"
    site_packages = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout.strip()
    )
    # Packages on such a path are found, its own .pth files, as of an editable installation, are not read.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    words = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        archives[1],
    ]
    done = run(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return python


def test_the_wheel_holds_code_configuration_and_licences(archives):
    with zipfile.ZipFile(archives[1]) as wheel:
        names = set(wheel.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        about = wheel.read(metadata).decode()
    configuration = {path.relative_to(REPOSITORY / "conf").as_posix() for path in REPOSITORY.glob("conf/**/*.yaml")}
    assert {f"fairmot/_conf/{name}" for name in configuration} <= names
    modules = {
        path.relative_to(REPOSITORY).as_posix()
        for package in ("fairmot", "train")
        for path in REPOSITORY.glob(f"{package}/**/*.py")
    }
    assert modules <= names
    assert {"fairmot/media/font/DroidSansFallback-GB2312.ttf", "fairmot/demo/drawn_people.safetensors"} <= names
    assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"fairmot", "train"}
    assert f"Version: {fairmot.__version__}\n" in about


def test_the_source_archive_holds_tests_and_documentation(archives):
    with tarfile.open(archives[0]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert {
        "tests/test_wheel.py",
        "docs/index.md",
        "scripts/quickstart.sh",
        "rank_table/check.py",
        "NOTICE",
        "README.zh.md",
    } <= names


def test_the_version_stands_in_one_place():
    stated = re.compile(rf"(?<![\d.]){re.escape(fairmot.__version__)}(?![\d.])")
    candidates = [
        REPOSITORY / "pyproject.toml",
        *REPOSITORY.glob("fairmot/**/*.py"),
        *REPOSITORY.glob("train/**/*.py"),
        REPOSITORY / "docs" / "conf.py",
    ]
    found = [
        path.relative_to(REPOSITORY).as_posix()
        for path in candidates
        if stated.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["fairmot/__init__.py"]


def test_the_commands_work_from_any_folder(installed, tmp_path):
    where = run(installed, "-c", "import fairmot, train; print(fairmot.__file__, train.__file__)", cwd=tmp_path)
    assert where.stdout.count(str(installed.parent.parent)) == 2, where.stdout + where.stderr
    composed = run(installed, "-m", "train", "experiment=quickstart", "--cfg", "job", cwd=tmp_path)
    assert composed.returncode == 0, composed.stderr
    assert "name: quickstart" in composed.stdout
    helped = run(installed.with_name("fairmot-track"), "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    assert "source= (required)" in helped.stdout
    planned = run(installed, "-m", "train.launch", "2", "--dry-run", "experiment=quickstart", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.count("RANK_ID") or "msrun" in planned.stdout
    refused = run(installed, "-m", "fairmot.prepare", "dataset=mot17", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert not list(tmp_path.iterdir())
