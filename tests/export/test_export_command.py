"""python -m fairmot.export, and what runs its files, on networks of a few layers."""

import dataclasses
import json
import shutil
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from ascend_process import needs_tools, run_with_ascend
from blob_sequences import run_command_in_process, write_sequence
from drawn_weights import drawn_weights
from mindspore import Tensor, nn, ops

from fairmot.errors import CheckpointError, ConfigError, FairMOTError
from fairmot.export.check import check_file
from fairmot.export.onnx_operators import TRANSLATIONS
from fairmot.inference.exported import ExportedDetector, open_detector
from fairmot.inference.exported_file import OUTPUTS, description_path, read_description
from fairmot.inference.network import NetworkDetector, load_network
from fairmot.json_files import sealed
from fairmot.model.backbone import Backbone
from fairmot.model.config import ModelConfig
from fairmot.model.deform_conv import DeformConv
from fairmot.model.layers import Identity, conv_bn_relu, upsample
from fairmot.model.network import BACKBONES, build_network
from fairmot.mot.rows import read_results
from fairmot.weights.checkpoint import GROUPS, save_checkpoint
from train.simulate.graphs import read_log

INPUT_SIZE = (64, 96)


class Tiny(Backbone):
    """Down and up again: the layers whose export is delicate."""

    def __init__(self, node):
        super().__init__()
        self.base = conv_bn_relu(3, 6, 5, stride=4)
        self.pool = nn.MaxPool2d(3, stride=2, pad_mode="pad", padding=1)
        self.node = node
        self.up = upsample(6, 2)
        self.out_channels = 6

    def construct(self, image):
        fine = self.base(image)
        coarse = self.node(self.pool(fine))
        size = fine.shape[2:]
        nearest = ops.interpolate(coarse, size=size, mode="nearest")
        between = ops.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
        return self.up(coarse) + fine + nearest - 2 * between


@pytest.fixture(autouse=True, scope="module")
def tiny_networks():
    BACKBONES["tiny"] = lambda config: Tiny(Identity())
    BACKBONES["tiny_deformable"] = lambda config: Tiny(DeformConv(6, 6))
    yield
    del BACKBONES["tiny"], BACKBONES["tiny_deformable"]


def save_run(folder, name="tiny", scale=0.3, without=()):
    """A run directory with drawn weights, some of them zero."""
    model = ModelConfig(name=name, head_conv=4, reid_dim=6)
    tensors = {group: {} for group in GROUPS}
    tensors["network"] = drawn_weights(build_network(model, seed=2, num_classes=2), scale=scale)
    for key in without:
        tensors["network"][key] *= 0
    manifest = {"model": dataclasses.asdict(model), "input_size": list(INPUT_SIZE), "num_classes": 2}
    save_checkpoint(folder / "checkpoints", 1, tensors, manifest, "", keep=1)
    return folder


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"))


def run_export(monkeypatch, capfd, *words, **settings):
    words = [*words, *(f"{key}={value}" for key, value in settings.items())]
    code = run_command_in_process(monkeypatch, "fairmot.export", words)
    return code, "".join(capfd.readouterr())


@pytest.fixture
def export(monkeypatch, capfd):
    return lambda *words, **settings: run_export(monkeypatch, capfd, *words, **settings)


@pytest.fixture(scope="module")
def files(run_dir, tmp_path_factory):
    """An ONNX file for any batch and a MINDIR file for two pictures."""
    from fairmot.export.command import export
    from fairmot.export.config import ExportConfig, Format

    folder = tmp_path_factory.mktemp("exported")
    made = {}
    for kind, batch_size in ((Format.onnx, None), (Format.mindir, 2)):
        made[kind.value] = folder / f"model.{kind.value}"
        export(ExportConfig(str(run_dir), str(made[kind.value]), kind, batch_size=batch_size, max_objects=40))
    assert sorted(path.name for path in folder.iterdir()) == [
        *("model.mindir", "model.mindir.json", "model.onnx", "model.onnx.json")
    ]
    return made


@pytest.fixture(scope="module")
def own(run_dir):
    """What runs the checkpoint itself."""
    return open_detector(run_dir, max_objects=40)


def frames(count):
    """Noise of the input's proportions: on even ground neighbouring cells tie and rounding decides between them."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (128, 192, 3)).astype(np.uint8) for _ in range(count)]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert len(other) > 20
        for field in dataclasses.fields(other):
            np.testing.assert_allclose(getattr(one, field.name), getattr(other, field.name), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("kind", "batch_size"), [("onnx", 1), ("onnx", 3), ("mindir", 2)])
def test_a_file_finds_what_its_checkpoint_finds(files, own, kind, batch_size):
    exported = open_detector(files[kind], max_objects=40, batch_size=batch_size)
    assert isinstance(exported, ExportedDetector)
    assert isinstance(own, NetworkDetector)
    assert (exported.num_classes, exported.input_size_hw) == (own.num_classes, own.input_size_hw) == (2, INPUT_SIZE)
    assert_same(exported.detect(frames(5)), own.detect(frames(5)))


ON_AN_NPU = """
import os, runpy, sys
os.dup2(os.open("log.txt", os.O_CREAT | os.O_WRONLY), 2)
sys.argv = [MODULE, *WORDS]
runpy.run_module(MODULE, run_name="__main__")
"""
SIMULATED = {
    **{"MS_SIMULATION_LEVEL": "1", "RANK_SIZE": "1", "RANK_ID": "0", "DEVICE_ID": "0"},
    **{"MS_SUBMODULE_LOG_v": "{DEVICE:1}"},
}


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize("module", ["fairmot.track", "fairmot.evaluate"])
def test_the_commands_run_a_mindir_file_with_npu_kernels(files, tmp_path, module):
    """Compiled for Ascend in MindSpore's simulation: every kernel is CANN's, and what it finds means nothing."""
    write_sequence(tmp_path / "seq", n_frames=4)
    source = "source=seq" if module == "fairmot.track" else "gt=seq"
    words = [source, f"checkpoint={files['mindir']}", "output=out", "device=ascend", "batch_size=2"]
    program = ON_AN_NPU.replace("MODULE", repr(module)).replace("WORDS", repr(words))
    run_with_ascend(program, tmp_path, **SIMULATED)
    log = (tmp_path / "log.txt").read_text(errors="replace")
    kinds = read_log(log.splitlines()).kinds
    assert {"Conv2D", "TopkExt"} & kinds.keys()
    assert set(kinds.values()) <= {"aclnn", "aclop", "runtime"}, kinds
    assert list((tmp_path / "out").rglob("seq.txt"))


def test_fewer_objects_may_be_taken_than_a_file_gives(files):
    (found,) = open_detector(files["onnx"], max_objects=7).detect(frames(1))
    assert len(found) == 7


def test_other_programs_read_the_onnx_file(files):
    onnx.checker.check_model(onnx.load(files["onnx"]), full_check=True)
    session = onnxruntime.InferenceSession(str(files["onnx"]), providers=["CPUExecutionProvider"])
    (image,), outputs = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["batch", *INPUT_SIZE, 3])
    assert tuple(output.name for output in outputs) == OUTPUTS
    assert [output.shape[1:] for output in outputs] == [[40, 4], [40], [40], [40, 6], [40]]
    said = json.loads(description_path(files["onnx"]).read_text())
    assert said["input_size_hw"] == list(INPUT_SIZE) and (said["format_version"], said["reid_dim"]) == (2, 6)


@pytest.mark.slow
def test_a_deformable_network_with_its_batch_built_in(export, tmp_path):
    checkpoint, output = save_run(tmp_path / "run", "tiny_deformable"), tmp_path / "out" / "model.onnx"
    words = {"checkpoint": checkpoint, "output": output, "format": "onnx", "max_objects": 40}
    code, said = export(batch_size="null", **words)
    assert code == 1, said
    assert "built in: try batch_size=1" in said
    assert list(output.parent.iterdir()) == []
    code, said = export(batch_size=2, input_size="[64,128]", **words)
    assert code == 0, said
    assert "checked on 4 pictures" in said and "2 pictures of 64 x 128 at once, 40 objects each" in said
    assert read_description(output).input_size_hw == (64, 128)


def test_a_file_that_says_something_else_gets_no_name(export, run_dir, tmp_path, monkeypatch):
    monkeypatch.setitem(TRANSLATIONS, "Sqrt", TRANSLATIONS["Sigmoid"])
    code, said = export(checkpoint=run_dir, output=tmp_path / "out" / "model.onnx", format="onnx")
    assert (code, said.count("error:")) == (1, 1), said
    assert "differ from the checkpoint's: score" in said and "0.0001 are allowed" in said
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("part", "message"), [("hm.2.weight", "score|alone finds"), ("wh.2.bias", "box")])
def test_the_check_sees_other_weights(files, run_dir, part, message):
    network = load_network(run_dir).network
    parameter = network.state()[part]
    parameter.set_data(Tensor(parameter.asnumpy() * 1.5 + 3))
    with pytest.raises(FairMOTError, match=f"differ from the checkpoint's: .*({message})"):
        check_file(files["onnx"], read_description(files["onnx"]), network)


@pytest.mark.slow
def test_a_network_that_scores_every_place_the_same_cannot_be_checked(export, tmp_path):
    """Which of equal places fill the decoder's list is each program's own choice."""
    checkpoint = save_run(tmp_path / "run", without=("hm.2.weight",))
    code, said = export(checkpoint=checkpoint, output=tmp_path / "model.onnx", format="onnx", max_objects=5)
    assert code == 1, said
    assert "nothing to compare" in said
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_operator_without_translation_is_named(export, run_dir, tmp_path, monkeypatch):
    monkeypatch.delitem(TRANSLATIONS, "TopK")
    code, said = export(checkpoint=run_dir, output=tmp_path / "model.onnx", format="onnx")
    assert code == 1
    assert "operator TopK has no translation to ONNX; use format=mindir" in said


def test_tracking_by_a_file(files, run_dir, tmp_path, monkeypatch):
    source = tmp_path / "walk"
    source.mkdir()
    for number, frame in enumerate(frames(3)):
        cv2.imwrite(str(source / f"{number}.png"), frame)
    rows = []
    for name, checkpoint in (("own", run_dir), ("file", files["onnx"])):
        words = [f"source={source}", f"checkpoint={checkpoint}", f"output={tmp_path / name}", "max_objects=40"]
        words += ["video=false", "conf_thres=0.5", "tracker.max_aspect=100"]
        assert run_command_in_process(monkeypatch, "fairmot.track", words) == 0
        rows.append(read_results(tmp_path / name / "walk.txt"))
    assert len(rows[0]) > 0
    for field in dataclasses.fields(rows[0]):
        np.testing.assert_allclose(getattr(rows[1], field.name), getattr(rows[0], field.name), atol=0.02)


def test_scoring_by_a_file_leaves_the_embedding_test_out(files, tmp_path, monkeypatch, capfd):
    gt = write_sequence(tmp_path / "walk", 4)
    words = [f"gt={gt}", f"checkpoint={files['onnx']}", f"output={tmp_path / 'scores'}"]
    assert run_command_in_process(monkeypatch, "fairmot.evaluate", words) == 0, capfd.readouterr()
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert "AP" in metrics["OVERALL"]
    assert not any("TPR" in name for name in metrics["OVERALL"])


def damaged(content):
    foreign = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    middle = len(content) // 2
    return {
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "cut_off": content[:-100],
        "empty": b"",
        "foreign": foreign.SerializeToString(),
        "text": b"not a network",
    }


@pytest.mark.parametrize("kind", ["onnx", "mindir"])
def test_files_that_are_not_whole_or_not_ours(files, tmp_path, kind):
    for name, content in damaged(files[kind].read_bytes()).items():
        path = tmp_path / f"{name}.{kind}"
        path.write_bytes(content)
        shutil.copy(description_path(files[kind]), description_path(path))
        with pytest.raises(CheckpointError, match=rf"{name}.{kind}: not as .* wrote it: cut off, damaged"):
            open_detector(path)
    with pytest.raises(CheckpointError, match="nowhere.onnx: cannot be read"):
        open_detector(tmp_path / "nowhere.onnx")


def test_a_description_that_is_missing_or_not_ours(files, tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(files["onnx"], path)
    with pytest.raises(CheckpointError, match=r"model.onnx.json: cannot be read .* copy both"):
        open_detector(path)
    whole = json.loads(description_path(files["onnx"]).read_text())
    for content in ("", "[]", "7", '{"a": 1}', "\0", sealed({**whole, "input_size_hw": 5})):
        description_path(path).write_text(content)
        with pytest.raises(CheckpointError, match=r"model.onnx.json: not as .* wrote it"):
            open_detector(path)
    description_path(path).write_text(json.dumps({**whole, "format_version": 3}))
    with pytest.raises(CheckpointError, match=r"format version 3, this program reads version 2"):
        open_detector(path)


def described(files, folder, kind, **changes):
    """A copy of a graph with another description of it, whose digests fit."""
    path = folder / files[kind].name
    shutil.copy(files[kind], path)
    said = json.loads(description_path(files[kind]).read_text())
    description_path(path).write_text(sealed({**said, **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size_hw": [64, 10**12]}, "input_size_hw=.*8192 at most"),
        ({"down_ratio": 0}, "down_ratio=0: must be 1 or more"),
        ({"reid_dim": "6"}, "reid_dim: Input should be a valid integer"),
        ({"heads": 4}, "heads: is no key"),
        ({"format_version": "2"}, "format version 2, this program"),
    ],
)
def test_a_description_of_nothing_that_is_exported(files, tmp_path, changes, message):
    path = described(files, tmp_path, "onnx", **changes)
    with pytest.raises(CheckpointError, match=f"^{description_path(path)}: not as .* wrote it .*{message}"):
        open_detector(path)


@pytest.mark.parametrize("kind", ["onnx", "mindir"])
@pytest.mark.parametrize(
    "changes", [{"input_size_hw": [32, 64]}, {"down_ratio": 16}, {"reid_dim": 5}, {"max_objects": 41}]
)
def test_a_description_of_another_graph(files, tmp_path, kind, changes):
    path = described(files, tmp_path, kind, **changes)
    with pytest.raises(FairMOTError, match=f"^{path}.*(cannot run it|does not describe {path.name})"):
        open_detector(path, batch_size=2).detect(frames(2))


def test_a_changed_description(files, tmp_path):
    path = described(files, tmp_path, "onnx")
    file = description_path(path)
    file.write_text(file.read_text().replace('"down_ratio": 4', '"down_ratio": 2'))
    with pytest.raises(CheckpointError, match=f"^{file}: .*its digest does not fit"):
        open_detector(path)


def test_a_file_under_the_other_ending(files, tmp_path):
    (tmp_path / "model.mindir").write_bytes(files["onnx"].read_bytes())
    shutil.copy(description_path(files["onnx"]), tmp_path / "model.mindir.json")
    with pytest.raises(CheckpointError, match="holds a .onnx file; give its name that ending"):
        open_detector(tmp_path / "model.mindir")


def test_a_fixed_batch_size_is_asked_for_by_name(files):
    with pytest.raises(ConfigError, match="batch_size=1: .* takes 2 pictures at once; say batch_size=2"):
        open_detector(files["mindir"])


def test_missing_packages_are_named(export, files, run_dir, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, said = export(checkpoint=run_dir, output=tmp_path / "model.onnx", format="onnx")
    assert code == 2
    assert "onnxruntime not installed: pip install onnx onnxruntime" in said
    with pytest.raises(ConfigError, match="pip install onnx onnxruntime"):
        open_detector(files["onnx"])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["format=onx"], 2, "format: Invalid value 'onx', expected one of [mindir, onnx]"),
        (["format=mindir"], 2, "end it in .mindir"),
        (["format=mindir", "output=a.mindir", "batch_size=null"], 2, "a mindir file takes one batch size"),
        (["input_size=[100,200]"], 2, "must be multiples of 32; try [96, 192]"),
        (["input_size=[64]"], 2, "give [height,width]"),
        (["batch_size=0"], 2, "batch_size=0"),
        (["max_objects=0"], 2, "max_objects=0"),
        (["checkpoint=nowhere"], 1, "nowhere: no checkpoint there"),
        (["+batchsize=2"], 2, "did you mean 'batch_size'"),
    ],
)
def test_refused_arguments(export, run_dir, tmp_path, words, code, message):
    found, said = export(f"checkpoint={run_dir}", f"output={tmp_path}/model.onnx", "format=onnx", *words)
    assert (found, said.count("error:")) == (code, 1), said
    assert message in said
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unasked(export, run_dir, tmp_path):
    output = tmp_path / "model.onnx"
    output.write_text("precious")
    code, said = export(checkpoint=run_dir, output=output, format="onnx")
    assert code == 2
    assert "overwrite=true" in said
    assert output.read_text() == "precious"
