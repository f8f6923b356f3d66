"""Whose statistics batch normalisation uses while training."""

from collections.abc import Callable

import mindspore as ms
from mindspore import Tensor, nn

from fairmot.model.reading import own
from train.step_config import BatchNorm

_PARAMETERS = ("gamma", "beta", "moving_mean", "moving_variance")


class SyncBatchNorm2d(nn.SyncBatchNorm):
    """MindSpore's for maps alone; in half precision it computes in fp32, and casts by itself.

    MindSpore marks its operator as one that writes anything. After each layer a vector of weights would be copied and
    split anew. It writes the running statistics alone, as mint's batch normalisation does, which carries no mark.
    """

    read_gamma = staticmethod(own)
    read_beta = staticmethod(own)

    def __init__(self, channels: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        self.bn_train.add_prim_attr("side_effect_mem", False)

    def construct(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape, by all ranks' statistics while training."""
        normalize = self.bn_train if self.training else self.bn_infer
        gamma, beta = self.read_gamma(self.gamma, ms.float32), self.read_beta(self.beta, ms.float32)
        output = normalize(features.astype(ms.float32), gamma, beta, self.moving_mean, self.moving_variance)[0]
        return output.astype(features.dtype)


def set_batch_norm(network: nn.Cell, mode: BatchNorm) -> None:
    """Let every batch normalisation of `network` take its statistics as `mode` says; parameters stay the same."""
    if mode is BatchNorm.frozen:
        for _, cell in network.cells_and_names():
            if isinstance(cell, nn.BatchNorm2d):
                cell.use_batch_statistics = False
    elif mode is BatchNorm.sync:
        replace_batch_norms(network, SyncBatchNorm2d)


def replace_batch_norms(network: nn.Cell, make: Callable[..., nn.Cell]) -> None:
    """Put `make(channels, eps=, momentum=)` with the old parameters in the place of every batch normalisation."""
    for _, parent in list(network.cells_and_names()):
        for name, old in parent.name_cells().items():
            if isinstance(old, nn.BatchNorm2d):
                new = make(old.num_features, eps=old.eps, momentum=1 - old.momentum)  # it keeps its complement
                parameters = {kind: getattr(old, kind) for kind in _PARAMETERS}
                names = {kind: parameter.name for kind, parameter in parameters.items()}
                for kind, parameter in parameters.items():
                    setattr(new, kind, parameter)
                if isinstance(parent, nn.SequentialCell):
                    parent[int(name)] = new
                else:
                    setattr(parent, name, new)
                for kind, parameter in parameters.items():  # a cell renames what it is given by its own place alone
                    parameter.name = names[kind]
