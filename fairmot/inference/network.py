"""From a trained network to detections."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from fairmot.device import Device, device_in_use, say_device, use_device
from fairmot.errors import CheckpointError, ConfigError
from fairmot.inference.config import MAX_OBJECTS
from fairmot.inference.detector import Detector
from fairmot.input_size import check_input_size
from fairmot.model.config import ModelConfig
from fairmot.model.decode import Decode
from fairmot.model.folding import fold_batch_norms
from fairmot.model.network import FairMOT, build_network
from fairmot.ops import l2_normalize
from fairmot.weights.checkpoint import Checkpoint, tensor_differences
from fairmot.weights.weights_file import open_weights


class DetectionGraph(nn.Cell):
    """Network and decoder, compiled as one graph in graph mode.

    Peaks first, then the other heads there alone: at 608x1088 whole maps of them are 41,344 cells, a quarter of the
    network's work, of which `max_objects` are read.

    Not by `ms.jit`: outside graph mode its graphs miss later changes of parameters by `set_data`.

    Args:
        network: `FairMOT`, or what has its `features`, `heat`, `at` and `embedding_map`.
        max_objects: objects taken from a picture.
        with_heat: give the scores of all cells besides.
        with_embedding_map: give the map of embeddings besides.
    """

    def __init__(
        self, network: nn.Cell, max_objects: int, with_heat: bool = False, with_embedding_map: bool = False
    ) -> None:
        super().__init__(auto_prefix=False)  # a live network's parameters keep their names
        self.network = network
        self.decode = Decode(max_objects)
        self.with_heat = with_heat
        self.with_embedding_map = with_embedding_map

    def construct(self, image: Tensor) -> tuple[Tensor, ...]:
        """Uint8 [B, H, W, 3] RGB -> what Decode returns and, if wanted, maps.

        These are float32: the heatmap [B, classes, h, w] from 0 to 1, then embeddings [B, D, h, w] of any length.
        """
        features = self.network.features(image)
        hm = self.network.heat(features)
        scores, classes, cells = self.decode.peaks(hm)
        wh, embedding, reg = self.network.at(features, cells)
        found: tuple[Tensor, ...] = self.decode.objects(scores, classes, cells, hm.shape[3], wh, embedding, reg)
        if self.with_heat:
            found = (*found, ops.sigmoid(hm))
        if self.with_embedding_map:
            found = (*found, self.network.embedding_map(features))
        return found


class _EmbeddingGraph(nn.Cell):
    """Network and the embeddings at given places, compiled as one graph."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, image: Tensor, cells: Tensor) -> Tensor:
        """Uint8 [B, H, W, 3] RGB and int32 [B, K] (y * w + x) -> float32 [B, K, D] of length 1."""
        return l2_normalize(self.network.embedding_at(self.network.features(image), cells))


class NetworkDetector(Detector):
    """Finds objects by a network of this process. Compiled once, for one input size and one batch size."""

    gives_embeddings = True

    def __init__(
        self,
        network: nn.Cell,
        input_size_hw: tuple[int, int],
        *,
        down_ratio: int = 4,
        max_objects: int = MAX_OBJECTS,
        batch_size: int = 1,
        num_classes: int = 1,
    ) -> None:
        """Wrap a network, which may be one in training: its mode and parameters stay as they are.

        Args:
            network: see `DetectionGraph`.
            input_size_hw: height and width of its input, pixels.
            down_ratio: input pixels to a cell of its maps.
            max_objects: objects taken from a picture.
            batch_size: pictures that go through the network together.
            num_classes: channels of its heatmap.
        """
        super().__init__(input_size_hw, down_ratio, batch_size, num_classes)
        ms.set_context(mode=ms.GRAPH_MODE)
        self._network = network
        self._max_objects = max_objects
        self._graph = DetectionGraph(network, max_objects, with_heat=True)
        self._embed = _EmbeddingGraph(network)

    @classmethod
    def from_checkpoint(
        cls, path: Path, device: Device = Device.cpu, *, max_objects: int = MAX_OBJECTS, batch_size: int = 1
    ) -> "NetworkDetector":
        """Build the network of a checkpoint and take its weights; every name and shape must match.

        Args:
            path: a checkpoint or run directory, or a .safetensors file of fairmot.convert.
            device: where to run.
            max_objects: objects taken from a picture.
            batch_size: pictures that go through the network together.

        Raises:
            CheckpointError: none there, damaged, or its weights are those of another network.
            ConfigError: the device is not there.
        """
        use_device(device)
        trained = load_network(path)
        say_device(device)
        if device_in_use() is Device.ascend:  # auto may be it too
            fold_batch_norms(trained.network)
        return cls(
            trained.network,
            trained.input_size_hw,
            down_ratio=trained.config.down_ratio,
            max_objects=max_objects,
            batch_size=batch_size,
            num_classes=trained.num_classes,
        )

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """See Detector."""
        with evaluating(self._network):
            return [output.asnumpy() for output in self._graph(Tensor(batch))[:-1]]

    def run_with_heat(self, batch: np.ndarray) -> list[np.ndarray]:
        """What `run` returns, by the same compiled graph, and the heatmap [B, classes, h, w], from 0 to 1."""
        with evaluating(self._network):
            return [output.asnumpy() for output in self._graph(Tensor(batch))]

    def run_at_cells(self, batch: np.ndarray, cells: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See Detector."""
        image, most = Tensor(batch), max(1, *map(len, cells))
        filled = np.stack([np.pad(some, (0, most - len(some))) for some in cells])
        found = []
        with evaluating(self._network):
            for start in range(0, most, self._max_objects):  # another count would be compiled anew
                some = filled[:, start : start + self._max_objects]
                some = np.pad(some, ((0, 0), (0, self._max_objects - some.shape[1])))
                found.append(self._embed(image, Tensor(some)).asnumpy())
        vectors = np.concatenate(found, 1)
        return [vectors[row, : len(some)] for row, some in enumerate(cells)]


@contextmanager
def evaluating(network: nn.Cell) -> Iterator[None]:
    """Evaluation mode for a while."""
    was_training = network.training
    network.set_train(False)
    try:
        yield
    finally:
        network.set_train(was_training)


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with the weights of a checkpoint, and what else the checkpoint says of it.

    Attributes:
        network: uint8 [B, H, W, 3] RGB -> hm logits, wh, id, reg maps.
        config: its settings.
        input_size_hw: height and width of the input it was trained with, pixels.
        num_classes: heatmap channels.
    """

    network: FairMOT
    config: ModelConfig
    input_size_hw: tuple[int, int]
    num_classes: int


def load_network(path: Path) -> TrainedNetwork:
    """Build the network of a checkpoint and take its weights; every name and shape must match.

    Args:
        path: a checkpoint or run directory, or a .safetensors file of fairmot.convert.

    Raises:
        CheckpointError: none there, damaged, or its weights are those of another network.
    """
    checkpoint = open_weights(path)
    config = checkpoint.said("model", ModelConfig)
    height, width = checkpoint.said("input_size", tuple[int, int])
    num_classes = checkpoint.said("num_classes", int)
    try:
        check_input_size("input_size", (height, width))
        network = build_network(config, None, num_classes)
    except (ValueError, ConfigError) as error:
        raise CheckpointError(f"{checkpoint.says}: its network cannot be built: {error}") from error
    _load_strictly(network, checkpoint)
    return TrainedNetwork(network, config, (height, width), num_classes)


def _load_strictly(network: FairMOT, checkpoint: Checkpoint) -> None:
    wanted, found = network.state(), checkpoint.network_to_use()
    differences = tensor_differences({name: tuple(parameter.shape) for name, parameter in wanted.items()}, found)
    if differences:
        raise CheckpointError(
            f"{checkpoint.path}: its weights are not those of the network its checkpoint.json describes: "
            f"{'; '.join(differences)}"
        )
    for name, parameter in wanted.items():
        parameter.set_data(Tensor(found[name], parameter.dtype))
