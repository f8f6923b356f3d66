"""What the documentation tells people to type is run, or the reader is told what it needs.

The commands of this project run one after the other in a folder with miniatures of what they name; networks are of one
convolution, trainings of one step. Launchers show what they would start.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_downloads as tiny
from blob_network import walk
from blob_sequences import run_command_in_process, write_sequence
from documented import REPOSITORY, Command, commands
from one_convolution import OneConvolution
from small_run import write_pictures
from tiny_downloads import ROW, labelled

from fairmot.cli.command import compose
from fairmot.convert.torch_file import torch_file
from fairmot.data.synthetic.generate import generate
from fairmot.media.video_writer import VideoWriter
from fairmot.model.network import BACKBONES
from fairmot.mot.benchmarks import TEST_LENGTHS, TRAIN_LENGTHS, Benchmark
from train.config import TrainConfig

SHAPES = REPOSITORY / "tests" / "parity" / "fixtures"
BY_HAND = "by hand: "
pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules")  # these modules are imported, then run
ELSEWHERE = {
    r"bash scripts/quickstart\.sh": "tests/test_documented_commands.py::test_the_quickstart_script",
    r"bash scripts/test\.sh( all)?": ".ci/run",
    r"bash scripts/test\.sh coverage": f"{BY_HAND}the default tests, a seventh slower",
    r"pip check": ".ci/run",
    r"python scripts/audit\.py": ".ci/run",
    r"source \.venv/bin/activate": f"{BY_HAND}made by the line before it, or by scripts/environment.sh",
    r"pip install -e '\.\[(notebook|tune|s3)\]'": f"{BY_HAND}a download; scripts/environment.sh installs more",
    r"python -m fairmot\.demo": "tests/test_demo.py::test_everybody_is_followed_without_a_switch",
    r"pip install onnx onnxruntime": f"{BY_HAND}a download; scripts/environment.sh installs them",
    r"jupyter lab notebooks/fairmot\.ipynb": "tests/test_notebook.py::test_it_runs_from_top_to_bottom",
    r"jupyter nbconvert .*": "tests/test_notebook.py::test_its_outputs_are_cleared_by_the_documented_command",
    r"python -m sphinx .*": "tests/test_docs.py::test_the_site_builds_without_a_warning",
    r"python scripts/configuration_page\.py": "tests/test_docs.py::test_the_page_of_all_keys_is_up_to_date",
    r"python -m build": "tests/test_wheel.py::test_the_wheel_holds_code_configuration_and_licences",
    r"pre-commit install": f"{BY_HAND}writes into .git; the hooks are the first lines of scripts/test.sh",
    r"python rank_table/generate\.py .*": "tests/train/cluster/test_rank_table.py",
    r"python rank_table/check\.py .*": "tests/train/cluster/test_rank_table.py",
    r".*docker_run\.sh .*": "tests/test_cluster_examples.py::test_docker_run_says_what_is_missing",
    r".*slurm\.sbatch .*": "tests/test_cluster_examples.py::test_slurm_job_checks_then_trains",
    r"docker build .*": "tests/test_cluster_examples.py::test_dockerfile_is_linted",
    r"source scripts/completion\.bash": "tests/cli/test_completion.py::test_keys_and_values_come_from_the_program",
    r"python -m train experiment=<TAB>": "tests/cli/test_completion.py::test_keys_and_values_come_from_the_program",
    r"python scripts/dry_run_table\.py( --fits)?": "tests/train/simulate/test_dry_run_table.py",
    r"FAIRMOT_EVERY_GOLDEN=1 pytest .*/test_golden_kernels\.py .*": "tests/train/simulate/test_golden_kernels.py",
    r"python -m train .*simulate\.chip=.*": "tests/train/simulate/test_simulate_run.py",
    r"FAIRMOT_SCREENSHOTS=.*": f"{BY_HAND}the same tests as in CI, with longer trainings to show",
    r"FAIRMOT_MUTATIONS=.*": f"{BY_HAND}the same tests as in CI, with more changes",
    r"python (file\.py|-m|-m train -m)": f"{BY_HAND}kinds of commands, not commands",
    r"python (train|track|demo)\.py mot .*": f"{BY_HAND}the original's, for comparison",
    r"python -m train -m experiment=quickstart optim\.lr=1e-4,5e-4 seed=1,2 .*": (
        "tests/integration/test_sweep.py::test_a_sweep_leaves_everything_a_comparison_needs"
    ),
    r"mlflow ui": "tests/browser/test_mlflow_pages.py::test_both_curves_are_in_one_chart",
    r"python -m fairmot\.link .*": "tests/link/test_link_command.py",
    r"python -m fairmot\.tune .*": "tests/tune/test_tune_command.py",
    r"python -m train\.deliver .*": "tests/train/report/test_mlflow_delivery.py",
    r"python -m fairmot\.pack output=https://.*": "tests/data/test_far_pack.py::test_the_command_checks_a_far_pack",
    r"python -m train .* data\.packed=https://.*": (
        "tests/integration/test_resume.py::test_same_seed_is_bit_identical_for_other_workers_and_a_faulty_pack_far_away"
    ),
    r"python -m fairmot\.convert source=x\.ckpt .*": "tests/convert/test_convert_command.py::test_a_ports_checkpoint",
    r"python -m benchmarks\.studies\.scaling_plan": (
        "tests/test_cluster_examples.py::test_the_scaling_page_holds_what_the_plan_computes"
    ),
    r"(taskset .*|python (-m )?benchmarks.*)": f"{BY_HAND}measurements, whose results the page tells",
    r"atc .*model=fairmot\.air": f"{BY_HAND}what this project does not do",
    r"bash scripts/run_\w+\.sh( N| 2| 8)?( rank_table\.json)?( device=ascend)?( \[.*| \.\.\.)?": f"{BY_HAND}its form",
    r"bash scripts/run_distribute\.sh .\$MS_WORKER_NUM. \.\.\.": f"{BY_HAND}its form",
    r"python -m train\.launch N \.\.\.": f"{BY_HAND}its form",
    r"python -m fairmot\.convert source=<weights> .*": f"{BY_HAND}its form",
}
"""Commands that are not run here -> the test or the script that does, or why none."""

FOUND = [command for command in commands() if command.page != "CHANGELOG.md"]
LAUNCHER = re.compile(r"bash scripts/run_(distribute|standalone)\.sh ")
ORDER = ("prepare", "convert", "pack", "train", "export", "track", "evaluate", "submit")
SMALL = ["model.name=one_convolution", "model.head_conv=16", "model.reid_dim=16", "data.input_size=[64,96]"]
SHORT = ["max_steps=1", "batch_size_per_rank=1", "validate_every_epochs=0", "mlflow.enabled=false"]


def elsewhere(command: Command) -> str | None:
    return next((where for pattern, where in ELSEWHERE.items() if re.fullmatch(pattern, command.text)), None)


HERE = [command for command in FOUND if elsewhere(command) is None and (command.module or LAUNCHER.match(command.text))]
COMMANDS = sorted(
    (command for command in HERE if command.module), key=lambda command: ORDER.index(command.module.rsplit(".", 1)[-1])
)
STARTS = [command for command in HERE if not command.module]


def test_every_command_is_run_or_says_what_it_needs():
    assert len(FOUND) > 100
    forgotten = [str(command) for command in FOUND if not (command in HERE or elsewhere(command) or command.needs)]
    assert not forgotten, "neither run by a test nor marked with `# needs ...`"


def test_what_runs_them_elsewhere_is_there():
    for pattern, where in ELSEWHERE.items():
        assert any(re.fullmatch(pattern, command.text) for command in FOUND), f"no page has {pattern} any more"
        if not where.startswith(BY_HAND):
            path, _, test = where.partition("::")
            assert f"def {test}(" in (REPOSITORY / path).read_text() if test else (REPOSITORY / path).is_file(), where
    ci = (REPOSITORY / ".ci" / "run").read_text()
    assert "bash scripts/test.sh all" in ci and "pip check" in ci and "scripts/audit.py" in ci


def test_ascend_is_said_to_be_needed():
    on_ascend = [command for command in HERE if "device=ascend" in command.words and "--dry-run" not in command.words]
    assert len(on_ascend) > 5
    assert not [str(command) for command in on_ascend if "Ascend" not in (command.needs or "")]


def write_downloads(folder: Path) -> None:
    truth = ("1,1,10,5,20,40,1,1,1.0", "2,1,12,5,20,40,1,1,1.0")
    for name, train, test in (("MOT17", "MOT17-02-FRCNN", "MOT17-01-FRCNN"), ("MOT20", "MOT20-01", "MOT20-04")):
        tiny.mot_sequence(folder / name / "train" / train, *truth)
        tiny.mot_sequence(folder / name / "test" / test)
    for name in ("dancetrack", "sportsmot"):
        tiny.mot_sequence(folder / name / "train" / f"{name}0001", *truth)
    tiny.crowdhuman(folder / "CrowdHuman")
    tiny.visdrone(folder / "VisDrone")
    tiny.kitti(folder / "KITTI")
    for name in ("Caltech", "Citypersons", "CUHKSYSU", "PRW"):
        labelled(folder / name / "images" / "1.jpg", ROW.format(3))
    labelled(folder / "ETHZ" / "eth01" / "images" / "1.jpg", ROW.format(3))


def write_annotations(root: Path, kind: str) -> None:
    """Somebody's own data in one of the formats."""
    shutil.rmtree(root, ignore_errors=True)
    if kind == "coco_video":
        tiny.coco(root)
        shutil.copy(root / "annotations" / "train.json", root / "annotations" / "instances_train.json")
    elif kind == "yolo":
        tiny.yolo(root)
    else:
        tiny.mot_sequence(root / "train" / "gate", "1,1,10,5,20,40,1,1,1.0", "2,1,12,5,20,40,1,1,1.0")


def write_published(path: Path, skip: list[str]) -> None:
    """Weights with the original's names and shapes, but for what the command skips."""
    network = {"hrnet": "hrnet_18", "resne": "resdcn_34", "yolov": "yolov5s"}.get(path.name[:5], "dla34_dcn")
    network = "resdcn_50" if "resnet50" in path.name else network
    shapes = json.loads((SHAPES / f"{network}_state_shapes.json").read_text())
    left_out = re.compile("|".join(pattern.replace(".", r"\.").replace("*", ".*") for pattern in skip) or "(?!)")
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if not left_out.fullmatch(name)}
    state |= {pattern.replace("*", "weight"): np.zeros(3, np.float32) for pattern in skip if pattern != "id.*"}
    if any(
        pattern == "hm.*" for pattern in skip
    ):  # an encoder's file knows nothing of heads, nor of what it is part of
        state = {name: value for name, value in state.items() if not re.match(r"(hm|wh|id|reg|dla_up|ida_up)\.", name)}
        state = {re.sub(r"^(base|backbone)\.", "", name): value for name, value in state.items()}
    path.write_bytes(torch_file({"epoch": 1, "state_dict": state}))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The reader's folder; what the pages call /data, /downloads and so on lies in it. A small run is there."""
    home = tmp_path_factory.mktemp("reader")
    write_downloads(home / "downloads")
    write_annotations(home / "videos" / "annotated", "mot")
    (home / "MOT17").symlink_to(home / "downloads" / "MOT17")
    for name in ("video.mp4", "v.mp4"):
        frames = walk(3)
        with VideoWriter(home / name, 10.0, frames[0].shape[:2]) as video:
            for frame in frames:
                video.write(frame)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setitem(BACKBONES, "one_convolution", lambda config: OneConvolution())
        patch.setitem(TEST_LENGTHS, Benchmark.mot17, {"MOT17-01": 2})
        patch.setitem(TRAIN_LENGTHS, Benchmark.mot17, {"MOT17-02": 2})
        patch.setitem(TEST_LENGTHS, Benchmark.mot20, {"MOT20-04": 2})
        patch.setitem(TRAIN_LENGTHS, Benchmark.mot20, {"MOT20-01": 2})
        write_pictures(home / "first")
        run = ["data=custom", "data.root=first", "+data.train.small=small.train", "run_dir=small", *SMALL, *SHORT]
        assert run_command_in_process(patch, "train", run) == 0
        words = [f"source={home}/small", f"output={home}/small.safetensors"]
        assert run_command_in_process(patch, "fairmot.convert", words) == 0
        for name in ("mot17", "mot20"):
            words = [f"dataset={name}", f"root=downloads/{name.upper()}", "output=data"]
            assert run_command_in_process(patch, "fairmot.prepare", words) == 0
        yield home


def stand_in(word: str, home: Path) -> str:
    """The word with what the reader would have chosen, and paths below his folder."""
    key, equals, value = word.partition("=")
    chosen = {"source": "video.mp4", "gt": "data/mot17/images/train", "output": "chosen", "experiment": "tud"}
    chosen |= {"dataset": "mot17", "format": "mot", "root": "/downloads/MOT17"}
    if key == "checkpoint" and not value.endswith((".onnx", ".safetensors")):
        value = f"{home}/small"
    elif value == "...":
        value = chosen[key]
    if key == "device":
        value = "cpu"
    if value.startswith("/") and not value.startswith(str(home)):
        value = f"{home}{value}"
    return f"{key}{equals}{value}"


def prepared(command: Command, home: Path) -> list[str]:
    """Lay out what the command reads; the words to run it with."""
    words = [stand_in(word, home) for word in command.words[3:]]
    values = dict(word.partition("=")[::2] for word in words)
    shutil.rmtree(home / "chosen", ignore_errors=True)
    match command.module:
        case "train" if "--cfg" in words or "--shell-completion" in words:
            return words
        case "train":
            return [*words, *lists_and_weights([word for word in words if word != "-m"], home), *SMALL, *SHORT]
        case "fairmot.pack":
            return words
        case "fairmot.prepare" if "check" in values:
            return ["root=data" if word.startswith("root=") else word for word in words]
        case "fairmot.prepare" if values["root"].startswith("data/synthetic-"):
            data = compose(["experiment=quickstart"], TrainConfig, "train").data
            generate(data.root, data.synthetic)
        case "fairmot.prepare" if values.get("dataset") == "custom":
            write_annotations(Path(values["root"]), values["format"])
        case "fairmot.convert":
            skip = values.get("skip", "[]").strip("[]")
            write_published(Path(values["source"]), skip.split(",") if skip else [])
        case "fairmot.track" if "detections" in values:
            for path in ("MOT17/train/MOT17-02-FRCNN/det/det.txt", "tracked/video.txt"):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_text("1,-1,10,5,20,40,1\n2,-1,12,5,20,40,1\n")
        case "fairmot.track" if values["checkpoint"].startswith("weights/"):
            Path("weights").mkdir(exist_ok=True)
            shutil.copy(home / "small.safetensors", values["checkpoint"])
        case "fairmot.evaluate" if "results" in values:
            Path(values["results"]).mkdir(exist_ok=True)
            rows = "1,1,10,5,20,40,1,-1,-1,-1\n2,1,12,5,20,40,1,-1,-1,-1\n"
            (Path(values["results"]) / "MOT17-02-FRCNN.txt").write_text(rows)
    return [*words, "overwrite=true"]


def lists_and_weights(words: list[str], home: Path) -> list[str]:
    """Miniatures of the data sets and the weights that a training starts from, where they are not there."""
    config = compose([re.sub(r"=([^\[]*?),.*", r"=\1", word) for word in words], TrainConfig, "train")
    root = Path(config.data.root)
    (root / "mine.train").unlink(missing_ok=True)  # of whatever format the pages prepared last
    for list_file in config.data.train.values():
        if not (root / list_file).exists():
            name = f"{Path(list_file).stem}_miniature"
            if not (root / name).exists():
                write_pictures(root, 3, name)
            shutil.copy(root / f"{name}.train", root / list_file)
    for pattern in config.data.validation:
        if not list(root.glob(pattern)):
            write_sequence(root / pattern.replace("*", "walk"), 3)
    if config.weights:
        Path(config.weights).parent.mkdir(exist_ok=True)
        shutil.copy(home / "small.safetensors", config.weights)
    return [] if any(word.startswith("run_dir=") for word in words) else ["run_dir=null"]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_commands(command, home, monkeypatch, capfd):
    code = run_command_in_process(monkeypatch, command.module, prepared(command, home))
    said = capfd.readouterr()
    assert code == 0, said.out + said.err


@pytest.mark.slow
@pytest.mark.parametrize("command", STARTS, ids=str)
def test_launchers(command, home, monkeypatch, capfd):
    """Every process is planned. A pre-flight looks at this host, where it finds no NPU and says so."""
    words = [stand_in(word, home) for word in command.words[2:]]
    words = [
        word.replace("device=cpu", next((w for w in command.words if w.startswith("device=")), "device=cpu"))
        for word in words
    ]
    if "run_standalone" in command.text:
        words = ["1", *words]
    tables = {"8": "1x8.json", "16": "2x8.json"}
    words = [str(REPOSITORY / "rank_table" / tables[words[0]]) if word.endswith(".json") else word for word in words]
    checks = "preflight=true" in words
    code = run_command_in_process(monkeypatch, "train.launch", [*words, *([] if checks else ["--dry-run"])])
    said = capfd.readouterr().out
    if checks:
        assert (code, len(re.findall(r"^\W*(pass|warn|fail|skip)", said, re.MULTILINE)) > 10) == (1, True), said
    else:
        assert code == 0, said
        assert said.count("RANK_ID=") == int(words[0]) or "msrun" in said or words[0] == "1", said


@pytest.mark.slow
def test_the_script_for_one_device(tmp_path):
    words = ["bash", REPOSITORY / "scripts" / "run_standalone.sh", "--dry-run", "experiment=quickstart"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("1 rank(s) on 1 host(s), device=cpu")
    assert "worker.py experiment=quickstart" in done.stdout


@pytest.mark.slow
def test_the_quickstart_script(tmp_path):
    """As written, in an environment that is already there, with a few steps instead of all."""
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    stamp = subprocess.run(
        ["bash", "-c", 'echo "$(cksum < pyproject.toml) $PWD"'],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    (environment / ".installed-dev").write_text(stamp.stdout)  # which holds the base set
    run_dir = tmp_path / "run"
    words = [f"run_dir={run_dir}", f"data.root={tmp_path}/data", "max_steps=3", "log_every_steps=1"]
    words += ["validate_every_epochs=0", f"mlflow.tracking_uri=sqlite:///{tmp_path}/mlflow.db"]
    done = subprocess.run(
        ["bash", REPOSITORY / "scripts" / "quickstart.sh", *words],
        cwd=tmp_path,
        env=os.environ | {"FAIRMOT_VENV": str(environment), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"training samples: {run_dir}/pictures/training_samples.jpg" in done.stderr
    assert "\ncompiling  " in done.stdout
    assert f"curves      {run_dir}/losses.png" in done.stdout
    assert "mlflow ui --backend-store-uri sqlite:///" in done.stdout
    assert "step 3/3  loss " in done.stderr
    assert "\r" not in done.stdout + done.stderr, "a progress bar in what may be a log file"
    assert (run_dir / "tracked" / "synthetic-val-01.mp4").stat().st_size > 10_000
