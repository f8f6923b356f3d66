"""python -m fairmot.convert, on a network of a few tensors."""

import json
import os
import pickle
import re
import struct
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from blob_sequences import run_command_in_process
from safetensors.numpy import load_file, save_file

from fairmot.convert.torch_file import read_torch_file, torch_file
from fairmot.errors import CheckpointError
from fairmot.inference.network import NetworkDetector
from fairmot.model.backbone import Backbone
from fairmot.model.config import ModelConfig
from fairmot.model.layers import conv_bn_relu
from fairmot.model.neck import IDAUp, plain_node_conv
from fairmot.model.network import BACKBONES, build_network
from fairmot.weights.checkpoint import save_checkpoint
from fairmot.weights.weights_file import open_weights, read_weights_file
from train.state import load_weights

REPOSITORY = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted((REPOSITORY / "conf" / "experiment").glob("*.yaml"))
SETTINGS = ["model=dlaconv_34", "model.name=tiny", "model.head_conv=4", "model.reid_dim=8"]


class Encoder(Backbone):
    def __init__(self):
        super().__init__()
        self.level0 = conv_bn_relu(3, 2, 3)


class Tiny(Backbone):
    """Names as in DLA-34: an encoder's layer and a neck."""

    def __init__(self):
        super().__init__()
        self.base = Encoder()
        self.ida_up = IDAUp(2, (2, 4), (1, 2), plain_node_conv)
        self.out_channels = 2


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(BACKBONES, "tiny", lambda config: Tiny())
    # What its names tell is DLA-34 with a plain neck.
    monkeypatch.setitem(BACKBONES, "dlaconv_34", lambda config: Tiny())


def random(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


def batch_norm(name, channels):
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{kind}": random(channels) + i for i, kind in enumerate(kinds)}


def head(name, channels):
    first = {f"{name}.0.weight": random(4, 2, 3, 3), f"{name}.0.bias": random(4)}
    return {**first, f"{name}.2.weight": random(channels, 4, 1, 1), f"{name}.2.bias": random(channels)}


STATE = {
    "base.level0.0.weight": random(2, 3, 3, 3),
    **batch_norm("base.level0.1", 2),
    "ida_up.proj_1.conv.weight": random(2, 4, 3, 3),
    **batch_norm("ida_up.proj_1.actf.0", 2),
    "ida_up.up_1.weight": random(2, 1, 4, 4),
    "ida_up.node_1.conv.weight": random(2, 2, 3, 3),
    **batch_norm("ida_up.node_1.actf.0", 2),
    **head("hm", 1),
    **head("wh", 4),
    **head("id", 8),
    **head("reg", 2),
}
COUNTERS = {
    name.replace("running_var", "num_batches_tracked"): np.array(7) for name in STATE if name.endswith("running_var")
}
LOSS = {"classifier.weight": random(5, 8), "classifier.bias": random(5), "s_det": random(1), "s_id": random(1)}
NEVER_USED = {"base.fc.weight": random(3, 2, 1, 1), "base.fc.bias": random(3)}


@pytest.fixture
def places(tmp_path):
    """A whole source, where outputs go, and how to write other sources."""
    source = tmp_path / "fairmot.pth"
    state = {f"module.{name}": array for name, array in {**STATE, **COUNTERS, **NEVER_USED}.items()}
    source.write_bytes(torch_file({"epoch": 30, "state_dict": state}))
    return source, tmp_path / "out" / "fairmot.safetensors"


@pytest.fixture
def convert(monkeypatch, capfd):
    def run(*words, **settings):
        words = [*words, *(f"{key}={value}" for key, value in settings.items())]
        code = run_command_in_process(monkeypatch, "fairmot.convert", words)
        said = capfd.readouterr()
        return code, said.out + said.err

    return run


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name, strict=True)


def network():
    return build_network(ModelConfig(name="tiny", head_conv=4, reid_dim=8), seed=1)


def test_there_and_back_changes_no_bit(convert, places, tmp_path):
    source, output = places
    code, said = convert(*SETTINGS, source=source, output=output)
    assert code == 0, said
    report = load_weights(network().state(), output)
    assert (len(report.taken), report.unknown, report.left_at_init) == (len(STATE), [], [])
    assert load_file(output)["base.level0.1.moving_variance"].tolist() == STATE["base.level0.1.running_var"].tolist()
    code, said = convert(source=output, output=tmp_path / "back.pth")
    assert code == 0, said
    assert "tiny, as the source says" in said
    back = read_torch_file(tmp_path / "back.pth")
    assert_equal(back["state_dict"], {**STATE, **{name: np.zeros((), np.int64) for name in COUNTERS}})
    assert {name: back[name] for name in back if name != "state_dict"} == {"epoch": 30}


def test_every_tensor_stands_in_the_table(convert, places):
    source, output = places
    _, said = convert(*SETTINGS, source=source, output=output, report="json")
    lines = {line.split()[0]: line.split() for line in said.splitlines()}
    assert lines["module.base.level0.1.running_var"] == [
        "module.base.level0.1.running_var", "base.level0.1.moving_variance", "2"
    ]  # fmt: skip
    assert lines["module.base.fc.weight"][1:3] == ["-", "3x2x1x1"]
    report = json.loads((output.parent / f"{output.name}.json").read_text())
    assert (report["network"], report["source"]) == ("tiny", str(source))
    assert {line["source"] for line in report["tensors"]} == set(read_torch_file(source)["state_dict"])
    left_out = {line["source"] for line in report["tensors"] if not line["output"]}
    assert left_out == {f"module.{name}" for name in (*COUNTERS, *NEVER_USED)}
    _, said = convert(source=output, output=output.with_suffix(".pth"), report="markdown")
    rows = output.with_name("fairmot.pth.md").read_text()
    assert "| base.level0.1.gamma | base.level0.1.weight | 2 |  |" in rows
    assert "| - | base.level0.1.num_batches_tracked | scalar |" in rows


def test_a_converted_file_says_what_it_is_of(convert, places):
    source, output = places
    assert convert(*SETTINGS, "input_size=[64,96]", source=source, output=output)[0] == 0
    weights = open_weights(output)
    model = {"name": "tiny", "head_conv": 4, "reid_dim": 8, "width": 1.0, "down_ratio": 4, "ltrb": True}
    assert {key: weights.manifest["model"][key] for key in model} == model
    assert (weights.manifest["input_size"], weights.manifest["num_classes"]) == ([64, 96], 1)
    assert weights.network_to_use().keys() == network().state().keys()
    assert NetworkDetector.from_checkpoint(output).input_size_hw == (64, 96)
    save_file(weights.tensors("network"), output.with_name("bare.safetensors"))
    with pytest.raises(CheckpointError, match="does not say of which network"):
        open_weights(output.with_name("bare.safetensors"))


def test_the_network_is_guessed_and_said(convert, places):
    """Names tell the network, shapes the heads' settings."""
    source, output = places
    code, said = convert(source=source, output=output)
    assert code == 0, said
    assert "dlaconv_34, guessed from the tensors' names" in said
    assert read_weights_file(output).manifest["model"]["reid_dim"] == 8


@pytest.mark.parametrize("inside", [True, False])
def test_the_loss_goes_along(convert, places, tmp_path, inside):
    """As a dictionary of its own, or wrapped together with the network."""
    source, output = places
    if inside:
        state = {f"module.model.{name}": array for name, array in STATE.items()}
        state |= {f"module.loss.{name}": array for name, array in LOSS.items()}
        source.write_bytes(torch_file({"epoch": 3, "state_dict": state, "optimizer": {"param_groups": 1}}))
    else:
        source.write_bytes(torch_file({"epoch": 3, "state_dict": STATE, "loss": LOSS}))
    code, said = convert(*SETTINGS, source=source, output=output)
    assert code == 0, said
    assert ("optimizer" in said) is inside
    assert_equal(read_weights_file(output).tensors("loss"), LOSS)
    assert convert(source=output, output=tmp_path / "back.pth")[0] == 0
    back = read_torch_file(tmp_path / "back.pth")
    assert_equal(back["loss"], LOSS)
    assert not any("classifier" in name for name in back["state_dict"])


def test_a_checkpoint_becomes_the_originals(convert, tmp_path):
    """Network and loss of a run, and how far it was."""
    state = {name: parameter.asnumpy() for name, parameter in network().state().items()}
    model = {"name": "tiny", "head_conv": 4, "reid_dim": 8, "width": 1.0, "down_ratio": 4, "ltrb": True}
    manifest = {"model": model, "num_classes": 1, "input_size": [64, 96], "progress": {"epoch": 12}}
    groups = {"network": state, "loss": LOSS, "optimizer": {}}
    save_checkpoint(tmp_path / "run" / "checkpoints", 40, groups, manifest, "name: test\n", 3)
    code, said = convert(source=tmp_path / "run", output=tmp_path / "run.pth")
    assert code == 0, said
    content = read_torch_file(tmp_path / "run.pth")
    assert content["epoch"] == 12
    assert content["state_dict"].keys() == {**STATE, **COUNTERS}.keys()
    np.testing.assert_array_equal(content["state_dict"]["hm.2.bias"], state["hm.2.bias"])
    assert_equal(content["loss"], LOSS)


def test_part_of_a_network_by_name(convert, places):
    """COCO weights: other classes, no embedding."""
    source, output = places
    coco = {**STATE, **head("hm", 80), **head("wh", 2)}
    coco = {name: array for name, array in coco.items() if not name.startswith("id.")}
    source.write_bytes(torch_file({"epoch": 230, "state_dict": coco}))
    words = {"source": source, "output": output}
    code, said = convert(*SETTINGS, **words)
    assert code == 1
    assert "4 missing: id.0.weight" in said
    assert "hm.2.weight [80, 4, 1, 1], wanted [1, 4, 1, 1]" in said
    assert not output.exists()
    assert "skip=[hm.2.*,id.*,wh.2.*]" in said
    code, said = convert(*SETTINGS, "skip=[hm.2.*,id.*,wh.2.*]", **words)
    assert code == 0, said
    report = load_weights(network().state(), output)
    assert {name.split(".")[0] for name in report.left_at_init} == {"hm", "wh", "id"}
    assert len(report.left_at_init) == 8


def test_an_encoder_alone(convert, places):
    """ImageNet weights: a state dictionary without anything around it."""
    source, output = places
    encoder = {name.removeprefix("base."): array for name, array in STATE.items() if name.startswith("base.")}
    source.write_bytes(torch_file({**encoder, "fc.weight": random(3, 2, 1, 1), "fc.bias": random(3)}))
    code, said = convert(*SETTINGS, "skip=[ida_up.*,hm.*,wh.*,id.*,reg.*]", source=source, output=output)
    assert code == 0, said
    state = network().state()
    fitting = [name for name, array in load_file(output).items() if state[name].shape == array.shape]
    assert len(fitting) == 5


def test_other_types_are_made_float32_and_it_says_so(convert, places):
    source, output = places
    source.write_bytes(torch_file({"epoch": 1, "state_dict": {k: v.astype(np.float16) for k, v in STATE.items()}}))
    code, said = convert(*SETTINGS, source=source, output=output)
    assert code == 0
    assert said.count("float16 made float32") == len(STATE)
    np.testing.assert_array_equal(load_file(output)["hm.2.weight"], STATE["hm.2.weight"].astype(np.float16))


def test_deformable_convolutions_are_dropped_only_when_asked(convert, places):
    source, output = places
    nodes = ("ida_up.proj_1", "ida_up.node_1")
    deformable = {f"{node}.conv.bias": random(2) + 1 for node in nodes}
    deformable |= {f"{node}.conv.conv_offset_mask.bias": random(27) for node in nodes}
    source.write_bytes(torch_file({"epoch": 1, "state_dict": {**STATE, **deformable}}))
    code, said = convert(*SETTINGS, source=source, output=output)
    assert code == 1
    assert "has deformable convolutions" in said
    assert "drop_deformable=true" in said
    assert not output.exists()
    code, said = convert(*SETTINGS, source=source, output=output, drop_deformable="true")
    assert code == 0, said
    mean = load_file(output)["ida_up.node_1.actf.0.moving_mean"]
    expected = STATE["ida_up.node_1.actf.0.running_mean"] - deformable["ida_up.node_1.conv.bias"]
    np.testing.assert_array_equal(mean, expected)


def test_a_ports_checkpoint(convert, places, tmp_path):
    _, output = places
    renamed = {
        "base.level0.0.weight": "base.level0.0.conv.weight",
        **{f"base.level0.1.{kind}": f"base.level0.0.batchnorm.{kind}" for kind in ("weight", "bias")},
        **{f"base.level0.1.{kind}": f"base.level0.0.batchnorm.{kind}" for kind in ("running_mean", "running_var")},
    }
    kinds = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    port = []
    for original, array in STATE.items():
        name = renamed.get(original, original)
        for room in ("proj", "up", "node"):
            name = name.replace(f"ida_up.{room}_1.", f"ida_up.{room}.0.")
        for one in ("hm", "wh", "id", "reg"):
            name = name.replace(f"{one}.", f"{one}_fc.") if name.startswith(f"{one}.") else name
        owner, kind = name.rsplit(".", 1)
        if owner.endswith(("batchnorm", "actf.0")):
            name = f"{owner}.{kinds[kind]}"
        port += [{"name": name, "data": ms.Tensor(array)}, {"name": f"moment1.{name}", "data": ms.Tensor(array)}]
    port.append({"name": "learning_rate", "data": ms.Tensor(np.float32(1e-4))})
    ms.save_checkpoint(port, str(tmp_path / "fairmot-30.ckpt"))
    code, said = convert(*SETTINGS, source=tmp_path / "fairmot-30.ckpt", output=output)
    assert code == 0, said
    assert said.count("of the optimiser or the run") == len(STATE) + 1
    assert convert(source=output, output=tmp_path / "back.pth")[0] == 0
    back = read_torch_file(tmp_path / "back.pth")["state_dict"]
    assert_equal({name: back[name] for name in STATE}, STATE)


class Attack:
    def __reduce__(self):
        return os.system, ("touch attacked",)


LEGACY = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
WHOLE = torch_file({"epoch": 1, "state_dict": STATE})
BAD = {
    "cut_off.pth": (WHOLE[:-200], "cut off or damaged"),
    "cut_off_legacy.pth": (b"".join(LEGACY) + pickle.dumps({"a": 1}, 2)[:-3], "cut off or damaged"),
    "attack.pth": (
        b"".join(LEGACY) + pickle.dumps({"state_dict": Attack()}, 2),
        f"asks for {os.system.__module__}.system",
    ),
    "plain_pickle.pth": (pickle.dumps({"a": 1}, 2), "a pickle, but not one of torch.save"),
    "empty.pth": (b"", "empty"),
    "notes.pth": (b"epoch 30\nloss 1.2\n", "text"),
    "drive.pth": (b"\n<!DOCTYPE html><html><head><title>Google Drive", "a web page, not the file"),
    "pointer.pth": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 80\n", "a Git LFS pointer"),
    "picture.pth": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "a picture"),
    "noise.bin": (bytes(range(200, 256)) * 3, "of no kind that is known here"),
    "old.pth": (b"storages".ljust(257, b"\0") + b"ustar\0", "a tar archive"),
    "cut_off.safetensors": (struct.pack("<Q", 900) + b'{"a":', "not a readable .safetensors file"),
    "cut_off.ckpt": (b"\n2\n\x07a.gamma\x12'\x08\x02", "not a checkpoint of MindSpore"),
    "page.ckpt": (b"<html>", "a web page, not the file"),
    "no_state.pth": (torch_file({"epoch": 1, "network": {}}), "not a tensor: epoch, network"),
    "no_dictionary.pth": (torch_file({"epoch": 1, "state_dict": 3}), "no state dictionary"),
    "foreign.pth": (torch_file({"encoder.weight": random(2)}), "its names tell of no known network"),
    "twice.pth": (torch_file({**STATE, "s_det": random(1), "module.loss.s_det": random(1)}), "has tensors twice"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_sources(convert, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    code, said = convert(source=name, output="out.safetensors", report="json")
    assert (code, said.count("error:")) == (1, 1), said
    assert message in said
    assert name in said
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hm.2.bias": None}, "1 missing: hm.2.bias"),
        ({"hm.2.bias": None, "hmm.2.bias": random(1)}, "missing: hm.2.bias (the source has hmm.2.bias)"),
        ({"more.weight": random(1)}, "1 unexpected: more.weight"),
        ({"id.2.bias": random(9)}, "1 of another shape: id.2.bias [9], wanted [8]"),
        ({"loss.s_det": random(1)}, "3 missing: loss.classifier.weight"),
        ({"classifier.weight": random(5, 8)}, "1 unexpected: classifier.weight"),
    ],
)
def test_sources_that_do_not_fit(convert, places, change, message):
    source, output = places
    state = {name: array for name, array in {**STATE, **change}.items() if array is not None}
    source.write_bytes(torch_file({"epoch": 1, "state_dict": state}))
    code, said = convert(*SETTINGS, source=source, output=output)
    assert (code, said.count("error:")) == (1, 1), said
    assert message in said
    assert not output.parent.exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["source=nowhere.pth"], 1, "nowhere.pth: cannot be read"),
        (["model=dla34"], 2, "unknown model 'dla34'"),
        (["model.reid_dim=8"], 2, "add model=<network>"),
        (["output=weights.onnx"], 2, "end it in .safetensors"),
        (["num_classes=0"], 2, "num_classes=0"),
        (["input_size=[608]"], 2, "input_size=[608]"),
        (["input_size=[100,200]"], 2, "must be multiples of 32; try [96, 192]"),
        (["report=csv"], 2, "report"),
        (["+skipp=[hm.*]"], 2, "did you mean 'skip'"),
    ],
)
def test_refused_arguments(convert, places, words, code, message):
    source, output = places
    found, said = convert(f"source={source}", f"output={output}", *words)
    assert (found, said.count("error:")) == (code, 1), said
    assert message in said
    assert not output.parent.exists()


def test_the_recipes_find_what_the_page_says_to_make():
    """Every weights= of conf/experiment is the output of a command in docs/weights.md."""
    made = set(re.findall(r"output=(weights/\S+)", (REPOSITORY / "docs" / "weights.md").read_text()))
    wanted = [re.findall(r"^weights: (\S+)", path.read_text(), re.M) for path in EXPERIMENTS]
    assert len(wanted) > 10
    assert {name for names in wanted for name in names} <= made


def test_nothing_is_overwritten_unasked(convert, places):
    source, output = places
    output.parent.mkdir()
    output.write_text("precious")
    code, said = convert(*SETTINGS, source=source, output=output)
    assert code == 2
    assert "overwrite=true" in said
    assert output.read_text() == "precious"
    assert convert(*SETTINGS, source=source, output=output, overwrite="true")[0] == 0


def test_an_output_that_cannot_be_written(convert, places):
    source, output = places
    output.parent.write_text("a file where a folder should be")
    code, said = convert(*SETTINGS, source=source, output=output)
    assert code == 1
    assert "cannot be written" in said
