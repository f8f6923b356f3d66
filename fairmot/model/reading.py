"""How a layer of Ascend comes by its weights: from its own parameters, until training holds them elsewhere."""

import mindspore as ms
from mindspore import Parameter, Tensor


def own(parameter: Parameter, dtype: ms.Type) -> Tensor:
    """The parameter itself, in the precision wanted; what `read_<attribute>` of a layer is unless set otherwise.

    A layer that reads its parameter `weight` by `self.read_weight(self.weight, dtype)` alone can be given its values
    from elsewhere, see `train.weight_vector`.
    """
    return parameter.astype(dtype)
