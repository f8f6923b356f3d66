"""A network of four 1x1 convolutions: everything around the network can be tested in seconds."""

import mindspore as ms
import numpy as np
from mindspore import nn

from fairmot.data.identities import IdentityTable
from fairmot.losses.config import LossConfig
from fairmot.losses.fairmot_loss import FairMOTLoss
from fairmot.model.config import ModelConfig
from fairmot.model.reading import own
from fairmot.ops import gather_at
from train.flat_optimizer import FlatOptimizer
from train.optimizer import Optimizer
from train.packing import read_arrays
from train.state import TrainState
from train.step import LossScale, TrainOneStep
from train.step_config import LossScaleConfig, OptimConfig

HEIGHT, WIDTH, SLOTS, IDENTITIES, REID_DIM = 8, 12, 6, 9, 8


class Conv(nn.Conv2d):
    """A convolution whose weights can be read from a vector, as Ascend's can."""

    read_weight = staticmethod(own)
    read_bias = staticmethod(own)

    def construct(self, maps):
        weight, bias = self.read_weight(self.weight, maps.dtype), self.read_bias(self.bias, maps.dtype)
        return self.bias_add(self.conv2d(maps, weight), bias)


class TinyNetwork(nn.Cell):
    def __init__(self, seed=0):
        super().__init__()
        generator = np.random.default_rng(seed)
        for head, channels in (("hm", 1), ("wh", 4), ("id", REID_DIM), ("reg", 2)):
            weight = ms.Tensor(generator.standard_normal((channels, 3, 1, 1)).astype(np.float32))
            setattr(self, head, Conv(3, channels, 1, has_bias=True, weight_init=weight, bias_init="zeros"))

    def construct(self, image, centres):
        return (
            self.hm(image),
            gather_at(self.wh(image), centres),
            gather_at(self.id(image), centres),
            gather_at(self.reg(image), centres),
        )

    def state(self):
        return dict(self.parameters_and_names())


def tiny_parts(optim=None, scale=None, loss=None, network_seed=0, flat=False):
    """Network, loss, optimiser, loss scale; `flat`: with the optimiser of an NPU."""
    network = TinyNetwork(network_seed)
    loss = FairMOTLoss(loss or LossConfig(fp16_classifier=False), IDENTITIES, REID_DIM, seed=1)
    config, weights, others = optim or OptimConfig(lr=1e-2), network.trainable_params(), loss.trainable_params()
    if flat:
        optimizer = FlatOptimizer(config, weights, others)
        optimizer.vector.attach(network)
    else:
        optimizer = Optimizer(config, weights + others)
    return network, loss, optimizer, LossScale(scale or LossScaleConfig())


def tiny_state(network_seed=0, identities=None, flat=False, **model):
    network, loss, optimizer, scale = tiny_parts(network_seed=network_seed, flat=flat)
    identities = identities or IdentityTable(["one", "two"], [5, 3])
    return TrainState(network, loss, optimizer, scale, identities, ModelConfig(**model), [64, 96], 1, seed=7)


def tiny_step(optim=None, scale=None, loss=None, **options):
    return TrainOneStep(*tiny_parts(optim, scale, loss), **options)


def tiny_batch(seed, batch=2):
    generator = np.random.default_rng(seed)
    hm = np.zeros((batch, 1, HEIGHT, WIDTH), np.float32)
    hm[:, 0, 3, 4] = 1
    mask = np.zeros((batch, SLOTS), np.int32)
    mask[:, :3] = 1
    arrays = (
        generator.random((batch, 3, HEIGHT, WIDTH), dtype=np.float32),
        hm,
        mask,
        generator.integers(0, HEIGHT * WIDTH, (batch, SLOTS)).astype(np.int32),
        generator.random((batch, SLOTS, 4), dtype=np.float32) * 3,
        generator.random((batch, SLOTS, 2), dtype=np.float32),
        generator.integers(0, IDENTITIES, (batch, SLOTS)).astype(np.int32),
    )
    return [ms.Tensor(array) for array in arrays]


def call(step, batch, rate=1e-2, is_update=True, stop=0.0):
    from train.step import SCALARS

    vector = step(*batch, ms.Tensor(rate, ms.float32), ms.Tensor(stop, ms.float32), ms.Tensor(is_update))
    return dict(zip(SCALARS, vector.asnumpy().tolist(), strict=True))


def values(step):
    return {name: array.copy() for name, array in read_arrays(step.optimizer.held()).items()}
