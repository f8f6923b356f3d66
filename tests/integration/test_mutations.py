"""Changed files of every format that the product reads: each is taken rightly or refused by name, at once.

A sample runs by default, some of each format. FAIRMOT_MUTATIONS=2000 makes two thousand, of which these are the first.
"""

import dataclasses
import hashlib
import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pytest
from fuzzing import BYTES, Mutation, json_lines, json_tree, safetensors_header, words, zip_member
from omegaconf import OmegaConf
from rank_tables import one_host
from small_data import person, rows, write_data_set
from tiny import tiny_state

from fairmot.convert.source import read_source
from fairmot.convert.torch_file import torch_file
from fairmot.data.index import build_index
from fairmot.data.labels import usable
from fairmot.data.layout import Built, build_data_set
from fairmot.data.pack_writer import write_pack
from fairmot.data.packed import open_images, open_index
from fairmot.detections.file import read_detections, write_detections
from fairmot.detections.recorder import DetectionRecorder
from fairmot.errors import FairMOTError
from fairmot.inference.exported_file import Description, read_description, write_exported
from fairmot.inference.network import load_network
from fairmot.inference.trained_rules import read_rules
from fairmot.json_files import sealed
from fairmot.mot.rows import first_fault, read_ground_truth, read_results
from fairmot.mot.sequence import read_frame_rate, read_length
from fairmot.prepare.sets.coco_video import parse_coco
from fairmot.structures import Detections
from fairmot.tracking.config import TrackerConfig
from fairmot.weights.checkpoint import GROUPS, read_checkpoint, save_checkpoint
from fairmot.weights.weights_file import weights_file
from train.cluster.rank_table import read_rank_table
from train.report.record import RunRecord, read_metrics
from train.selfcheck.command import _planned
from train.state import load_weights

FORMATS = (
    *(
        "checkpoint",
        "weights_safetensors",
        "pth",
        "exported",
        "pack",
        "rank_table",
        "rules",
        "record",
        "dry_run_report",
    ),
    *("data_manifest", "coco", "data", "results", "ground_truth", "seqinfo", "stored_detections"),
)
TIMES = int(os.environ.get("FAIRMOT_MUTATIONS", 8 * len(FORMATS))) // len(FORMATS)
LONGEST_S, LONGEST_MESSAGE = 5, 2000


@dataclass
class Format:
    """Files of a format, how they are changed, and who reads them.

    Attributes:
        changed: the files that may be changed, below the folder -> how.
        read: reads the folder; what is wrong with something that was taken is an AssertionError.
        mend: makes all digests fit again, as who means harm does.
    """

    changed: Mapping[str, tuple[Mutation, ...]]
    read: Callable[[Path], object]
    mend: Callable[[Path], object] | None = None
    originals: dict[str, bytes] = field(default_factory=dict)


def checkpoint(folder: Path) -> Format:
    state = tiny_state()
    path = save_checkpoint(folder, 7, state.tensors(), state.manifest("abc", 1), "tracker: {}\n", 3)
    expected = state.tensors()

    def mend(folder: Path) -> None:
        manifest = folder / path.name / "checkpoint.json"
        said = json.loads(manifest.read_bytes())
        for group in GROUPS:
            content = (folder / path.name / f"{group}.safetensors").read_bytes()
            said["files"][f"{group}.safetensors"] = {
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        manifest.write_text(sealed({key: value for key, value in said.items() if key != "digest"}))

    def read(folder: Path) -> None:
        fresh = tiny_state(network_seed=3)
        fresh.restore(read_checkpoint(folder))
        for group, arrays in fresh.tensors().items():
            assert {array.shape for array in arrays.values()} == {array.shape for array in expected[group].values()}

    tensors = {f"{path.name}/{group}.safetensors": (*BYTES, safetensors_header) for group in GROUPS}
    return Format({f"{path.name}/checkpoint.json": (*BYTES, json_tree, json_tree, words), **tensors}, read, mend)


MODEL = {"name": "one_convolution", "head_conv": 16, "reid_dim": 16}


def weights_safetensors(folder: Path) -> Format:
    from fairmot.model.config import ModelConfig
    from fairmot.model.network import build_network

    model = ModelConfig(**MODEL)
    tensors = {name: value.asnumpy() for name, value in build_network(model, seed=0).state().items()}
    manifest = {"model": dataclasses.asdict(model), "num_classes": 1, "input_size": [64, 96], "progress": {"epoch": 3}}
    (folder / "w.safetensors").write_bytes(weights_file(tensors, manifest))

    def read(folder: Path) -> None:
        path = folder / "w.safetensors"
        read_source(path)
        network = load_network(path).network
        load_weights(network.state(), path)

    return Format({"w.safetensors": (*BYTES, safetensors_header, safetensors_header)}, read)


def pth(folder: Path) -> Format:
    arrays = {"base.weight": np.ones((2, 3), np.float32), "base.bias": np.zeros(3, np.float32)}
    (folder / "w.pth").write_bytes(torch_file({"epoch": 3, "state_dict": arrays}))
    return Format({"w.pth": (*BYTES, zip_member, zip_member)}, lambda folder: read_source(folder / "w.pth"))


def exported(folder: Path) -> Format:
    description = Description(".onnx", "dlaconv_34", (64, 96), None, 40, 4, 1, 16)
    write_exported(folder / "m.onnx", b"a graph", description)

    def mend(folder: Path) -> None:
        said = json.loads((folder / "m.onnx.json").read_bytes())
        (folder / "m.onnx.json").write_text(sealed({key: value for key, value in said.items() if key != "digest"}))

    def read(folder: Path) -> None:
        height, width = read_description(folder / "m.onnx").input_size_hw
        assert 0 < height <= 8192 and 0 < width <= 8192

    return Format({"m.onnx.json": (*BYTES, json_tree, json_tree, words), "m.onnx": BYTES}, read, mend)


def pack(folder: Path) -> Format:
    lists = write_data_set(folder / "data", "a", [rows(person(0), person(1)), rows(person(2)), None])
    write_pack(build_index(str(folder / "data"), lists, progress=False), folder / "pack", 20_000, progress=False)

    def mend(folder: Path) -> None:
        manifest, index = folder / "pack/manifest.json", (folder / "pack/index.npz").read_bytes()
        said = json.loads(manifest.read_bytes())
        manifest.write_text(json.dumps({**said, "index_sha256": hashlib.sha256(index).hexdigest()}))

    def read(folder: Path) -> None:
        index = open_index(str(folder / "pack"), "", lists, None)
        images = open_images(str(folder / "pack"))
        assert usable(index.rows).all() and (index.rows[:, 1] < index.identities.num_identities).all()
        for i in range(len(index)):
            images.read(i)

    shards = {f"pack/{path.name}": BYTES for path in (folder / "pack").glob("*.zip")}
    changed = {"pack/manifest.json": (*BYTES, json_tree), "pack/index.npz": (*BYTES, zip_member, zip_member)}
    return Format({**changed, **shards}, read, mend)


def rank_table(folder: Path) -> Format:
    document = one_host(*range(4))
    (folder / "table.json").write_text(json.dumps(document, indent=1))

    def read(folder: Path) -> None:
        table = read_rank_table(folder / "table.json")
        ranks = [device.rank for server in table.servers for device in server.devices]
        assert ranks == list(range(table.num_ranks))

    return Format({"table.json": (*BYTES, json_tree, json_tree, words)}, read)


def rules(folder: Path) -> Format:
    content = {"name": "a", "tracker": OmegaConf.structured(TrackerConfig)}
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(content))
    return Format({"config.yaml": (*BYTES, words, words)}, lambda folder: read_rules(folder / "config.yaml"))


def record(folder: Path) -> Format:
    written = RunRecord(folder)
    written.append("start", resumed_at_step=None)
    for step in range(4):
        written.append("metrics", step=step, values={"loss": 3.5 - step, "lr": float("nan")})
    written.append("end", status="FINISHED")
    written.close()

    def read(folder: Path) -> None:
        for points in read_metrics(folder).values():
            assert all(isinstance(step, int) and isinstance(value, int | float) for step, value in points)

    return Format({written.path.name: (*BYTES, json_lines, json_lines, words)}, read)


def dry_run_report(folder: Path) -> Format:
    said = {"identities": 9, "objects": 5, "ranks": 1, "parameter_bytes": 80, "kernels_per_step": {"total": 7, "a": 1}}
    (folder / "report.json").write_text(json.dumps({**said, "peak_gb_with_fragments": 1.5, "chip": "910b"}))
    return Format({"report.json": (*BYTES, json_tree, words)}, lambda folder: _planned(str(folder / "report.json")))


def data_manifest(folder: Path) -> Format:
    def build(_: Path) -> Built:
        return Built({"a.train": ["a/images/1.jpg"]}, [])

    def read(folder: Path) -> None:
        build_data_set(folder, "a", {"seed": 1}, build, replace=True)

    read(folder)
    return Format({"a.manifest.json": (*BYTES, json_tree, json_tree, words)}, read)


def coco(folder: Path) -> Format:
    document: dict[str, Any] = {"categories": [{"id": 1, "name": "person"}], "videos": [{"id": 1, "name": "v"}]}
    document["images"] = [{"id": 3, "file_name": "v/1.jpg", "video_id": 1, "frame_id": 0, "width": 9, "height": 9}]
    document["annotations"] = [{"image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4.5], "instance_id": 7}]
    (folder / "train.json").write_text(json.dumps(document))
    return Format(
        {"train.json": (*BYTES, json_tree, json_tree, words)}, lambda folder: parse_coco(folder / "train.json")
    )


def data(folder: Path) -> Format:
    lists = write_data_set(folder, "a", [rows(person(0), person(1)), rows(person(2)), None])

    def read(folder: Path) -> None:
        index = build_index(str(folder), lists, str(folder / "cache"), progress=False)
        assert usable(index.rows).all() and index.row_offsets[-1] == len(index.rows)

    read(folder)
    (cache,) = (folder / "cache").glob("*.npz")
    labels = {f"a/labels_with_ids/{number:03d}.txt": (*BYTES, words, words) for number in range(2)}
    return Format({"a.train": (*BYTES, words), f"cache/{cache.name}": (*BYTES, zip_member), **labels}, read)


def results(folder: Path) -> Format:
    (folder / "a.txt").write_text("1,1,10.5,20,30,40,0.9,-1,-1,-1\n2,1,11,20,30,40,0.8,-1,-1,-1\n")

    def read(folder: Path) -> None:
        found = read_results(folder / "a.txt")
        assert first_fault(found, np.ones(len(found), bool)) is None

    return Format({"a.txt": (*BYTES, words, words)}, read)


def ground_truth(folder: Path) -> Format:
    (folder / "gt.txt").write_text("1,1,10.5,20,30,40,1,1,0.5\n2,1,11,20,30,40,0,8,1\n")

    def read(folder: Path) -> None:
        found = read_ground_truth(folder / "gt.txt")
        assert first_fault(found, found.scores != 0, 0, -1) is None

    return Format({"gt.txt": (*BYTES, words, words)}, read)


def seqinfo(folder: Path) -> Format:
    text = "[Sequence]\nname=a\nimDir=img1\nframeRate=30\nseqLength=9\nimWidth=64\nimHeight=48\nimExt=.jpg\n"
    (folder / "seqinfo.ini").write_text(text)

    def read(folder: Path) -> None:
        read_length(folder / "seqinfo.ini")
        read_frame_rate(folder / "seqinfo.ini", (48, 64))

    return Format({"seqinfo.ini": (*BYTES, words, words)}, read)


def stored_detections(folder: Path) -> Format:
    recorder = DetectionRecorder(0.1)
    for frame in (1, 2, 4):
        boxes_xyxy, embeddings = np.array([[1, 2, 30, 40], [5, 6, 7, 8]]), np.ones((2, 3))
        recorder.add(frame, frame / 7, Detections(boxes_xyxy, [0.9, 0.5], embeddings, [1, 0]))
    path = folder / "a_detections.safetensors"
    write_detections(path, recorder.finished("a", (96, 160), 30.0, 2))

    def read(folder: Path) -> None:
        found = read_detections(path)
        assert sum(len(detections) for _, _, detections in found.timed()) == len(found.rows)

    return Format({path.name: (*BYTES, safetensors_header, safetensors_header)}, read)


def change(one: Format, folder: Path, rng: np.random.Generator) -> str:
    """All files as they were but one, or two; returns what was done."""
    for name, content in one.originals.items():
        (folder / name).write_bytes(content)
    done = []
    for _ in range(1 + (rng.integers(4) == 0)):
        name = list(one.changed)[rng.integers(len(one.changed))]
        mutation = one.changed[name][rng.integers(len(one.changed[name]))]
        try:
            content = mutation((folder / name).read_bytes(), rng)
        except (ValueError, BadZipFile):  # the first change has left nothing that the second understands
            continue
        (folder / name).write_bytes(content)
        done.append(f"{mutation.__name__} of {name}")
    if one.mend is not None and rng.integers(2):
        try:
            one.mend(folder)
            done.append("mended")
        except (ValueError, TypeError, KeyError, AttributeError):
            pass  # too broken to be made to fit
    return ", ".join(done)


@pytest.mark.parametrize("name", FORMATS)
def test_a_changed_file_is_taken_rightly_or_refused_by_name(name: str, tmp_path: Path) -> None:
    one: Format = globals()[name](tmp_path)
    one.originals = {file: (tmp_path / file).read_bytes() for file in one.changed}
    one.read(tmp_path)
    refused, faults = 0, []
    for number in range(TIMES):
        done = change(one, tmp_path, np.random.default_rng([FORMATS.index(name), number]))
        fault = ""
        began_s = time.monotonic()
        try:
            one.read(tmp_path)
        except FairMOTError as error:
            refused += 1
            if str(tmp_path) not in str(error) or len(str(error)) > LONGEST_MESSAGE:
                fault = f"names no file, or is endless: {str(error)[:200]}"
        except Exception as error:
            fault = "".join(traceback.format_exception(error))[-1500:]
        if time.monotonic() - began_s > LONGEST_S:
            fault = "takes too long"
        if fault:
            faults.append(f"{name} {number} ({done}): {fault}")
    assert not faults, f"{len(faults)} of {TIMES} changes; the first: {faults[0]}"
    assert refused >= TIMES // 8, "changes that do no harm test nothing"
