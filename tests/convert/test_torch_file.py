"""PyTorch's files without PyTorch."""

import io
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fairmot.convert.torch_file import read_torch_file, torch_file
from fairmot.errors import CheckpointError

FIXTURES = Path(__file__).parent / "fixtures"
SAVED = sorted(FIXTURES.glob("torch_*.pth"))
GRID = np.arange(24, dtype=np.float32).reshape(4, 6)
EXPECTED = {
    **{kind: np.array([0, 1, 100], kind) for kind in ("float64", "float32", "float16", "int64", "int32", "int16")},
    **{kind: np.array([0, 1, 100], kind) for kind in ("int8", "uint8")},
    "bool": np.array([False, True, True]),
    "bfloat16": np.array([0, 1, -3.140625], np.float32),
    "transposed": GRID.T,
    "strided": GRID[1:, ::2],
    "shared": GRID,
    "shared_part": np.array([5, 6, 7, 8], np.float32),
    "expanded": np.array([[1, 2]] * 3, np.float32),
    "channels_last": np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5),
    "scalar": np.array(2.5, np.float32),
    "scalar_bfloat16": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "parameter": np.array([7], np.float32),
    "random": np.random.Generator(np.random.PCG64(7)).standard_normal((3, 4), dtype=np.float32),
}


def assert_equal_tensors(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(found[name], array)


@pytest.fixture(scope="session")
def torch_python():
    """An interpreter that has torch; this project does without."""
    python = os.environ.get("FAIRMOT_TORCH_PYTHON", sys.executable if find_spec("torch") else None)
    if python is None:
        pytest.skip("no PyTorch here; FAIRMOT_TORCH_PYTHON may name an interpreter that has it")
    return python


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_what_pytorch_saved_is_read(path):
    content = read_torch_file(path)
    assert_equal_tensors(content["state_dict"], {name: EXPECTED[name] for name in content["state_dict"]})
    assert content["state_dict"].keys() == EXPECTED.keys()
    layers = ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked")
    assert tuple(content["layers"]) == layers
    assert content["layers"]["1.num_batches_tracked"] == 1
    moments = content["optimizer"]["state"][0]
    np.testing.assert_allclose(moments["exp_avg_sq"], moments["exp_avg"] ** 2 / 10, rtol=1e-5)  # Adam's first step
    plain = {name: content[name] for name in ("epoch", "size", "name", "lr", "best", "steps", "big")}
    assert plain == {
        "epoch": 30,
        "size": (2, 3),
        "name": "fairmot",
        "lr": 1e-4,
        "best": None,
        "steps": [1, (2, True)],
        "big": 2**40,
    }


def test_there_is_something_to_read():
    assert len(SAVED) == 3


def test_what_is_written_is_read_again_and_is_always_the_same(tmp_path):
    content = {"epoch": -3, "state_dict": EXPECTED, "loss": {}, "name": "größe"}
    (tmp_path / "a.pth").write_bytes(torch_file(content))
    found = read_torch_file(tmp_path / "a.pth")
    assert_equal_tensors(found.pop("state_dict"), EXPECTED)
    assert found == {"epoch": -3, "loss": {}, "name": "größe"}
    assert torch_file(content) == torch_file(content)


@pytest.mark.slow
def test_pytorch_reads_what_is_written(tmp_path, torch_python):
    (tmp_path / "a.pth").write_bytes(torch_file({"epoch": 30, "state_dict": EXPECTED}))
    program = (
        "import sys, torch, numpy as np\n"
        "content = torch.load(sys.argv[1], weights_only=True)\n"
        "assert content['epoch'] == 30\n"
        "np.savez(sys.argv[2], **{name: tensor.numpy() for name, tensor in content['state_dict'].items()})\n"
    )
    subprocess.run([torch_python, "-c", program, tmp_path / "a.pth", tmp_path / "b.npz"], check=True)
    with np.load(tmp_path / "b.npz") as found:
        assert_equal_tensors(dict(found), EXPECTED)


class Attack:
    """Pickled, a call of os.system."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self):
        return os.system, (f"touch {self.sign}",)


def as_zip(pickled: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    return packed.getvalue()


def as_legacy(pickled: bytes, keys_and_data: bytes = pickle.dumps([], 2)) -> bytes:
    head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "protocol_version": 1001, "type_sizes": {}})
    return b"".join(pickle.dumps(part, 2) for part in head) + pickled + keys_and_data


def refusal(tmp_path, data: bytes) -> str:
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="weights.pth") as error:
        read_torch_file(path)
    return str(error.value)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrapped", [as_zip, as_legacy])
def test_a_pickle_that_calls_something_is_refused_by_name(tmp_path, wrapped, protocol):
    sign = tmp_path / "run"
    said = refusal(tmp_path, wrapped(pickle.dumps({"state_dict": {"a": Attack(sign)}}, protocol)))
    assert f"asks for {os.system.__module__}.system" in said
    assert not sign.exists()


@pytest.mark.parametrize(
    ("pickled", "refused"),
    [
        (b"(S'touch {sign}'\nios\nsystem\n.", "os.system"),
        (b"cos\nsystem\n(S'touch {sign}'\ntR.", "os.system"),
        (b"(cos\nsystem\nS'touch {sign}'\no.", "os.system"),
        (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", "builtins.eval"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "opcode NEWOBJ"),
        (b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.", "collections.OrderedDict.__init__"),
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\n)R.", "torch.nn.modules.conv.Conv2d"),
        (b"\x80\x02cnumpy.core.multiarray\nscalar\n)R.", "numpy.core.multiarray.scalar"),
    ],
)
def test_whatever_else_a_pickle_may_ask_for_is_refused(tmp_path, pickled, refused):
    sign = tmp_path / "run"
    assert f"asks for {refused}," in refusal(tmp_path, as_zip(pickled.replace(b"{sign}", str(sign).encode())))
    assert not sign.exists()


def test_a_stand_in_cannot_be_changed(tmp_path):
    """BUILD, which sets attributes, on the name of a function: Python would set its defaults or its code."""
    named = b"\x80\x02ctorch._utils\n_rebuild_parameter\n"
    for state in (
        b"}X\x08\x00\x00\x00__code__K\x01s",
        b"N}X\x08\x00\x00\x00__code__K\x01s\x86",
        b"}X\x04\x00\x00\x00nameK\x01s",
    ):
        assert "damaged" in refusal(tmp_path, as_zip(named + state + b"b."))


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_cut_off_anywhere_it_is_an_error(tmp_path, path):
    whole = path.read_bytes()
    for length in range(20, len(whole) - 1, 97):
        assert "cut off or damaged" in refusal(tmp_path, whole[:length])


def test_a_flipped_bit_in_a_zip_archive_is_an_error(tmp_path):
    whole = bytearray((FIXTURES / "torch_2_13_zip.pth").read_bytes())
    place = whole.index(GRID.tobytes()) + 7
    whole[place] ^= 1
    assert "CRC" in refusal(tmp_path, bytes(whole))


def with_tensor(offset: int, size: int, stride: int, count: int = 4) -> bytes:
    """A zip archive whose tensor lies as told in a storage of `count` float32."""

    def number(value: int) -> bytes:
        return b"\x8a\x08" + struct.pack("<q", value)

    pickled = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + number(count) + b"tQ" + number(offset)
        + number(size) + b"\x85" + number(stride) + b"\x85\x89NtR."
    )  # fmt: skip
    packed = io.BytesIO(as_zip(pickled))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("archive/data/0", np.arange(4, dtype=np.float32).tobytes())
    return packed.getvalue()


def test_a_tensor_stays_within_its_storage(tmp_path):
    path = tmp_path / "fits.pth"
    path.write_bytes(with_tensor(1, 2, 2))
    np.testing.assert_array_equal(read_torch_file(path), [1, 3])
    for offset, size, stride, count in (
        (1, 2, 3, 4),
        (0, 5, 1, 4),
        (-1, 2, 1, 4),
        (3, 2, -1, 4),
        (0, -1, 1, 4),
        (0, 5, 1, 5),
    ):
        assert "damaged" in refusal(tmp_path, with_tensor(offset, size, stride, count))


def test_files_of_2017_are_read(tmp_path):
    """Of Python 2, with byte strings, and of PyTorch before 0.4, whose tensors had neither gradient nor hooks."""
    pickled = (
        b"\x80\x02}U\x01actorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nFloatStorage\nU\x0294U\x03cpuK\x04NtQ"
        b"K\x00K\x02K\x02\x86K\x02K\x01\x86tRs."
    )
    keys_and_data = pickle.dumps(["94"], 2) + struct.pack("<q", 4) + np.arange(4, dtype=np.float32).tobytes()
    (tmp_path / "old.pth").write_bytes(as_legacy(pickled, keys_and_data))
    found = read_torch_file(tmp_path / "old.pth")
    np.testing.assert_array_equal(found["a"], [[0, 1], [2, 3]])


def test_a_memo_number_cannot_reserve_memory(tmp_path):
    """Python's own unpickler makes a list of as many places."""
    (tmp_path / "a.pth").write_bytes(as_zip(b"\x80\x02}r" + struct.pack("<I", 4_000_000_000) + b"."))
    assert read_torch_file(tmp_path / "a.pth") == {}


def test_a_zip_archive_of_something_else_is_said_to_be_that(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("word/document.xml", "text")
    assert "not one of torch.save" in refusal(tmp_path, packed.getvalue())


START = b"\x80\x02"


@pytest.mark.parametrize("wrapped", [as_zip, as_legacy])
@pytest.mark.parametrize(
    ("pickled", "said"),
    [
        (b")" + b"q\x00h\x00\x86" * 60 + b".", "members"),  # 2^60 of them, each a tuple of the same two
        (b"})" + b"q\x00h\x00\x86" * 60 + b"K\x01s.", "members"),
        (b")" + b"\x85" * 100_000 + b".", "64 levels"),
        (b"})" + b"\x85" * 9 + b"K\x01s.", "a key"),
        (b"ccollections\nOrderedDict\n(]]()K\x01eatR.", "a key"),
        (b"}(" + b"".join(b"\x8a\x0b" + (k << 61).to_bytes(11, "little") + b"N" for k in range(1, 9)) + b"u.", "a key"),
        (b"]q\x00h\x00a.", "holds itself"),
        (b"}q\x00K\x01h\x00s.", "holds itself"),
        (b"]q\x00]h\x00a0h\x00K\x01a.", "asks for opcode POP"),
        (b"]q\x00(]h\x00ah\x00K\x01at.", "grows"),
        (b"](" + b"N" * 500_000 + b"e.", "400000 instructions"),
        (b"X" + struct.pack("<I", 20_000_000) + b"a" * 20_000_000 + b".", "16777216"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_pickle_builds_is_limited(tmp_path, wrapped, pickled, said):
    started = time.monotonic()
    assert said in refusal(tmp_path, wrapped(START + pickled))
    assert time.monotonic() - started < 5


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", START + b"X" + struct.pack("<I", 1 << 24) + b"a" * (1 << 24) + b".")
    assert "compressed" in refusal(tmp_path, packed.getvalue())


def test_entries_cannot_share_their_bytes(tmp_path):
    """Each of many entries of a directory may point at the same bytes: together more than the file has."""
    whole = as_zip(START + b"}.")
    end = whole.index(b"PK\x01\x02")
    content = whole[end : whole.index(b"PK\x05\x06")]
    many = content * (4 * 2**20 // len(content) + 1)
    tail = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0, 0, len(many), end, 0)
    assert "such as a zip directory, and the limit is 4194304" in refusal(tmp_path, whole[:end] + many + tail)
    large = bytearray(with_tensor(0, 4, 1, 2**40))
    for place in (large.index(b"PK\x03\x04", 10) + 18, large.rindex(b"PK\x01\x02") + 20):
        large[place : place + 8] = struct.pack("<II", 2**31, 2**31)
    assert "an entry, data/0, of 2147483648 bytes" in refusal(tmp_path, bytes(large))


def test_a_tensor_of_one_element_cannot_fill_the_memory(tmp_path):
    path = tmp_path / "fits.pth"
    path.write_bytes(with_tensor(0, 1_000_000, 0))
    assert read_torch_file(path).shape == (1_000_000,)
    for size in (10_000_000, 2**60):
        assert "tensors of more than" in refusal(tmp_path, with_tensor(0, size, 0))
    assert "damaged" in refusal(tmp_path, with_tensor(0, 1, 1, 2**62))
