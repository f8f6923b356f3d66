"""Names of weights, and what fits where."""

import json
from pathlib import Path

import pytest

from fairmot.convert.names import (
    counters,
    differences,
    guess_network,
    is_optimizer_state,
    loss_names,
    loss_shapes,
    match,
    original_name,
    port_names,
    skip_patterns,
    without_wrapping,
)

PARITY = Path(__file__).resolve().parents[1] / "parity" / "fixtures"
PORTS = json.loads((Path(__file__).parent / "fixtures" / "mindspore_ports.json").read_text())


def original(kind: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the original's network, its counters included."""
    return {
        name: tuple(shape)
        for name, shape in json.loads((PARITY / f"dla34_{kind}_state_shapes.json").read_text()).items()
    }


def without_counters(shapes):
    return {name: shape for name, shape in shapes.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("kind", ["conv", "dcn"])
def test_the_counters_are_the_originals(kind):
    shapes = original(kind)
    assert {*without_counters(shapes), *counters(shapes)} == set(shapes)


def test_batch_normalisation_is_renamed_and_nothing_else():
    names = {
        "base.level0.1.gamma": "base.level0.1.weight",
        "base.level0.1.beta": "base.level0.1.bias",
        "base.level0.1.moving_mean": "base.level0.1.running_mean",
        "base.level0.1.moving_variance": "base.level0.1.running_var",
        "hm.2.bias": "hm.2.bias",
        "loss.s_det": "loss.s_det",
        "gamma": "weight",
    }
    assert {name: original_name(name) for name in names} == names


@pytest.mark.parametrize("port", PORTS)
def test_the_ports_names_become_the_originals(port):
    names = port_names(PORTS[port])
    found = {names[name]: tuple(shape) for name, shape in PORTS[port].items()}
    assert len(found) == len(PORTS[port])
    wanted = without_counters(original("conv"))
    matched = match(found, wanted, (), drop_deformable=False)
    assert differences(matched) == []
    biases = {name for name in original("dcn") if name.endswith(".conv.bias")}
    assert set(matched.folded) == (biases if port.startswith("ZJUT") else set())
    assert {row.name for row in matched.rows if row.taken} == set(wanted)


def test_what_a_ports_training_saves_beside_the_network():
    names = {
        "_net.backbone.base.level1.0.batchnorm.beta": "base.level1.1.bias",
        "classifier.weight": "loss.classifier.weight",
        "_loss.s_det": "loss.s_det",
    }
    assert port_names(names) == names
    state = ("moment1.base.level0.0.conv.weight", "moment2.hm_fc.0.bias", "beta1_power", "learning_rate", "global_step")
    assert all(map(is_optimizer_state, state))
    assert not any(map(is_optimizer_state, PORTS["mindspore-ai/models"]))


@pytest.mark.parametrize("wrapping", ["", "module.", "model.", "module.model."])
@pytest.mark.parametrize("kind", ["dla34_conv", "yolov5s"])
def test_wrapping_is_undone(kind, wrapping):
    wanted = without_counters(json.loads((PARITY / f"{kind}_state_shapes.json").read_text()))
    names = [f"{wrapping}{name}" for name in wanted]
    assert without_wrapping(names, wanted) == dict(zip(names, wanted, strict=True))


def test_an_encoder_alone_gets_its_place():
    wanted = without_counters(original("conv"))
    alone = [name.removeprefix("base.") for name in wanted if name.startswith("base.")]
    names = without_wrapping([*alone, "fc.weight", "fc.bias"], wanted)
    assert all(names[name] == f"base.{name}" for name in alone)
    assert names["fc.bias"] == "base.fc.bias"


@pytest.mark.parametrize("wrapping", ["", "loss.", "module.loss."])
def test_a_loss_is_recognised(wrapping):
    names = [f"{wrapping}classifier.weight", f"{wrapping}s_det", "module.model.hm.2.bias"]
    renamed = without_wrapping(names, ["hm.2.bias"])
    assert list(renamed.values()) == ["loss.classifier.weight", "loss.s_det", "hm.2.bias"]


def test_a_classifier_without_the_rest_of_a_loss_is_imagenets():
    assert loss_names(["classifier.weight", "classifier.bias", "stage4.weight"]) == {}


NETWORKS = {path.name.removesuffix("_state_shapes.json"): path for path in PARITY.glob("*_state_shapes.json")}


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_are_recognised_by_their_names(kind):
    shapes = {f"module.{name}": tuple(shape) for name, shape in json.loads(NETWORKS[kind].read_text()).items()}
    assert guess_network(shapes) == {"dla34_conv": "dlaconv_34", "dla34_dcn": "dla_34"}.get(kind, kind)


@pytest.mark.parametrize(
    ("names", "network"),
    [
        (["base_layer.0.weight", "level5.tree1.conv1.weight", "fc.weight"], "dla_34"),
        (["layer1.0.conv2.weight", "layer4.0.conv1.weight", "layer3.5.conv1.weight"], "resdcn_34"),
        (["layer1.0.conv3.weight", "layer4.0.conv1.weight", "layer3.5.conv1.weight"], "resdcn_50"),
        (["model.2.cv1.conv.weight", "model.24.m.0.weight"], "yolov5s"),
        (["encoder.weight"], None),
    ],
)
def test_encoders_alone_are_recognised(names, network):
    assert guess_network(dict.fromkeys(names, (1, 1))) == network


FOUND = {"a.weight": (2, 3), "a.bias": (2,), "hm.2.weight": (80, 4), "hm.2.bias": (80,), "base.fc.bias": (10,)}
WANTED = {"a.weight": (2, 3), "a.bias": (2,), "hm.2.weight": (1, 4), "hm.2.bias": (1,), "id.2.bias": (128,)}


def test_every_entry_is_accounted_for():
    matched = match(FOUND, WANTED, ["hm.2.*", "id.*"], drop_deformable=False)
    assert differences(matched) == []
    assert {row.name: row.taken for row in matched.rows} == {
        "a.weight": True,
        "a.bias": True,
        "hm.2.weight": False,
        "hm.2.bias": False,
        "base.fc.bias": False,
        "id.2.bias": False,
    }


def test_differences_are_named_with_what_is_near():
    lines = differences(match({**FOUND, "ids.2.bias": (128,)}, WANTED, (), drop_deformable=False))
    assert lines == [
        "1 missing: id.2.bias (the source has ids.2.bias)",
        "1 unexpected: ids.2.bias (the network has id.2.bias)",
        "2 of another shape: hm.2.weight [80, 4], wanted [1, 4], hm.2.bias [80], wanted [1]",
    ]


def test_patterns_that_would_do_are_suggested():
    found = {"a.0.weight": (2,), "a.0.bias": (2,), "a.1.weight": (2,), "fc.weight": (5,), "fc.bias": (5,)}
    matched = match(found, dict.fromkeys(("a.0.weight", "a.0.bias", "a.1.weight"), (2,)), (), False)
    assert differences(matched)[-1] == "To leave all of these out: 'skip=[fc.*]'"
    assert skip_patterns(["a.0.weight", "a.1.weight", "b.c.d", "e"], ["a.0.bias"]) == [
        "a.0.weight",
        "a.1.*",
        "b.*",
        "e",
    ]


def test_deformable_convolutions_do_not_become_plain_ones_unasked():
    deformable, plain = without_counters(original("dcn")), without_counters(original("conv"))
    matched = match(deformable, plain, (), drop_deformable=False)
    assert len(matched.deformable) == 32
    matched = match(deformable, plain, (), drop_deformable=True)
    assert (matched.deformable, differences(matched)) == ([], [])
    assert len(matched.folded) == 16
    assert matched.folded["ida_up.node_1.conv.bias"] == "ida_up.node_1.actf.0.running_mean"
    assert {row.name for row in matched.rows if row.taken} == set(plain)
    assert match(deformable, deformable, (), drop_deformable=False).deformable == []


def test_a_loss_is_wanted_whole():
    assert loss_shapes({"hm.2.bias": (1,)}, 128) == {}
    found = {"loss.classifier.weight": (57, 128), "loss.s_det": (1,)}
    assert loss_shapes(found, 128) == {
        "loss.classifier.weight": (57, 128),
        "loss.classifier.bias": (57,),
        "loss.s_det": (1,),
        "loss.s_id": (1,),
    }
    assert "2 missing: loss.classifier.bias" in differences(match(found, loss_shapes(found, 128), (), False))[0]
