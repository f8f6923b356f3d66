"""Every configuration that ships composes and parses."""

import sys

import hydra
import pytest
from hydra import compose, initialize_config_dir, version
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from small_run import compose_config

from fairmot.cli.command import CONF_DIR, explain, known_keys
from fairmot.cli.command import compose as compose_for_command
from fairmot.device import Device
from fairmot.errors import ConfigError
from fairmot.track.config import TrackConfig
from train.config import TrainConfig
from train.run_dir import named_run_dir
from train.step_config import BatchNorm

OVERLAYS = [
    (group, path.stem)
    for group in ("experiment", "data", "model", "loss", "optim", "runtime", "debug")
    for path in sorted((CONF_DIR / group).glob("*.yaml"))
]
RECIPES = {  # the paper's table: epochs, batch, learning rate, epochs after which it falls
    "crowdhuman_dla34": (60, 8, 1e-4, [50]),
    "mix_dla34": (30, 12, 1e-4, [20]),
    "mix_ft_ch_dla34": (30, 12, 1e-4, [20]),
    "mot17_dla34": (30, 12, 1e-4, [20]),
    "mot17_half_dla34": (30, 12, 1e-4, [20]),
    "mix_mot17_half_dla34": (30, 12, 1e-4, [20]),
    "mix_mot17_half_hrnet18": (30, 8, 1e-4, [20]),
    "mix_mot17_half_res34": (30, 12, 1e-4, [20]),
    "mix_mot17_half_res34fpn": (30, 12, 1e-4, [20]),
    "mix_mot17_half_res50": (30, 12, 1e-4, [20]),
    "mot15_ft_mix_dla34": (20, 12, 1e-4, [15]),
    "mot20_ft_mix_dla34": (20, 12, 1e-4, [15]),
    "mot20_finetune": (20, 12, 1e-4, [15]),
    "all_yolov5s": (30, 16, 5e-4, [20]),
    "mix_large_batch_8npu": (60, 16, 5e-4, [40]),  # PaddleDetection's, like the next one
    "mix_large_batch_64npu": (60, 2, 5e-4, [40]),
}


def test_a_program_that_hydra_runs_may_compose(tmp_path, monkeypatch):
    """As with fairmot.track_video in the jobs of somebody's sweep; Hydra goes on as if nothing had been."""
    seen = []

    @hydra.main(version_base="1.2", config_path=str(tmp_path))
    def job(config):
        before = HydraConfig.get().job.name, version.getbase(), GlobalHydra.instance().hydra
        found = compose_for_command([f"source={config.video}", "checkpoint=a", "output=b"], TrackConfig, "track")
        with pytest.raises(ConfigError, match="nonsense"):
            compose_for_command(["nonsense=1"], TrackConfig, "track")
        assert before == (JobRuntime.instance().get("name"), version.getbase(), GlobalHydra.instance().hydra)
        seen.append((found.source, HydraConfig.get().job.name))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # raise instead of leaving
    monkeypatch.setattr(sys, "argv", ["theirs.py", "-m", "+video=a.mp4,b.mp4"])
    job()
    assert [source for source, _ in seen] == ["a.mp4", "b.mp4"]
    assert len({name for _, name in seen}) == 1


def test_there_is_something_to_compose():
    assert len(OVERLAYS) > 30


@pytest.mark.parametrize(("group", "name"), OVERLAYS)
def test_every_overlay_composes(group, name):
    words = [f"{group}={name}"]
    if (group, name) == ("data", "custom"):
        words.append("+data.train.mine=mine.train")
    config = compose_config(words)
    assert isinstance(config, TrainConfig)
    if group == "experiment":
        assert config.name == name


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_the_papers(name):
    config = compose_config([f"experiment={name}"])
    assert (config.epochs, config.batch_size_per_rank, config.optim.lr, config.optim.lr_step) == RECIPES[name]
    assert config.data.input_size == [608, 1088]
    assert config.data.max_objects is None
    assert config.weights is not None
    assert config.data.transforms.clip_boxes is name.startswith("mot20")


def test_recipes_build_the_network_they_name():
    """The paper's is DLA-34 with the deformable neck; what runs on a laptop takes plain convolutions."""
    names = {name: compose_config([f"experiment={name}"]).model.name for name in (*RECIPES, "quickstart", "tud")}
    backbones = {"hrnet18": "hrnet_18", "res34": "resdcn_34", "res34fpn": "resfpndcn_34", "res50": "resdcn_50"}
    expected = {name: backbones.get(name.removeprefix("mix_mot17_half_"), "dla_34") for name in RECIPES}
    others = {"all_yolov5s": "yolov5s", "quickstart": "dlaconv_34", "tud": "dlaconv_34"}
    assert names == expected | others


def test_the_chain_through_crowdhuman_builds_one_network():
    first, second = (compose_config([f"experiment={name}"]) for name in ("crowdhuman_dla34", "mix_ft_ch_dla34"))
    assert first.model == second.model
    assert first.weights == "weights/ctdet_coco_dla_2x.safetensors"
    assert second.weights == f"weights/{first.name}.safetensors"
    assert list(first.data.train) == ["crowdhuman", "crowdhuman_val"]
    assert first.loss.identity_slots > 0  # every box is a class: logits of all 500 slots would not fit


def test_the_light_backbones_recipe():
    config = compose_config(["experiment=all_yolov5s"])
    assert (config.model.reid_dim, config.loss.wh_weight, config.loss.multi_loss.name) == (64, 0.5, "fix")


@pytest.mark.parametrize("npus", [8, 64])
def test_the_large_batch_recipes_are_one_for_any_number_of_npus(npus):
    config = compose_config([f"experiment=mix_large_batch_{npus}npu"])
    assert config.batch_size_per_rank * npus * config.optim.accumulation == 128
    assert (config.device, config.batch_norm) == (Device.ascend, BatchNorm.sync)
    assert config.optim.ema_decay == 0.9998
    assert {"mot17", "prw", "crowdhuman"} < config.data.train.keys()


def test_an_experiment_and_a_debug_overlay_go_together():
    config = compose_config(["experiment=mot20_finetune", "debug=smoke"])
    assert config.max_steps == 3
    assert config.epochs == 20


def refused(words):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"), pytest.raises(HydraException) as error:
        compose("train", words)
    return explain(error.value, TrainConfig)


@pytest.mark.parametrize(
    ("word", "suggestion"),
    [
        ("epoch=3", "did you mean 'epochs'?"),
        ("optim.lerning_rate=1", "unknown key 'optim.lerning_rate'"),
        ("clip_norm=1", "did you mean 'optim.clip_norm'?"),
        ("data.sinthetic.walkers=3", "did you mean 'data.synthetic'?"),
        ("model.widht=2", "did you mean 'model.width'?"),
        ("model=dlaconv34", "did you mean 'dlaconv_34'?"),
    ],
)
def test_a_mistyped_word_is_refused_with_a_suggestion(word, suggestion):
    assert suggestion in refused([word])


@pytest.mark.parametrize("key", ["optim.lrr", "seeed", "data.synthetic.walkerz"])
def test_a_plus_does_not_let_an_unknown_key_in(key):
    with pytest.raises(ConfigError, match=f"unknown key '{key}': did you mean"):
        compose_config([f"+{key}=1"])


def test_a_run_directory_is_no_address(monkeypatch):
    for word in ("run_dir=s3://me:pass-word@bucket/run", "data.root=obs://bucket/data"):
        with pytest.raises(ConfigError, match=r"=(s3|obs)://.*(must be a folder|read from folders only)") as error:
            compose_config([word])
        assert "pass-word" not in str(error.value)
    monkeypatch.setenv("FAIRMOT_RUN_DIR", "s3://bucket/run")
    with pytest.raises(ConfigError, match="run_dir=s3://bucket/run: must be a folder"):
        named_run_dir(compose_config([]))


def test_known_keys_reach_into_groups():
    keys = set(known_keys(TrainConfig))
    assert {"seed", "optim.lr", "data.transforms.hsv_fraction", "runtime.loss_scale.initial"} <= keys
