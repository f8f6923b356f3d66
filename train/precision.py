"""Which precision the network computes in. Its parameters, and so its checkpoints, are fp32 in any."""

from enum import Enum

import mindspore as ms
from mindspore import nn

from fairmot.model.ascend_layers import AscendBatchNorm2d
from fairmot.model.network import FairMOT
from train.batch_norm import SyncBatchNorm2d


class Precision(Enum):
    """Of the network's convolutions and matrix products; the losses are fp32 always.

    fp32: MindSpore's O0. fp16: half precision around fp32 batch normalisation, after its O2; the loss scale keeps small
    gradients. bf16: the same with bfloat16, and fp32 max pooling; on Ascend only.
    """

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


_LOW = {Precision.fp16: ms.float16, Precision.bf16: ms.bfloat16}


def set_precision(network: FairMOT, precision: Precision) -> None:
    """Let backbone and heads cast what they are given, and their parameters while they use them.

    MindSpore's own O2 is not used: it turns the parameters themselves to half precision, wraps every batch
    normalisation, which changes their names, and fails on CPUs.
    """
    if precision is Precision.fp32:
        return
    for room in (network.backbone, network.heads):
        room.to_float(_LOW[precision])
        for _, cell in room.cells_and_names():
            if isinstance(cell, (AscendBatchNorm2d, SyncBatchNorm2d)):
                cell.add_flags(fp16=False, fp32=False, bf16=False)  # maps as they come, parameters as they are
            elif isinstance(cell, nn.BatchNorm2d):
                cell.to_float(ms.float32)  # running means and variances do not fit into half precision
            elif isinstance(cell, nn.MaxPool2d) and precision is Precision.bf16:
                cell.to_float(ms.float32)  # Ascend's max pooling does not know bf16
