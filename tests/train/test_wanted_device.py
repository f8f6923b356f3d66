"""device=auto in a training: what is refused, what the launcher and the pre-flight say, what is stored."""

import re
import sys

import pytest
from mindspore.device_context import ascend
from one_convolution import one_convolution  # noqa: F401  (a fixture)
from small_run import compose_config, overrides, write_pictures

from fairmot import device as device_module
from fairmot.device import Device
from fairmot.errors import ConfigError
from fairmot.weights.checkpoint import read_checkpoint
from train.command import train
from train.launch import __main__ as launcher
from train.preflight.checks import CHECKS
from train.preflight.context import Context
from train.preflight.finding import Status

NEEDS_AN_NPU = {"batch_norm=sync": "choose rank or frozen", "runtime.precision=bf16": "choose fp32 or fp16"}
without_cann = pytest.mark.skipif(ascend.is_available(), reason="CANN is installed here")


@pytest.fixture(autouse=True)
def devices(tmp_path, monkeypatch):
    """An empty /dev."""
    folder = tmp_path / "dev"
    folder.mkdir()
    monkeypatch.setattr(device_module, "DEVICES", folder)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pictures(root)
    return root


def launched(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["launch", *words])
    code = launcher.main()
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(("setting", "way_out"), NEEDS_AN_NPU.items())
def test_what_a_cpu_cannot_do_is_checked_against_the_device_that_is_found(setting, way_out, devices):
    found = re.escape(f"{setting}: device=cpu (device=auto: no NPU here: no {devices}/davinci0) has no ")
    with pytest.raises(ConfigError, match=f"{found}.*; {way_out}"):
        compose_config([setting])
    with pytest.raises(ConfigError, match=f"{setting}: device=cpu has no"):
        compose_config([setting, "device=cpu"])
    assert compose_config([setting, "device=ascend"]).device is Device.ascend


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize("setting", NEEDS_AN_NPU)
def test_a_dry_run_is_for_an_npu_whatever_the_device(setting, device):
    config = compose_config([setting, f"device={device}", "simulate.chip=910b"])
    assert config.device is Device[device]


def test_the_launcher_decides_by_the_same_rule_and_says_so(monkeypatch, capsys, tmp_path, devices):
    words = ["2", "--dry-run", f"run_dir={tmp_path}/run"]
    code, shown, said = launched(monkeypatch, capsys, *words)
    assert (code, said) == (0, f"device=auto: cpu (no NPU here: no {devices}/davinci0)\n")
    assert shown.startswith("2 rank(s) on 1 host(s), device=cpu, through msrun")


@without_cann
def test_npus_without_cann_start_nothing(monkeypatch, capsys, root, tmp_path, devices):
    (devices / "davinci0").touch()
    run_dir = tmp_path / "run"
    code, _, said = launched(monkeypatch, capsys, "2", f"run_dir={run_dir}")
    assert code == ConfigError.exit_code
    assert "MindSpore cannot load CANN" in said
    with pytest.raises(ConfigError, match="MindSpore cannot load CANN"):
        train(compose_config(overrides(root, run_dir)))
    assert not run_dir.exists()


@without_cann
def test_the_preflight_names_what_is_found(root, tmp_path, devices):
    job = Context(compose_config(overrides(root, tmp_path / "run")), 1, None)
    assert "device=cpu (auto: no NPU here" in CHECKS["configuration"](job).detail
    assert {CHECKS[name](job).status for name in ("CANN, driver", "NPUs")} == {Status.skipped}
    (devices / "davinci0").touch()
    assert "no CANN found" in CHECKS["CANN, driver"](job).detail
    with pytest.raises(ConfigError, match="cannot load CANN"):  # a failed row, see run_preflight
        CHECKS["configuration"](job)


@pytest.mark.slow
def test_auto_is_stored_as_asked_and_another_device_may_continue(root, tmp_path, capsys, devices):
    run_dir = tmp_path / "run"
    words = overrides(root, run_dir, max_steps=2)
    train(compose_config(words))
    assert f"cpu, 1 rank(s) (device=auto: no NPU here: no {devices}/davinci0)" in capsys.readouterr().out
    assert "device: auto\n" in (run_dir / "config.yaml").read_text()
    assert "device: auto\n" in (read_checkpoint(run_dir).path / "config.yaml").read_text()
    train(compose_config([*words, "max_steps=3", "device=cpu"]))
    assert read_checkpoint(run_dir).path.name == "step_00000003"
