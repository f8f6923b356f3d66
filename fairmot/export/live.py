"""The network in training, run by ONNX Runtime: exported once, its weights replaced whenever they are new."""

import sys
from typing import TYPE_CHECKING

from fairmot.errors import LONGEST_REASON, excerpt
from fairmot.export.check import check
from fairmot.export.write import describe, onnx_graph
from fairmot.inference.config import MAX_OBJECTS
from fairmot.inference.detector import Detector
from fairmot.inference.exported import open_graph
from fairmot.inference.exported_file import ONNX
from fairmot.inference.network import NetworkDetector, TrainedNetwork

if TYPE_CHECKING:
    from onnx import ModelProto

WORTH_VALIDATED = 200
"""Frames of one validation from which on it pays, the export counted, by docs/experiments.md."""


class LiveExport:
    """Opens detectors by ONNX Runtime with the weights that a network has at that time.

    Each is trusted once it finds what the network itself finds. Where that or the export fails, the network's own
    detector takes its place for good, and one line says why: a faster engine may not cost the training.

    Args:
        trained: the network in training, whose mode and parameters stay as they are.
        detector: by the network itself, of batch size 1.
        threads: for the operators; 0: one a core.
    """

    def __init__(self, trained: TrainedNetwork, detector: NetworkDetector, threads: int = 0) -> None:
        self._trained = trained
        self._detector = detector
        self._threads = threads
        self._description = describe(trained, ONNX, detector.input_size_hw, 1, MAX_OBJECTS)
        self._parameters = {parameter.name: parameter for parameter in trained.network.get_parameters()}
        self._graph: ModelProto | None = None  # without weights
        self._has_failed = False

    def open(self) -> Detector:
        """A detector by the weights as they are now."""
        if self._has_failed:
            return self._detector
        try:
            return self._open()
        except Exception as error:  # see above
            self._has_failed, self._graph = True, None
            reason = excerpt(str(error).partition("\n")[0], LONGEST_REASON)
            print(
                f"validation goes on by MindSpore, since ONNX Runtime cannot take its place: {reason}", file=sys.stderr
            )
            return self._detector

    def _open(self) -> Detector:
        if self._graph is None:
            print("validation by ONNX Runtime: exporting the network, once", file=sys.stderr)
            self._graph = onnx_graph(self._trained.network, self._description)
            for constant in self._weights_of(self._graph):
                constant.ClearField("raw_data")  # a second copy of all weights
        graph = type(self._graph)()
        graph.CopyFrom(self._graph)
        for constant in self._weights_of(graph):
            constant.raw_data = self._parameters[constant.name].asnumpy().tobytes()
        detector = open_graph("the exported network", graph, self._description, self._threads)
        check(lambda _: detector, self._description, self._detector)
        return detector

    def _weights_of(self, graph: "ModelProto") -> list:
        return [constant for constant in graph.graph.initializer if constant.name in self._parameters]
