"""What is checked on the configured step: each check passes on a right one and fails on a broken one."""

from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from tiny import tiny_batch, tiny_parts

from fairmot.data.identities import IdentityTable
from fairmot.errors import FairMOTError
from fairmot.model.config import ModelConfig
from train.distributed import ALONE, World
from train.selfcheck import exchange, stepping
from train.selfcheck.check import Trained, Verdict
from train.state import TrainState
from train.step import TrainOneStep
from train.step_config import LossScaleConfig


@pytest.fixture(autouse=True)
def graph_mode():
    """As every command runs; outside of it a step that was compiled does not see what is set afterwards."""
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE)
    yield
    ms.set_context(mode=mode)


def trained(kind=Trained, is_flat=False, **scale):
    network, loss, optimizer, loss_scale = tiny_parts(scale=LossScaleConfig(**scale), flat=is_flat)
    table = IdentityTable(["one"], [8])
    state = TrainState(network, loss, optimizer, loss_scale, table, ModelConfig(), [64, 96], 1, seed=7)
    batch = [column.asnumpy() for column in tiny_batch(0)]
    return kind(state, TrainOneStep(network, loss, optimizer, loss_scale), batch, 1e-2)


def session(step, world=ALONE, planned=None, on_ascend=False, deterministic=True):
    options = SimpleNamespace(timed_steps=2, report="report.json")
    config = SimpleNamespace(selfcheck=options, runtime=SimpleNamespace(deterministic=deterministic))
    return SimpleNamespace(trained=step, world=world, planned=planned, on_ascend=on_ascend, config=config)


class Drifting(Trained):
    """Every step adds a little more."""

    steps = 0

    def make_step(self, batch=None):
        scalars = super().make_step(batch)
        Drifting.steps += 1
        weight = self.step.optimizer.weights[0]
        ops.assign_add(weight, Tensor(np.full(weight.shape, 1e-6 * Drifting.steps, np.float32)))
        return scalars


class Idle(Trained):
    """Every step changes nothing."""

    def make_step(self, batch=None):
        before = self.tensors()
        scalars = super().make_step(batch)
        self.set_tensors(before)
        return scalars


class Blind(Trained):
    """Its steps never see an overflow."""

    def make_step(self, batch=None):
        return super().make_step(batch) | {"overflow": 0.0}


@pytest.mark.slow
def test_a_step_that_does_not_repeat_itself_fails():
    assert stepping.measure_repeat(session(trained())).verdict is Verdict.passed
    found = stepping.measure_repeat(session(trained(Drifting)))
    assert (found.verdict, found.value) == (Verdict.failed, 1.0)
    assert "hm.weight first" in found.detail
    unpromised = stepping.measure_repeat(session(trained(Drifting), on_ascend=True, deterministic=False))
    assert unpromised.verdict is Verdict.measured
    with pytest.raises(ValueError, match="changed nothing"):
        stepping.measure_repeat(session(trained(Idle)))


@pytest.mark.parametrize("is_flat", [False, True], ids=["as on CPUs", "as on Ascend"])
def test_tensors_come_back_as_they_were_and_go_on_from_there(is_flat):
    """Also the optimiser's counters, which a graph would go on counting by itself."""
    step = trained(is_flat=is_flat)
    step.make_step()
    before = step.tensors()
    step.make_step()
    once = step.tensors()
    step.set_tensors(before)
    step.make_step()
    twice = step.tensors()
    assert int(before["optimizer/global_step"][0]) == 1
    for name, array in once.items():
        np.testing.assert_array_equal(twice[name], array, err_msg=name)


@pytest.mark.parametrize("dynamic", [True, False])
def test_an_overflow_that_is_skipped_passes(dynamic):
    step = trained(dynamic=dynamic)
    before = step.tensors()
    found = stepping.measure_overflow(session(step))
    assert found.verdict is Verdict.passed, found.detail
    for name, array in step.tensors().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Blind, "the overflow was not seen"), (Drifting, "1 tensors changed, such as network/hm.weight")],
)
def test_an_overflow_that_is_not_skipped_fails(kind, message):
    found = stepping.measure_overflow(session(trained(kind)))
    assert found.verdict is Verdict.failed
    assert found.detail == message


@pytest.mark.slow
def test_an_overflow_on_the_last_rank_alone_is_tried_where_there_are_ranks():
    """Here the last rank's step is alone with its batch, whose infinite box sizes it must see by itself."""
    found = stepping.measure_overflow(session(trained(), World(rank=1, size=2)))
    assert found.verdict is Verdict.passed, found.detail
    found = stepping.measure_overflow(session(trained(), World(rank=0, size=2)))
    assert found.verdict is Verdict.failed
    assert "when rank 1 alone overflows: the overflow was not seen" in found.detail


class FakeRanks(World):
    """Two ranks of which one exists.

    Args:
        fault: what comparing says.
        factor: of the means that it gives.
    """

    def __init__(self, fault=None, factor=1.0):
        super().__init__(rank=0, size=2)
        object.__setattr__(self, "fault", fault)
        object.__setattr__(self, "factor", factor)

    def check_identical(self, parameters, moment):
        if self.fault:
            raise FairMOTError(self.fault)

    def vector_reducer(self):
        return Scaled(1.5 * self.factor)


class Scaled(nn.Cell):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def construct(self, vector):
        return vector * self.factor


@pytest.mark.slow
def test_ranks_that_differ_fail():
    assert stepping.measure_ranks(session(trained())).verdict is Verdict.skipped
    assert stepping.measure_ranks(session(trained(), FakeRanks())).verdict is Verdict.passed
    found = stepping.measure_ranks(session(trained(), FakeRanks("ranks [1] do not hold")))
    assert found.verdict is Verdict.failed
    assert found.detail == "ranks [1] do not hold"
    with pytest.raises(ValueError, match="changed nothing"):
        stepping.measure_ranks(session(trained(Idle), FakeRanks()))


@pytest.mark.slow
def test_wrong_means_over_ranks_fail(monkeypatch):
    monkeypatch.setattr(exchange, "SIZES_KB", (4, 64 * 1024))
    assert exchange.measure_all_reduce(session(trained())).verdict is Verdict.skipped
    found = exchange.measure_all_reduce(session(trained(), FakeRanks()))
    assert found.verdict is Verdict.passed
    assert {"4 KB GB/s", "64 MB ms", "gradients GB/s"} <= found.values.keys()
    assert found.values["64 MB bus GB/s"] == pytest.approx(found.values["64 MB GB/s"])
    assert exchange.measure_all_reduce(session(trained(), FakeRanks(factor=1.01))).verdict is Verdict.failed
    assert exchange.measure_all_reduce(session(trained(), FakeRanks(factor=np.nan))).verdict is Verdict.failed


def plan(step, **changes):
    state = step.state
    parameters = [*state.parameters("network").values(), *state.parameters("loss").values()]
    ours = sum(parameter.itemsize * parameter.size for parameter in parameters)
    whole = {"ranks": 1, "parameter_bytes": ours, "kernels_per_step": {"total": 100_000}, "peak_gb_with_fragments": 2.0}
    return whole | changes


def test_time_is_judged_by_kernel_where_they_were_counted():
    step = trained()
    found = stepping.measure_step_time(session(step))
    assert (found.verdict, found.unit) == (Verdict.measured, "ms")
    assert found.value > 0
    fast = stepping.measure_step_time(session(step, planned=plan(step), on_ascend=True))
    assert (fast.verdict, fast.unit) == (Verdict.passed, "us a kernel")
    assert fast.value == pytest.approx(fast.values["step_ms"] * 1e3 / 100_000)
    slow = stepping.measure_step_time(session(step, planned=plan(step, kernels_per_step={"total": 1}), on_ascend=True))
    assert slow.verdict is Verdict.failed
    for other in ({"parameter_bytes": 5}, {"ranks": 8}):
        with pytest.raises(ValueError, match="report.json: it is of .* give both commands the same keys"):
            stepping.measure_step_time(session(step, planned=plan(step, **other)))


def test_memory_is_judged_by_the_plan(monkeypatch):
    step = trained()
    assert stepping.measure_memory(session(step)).verdict is Verdict.skipped
    monkeypatch.setattr(ms.runtime, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(ms.runtime, "max_memory_reserved", lambda: 4 * 2**30)
    for peak_gb, verdict in ((2.1, Verdict.passed), (2.3, Verdict.failed)):
        monkeypatch.setattr(ms.runtime, "max_memory_allocated", lambda gb=peak_gb: gb * 2**30)
        assert stepping.measure_memory(session(step, planned=plan(step), on_ascend=True)).verdict is verdict
    assert stepping.measure_memory(session(step, on_ascend=True)).verdict is Verdict.measured
    unknown = plan(step, peak_gb_with_fragments=None)
    assert stepping.measure_memory(session(step, planned=unknown, on_ascend=True)).verdict is Verdict.measured
