"""Every layer of Ascend reads its weights from the vector, and its gradients are those of its own parameters."""

import numpy as np
import pytest
from ascend_on_cpu import ascend_layers_on_cpu  # noqa: F401
from mindspore import ParameterTuple, Tensor, nn, ops

from fairmot.model.config import ModelConfig
from fairmot.model.network import build_network
from train.weight_vector import WeightVector, members_of

CENTRES = np.array([[3, 9, 20], [0, 5, 31]], np.int32)


class Gradients(nn.Cell):
    """Maps and values at the centres, and gradients by the network's parameters."""

    def __init__(self, network):
        super().__init__(auto_prefix=False)
        self.network = network.set_train()
        self.both = ops.value_and_grad(self.forward, None, ParameterTuple(network.trainable_params()), has_aux=True)

    def forward(self, image, centres):
        outputs = self.network(image, centres)
        return sum([(output * output).sum() for output in outputs]), outputs

    def construct(self, image, centres):
        (_, outputs), gradients = self.both(image, centres)
        return *outputs, *gradients


@pytest.mark.usefixtures("ascend_layers_on_cpu")
@pytest.mark.parametrize("head_conv", [pytest.param(0, marks=pytest.mark.slow), 8])
def test_what_the_layers_read_and_their_gradients(head_conv):
    image = Tensor(np.random.default_rng(0).integers(0, 256, (2, 16, 32, 3), dtype=np.uint8))
    found = []
    for is_held in (False, True):
        network = build_network(ModelConfig(name="one_of_each", head_conv=head_conv, reid_dim=4), seed=1)
        if is_held:
            members = members_of(network)
            assert len(members) == len(network.trainable_params())
            WeightVector(members).attach(network)
            assert all(np.isnan(parameter.asnumpy()).all() for parameter in network.trainable_params())
        found.append([output.asnumpy() for output in Gradients(network)(image, Tensor(CENTRES))])
    for ours, theirs in zip(*found, strict=True):
        assert np.abs(theirs).max() > 0
        np.testing.assert_array_equal(ours, theirs)
