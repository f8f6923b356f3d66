"""The script that makes the table of all recipes, without compiling."""

import dry_run_table
import pytest
from dry_run_table import EXPERIMENTS, FITS_HEAD, HEAD, graph_of, main, rows_of

from fairmot.cli.command import compose
from fairmot.errors import FairMOTError
from train.config import TrainConfig


def report(config) -> dict:
    """What a dry run would say."""
    if config.model.name == "yolov5s":
        raise FairMOTError("simulate: does not compile:\n  MaxPool")
    is_o1 = config.runtime.jit_level.value == "O1"
    return {
        "kernels_per_step": {"total": 800 if is_o1 else 1000},
        "collectives_per_step": config.simulate.ranks,
        **{"peak_gb": 20.0, "peak_gb_with_fragments": 31.0 if is_o1 else 21.0},
        "fits": {"32": not is_o1, "64": True},
    }


@pytest.mark.slow
def test_experiments_of_one_graph_and_size_share_a_row():
    rows = rows_of(EXPERIMENTS, [])
    assert sorted(name for same in rows.values() for name in same) == EXPERIMENTS
    assert {"mix_dla34", "mix_ft_ch_dla34", "mot20_finetune"} <= set(rows["mix_dla34"])
    for alone in ("quickstart", "tud", "crowdhuman_dla34", "mix_mot17_half_res34", "mix_mot17_half_hrnet18"):
        assert rows[alone] == [alone]


def test_what_shapes_the_graph_makes_a_row_of_its_own():
    same = rows_of(["mot17_dla34", "mot20_finetune"], [])
    assert list(same) == ["mot17_dla34"]
    plain = graph_of(compose(["experiment=mot17_dla34"], TrainConfig, "train"))
    for word in ("optim.ema_decay=0.99", "loss.normalizers=world", "runtime.precision=fp16", "batch_norm=frozen"):
        assert graph_of(compose(["experiment=mot17_dla34", word], TrainConfig, "train")) != plain, word


def test_the_table_has_a_row_a_graph_and_says_what_fails(monkeypatch, capsys):
    monkeypatch.setattr(dry_run_table, "simulated", report)
    words = ["dry_run_table.py", "tud", "mot17_dla34", "mot20_finetune", "all_yolov5s", "--ranks", "16", "--chip", "a3"]
    monkeypatch.setattr("sys.argv", words)
    main()
    assert (
        capsys.readouterr().out
        == HEAD
        + """
| tud | 4 x 256x320 | 1000 | 800 | 16 | 20.0, 21.0 | 20.0, 31.0 | no | yes |
| mot17_dla34, mot20_finetune | 12 x 608x1088 | 1000 | 800 | 16 | 20.0, 21.0 | 20.0, 31.0 | no | yes |
| all_yolov5s | 16 x 608x1088 | O0: simulate: does not compile: MaxPool |
"""
    )


def test_the_largest_batch_lies_on_the_line_of_two_plans(monkeypatch, capsys):
    """A picture takes 1.5 GB in fp32 and half of that in fp16, beside 2 GB: 0.9 of 32 GB hold 17 and 35 of them."""

    def planned(config):
        a_picture = 0.75 if config.runtime.precision.value == "fp16" else 1.5
        return {"peak_gb_with_fragments": 2 + a_picture * config.batch_size_per_rank}

    monkeypatch.setattr(dry_run_table, "simulated", planned)
    monkeypatch.setattr("sys.argv", ["dry_run_table.py", "--fits", "tud", "quickstart"])
    main()
    line = "2.0 + 1.50 | 17 | 37 | 2.0 + 0.75 | 35 | 74"
    quickstart = compose(["experiment=quickstart"], TrainConfig, "train").data.input_size
    size = "x".join(map(str, quickstart))
    assert capsys.readouterr().out == f"{FITS_HEAD}\n| tud | 256x320 | {line} |\n| quickstart | {size} | {line} |\n"


def test_unknown_experiments_and_ranks_are_refused_before_anything_is_compiled(monkeypatch, capsys):
    monkeypatch.setattr(dry_run_table, "simulated", None)
    for words, message in ((["mot21"], "mot21"), (["tud", "--ranks", "12"], "hosts with 910b have 8 NPUs")):
        monkeypatch.setattr("sys.argv", ["dry_run_table.py", *words])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2
        assert message in capsys.readouterr().err
