"""engine=onnx|auto: a network is exported once, kept, and trusted as long as the file is the one that was checked."""

import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest
from blob_sequences import run_command_in_process, write_sequence
from drawn_weights import drawn_weights
from one_convolution import one_convolution  # noqa: F401

from fairmot.device import Device
from fairmot.errors import ConfigError, DataError, FairMOTError
from fairmot.export import engine as engine_module
from fairmot.export.engine import _KEPT, WORTH_FRAMES, _remove_old, open_with_engine
from fairmot.export.onnx_operators import TRANSLATIONS
from fairmot.inference.config import Engine
from fairmot.inference.exported import ExportedDetector
from fairmot.inference.exported_file import description_path
from fairmot.inference.network import NetworkDetector
from fairmot.model.config import ModelConfig
from fairmot.model.network import build_network
from fairmot.weights.checkpoint import GROUPS, save_checkpoint
from fairmot.weights.weights_file import weights_file

INPUT_SIZE = (64, 96)
MODEL = ModelConfig(name="one_convolution", head_conv=4, reid_dim=6)
MANIFEST = {"model": dataclasses.asdict(MODEL), "input_size": list(INPUT_SIZE), "num_classes": 1}


def write_weights(path, seed=4):
    path.write_bytes(weights_file(drawn_weights(build_network(MODEL, seed=2, num_classes=1), seed), MANIFEST))
    return path


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return tmp_path / "user" / "fairmot" / "onnx"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Weights, and the detector that the one export gave."""
    path = write_weights(tmp_path_factory.mktemp("weights") / "new.safetensors")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(path.parent / "user"))
        return path, opened(path, Engine.onnx)


def opened(path, engine, n_frames=None, batch_size=1):
    return open_with_engine(path, engine, Device.cpu, max_objects=40, batch_size=batch_size, n_frames=n_frames)


class WantsToExportError(FairMOTError):
    """Says where to."""


@pytest.fixture
def no_export(monkeypatch):
    def refuse(output, *_):
        raise WantsToExportError(f"would write {output}")

    monkeypatch.setattr(engine_module, "write_checked", refuse)


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_exported_once_it_is_run_again(exported, no_export, capfd):
    path, first = exported
    (graph,) = path.with_name("new.safetensors.onnx").glob("*.onnx")
    assert files_in(graph.parent) == [graph.name, description_path(graph).name]
    again = opened(path, Engine.auto, n_frames=1)  # what is there already costs nothing
    assert f"engine=auto: ONNX Runtime runs {graph}" in capfd.readouterr().err
    frames = list(np.random.default_rng(1).integers(0, 256, (2, 128, 192, 3)).astype(np.uint8))
    for one, other in zip(first.detect(frames), again.detect(frames), strict=True):
        assert len(other) > 20
        for field in dataclasses.fields(other):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_other_weights_batch_size_or_a_damaged_file_are_exported_anew(exported, no_export, tmp_path):
    path, _ = exported
    changed = tmp_path / "changed.safetensors"
    folder = changed.with_name("changed.safetensors.onnx")
    folder.mkdir()
    for file in path.with_name("new.safetensors.onnx").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    changed.write_bytes(path.read_bytes())
    assert isinstance(opened(changed, Engine.onnx), ExportedDetector)
    with pytest.raises(WantsToExportError):
        opened(changed, Engine.onnx, batch_size=2)
    write_weights(changed, seed=5)
    with pytest.raises(WantsToExportError):
        opened(changed, Engine.onnx)
    changed.write_bytes(path.read_bytes())
    (graph,) = folder.glob("*.onnx")
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with pytest.raises(WantsToExportError, match=str(graph)):
        opened(changed, Engine.onnx)


def test_where_the_folder_cannot_be_written_it_is_kept_in_the_users_cache(exported, no_export, tmp_path, user_cache):
    tensors = {group: {} for group in GROUPS} | {"network": drawn_weights(build_network(MODEL, seed=2, num_classes=1))}
    checkpoint = save_checkpoint(tmp_path / "run" / "checkpoints", 1, tensors, MANIFEST, "", keep=1)
    with pytest.raises(WantsToExportError, match=f"would write {checkpoint}/onnx/"):
        opened(tmp_path / "run", Engine.onnx)
    shutil.rmtree(checkpoint / "onnx")
    (checkpoint / "onnx").touch()  # as good as a folder that refuses
    with pytest.raises(WantsToExportError, match=f"would write {user_cache}/"):
        opened(tmp_path / "run", Engine.onnx)
    shutil.rmtree(user_cache)
    user_cache.touch()
    with pytest.raises(DataError, match=f"neither {checkpoint}/onnx nor {user_cache} can be written"):
        opened(tmp_path / "run", Engine.onnx)


def test_auto_falls_back_to_mindspore_and_says_why(tmp_path, monkeypatch, capfd):
    path = write_weights(tmp_path / "new.safetensors")
    assert isinstance(opened(path, Engine.auto, n_frames=WORTH_FRAMES - 1), NetworkDetector)
    assert capfd.readouterr().err == ""  # too few frames to export for
    monkeypatch.setitem(TRANSLATIONS, "Sqrt", TRANSLATIONS["Sigmoid"])
    assert isinstance(opened(path, Engine.auto, n_frames=WORTH_FRAMES), NetworkDetector)
    said = capfd.readouterr().err
    assert "engine=auto: mindspore, because ONNX Runtime cannot take its place: the file's outputs differ" in said
    assert [name[-7:] for name in files_in(path.with_name("new.safetensors.onnx"))] == [".failed"]
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert isinstance(opened(path, Engine.auto), NetworkDetector)
    assert "onnxruntime not installed: pip install" in capfd.readouterr().err
    with pytest.raises(ConfigError, match="engine=onnx: onnxruntime not installed"):
        opened(path, Engine.onnx)


def test_a_failed_export_is_not_tried_again_by_itself(exported, no_export, tmp_path, capfd):
    path = tmp_path / "new.safetensors"
    path.write_bytes(exported[0].read_bytes())
    assert isinstance(opened(path, Engine.auto), NetworkDetector)
    assert "cannot take its place: would write" in capfd.readouterr().err
    (note,) = path.with_name("new.safetensors.onnx").iterdir()
    assert isinstance(opened(path, Engine.auto), NetworkDetector)
    said = capfd.readouterr().err
    assert f"tried before (remove {note} to try again): would write" in said and "exporting" not in said
    with pytest.raises(WantsToExportError):  # who asks for it gets a new try
        opened(path, Engine.onnx)
    note.unlink()
    assert isinstance(opened(path, Engine.auto), NetworkDetector)
    assert "exporting the checkpoint" in capfd.readouterr().err


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_a_full_disk_or_memory_is_of_the_moment(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(engine_module, "write_checked", fail)
    path = write_weights(tmp_path / "new.safetensors")
    assert isinstance(opened(path, Engine.auto), NetworkDetector)
    assert files_in(path.with_name("new.safetensors.onnx")) == []


def test_what_an_engine_cannot_run(exported):
    path, _ = exported
    (graph,) = path.with_name("new.safetensors.onnx").glob("*.onnx")
    assert isinstance(opened(graph, Engine.onnx), ExportedDetector)
    with pytest.raises(ConfigError, match=f"engine=mindspore: cannot run {graph}"):
        opened(graph, Engine.mindspore)
    with pytest.raises(ConfigError, match="engine=onnx: runs on the CPU here"):
        open_with_engine(path, Engine.onnx, Device.ascend)


def test_old_files_are_removed(tmp_path):
    for number in range(_KEPT + 2):
        for path in (tmp_path / f"{number}.onnx", tmp_path / f"{number}.onnx.json"):
            path.touch()
    _remove_old(tmp_path)
    assert len(files_in(tmp_path)) == 2 * _KEPT
    assert all((tmp_path / f"{path.name}.json").is_file() for path in tmp_path.glob("*.onnx"))


@pytest.mark.slow
def test_the_embedding_test_needs_no_second_network(exported, tmp_path, monkeypatch, capfd):
    frames = list(np.random.default_rng(1).integers(0, 256, (2, 70, 90, 3)).astype(np.uint8))
    boxes = [np.array([[5.0, 5, 25, 45], [60, -9, 80, 30], [95, 40, 110, 90]]), np.zeros((0, 4))]
    expected = opened(exported[0], Engine.mindspore, batch_size=2).embeddings_at(frames, boxes)
    for one, other in zip(exported[1].embeddings_at(frames, boxes), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)

    def refuse(_):
        raise AssertionError("MindSpore's network was loaded")

    monkeypatch.setattr("fairmot.inference.network.load_network", refuse)
    # The command takes the usual number of objects, which is a file of its own.
    monkeypatch.setattr("fairmot.evaluate.command.open_with_engine", lambda *_, **__: exported[1])
    gt = write_sequence(tmp_path / "walk", 4)
    words = [f"gt={gt}", f"checkpoint={exported[0]}", f"output={tmp_path / 'out'}", "engine=onnx", "plots=false"]
    assert run_command_in_process(monkeypatch, "fairmot.evaluate", words) == 0, capfd.readouterr()
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["OVERALL"]
    assert {"AP", "TPR@FAR=0.1"} <= found.keys()
