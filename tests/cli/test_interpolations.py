import pytest
from omegaconf import OmegaConf

from fairmot.cli.command import run_command
from fairmot.cli.interpolations import check_interpolations
from fairmot.errors import ConfigError
from train.config import TrainConfig


def chain(links: int, each: str) -> dict[str, object]:
    return {"leaf": "x", **{f"link{n}": each.replace("*", f"link{n - 1}" if n else "leaf") for n in range(links)}}


@pytest.mark.parametrize(
    "values",
    [
        chain(30, "${*}${*}"),
        {"group": chain(30, "${.*}${.*}")},
        {"group": chain(30, "${group.*} ${group.*}")},
        {"leaf": ["x"], **chain(30, "${oc.decode:${*}} ${*}")},
        {"leaf": "x" * 100_000, "all": ["${leaf}"] * 9, **chain(12, "${leaf}${leaf}${leaf}${*}${*}")},
        {
            "which": "link20",
            "a": "${g.${which}}",
            "g": {
                "end": "x",
                **{f"link{n}": f"${{g.link{n - 1}}} ${{g.link{n - 1}}}" for n in range(1, 21)},
                "link0": "",
            },
        },
    ],
)
def test_a_chain_that_grows_without_end_is_refused(values):
    with pytest.raises(ConfigError, match="its interpolations stand for"):
        check_interpolations(OmegaConf.create(values))


@pytest.mark.parametrize("values", [{"a": "${a}"}, {"a": "${b}", "b": "x${a}"}, {"g": {"a": "${g}"}}])
def test_a_value_that_refers_to_itself_is_refused(values):
    with pytest.raises(ConfigError, match="refers to itself"):
        check_interpolations(OmegaConf.create(values))


def test_what_people_write_is_taken():
    lists = [f"${{data.root}}/mot17/MOT17-{n:02d}" for n in range(200)]
    values = {
        "data": {"root": "${oc.env:HOME}/data", "train": lists, "again": "${.train}", "up": "${..seed}"},
        "seed": 1,
    }
    check_interpolations(OmegaConf.create(values))
    check_interpolations(OmegaConf.create({"command": r"\${data.root}"}))


def test_the_command_refuses_it_before_anything_is_worked_out(monkeypatch, capsys):
    links = [f"+data.train.l{n}=${{data.train.l{n - 1}}} ${{data.train.l{n - 1}}}" for n in range(1, 31)]
    monkeypatch.setattr("sys.argv", ["train", "+data.train.l0=x", *links])
    with pytest.raises(SystemExit) as left:
        run_command(pytest.fail, TrainConfig, "train")
    assert left.value.code == ConfigError.exit_code
    assert "data.train.l13: its interpolations stand for" in capsys.readouterr().err
