"""The Dockerfile and the cluster examples: linted, parsed, and their commands understood by the launcher itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from fairmot.cli.command import compose
from fairmot.device import Device
from train.cluster.allocation import Allocation
from train.cluster.pods import read_pods
from train.cluster.rank_table import read_rank_table
from train.config import TrainConfig
from train.launch.arguments import parse
from train.preflight.host import BUILT_FOR_CANN, SUPPORTED_CANN

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = REPOSITORY / "docs" / "examples"
DOCKERFILE = REPOSITORY / "Dockerfile.ascend"
TABLE = REPOSITORY / "rank_table" / "2x8.json"
SCRIPTS = sorted([*EXAMPLES.glob("*.sh"), *EXAMPLES.glob("*.sbatch"), *(REPOSITORY / "scripts").glob("*.sh")])


def tool(name):
    """A linter that is installed beside this Python, or somewhere else."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed (pip install {name}-bin or {name}-py)")
    return found


def instructions():
    """Name and words of each instruction of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments():
    return dict(words.split("=", 1) for name, words in instructions() if name == "ARG")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(script):
    subprocess.run(["bash", "-n", script], check=True)
    options = ["--external-sources", "--source-path=SCRIPTDIR:.", "--shell=bash"]
    subprocess.run([tool("shellcheck"), *options, script], cwd=REPOSITORY, check=True)


def test_dockerfile_is_linted():
    subprocess.run([tool("hadolint"), DOCKERFILE], check=True)


def test_the_image_is_pinned_to_what_the_project_takes():
    given = arguments()
    cann, chip, _, python = given["CANN_TAG"].split("-")
    release = ".".join(cann.split(".")[:2])
    assert release == BUILT_FOR_CANN
    assert release in SUPPORTED_CANN
    assert chip == "910b"
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert python.removeprefix("py") in SpecifierSet(re.search(r'requires-python = "(.+)"', project).group(1))
    assert given["MINDSPORE_VERSION"] in SpecifierSet(re.search(r'"mindspore(.+)"', project).group(1))


def test_the_image_ends_as_a_user():
    users = [words for name, words in instructions() if name == "USER"]
    assert users == ["${USER_ID}:${GROUP_ID}"]
    assert [name for name, _ in instructions()][-3:] == ["USER", "ENTRYPOINT", "CMD"]
    given = arguments()
    assert int(given["USER_ID"]) > 0
    assert int(given["GROUP_ID"]) > 0


def test_the_image_needs_nothing_that_is_ignored():
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    project = (REPOSITORY / "pyproject.toml").read_text()
    packages = re.search(r"packages = \[(.+)\]", project).group(1)
    needed = {"pyproject.toml", "scripts", "rank_table", "conf", *re.findall(r'"(\w+)"', packages)}
    licences = re.search(r"license-files = \[(.+)\]", project).group(1)
    needed |= {re.search(r'readme = "(.+)"', project).group(1), *re.findall(r'"(\w+)"', licences)}
    assert allowed == needed
    assert all((REPOSITORY / name).exists() for name in allowed)


def test_scripts_install_nothing_in_the_image(tmp_path):
    """The mark that the Dockerfile leaves is the one that scripts/environment.sh looks for."""
    command = next(words for name, words in instructions() if name == "RUN" and ".installed" in words)
    mark = next(part for part in command.split("&&") if ".installed" in part)
    (tmp_path / "bin").mkdir()
    environment = {**os.environ, "FAIRMOT_VENV": str(tmp_path)}
    subprocess.run(["bash", "-c", mark], cwd=REPOSITORY, env=environment, check=True)
    run = subprocess.run(
        ["bash", "-c", "source scripts/environment.sh && echo $PYTHON"],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == f"{tmp_path}/bin/python"
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        (["ascend-toolkit"], "ascend-toolkit"),  # CANN 8
        (["cann"], "cann"),  # CANN 9
        (["ascend-toolkit", "cann"], "cann"),
        ([], None),
    ],
    ids=str,
)
def test_scripts_set_the_environment_of_cann(tmp_path, installed, found):
    """Its own script is not written for `set -eu`, which must hold again afterwards."""
    for name in installed:
        (tmp_path / name).mkdir()
        set_env = f"false\nexport LD_LIBRARY_PATH={tmp_path}/lib:$LD_LIBRARY_PATH ASCEND_HOME_PATH={tmp_path}/{name}\n"
        (tmp_path / name / "set_env.sh").write_text(set_env)
    code = 'set -euo pipefail; source scripts/cann.sh; echo "${ASCEND_HOME_PATH:-none}"; echo "$SHELLOPTS"; echo "$NO"'
    environment = {"PATH": os.environ["PATH"], "FAIRMOT_ASCEND": str(tmp_path)}
    run = subprocess.run(
        ["bash", "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    home, options = run.stdout.splitlines()
    assert home == (f"{tmp_path}/{found}" if found else "none")
    assert {"errexit", "nounset", "pipefail"} <= set(options.split(":"))
    assert (run.returncode, "NO: unbound variable" in run.stderr) == (1, True)


def test_an_environment_of_cann_that_is_set_stays(tmp_path):
    (tmp_path / "cann").mkdir()
    (tmp_path / "cann" / "set_env.sh").write_text("export ASCEND_HOME_PATH=/another\n")
    environment = {**os.environ, "FAIRMOT_ASCEND": str(tmp_path), "ASCEND_HOME_PATH": "/mine"}
    command = ["bash", "-c", "source scripts/cann.sh && echo $ASCEND_HOME_PATH"]
    run = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "/mine\n"


def test_the_image_starts_in_the_environment_of_cann(tmp_path):
    """The entry point as the image has it, but for where the project and CANN are."""
    words = json.loads(next(words for name, words in instructions() if name == "ENTRYPOINT"))
    words[2] = words[2].replace("/workspace/fairmot", str(REPOSITORY))
    (tmp_path / "cann").mkdir()
    (tmp_path / "cann" / "set_env.sh").write_text("export ASCEND_HOME_PATH=/of/cann\n")
    environment = {"PATH": os.environ["PATH"], "FAIRMOT_ASCEND": str(tmp_path)}
    command = [*words, "bash", "-c", 'echo "$ASCEND_HOME_PATH $1"', "bash", "a word"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "/of/cann a word\n"
    without = environment | {"FAIRMOT_ASCEND": str(tmp_path / "nowhere")}
    run = subprocess.run(command, env=without, capture_output=True, text=True, check=False)
    assert run.returncode
    assert "no CANN in this image" in run.stderr


def understood(words):
    """What the launcher makes of the words behind scripts/run_distribute.sh; bad ones raise."""
    given = parse(words)
    if given.table is not None:
        read_rank_table(given.table, given.num_ranks)
    return given, compose(given.words, TrainConfig, "train")


@pytest.fixture
def listening_folder(tmp_path):
    """A folder whose launcher writes down its words instead of starting anything."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "run_distribute.sh").write_text('printf "%s\\n" "$@" "" >> words\nexit $(cat code)\n')
    (tmp_path / "code").write_text("0")
    return tmp_path


def heard(folder):
    """The words of each call."""
    return [call.split("\n") for call in (folder / "words").read_text().strip("\n").split("\n\n")]


def volcano():
    table, job = yaml.safe_load_all((EXAMPLES / "volcano.yaml").read_text())
    return table, job, job["spec"]["tasks"][0]


def test_volcano_job_fits_together():
    table, job, task = volcano()
    pod = task["template"]["spec"]
    container = pod["containers"][0]
    assert table["metadata"]["name"] == f"rings-config-{job['metadata']['name']}"
    labels = [part["metadata"]["labels"]["ring-controller.atlas"] for part in (table, job, task["template"])]
    assert len(set(labels)) == 1
    assert job["spec"]["minAvailable"] == task["replicas"]
    resources = container["resources"]
    assert resources["limits"] == resources["requests"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["volumes"][0]["configMap"]["name"] == table["metadata"]["name"]
    assert pod["securityContext"]["runAsUser"] == int(arguments()["USER_ID"])
    assert job["spec"]["policies"][0] == {"exitCode": 2, "action": "AbortJob"}


def test_volcano_container_starts_the_launcher(listening_folder):
    _, _, task = volcano()
    container = task["template"]["spec"]["containers"][0]
    bash, option, script = container["args"]
    rank_table = "/user/serverid/devindex/config/hccl.json"
    assert rank_table in script
    mounted = next(mount for mount in container["volumeMounts"] if mount["name"] == "rank-table")["mountPath"]
    assert rank_table.startswith(mounted)
    subprocess.run([bash, option, script.replace(rank_table, str(TABLE))], cwd=listening_folder, check=True, timeout=20)
    given, config = understood(heard(listening_folder)[0])
    npus = task["replicas"] * container["resources"]["limits"]["huawei.com/Ascend910"]
    assert given.num_ranks == npus
    assert config.device is Device.ascend
    assert config.run_dir.startswith("/runs/")
    assert config.runtime.stop_grace_s < task["template"]["spec"]["terminationGracePeriodSeconds"]


def test_ascend_job_fits_together():
    job = yaml.safe_load((EXAMPLES / "ascendjob.yaml").read_text())
    specs = job["spec"]["replicaSpecs"]
    assert (job["kind"], job["metadata"]["labels"]["framework"]) == ("AscendJob", "mindspore")
    assert specs["Scheduler"]["template"] == specs["Worker"]["template"]
    assert specs["Scheduler"]["replicas"] == 1
    assert job["spec"]["runPolicy"]["schedulingPolicy"]["minAvailable"] == 1 + specs["Worker"]["replicas"]
    template = specs["Worker"]["template"]
    label = "ring-controller.atlas"
    assert template["metadata"]["labels"][label] == job["metadata"]["labels"][label]
    container = template["spec"]["containers"][0]
    assert container["name"] == "ascend"
    assert container["resources"]["limits"] == container["resources"]["requests"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["launchers"] == ports["ascendjob-port"] + 1
    volumes = {volume["name"] for volume in template["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_ascend_job_starts_the_launcher_in_every_pod(listening_folder):
    """With what Ascend Operator sets in each of the two."""
    job = yaml.safe_load((EXAMPLES / "ascendjob.yaml").read_text())
    container = job["spec"]["replicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    each = container["resources"]["limits"]["huawei.com/Ascend910"]
    port = str(container["ports"][0]["containerPort"])
    operator = {"MS_WORKER_NUM": str(2 * each), "MS_LOCAL_WORKER": str(each), "MS_SCHED_PORT": port, "NPU_POD": "true"}
    roles = [("MS_SCHED", "0", "172.16.0.4"), ("MS_WORKER", "1", "10.96.0.7")]
    for node_rank, (role, number, host) in enumerate(roles):
        given = operator | {"MS_ROLE": role, "MS_NODE_RANK": number, "MS_SCHED_HOST": host}
        subprocess.run(container["args"], cwd=listening_folder, env={**os.environ, **given}, check=True, timeout=20)
        started, config = understood(heard(listening_folder)[node_rank])
        assert (started.num_ranks, started.table) == (16, None)
        assert read_pods(given, started.num_ranks) == Allocation(("pod 0", "pod 1"), 8, node_rank, (host, 2222))
        assert config.device is Device.ascend
        assert config.run_dir.startswith("/runs/")
    grace = job["spec"]["replicaSpecs"]["Worker"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert config.runtime.stop_grace_s < grace


@pytest.fixture
def slurm(listening_folder, monkeypatch):
    """srun and scontrol of a cluster that starts a task on this host alone; returns a function that runs the script."""
    programs = listening_folder / "bin"
    programs.mkdir()
    (programs / "srun").write_text('#!/bin/bash\nwhile [[ $1 == -* ]]; do shift; done\nexec "$@"\n')
    (programs / "scontrol").write_text(f'#!/bin/bash\necho "$@" > {listening_folder}/scontrol\n')
    for path in programs.iterdir():
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    for name, value in {
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_ID": "4711",
        "SLURM_SUBMIT_DIR": str(listening_folder),
        "RANK_TABLE": str(TABLE),
    }.items():
        monkeypatch.setenv(name, value)

    def run():
        words = ["experiment=mot20_finetune", "run_dir=/shared/runs/mot20"]
        return subprocess.run(["bash", EXAMPLES / "slurm.sbatch", *words], check=False).returncode

    return run


def test_slurm_job_checks_then_trains(slurm, listening_folder):
    assert slurm() == 0
    (checked, check_config), (trained, config) = map(understood, heard(listening_folder))
    assert (checked.num_ranks, trained.num_ranks) == (16, 16)
    assert (check_config.preflight, config.preflight) == (True, False)
    assert config.device is Device.ascend
    assert config.run_dir == "/shared/runs/mot20"
    assert not (listening_folder / "scontrol").exists()


def test_slurm_job_that_fails_its_check_does_not_train(slurm, listening_folder):
    (listening_folder / "code").write_text("1")
    assert slurm() == 1
    assert len(heard(listening_folder)) == 1


def test_slurm_job_that_was_asked_to_stop_queues_itself_again(slurm, listening_folder):
    (listening_folder / "scripts" / "run_distribute.sh").write_text('[[ "$*" == *preflight=true* ]] || exit 130\n')
    assert slurm() == 130
    assert (listening_folder / "scontrol").read_text() == "requeue 4711\n"


def test_docker_run_says_what_is_missing(tmp_path):
    script = EXAMPLES / "docker_run.sh"
    environment = {name: value for name, value in os.environ.items() if name not in ("DATA", "RUNS")}
    run = subprocess.run(["bash", script, "8"], env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, "DATA" in run.stderr) == (1, True)
    if Path("/dev/davinci0").exists():
        pytest.skip("this host has NPUs")
    environment |= {"DATA": str(tmp_path), "RUNS": str(tmp_path)}
    run = subprocess.run(["bash", script, "8"], env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, "no /dev/davinci0" in run.stderr) == (1, True)


@pytest.mark.parametrize("page", ["cluster.md", "scaling.md"])
def test_pages_link_to_files_that_are_there(page):
    text = (REPOSITORY / "docs" / page).read_text()
    links = re.findall(r"\]\((?!https?://)([^)]+)\)", text)
    assert links
    assert [link for link in links if not (REPOSITORY / "docs" / link.partition("#")[0]).is_file()] == []


@pytest.mark.slow
def test_the_scaling_page_holds_what_the_plan_computes():
    plan, model = (import_module(f"benchmarks.studies.{name}") for name in ("scaling_plan", "predicted_step"))
    page = (REPOSITORY / "docs" / "scaling.md").read_text()
    assert f"{model.parameters_without_classifier():,}" in page
    for title, rows in plan.TABLES.items():
        assert plan.as_markdown(rows()) in page, f"{title}: run python -m benchmarks.studies.scaling_plan"
    # By hand: 2 x 7/8 of 84.08 MB over 0.6 x 196 GB/s, a ring of eight, 5 us a launch, 0.4 x 376 TFLOPS / 4 in fp32.
    size, a2 = model.gradient_bytes(14_455), model.CLUSTERS[0]
    assert model.hierarchical_s(a2, size, 8) == pytest.approx(147.14e6 / 117.6e9 + 2 * 30e-6, rel=1e-3)
    assert model.ring_s(a2, size, 8) == pytest.approx(147.14e6 / 117.6e9 + 14 * 30e-6, rel=1e-3)
    step = model.step_of(a2, "plain", "fp32", 2)
    assert step.launch_s[0] == pytest.approx(model.counted()["plain"]["fp32"]["O0"]["launches"] * 5e-6)
    assert step.arithmetic_s == pytest.approx(12 * model.multiplications("dlaconv_34") / 37.6e12)
    assert 60e9 < model.multiplications("dlaconv_34") < 70e9
