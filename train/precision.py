"""Which precision the network computes in. Its parameters, and so its checkpoints, are fp32 in any."""

import mindspore as ms
from mindspore import nn

from fairmot.model.ascend_layers import AscendBatchNorm2d
from fairmot.model.network import FairMOT
from train.batch_norm import SyncBatchNorm2d
from train.step_config import Precision

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
