"""Converted weights against outputs of the original, and every name and shape there and back."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from fairmot.convert.command import convert, fit, for_original
from fairmot.convert.config import ConvertConfig
from fairmot.convert.names import COUNTER, counters
from fairmot.convert.source import read_source
from fairmot.convert.torch_file import read_torch_file, torch_file
from fairmot.inference.network import NetworkDetector
from fairmot.model.config import ModelConfig
from fairmot.model.heads import HEADS
from fairmot.model.network import build_network
from fairmot.weights.weights_file import weights_file
from train.selfcheck.drawn import rule_value
from train.state import load_weights

FIXTURES = Path(__file__).parent / "fixtures"
NETWORKS = {path.name.removesuffix("_state_shapes.json"): path for path in FIXTURES.glob("*_state_shapes.json")}
OWN_KINDS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
EVAL_TOLERANCE = {"dlaconv_34": 2e-4, "dla_34": 2e-5}

pytestmark = pytest.mark.parity


def rule_state(kind: str, largest: int | None = None) -> dict[str, np.ndarray]:
    """The fixture's values under the original's names; of every axis the first `largest` entries."""
    shapes = json.loads(NETWORKS[kind].read_text())
    state = {}
    for name, shape in shapes.items():
        if not name.endswith(COUNTER):
            cut = tuple(size if largest is None else min(size, largest) for size in shape)
            state[name] = rule_value(name, cut, f"{name.rsplit('.', 1)[0]}.running_mean" in shapes)
    return {**state, **{name: np.zeros((), np.int64) for name in counters(state)}}


def own_names(state: dict[str, np.ndarray]) -> dict[str, str]:
    """The original's names -> this project's."""
    names = {}
    for name in state:
        owner, entry = name.rsplit(".", 1)
        if entry != COUNTER:
            names[name] = f"{owner}.{OWN_KINDS[entry]}" if f"{owner}.running_mean" in state else name
    return names


def there_and_back(state: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """A .pth of the original becomes a file of this project, and that a .pth again."""
    names = own_names(state)
    shapes = {name: state[name].shape for name in names}
    config = ConvertConfig(source="fixture", output="fixture.pth")

    def step(path: Path):
        return fit(config, read_source(path), ModelConfig(), "as the test says", shapes)[0]

    (folder / "there.pth").write_bytes(torch_file({"epoch": 30, "state_dict": state}))
    tensors = step(folder / "there.pth")
    (folder / "own.safetensors").write_bytes(weights_file({names[name]: tensors[name] for name in tensors}, {}))
    (folder / "back.pth").write_bytes(for_original(step(folder / "own.safetensors"), 30))
    return read_torch_file(folder / "back.pth")["state_dict"]


def assert_bits_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("kind", NETWORKS)
def test_all_names_there_and_back(kind, tmp_path):
    state = rule_state(kind, largest=3)
    assert_bits_equal(there_and_back(state, tmp_path), state)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dla34_conv", "dla34_dcn"])
def test_all_values_there_and_back(kind, tmp_path):
    state = rule_state(kind)
    assert_bits_equal(there_and_back(state, tmp_path), state)


@pytest.fixture(scope="session")
def saved_by_torch(tmp_path_factory):
    """Writes a state dictionary as PyTorch does, wrapped by DataParallel, with what published files hold besides."""
    python = os.environ.get("FAIRMOT_TORCH_PYTHON", sys.executable if find_spec("torch") else None)
    if python is None:
        pytest.skip("no PyTorch here; FAIRMOT_TORCH_PYTHON may name an interpreter that has it")
    program = (
        "import sys, torch, numpy as np\n"
        "arrays, path, new = sys.argv[1:]\n"
        "state = {f'module.{name}': torch.from_numpy(array) for name, array in np.load(arrays).items()}\n"
        "state['module.base.fc.weight'] = torch.randn(1000, 512, 1, 1)\n"
        "state['module.base.fc.bias'] = torch.randn(1000)\n"
        "content = {'epoch': 30, 'state_dict': state, 'optimizer': {'state': {}, 'param_groups': []}}\n"
        "torch.save(content, path, _use_new_zipfile_serialization=new == 'True')\n"
    )
    folder = tmp_path_factory.mktemp("saved_by_torch")

    def save(kind: str, new_format: bool) -> Path:
        np.savez(folder / "arrays.npz", **rule_state(kind))
        path = folder / f"{kind}.pth"
        subprocess.run([python, "-c", program, folder / "arrays.npz", path, str(new_format)], check=True)
        return path

    return save


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "kind", "new_format"), [("dlaconv_34", "dla34_conv", False), ("dla_34", "dla34_dcn", True)]
)
def test_a_file_of_pytorch_gives_the_originals_outputs(network, kind, new_format, saved_by_torch, tmp_path):
    output = tmp_path / "weights.safetensors"
    convert(ConvertConfig(source=str(saved_by_torch(kind, new_format)), output=str(output)))
    found = build_network(ModelConfig(name=network), seed=1)
    report = load_weights(found.state(), output)
    assert (report.unknown, report.left_at_init) == ([], [])
    found.set_train(False)
    expected = np.load(FIXTURES / f"{kind}_io_seed20240101.npz")
    image = np.random.Generator(np.random.PCG64(20240101)).random((2, 3, 96, 160), dtype=np.float32)
    for head, maps in zip(HEADS, found(ms.Tensor(image)), strict=True):
        np.testing.assert_allclose(maps.asnumpy(), expected[f"eval_{head}"], rtol=0, atol=EVAL_TOLERANCE[network])
    assert NetworkDetector.from_checkpoint(output).input_size_hw == (608, 1088)
