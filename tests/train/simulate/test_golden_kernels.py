"""Every recipe compiles for Ascend, and to the kernels of the golden table.

    FAIRMOT_EVERY_GOLDEN=1 pytest tests/train/simulate/test_golden_kernels.py -m "" --renew-golden

writes the table anew after a change that is meant; its difference belongs into the change. The networks are narrow and
the pictures small: neither changes what there is to compile. Without FAIRMOT_EVERY_GOLDEN=1 those that differ most are
compiled: of the whole table, HRNet's 931 parameters alone take as long as all others together.
"""

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ascend_process import needs_tools
from dry_run_table import EXPERIMENTS, graph_of
from golden_kernels import differences, write_golden

from fairmot.cli.command import CONF_DIR, compose
from fairmot.model.config import ModelConfig
from fairmot.model.network import build_network
from train.config import TrainConfig
from train.simulate.run import simulated

GOLDEN = Path(__file__).with_name("golden")
NARROW = [
    *("data.root=nowhere", "data.input_size=[64,96]", "batch_size_per_rank=1", "simulate.time_limit_s=1500"),
    *("model.width=0.25", "model.head_conv=16", "model.reid_dim=16"),
]
DETECTOR = ["validate_every_epochs=1", "data.validation=[anywhere]"]
CASES = {
    # 1 to 12: between them every experiment's graph, and every pair of executor, precision, rank and batch norm.
    "quickstart": ("quickstart", "910b 0/1 O0 fp32 rank"),
    "hrnet18": ("mix_mot17_half_hrnet18", "910b 7/8 O0 fp32 rank"),
    "quickstart_sync": ("quickstart", "910b 7/8 O0 bf16 sync"),
    "quickstart_a3": ("quickstart", "a3 300/512 O1 fp16 sync"),
    "quickstart_910a": ("quickstart", "910a 0/8 O0 fp16 rank"),
    "tud": ("tud", "910b4 0/1 O1 bf16 rank", *DETECTOR),
    "mot20_finetune": ("mot20_finetune", "910b 0/8 O0 fp32 rank", *DETECTOR),
    "large_batch": ("mix_large_batch_8npu", "910b 0/8 O0 fp16 sync"),
    "crowdhuman_dla34": ("crowdhuman_dla34", "910b 511/512 O0 bf16 rank"),
    "res34": ("mix_mot17_half_res34", "910b 0/1 O0 fp16 rank"),
    "res34fpn": ("mix_mot17_half_res34fpn", "910b 0/8 O1 bf16 rank"),
    "res50": ("mix_mot17_half_res50", "a3 16/512 O1 fp32 sync"),
    "yolov5s": ("all_yolov5s", "910b 7/8 O1 fp16 rank", *DETECTOR),
}
"""Name -> experiment; chip, rank / ranks, jit level, precision and batch norm; further words."""

ON_DEMAND = pytest.mark.skipif(
    not os.environ.get("FAIRMOT_EVERY_GOLDEN"),
    reason="much like another case; FAIRMOT_EVERY_GOLDEN=1 compiles it",
)
ALWAYS = {"quickstart_sync", "mot20_finetune", "large_batch", "res34fpn", "yolov5s"}
MARKS = {case: [pytest.mark.slow] if case in ALWAYS else [pytest.mark.slow, ON_DEMAND] for case in CASES}
MARKS["quickstart"] = []


def words_of(case: str) -> list[str]:
    experiment, axes, *further = CASES[case]
    chip, place, level, precision, batch_norm = axes.split()
    rank, ranks = place.split("/")
    return [
        *(f"experiment={experiment}", *NARROW, "validate_every_epochs=0", *further, f"simulate.chip={chip}"),
        *(f"simulate.ranks={ranks}", f"simulate.rank={rank}", f"runtime.jit_level={level}"),
        *(f"runtime.precision={precision}", f"batch_norm={batch_norm}"),
    ]


@pytest.fixture(scope="module")
def compiling(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """The reports of all chosen cases; two at a time are compiled, on two cores in two thirds of the time."""
    items = [item for item in request.session.items if "compiling" in item.fixturenames]
    chosen = [
        item.callspec.params["case"] for item in items if not any(mark.args[0] for mark in item.iter_markers("skipif"))
    ]
    pool = ThreadPoolExecutor(2)
    try:
        yield {case: pool.submit(simulated, compose(words_of(case), TrainConfig, "train")) for case in chosen}
    finally:
        pool.shutdown(cancel_futures=True)


@needs_tools
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", [pytest.param(case, marks=MARKS[case]) for case in CASES])
def test_it_compiles_to_the_kernels_of_the_golden_table(case, compiling, pytestconfig):
    report = compiling[case].result()
    path = GOLDEN / f"{case}.json"
    if pytestconfig.getoption("renew_golden"):
        write_golden(path, report)
    assert differences(path, report) == []
    assert report["kernels_per_step"]["host"] == report["kernels_per_step"]["other"] == 0
    assert (report["collectives_per_step"] > 0) == (report["ranks"] > 1)


@pytest.mark.slow
def test_every_experiment_is_compiled():
    """Those that differ in data, rate or start alone make the same graph."""
    compiled = {graph_of(compose([f"experiment={case[0]}"], TrainConfig, "train")) for case in CASES.values()}
    for experiment in EXPERIMENTS:
        assert graph_of(compose([f"experiment={experiment}"], TrainConfig, "train")) in compiled, experiment


def test_every_pair_of_settings_is_compiled():
    axes = {
        "place": ["one", "first", "last", "many"],
        "level": ["O0", "O1"],
        "precision": ["fp32", "fp16", "bf16"],
        "batch_norm": ["rank", "sync"],
    }
    tried = []
    for _, settings, *_ in CASES.values():
        _, place, *rest = settings.split()
        rank, ranks = map(int, place.split("/"))
        kind = {1: "one", 512: "many", 8: "last" if rank else "first"}[ranks]
        tried.append(dict(zip(axes, [kind, *rest], strict=True)))
    for one, other in itertools.combinations(axes, 2):
        pairs = set(itertools.product(axes[one], axes[other]))
        if "batch_norm" in (one, other) and "place" in (one, other):
            continue  # one rank has nobody to synchronise with
        assert pairs == {(made[one], made[other]) for made in tried}
    assert {settings.split()[0] for _, settings, *_ in CASES.values()} == {"910a", "910b", "910b4", "a3"}


@pytest.mark.slow
def test_every_backbone_is_compiled():
    tried = {compose(words_of(case), TrainConfig, "train").model.name for case in CASES}
    assert tried == {path.stem for path in (CONF_DIR / "model").glob("*.yaml")} - {"hrnet_32", "dlaconv_34_narrow"}
    shapes = []
    for name in ("hrnet_18", "hrnet_32"):  # the same layers, of other widths
        network = build_network(ModelConfig(name=name, head_conv=8, reid_dim=8), seed=0)
        shapes.append([(parameter.name, len(parameter.shape)) for parameter in network.get_parameters()])
    assert shapes[0] == shapes[1]


def row(name: str, kind: str, kernels: int, line: str = "fairmot/model/dla.py:24") -> dict[str, Any]:
    return {"name": name, "kind": kind, "kernels": kernels, "lines": {line: kernels}}


BEFORE = {
    "kernels_by_name": [row("Conv2D", "aclop", 60), row("Mul", "aclnn", 200), row("AllReduce", "hccl", 4)],
    "detector_kernels_by_name": [row("ReLU", "aclnn", 50)],
    "synchronisations_per_step": 1,
}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (
            "kernels_by_name",
            [*BEFORE["kernels_by_name"], row("TopK", "host", 1, "fairmot/model/decode.py:30")],
            ["step: TopK: 1 kernels are host, 0 were; they come from fairmot/model/decode.py:30 (1)"],
        ),
        (
            "detector_kernels_by_name",
            [row("ReLU", "aclop", 50)],
            [
                "detector: ReLU: 50 kernels are aclop, 0 were; they come from fairmot/model/dla.py:24 (50)",
                "detector: 0 aclnn kernels instead of 50: ReLU -50",
                "detector: 50 aclop kernels instead of 0: ReLU +50",
            ],
        ),
        (
            "kernels_by_name",
            [row("Conv2D", "aclop", 61), *BEFORE["kernels_by_name"][1:]],
            ["step: Conv2D: 61 kernels are aclop, 60 were; they come from fairmot/model/dla.py:24 (61)"],
        ),
        (
            "kernels_by_name",
            [
                BEFORE["kernels_by_name"][0],
                row("Mul", "aclnn", 100),
                row("Add", "aclnn", 93),
                row("AllReduce", "hccl", 5),
            ],
            [
                "step: 193 aclnn kernels instead of 200: Mul -100, Add +93",
                "step: 5 hccl kernels instead of 4: AllReduce +1",
            ],
        ),
        ("kernels_by_name", [BEFORE["kernels_by_name"][0], row("Mul", "aclnn", 195), row("AllReduce", "hccl", 4)], []),
        ("synchronisations_per_step", 2, ["step: the host waits for the device 2 times instead of 1"]),
        ("detector_kernels_by_name", None, ["graphs ['step'] instead of ['detector', 'step']"]),
    ],
    ids=[
        "a kernel on the host",
        "the old path",
        "one more",
        "other numbers",
        "a few less",
        "one wait more",
        "no detector",
    ],
)
def test_what_differs_from_the_golden_table_is_told(tmp_path, key, value, told):
    path = tmp_path / "golden" / "case.json"
    write_golden(path, BEFORE)
    assert differences(path, BEFORE) == []
    assert differences(path, BEFORE | {key: value}) == told


def test_a_missing_golden_file_fails(tmp_path):
    assert differences(tmp_path / "case.json", BEFORE) == ["case.json is missing: renew the golden table"]


def test_no_file_is_left_of_a_case_that_is_gone():
    assert {path.stem for path in GOLDEN.glob("*.json")} <= set(CASES)
