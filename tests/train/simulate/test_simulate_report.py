"""Counting what MindSpore wrote, from a few recorded lines of it."""

import dataclasses
from pathlib import Path

import pytest

from train.simulate.child import Measured
from train.simulate.config import Chip
from train.simulate.graphs import KINDS, Log, count_branches, read_graph, read_log
from train.simulate.report import as_text, make_report

PROJECT = Path("/home/me/fairmot")
LOG = """\
[INFO] DEVICE(1,7f,python):2026 [mindspore/a.cc:751] CollectOpSelectedType] Conv2D select aclop kernel
[INFO] DEVICE(1,7f,python):2026 [mindspore/a.cc:751] CollectOpSelectedType] Mul select aclnn kernel
[INFO] DEVICE(1,7f,python):2026 [mindspore/a.cc:751] CollectOpSelectedType] AllReduce select hccl kernel
[INFO] DEVICE(1,7f,python):2026 [mindspore/a.cc:751] CollectOpSelectedType] TopK select host kernel
[INFO] DEVICE(1,7f,python):2026 [mindspore/b.cc:31] RtOpBuild] Op Name(tolower)[reshape]
[WARNING] DEVICE(1,7f,python):2026 [mindspore/c.cc:271] DeInitialize] Ascend Memory Adapter deinitialize success:
Device MOC memory size: 65536M
Used peak memory usage (without fragments): 23859M
Actual peak memory usage (with fragments): 33792M
"""
GRAPH = """\
# IR entry: @kernel_graph0
subgraph @kernel_graph0() {
  %0(CNode_1) = Conv2D(%para1_x) {instance name: conv2d} primitive_attrs: {stream_id: U32(0)}
      : (<Tensor[Float32], (2, 3, 8, 8)>) -> (<Tensor[Float32], (2, 4, 8, 8)>)
      # Fullname with scope: (Default/network-FairMOT/Conv2D-op0)
      # In file /home/me/fairmot/train/step.py:176, 34~52/        self.differentiate()/
      # In file /home/me/fairmot/fairmot/model/dla.py:24, 4~75/        return self.conv(x)/
      # In file /venv/mindspore/nn/layer/conv.py:367, 4~75/        return self.conv2d(x)/
  %1(CNode_2) = PrimFunc_Mul(%0, %0) primitive_attrs: {stream_id: U32(0)}
      : (<Tensor[Float64], (-1)>) -> (<Tensor[Float64], (-1)>)
      # Fullname with scope: (Gradients/Default/Mul-op1)
      # In file /home/me/fairmot/train/step.py:232, 4~75/    return gradient * gradient/
  %2(CNode_3) = MakeTuple(%0, %1) primitive_attrs: {}
  %3(CNode_4) = PrimFunc_Reshape(%1, (1)) primitive_attrs: {}
  %4(CNode_5) = AllReduce(%3) {instance name: allreduce} primitive_attrs: {group: "hccl_world_group"}
  %5(CNode_6) = GraphKernel_Mul_Add_fusion(%4) primitive_attrs: {}
  %6(CNode_7) = PrimFunc_TopK(%5) primitive_attrs: {}
  %7(CNode_8) = NewOne(%6) primitive_attrs: {}
"""
COLLECTIVES = """\
index,group,comm_rank,primitive,src_rank,dest_rank,root_rank,input_shape,input_type,output_shape,output_type,input_size,output_size
"333","hccl_world_group","0 1","AllReduce","","","","(101)","Float32","(101)","Float32","404","404"
"347","hccl_world_group","0 1","AllReduce","","","","(1)","Float32","(1)","Float32","4","4"
"""
MEASURED = Measured(2, 1, "the data", 101, 16, 12.34, None, 4_000_000, 8_000_000, 1_000, 1, ["graph_build_0_0511.ir"])


@pytest.fixture
def saved(tmp_path) -> Path:
    graphs = tmp_path / "graphs" / "rank_1"
    (graphs / "execute_order").mkdir(parents=True)
    (graphs / "graph_build_0_0511.ir").write_text(GRAPH)
    (graphs / "execute_order" / "comm_execute_order.csv").write_text(COLLECTIVES)
    return tmp_path


def test_a_kernel_knows_our_innermost_line_and_its_direction():
    kernels = list(read_graph(GRAPH.splitlines(), PROJECT))
    assert [kernel.name for kernel in kernels] == [
        *("Conv2D", "Mul", "Reshape", "AllReduce", "GraphKernel_Mul_Add_fusion", "TopK", "NewOne")
    ]
    assert (kernels[0].source, kernels[0].backward) == ("fairmot/model/dla.py:24", False)
    assert (kernels[1].source, kernels[1].backward) == ("train/step.py:232", True)
    assert (kernels[2].source, kernels[2].graph) == ("", "kernel_graph0")


def test_an_operator_that_goes_two_ways_counts_as_the_worse():
    lines = [f"CollectOpSelectedType] Mul select {kind} kernel" for kind in ("aclop", "aclnn")]
    assert read_log(lines).kinds == read_log(reversed(lines)).kinds == {"Mul": "aclop"}


def test_the_report_counts_sums_and_warns(saved):
    report = make_report(Chip["910b4"], MEASURED, read_log(LOG.splitlines()), saved, PROJECT)
    assert report["kernels_per_step"] == {"total": 7, **dict.fromkeys(KINDS, 1)}
    assert (report["launches_per_step"], report["synchronisations_per_step"]) == (6, 1)
    assert (report["collectives_per_step"], report["collective_bytes"]) == (2, 408)
    assert report["collective_buckets"] == [
        {"name": "AllReduce", "bytes": 404, "collectives": 1},
        {"name": "AllReduce", "bytes": 4, "collectives": 1},
    ]
    assert report["kernels_by_name"][1] == {
        **{"name": "TopK", "kind": "host", "kernels": 1},
        "lines": {"made by the compiler": 1},
    }
    assert report["peak_gb"] == pytest.approx(23.3, abs=0.01)
    assert report["fits"] == {"32": False, "64": True}
    assert report["compile_s"] == 12.3
    assert report["detector_kernels"] is None
    warnings = "\n".join(report["warnings"])
    for expected in (
        "1 kernels run on the host's processor: TopK 1 (made by the compiler)",
        "1 kernels are of no kind that the log names: NewOne 1",
        "1 kernels take CANN's old interface, compiled online at the first step: Conv2D 1 (fairmot/model/dla.py:24)",
        "1 kernels compute in float64: Mul 1",
        "1 kernels have shapes known only at run time: Mul 1",
        "33.0 GB do not fit into 32 GB of 910b4: lower batch_size_per_rank",
    ):
        assert expected in warnings
    text = as_text(report)
    assert "dry run for Ascend910B4, rank 1 of 2: compiled, no kernel was launched" in text
    assert "fits 32 GB: no, fits 64 GB: yes" in text
    assert "2, 0.0 MB: AllReduce 2; largest 404 bytes, smallest 4" in text
    assert "1 backward train/step.py:232: Mul 1" in text


def test_branches_of_the_saved_graphs_are_counted(tmp_path):
    (tmp_path / "actor_set").mkdir()
    actors = "%4 = SwitchActor(%2[1], %3[0])\n%5 = KernelActor(%4)\n%6 = SwitchActor(%5[0])\n"
    (tmp_path / "actor_set" / "final_actor_set_kernel_graph_0-3.ir").write_text(actors)
    (tmp_path / "actor_set" / "0_actor_set_pipeline_kernel_graph_0-3.ir").write_text(actors)
    assert count_branches(tmp_path) == 2


def test_a_detector_is_warned_of_by_itself(saved):
    (saved / "graphs" / "rank_1" / "graph_build_1_0600.ir").write_text(
        "# IR entry: @kernel_graph1\n  %0(CNode_1) = PrimFunc_TopK(%para1_x) primitive_attrs: {}\n"
    )
    measured = dataclasses.replace(MEASURED, detector_compile_s=1.0)
    report = make_report(Chip["910b"], measured, read_log(LOG.splitlines()), saved, PROJECT)
    assert "detector: 1 kernels run on the host's processor: TopK 1 (made by the compiler)" in report["warnings"]
    assert report["detector_kernels"]["host"] == report["kernels_per_step"]["host"] == 1
    assert [row["name"] for row in report["detector_kernels_by_name"]] == ["TopK"]


def test_a_log_without_memory_is_said_to_be_one(saved):
    report = make_report(Chip["910b"], MEASURED, Log(), saved, PROJECT)
    assert report["peak_gb"] is None
    assert "the log does not say how much device memory was planned" in report["warnings"]
    assert "fits 64 GB: unknown" in as_text(report)
