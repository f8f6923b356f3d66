"""Comparing with stored values: right ones pass, one wrong value fails."""

from types import SimpleNamespace

import numpy as np
import pytest
from mindspore import Tensor

from fairmot.cli.command import compose
from fairmot.model.heads import HEADS
from train.distributed import ALONE
from train.selfcheck import parity
from train.selfcheck.check import Session, Verdict, largest_difference
from train.selfcheck.config import SelfcheckConfig
from train.selfcheck.expected import Tolerance, load
from train.step import SCALARS
from train.step_config import Precision


@pytest.fixture(scope="module")
def session():
    return Session(compose(["device=cpu"], SelfcheckConfig, "selfcheck"), ALONE)


@pytest.fixture
def spoil(monkeypatch):
    """Change a stored array before the check reads it."""

    def change(name, by):
        def spoilt(file):
            arrays = load(file)
            arrays[name] = by(arrays[name].copy())
            return arrays

        monkeypatch.setattr(parity, "load", spoilt)

    return change


def second_swapped(array):
    array.flat[[0, 1]] = array.flat[[1, 0]]
    return array


def nudged(array):
    array.flat[0] += 0.01 * np.abs(array).max()
    return array


@pytest.mark.parametrize(
    ("measure", "name", "by"),
    [
        (parity.measure_layer, "grad_offset_mask_weight", nudged),
        (parity.measure_losses, "exp_off_loss", lambda loss: loss * 1.001),
        (parity.measure_losses, "exp_grad_id", nudged),
        (parity.measure_decode, "exp_inds", second_swapped),
    ],
)
@pytest.mark.slow
def test_the_device_agrees_with_the_original_and_would_not_with_another(session, spoil, measure, name, by):
    right = measure(session)
    assert right.verdict is Verdict.passed, right
    spoil(name, by)
    wrong = measure(session)
    assert wrong.verdict is Verdict.failed, wrong


class FromFile:
    """In the place of a network: what it would return, at every second cell, from the stored values themselves."""

    def __init__(self, expected, change=None):
        self.expected = expected | ({change: nudged(expected[change].copy())} if change else {})
        self.mode = "eval"

    def set_train(self, mode):
        self.mode = "train" if mode else "eval"

    def __call__(self, _):
        return [Tensor(self.expected[f"{self.mode}_{head}"].repeat(2, 2).repeat(2, 3)) for head in HEADS]

    def state(self):
        kinds = {".running_mean": ".moving_mean", ".running_var": ".moving_variance"}
        found = {}
        for key, array in self.expected.items():
            if key.startswith("after_train_"):
                stem, kind = key.removeprefix("after_train_").rsplit(".", 1)
                found[stem + kinds[f".{kind}"]] = Tensor(array)
        return found


@pytest.mark.parametrize("measure", [parity.measure_plain_network, parity.measure_deformable_network])
@pytest.mark.parametrize("change", [None, "eval_reg", "train_hm", "after_train_base.base_layer.1.running_var"])
def test_a_network_is_compared_in_both_modes_with_its_buffers(session, monkeypatch, measure, change):
    file = "plain_network" if measure is parity.measure_plain_network else "deformable_network"
    network = FromFile(load(file), change)
    monkeypatch.setattr(parity, "_parity_state", lambda *_: SimpleNamespace(network=network))
    found = measure(session)
    assert found.verdict is (Verdict.failed if change else Verdict.passed)
    assert not change or found.detail.startswith(change)


@pytest.mark.parametrize(
    ("step", "name", "factor", "verdict"),
    [
        (0, "loss", 1.0, Verdict.passed),
        (0, "off_loss", 1.001, Verdict.failed),
        (1, "hm_loss", 1.02, Verdict.failed),
        (4, "id_loss", 1.02, Verdict.passed),
        (4, "id_loss", 1.04, Verdict.failed),
        (4, "id_loss", np.nan, Verdict.failed),
    ],
)
def test_losses_of_five_steps_may_differ_more_from_step_to_step(session, monkeypatch, step, name, factor, verdict):
    fixture = load("five_steps")
    calls = []

    def stepped(*_):
        values = {key: fixture[f"exp_{key}"][len(calls)] for key in SCALARS if f"exp_{key}" in fixture}
        if len(calls) == step:
            values[name] *= factor
        calls.append(1)
        return Tensor(np.array([values.get(key, 0) for key in SCALARS], np.float32))

    stepped.set_train = lambda: None
    monkeypatch.setattr(parity, "_parity_state", lambda *_: None)
    monkeypatch.setattr(parity, "build_step", lambda *_: stepped)
    assert parity.measure_five_steps(session).verdict is verdict
    assert len(calls) == 5


def test_differences_are_shares_of_each_arrays_largest_value():
    expected = {"a": np.array([1.0, -200.0]), "b": np.array([0.5])}
    worst, name, found = largest_difference({"a": np.array([2.0, -200.0]), "b": np.array([0.5])}, expected)
    assert (worst, name, found) == (0.005, "a", {"a": 0.005, "b": 0.0})
    assert largest_difference({"a": np.array([np.nan, 0]), "b": np.array([0.5])}, expected)[0] == np.inf
    with pytest.raises(ValueError, match=r"b: missing, expected \(1,\)"):
        largest_difference({"a": np.array([1.0, -200.0])}, expected)


def test_tolerances_follow_device_and_precision():
    tolerance = Tolerance(cpu=1e-5, fp16=1e-2)

    def having(on_ascend, precision="fp32", allow_hf32=False):
        runtime = SimpleNamespace(precision=Precision[precision], allow_hf32=allow_hf32)
        return SimpleNamespace(on_ascend=on_ascend, config=SimpleNamespace(runtime=runtime))

    def of(*arguments, **options):
        return tolerance.of(having(*arguments, **options))

    assert of(False) == of(False, allow_hf32=True) == 1e-5
    assert of(True) == 1e-3
    assert of(True, allow_hf32=True) == of(False, "fp16") == 1e-2
    assert of(True, "bf16") == 8e-2
    assert tolerance.in_fp32(having(True, "bf16")) == 1e-3
