"""Writing a network's graph, which gets its name only once it has said what the network says."""

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor

from fairmot.errors import ConfigError, FairMOTError
from fairmot.export.check import check_file
from fairmot.files import sync_directory
from fairmot.inference.exported_file import (
    EMBEDDING_MAP,
    INPUT,
    INSTALL,
    ONNX,
    OUTPUTS,
    Description,
    description_path,
    write_exported,
)
from fairmot.inference.network import DetectionGraph, TrainedNetwork, evaluating
from fairmot.model.network import FairMOT

if TYPE_CHECKING:
    from onnx import ModelProto


class Written(NamedTuple):
    """What was written.

    Attributes:
        size_bytes: of the graph.
        checked: what was compared with the network's own output, and the largest differences.
    """

    size_bytes: int
    checked: str


def require_onnx(key: str) -> None:
    """Refuse early where packages are missing.

    Args:
        key: of the configuration, with its value, that wants them.

    Raises:
        ConfigError: they are not installed.
    """
    missing = [package for package in ("onnx", "onnxruntime") if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(f"{key}: {' and '.join(missing)} not installed: {INSTALL}")


def describe(
    trained: TrainedNetwork,
    ending: str,
    input_size_hw: tuple[int, int],
    batch_size: int | None,
    max_objects: int,
    *,
    embedding_map: bool = False,
) -> Description:
    """What the file of a network will be.

    Args:
        trained: the network.
        ending: .mindir or .onnx.
        input_size_hw: height and width of its input, pixels.
        batch_size: pictures it takes at once; None: any number, .onnx alone.
        max_objects: objects it gives for a picture at most.
        embedding_map: give the map of embeddings besides; .onnx alone.
    """
    height, width = input_size_hw
    ratio = trained.config.down_ratio
    return Description(
        ending=ending,
        network=trained.config.name,
        input_size_hw=(height, width),
        batch_size=batch_size,
        max_objects=min(max_objects, trained.num_classes * (height // ratio) * (width // ratio)),
        down_ratio=ratio,
        num_classes=trained.num_classes,
        reid_dim=trained.config.reid_dim,
        embedding_map=embedding_map,
    )


def write_checked(output: Path, trained: TrainedNetwork, description: Description) -> Written:
    """Write the graph, run it beside the network, and only then give it its name.

    Args:
        output: the file, which is replaced if it is there.
        trained: the network.
        description: of the file.

    Raises:
        FairMOTError: an operator cannot be exported, or the file's outputs differ from the network's.
        OSError: the output cannot be written.
    """
    graph = _mindir(trained.network, description)
    if description.ending == ONNX:
        graph = _onnx(graph, description).SerializeToString()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        partial = Path(folder) / output.name
        write_exported(partial, graph, description)
        checked = _check(partial, description, trained)
        partial.replace(output)
        description_path(partial).replace(description_path(output))
    sync_directory(output.parent)
    return Written(len(graph), checked)


def _check(path: Path, description: Description, trained: TrainedNetwork) -> str:
    try:
        return check_file(path, description, trained.network)
    except FairMOTError as error:
        if description.batch_size is not None:
            raise
        advice = f"{description.network} may have its batch size built in: try batch_size=1"
        raise FairMOTError(f"{error}; {advice}") from error


def onnx_graph(network: FairMOT, description: Description) -> "ModelProto":
    """Network and decoder in ONNX.

    Raises:
        FairMOTError: an operator cannot be exported.
    """
    return _onnx(_mindir(network, description), description)


def _mindir(network: FairMOT, description: Description) -> bytes:
    cell = DetectionGraph(network, description.max_objects, with_embedding_map=description.embedding_map)
    image = Tensor(np.zeros((description.batch_size or 1, *description.input_size_hw, 3), np.uint8))
    with evaluating(network), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.mindir"  # MindSpore changes the permissions of the folder it writes to
        ms.export(cell, image, file_name=str(path), file_format="MINDIR")
        return path.read_bytes()


def _onnx(mindir: bytes, description: Description) -> "ModelProto":
    from fairmot.export.to_onnx import to_onnx  # noqa: PLC0415

    names = (*OUTPUTS, EMBEDDING_MAP) if description.embedding_map else OUTPUTS
    return to_onnx(mindir, INPUT, names, any_batch=description.batch_size is None)
