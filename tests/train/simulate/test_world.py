"""Which device a process takes, and which rank of how many it is, by what its starter put into the environment."""

import mindspore as ms
import pytest

from fairmot import device as device_module
from fairmot.device import Device, use_device
from fairmot.errors import ConfigError
from train import distributed
from train.distributed import World, connect

STARTED_BY = {
    "rank table": {"RANK_TABLE_FILE": "table.json", "RANK_ID": "11", "RANK_SIZE": "16", "DEVICE_ID": "3"},
    "msrun": {"MS_ROLE": "MS_WORKER", "RANK_ID": "11", "DEVICE_ID": "3"},
    "dry run": {"MS_SIMULATION_LEVEL": "1", "RANK_SIZE": "16", "RANK_ID": "11", "DEVICE_ID": "3"},
}


@pytest.fixture
def chosen(monkeypatch) -> list[tuple]:
    """What `set_device` was given; no launcher has started this process, and no settings reach the executor."""
    given: list[tuple] = []
    for name in {name for variables in STARTED_BY.values() for name in variables}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ms, "set_context", lambda **settings: None)
    monkeypatch.setattr(ms, "get_context", lambda name: "another")
    monkeypatch.setattr(ms, "set_device", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(device_module, "_set_executor", lambda *settings: None)
    return given


@pytest.mark.parametrize("target", ["CPU", "Ascend"])  # what MindSpore starts with, without CANN and with it
@pytest.mark.parametrize("starter", STARTED_BY)
def test_a_rank_takes_the_npu_that_its_starter_names(starter, target, chosen, monkeypatch):
    monkeypatch.setattr(ms, "get_context", lambda name: target)
    for name, value in STARTED_BY[starter].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "init", lambda backend: None)
    monkeypatch.setattr(distributed, "get_rank", lambda: 11)
    monkeypatch.setattr(distributed, "get_group_size", lambda: 16)
    monkeypatch.setattr(distributed.ms, "set_auto_parallel_context", lambda **settings: None)
    assert connect(Device.ascend) == World(11, 16)
    assert chosen == [("Ascend", 3)]


def test_ranks_that_choose_their_device_themselves_meet_through_hccl(chosen, monkeypatch):
    """device=auto on an NPU: MindSpore's collectives for CPUs would be the wrong ones."""
    for name, value in STARTED_BY["dry run"].items():
        monkeypatch.setenv(name, value)
    backends = []
    monkeypatch.setattr(distributed, "init", backends.append)
    monkeypatch.setattr(distributed, "get_rank", lambda: 11)
    monkeypatch.setattr(distributed, "get_group_size", lambda: 16)
    monkeypatch.setattr(distributed.ms, "set_auto_parallel_context", lambda **settings: None)
    assert connect(Device.auto) == World(11, 16)
    assert (backends, chosen) == (["hccl"], [("Ascend", 3)])


def test_alone_it_takes_the_first_npu(chosen):
    assert connect(Device.ascend) == World()
    assert chosen == [("Ascend", 0)]


def test_a_cpu_has_no_number(chosen, monkeypatch):
    monkeypatch.setenv("DEVICE_ID", "3")
    use_device(Device.cpu)
    assert chosen == [("CPU",)]


def test_a_device_that_is_no_number_is_refused(chosen, monkeypatch):
    monkeypatch.setenv("DEVICE_ID", "three")
    with pytest.raises(ConfigError, match="device=ascend cannot be used: .*three"):
        use_device(Device.ascend)


@pytest.mark.parametrize(
    "variables", [{"RANK_SIZE": "8"}, {"MS_SIMULATION_LEVEL": "1"}, {"MS_SIMULATION_LEVEL": "1", "RANK_SIZE": "1"}]
)
def test_a_size_alone_makes_ranks_in_a_dry_run_only(variables, chosen, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert connect(Device.ascend) == World()
