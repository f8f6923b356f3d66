"""MindSpore's .ckpt files as MindSpore writes them, and with shapes that their bytes do not fill."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore.train.checkpoint_pb2 import Checkpoint

from fairmot.convert import ckpt_file
from fairmot.convert.ckpt_file import read_ckpt_file
from fairmot.errors import CheckpointError

SAVED = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([True, False]),
    "step": np.array(7, np.int32),
    "half": np.array([1, -2], np.float16),
    "large": np.zeros(2_000, np.float32),
}


@pytest.mark.parametrize("checksum", [False, True])
def test_what_mindspore_saves_is_read(tmp_path: Path, checksum: bool) -> None:
    path = tmp_path / "a.ckpt"
    entries = [{"name": name, "data": ms.Tensor(array)} for name, array in SAVED.items()]
    entries.append({"name": "brain", "data": ms.Tensor([1.0, -3.140625], ms.bfloat16)})
    ms.save_checkpoint(entries, str(path), append_dict={"said": "text"}, crc_check=checksum)
    tensors, others = read_ckpt_file(path)
    assert others == ["said"]
    for name, array in (SAVED | {"brain": np.array([1, -3.140625], np.float32)}).items():
        assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(tensors[name], array)


def made(content: bytes = bytes(16), kind: str = "Float32", dims: tuple[int, ...] = (4,), parts: int = 1) -> bytes:
    checkpoint = Checkpoint()
    for _ in range(parts):
        value = checkpoint.value.add()
        value.tag, value.tensor.tensor_type, value.tensor.tensor_content = "a", kind, content
        value.tensor.dims.extend(dims)
    return checkpoint.SerializeToString()


def test_a_tensor_in_parts_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(made(dims=(3, 4), parts=3))
    assert read_ckpt_file(tmp_path / "a.ckpt")[0]["a"].shape == (3, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (made(dims=(2**31 - 1,)), "16 bytes for a Float32 tensor of shape .2147483647."),
        (made(b""), "0 bytes for"),
        (made(dims=(-2, -2)), "shape"),
        (made(dims=(0, 2**40)), "shape"),
        (made(dims=(4,) + (1,) * 100), "shape"),
        (made(kind="Float99"), "type 'Float99'"),
        (made()[:-3], "cut off"),
        (made().replace(b"\x01a", b"\x01\xff"), "cut off or damaged"),
    ],
    ids=range(8),
)
def test_what_does_not_fit_is_refused_by_name(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path}: .*{said}"):
        read_ckpt_file(path)


def test_the_number_of_tensors_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ckpt_file, "_MOST_PARTS", 5)
    (tmp_path / "a.ckpt").write_bytes(made(parts=6))
    with pytest.raises(CheckpointError, match="6 tensors or parts of them, and the limit is 5"):
        read_ckpt_file(tmp_path / "a.ckpt")
