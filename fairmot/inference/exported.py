"""Running exported files, and telling them from checkpoints."""

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from fairmot.device import Device, say_device, use_device
from fairmot.errors import CheckpointError, ConfigError, FairMOTError
from fairmot.inference.config import MAX_OBJECTS
from fairmot.inference.detector import Detector
from fairmot.inference.exported_file import (
    EMBEDDING_MAP,
    INPUT,
    INSTALL,
    MINDIR,
    ONNX,
    OUTPUTS,
    Description,
    description_path,
    read_description,
)
from fairmot.inference.network import NetworkDetector

if TYPE_CHECKING:
    from onnx import ModelProto

Run = Callable[[np.ndarray], list[np.ndarray]]
"""Uint8 [B, H, W, 3] RGB -> OUTPUTS, or EMBEDDING_MAP alone."""

_SHORTEST = 1e-12  # length of an embedding to divide by, as in the network's own decoder


class ExportedDetector(Detector):
    """Finds objects by an exported file."""

    def __init__(
        self, description: Description, run: Run, max_objects: int, batch_size: int, embed: Run | None = None
    ) -> None:
        """Wrap a graph that is ready to run; `open_exported` makes one of a file.

        Args:
            description: of the graph.
            run: the graph.
            max_objects: objects taken from a picture, if the graph gives as many.
            batch_size: pictures that go through it together.
            embed: the graph up to EMBEDDING_MAP, if it has it.
        """
        super().__init__(description.input_size_hw, description.down_ratio, batch_size, description.num_classes)
        self._run = run
        self._max_objects = max_objects
        self._embed = embed
        self.gives_embeddings = embed is not None

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """See Detector."""
        return [output[:, : self._max_objects] for output in self._run(batch)]

    def run_at_cells(self, batch: np.ndarray, cells: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See Detector."""
        assert self._embed is not None
        (embeddings,) = self._embed(batch)
        found = [one.reshape(len(one), -1)[:, some].T for one, some in zip(embeddings, cells, strict=True)]
        return [one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), _SHORTEST) for one in found]


def open_exported(path: Path, device: Device, *, max_objects: int, batch_size: int) -> ExportedDetector:
    """Load a file of fairmot.export.

    Args:
        path: the file.
        device: where to run.
        max_objects: objects taken from a picture, if the file gives as many.
        batch_size: pictures that go through it together.

    Raises:
        CheckpointError: it cannot be loaded.
        ConfigError: it takes another batch size, cannot run there, or a package is missing.
    """
    description = read_description(path)
    if description.batch_size not in (None, batch_size):
        raise ConfigError(
            f"batch_size={batch_size}: {path} takes {description.batch_size} pictures at once; say "
            f"batch_size={description.batch_size}, or export the checkpoint with batch_size={batch_size}"
        )
    embed: Run | None = None
    run = _mindir_run(path, device) if description.ending == MINDIR else _onnx_run(path, OUTPUTS, device)
    if description.embedding_map:
        embedding = functools.cache(lambda: _onnx_run(path, [EMBEDDING_MAP], device))  # few ask for it

        def embed(batch: np.ndarray) -> list[np.ndarray]:
            return embedding()(batch)

    return ExportedDetector(description, _as_described(path, description, run), max_objects, batch_size, embed)


def open_graph(name: str, model: "ModelProto", description: Description, threads: int) -> ExportedDetector:
    """What `open_exported` makes of a file, of an ONNX graph in memory.

    Args:
        name: what to call it in messages.
        model: the graph, which is used up.
        description: of it, with a batch size.
        threads: for the operators; 0: ONNX Runtime's choice, one a core.

    Raises:
        CheckpointError: ONNX Runtime cannot load it.
    """
    assert description.batch_size is not None
    run = _run_of_graph(name, model, OUTPUTS, threads)
    return ExportedDetector(description, run, description.max_objects, description.batch_size)


def is_exported(path: Path) -> bool:
    """Whether a path is to be read as a file of fairmot.export, by its name."""
    return path.suffix in (MINDIR, ONNX) and not path.is_dir()


def open_detector(
    path: str | Path, device: Device = Device.cpu, *, max_objects: int = MAX_OBJECTS, batch_size: int = 1
) -> Detector:
    """A detector from whatever holds a trained network.

    Args:
        path: a checkpoint or run directory, or a file of fairmot.convert or fairmot.export.
        device: where to run.
        max_objects: objects taken from a picture.
        batch_size: pictures that go through the network together.

    Raises:
        CheckpointError: it cannot be used.
        ConfigError: it cannot run there or with this batch size, or a package is missing.
    """
    path = Path(path).expanduser()
    opened: Any = open_exported if is_exported(path) else NetworkDetector.from_checkpoint
    return opened(path, device, max_objects=max_objects, batch_size=batch_size)


def _as_described(path: Path, description: Description, run: Run) -> Run:
    """`run`, with a look at what comes out: a description may fit its graph's bytes and be of another graph."""
    height, width = (side // description.down_ratio for side in description.input_size_hw)

    def checked(batch: np.ndarray) -> list[np.ndarray]:
        outputs = run(batch)
        shape = (len(batch), description.max_objects)
        wanted = [(*shape, 4), shape, shape, (*shape, description.reid_dim), shape]
        numbers = ((outputs[2], description.num_classes), (outputs[4], height * width))  # classes and cells
        if [output.shape for output in outputs] != wanted or any((some >= most).any() for some, most in numbers):
            raise CheckpointError(
                f"{description_path(path)}: does not describe {path.name}, whose outputs are others; export the "
                "checkpoint anew"
            )
        return outputs

    return checked


def _onnx_run(path: Path, outputs: Sequence[str], device: Device) -> Run:
    """The part of a file's graph that gives some of its outputs, ready to run."""
    try:
        import onnx  # noqa: PLC0415
        import onnxruntime  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigError(f"{path}: onnx or onnxruntime is not installed: {INSTALL}") from error
    if device is Device.ascend:
        raise ConfigError(f"device={device.value}: ONNX files run on the CPU here; docs/export.md says how on Ascend")
    try:
        model = onnx.load(str(path))
    except Exception as error:  # onnx's and protobuf's errors have no base of their own
        raise CheckpointError(f"{path}: onnx {onnx.__version__} cannot read it ({error})") from error
    run = _run_of_graph(str(path), model, outputs)
    if device is Device.auto:
        print("device=auto: cpu (ONNX files run on the CPU here)", file=sys.stderr)
    return run


def _run_of_graph(name: str, model: "ModelProto", outputs: Sequence[str], threads: int = 0) -> Run:
    """Some outputs of an ONNX graph, which is used up, ready to run; `name` is for messages."""
    import onnxruntime  # noqa: PLC0415

    from fairmot.inference.onnx_on_cpu import graph_for_cpu  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        graph = graph_for_cpu(model, outputs)
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise CheckpointError(f"{name}: onnxruntime {onnxruntime.__version__} cannot load it ({error})") from error

    def run(batch: np.ndarray) -> list[np.ndarray]:
        try:
            return session.run(None, {INPUT: batch})
        except Exception as error:
            raise FairMOTError(f"{name}: onnxruntime {onnxruntime.__version__} cannot run it ({error})") from error

    return run


def _mindir_run(path: Path, device: Device) -> Run:
    use_device(device)
    try:
        graph = nn.GraphCell(ms.load(str(path)))
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: MindSpore {ms.__version__} cannot load it ({reason})") from error
    say_device(device)

    def run(batch: np.ndarray) -> list[np.ndarray]:
        try:
            return [output.asnumpy() for output in graph(Tensor(batch))]
        except (RuntimeError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise FairMOTError(f"{path}: MindSpore {ms.__version__} cannot run it ({reason})") from error

    return run
