"""Changes to files as they happen to files, or as somebody makes them to do harm, drawn from a seed."""

import copy
import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]

PIECES = (
    *(b"\r\n", b"\r", b"\n\n\n", b"\x0b", b"\x0c", b"\x00", b"\x00" * 300, b"\t", b"  ", b"\x1a", b"\xa0"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\x85", b"#", b"_", b",", b";", b"e", b"-", b".", b"9" * 400, b" 1", b"\x1c"),
    *(b"\xc3", b"\xe2\x80\xa8"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 7, 10**12, 2**63, -(2**63) - 1, 10**400, 1.5, -0.0, 1e308, float("nan")),
    *(float("inf"), "", "0", "-1", "7", "a", "../a", "/dev/zero", "\0", "\ud7ff", "x" * 5000, "9" * 5000, [], {}),
    *([None], [[]], [1, 2], {"": {}}, {"a": [{}]}),
)
"""What stands in place of a value of JSON."""


def mutated(
    content: bytes,
    rng: np.random.Generator,
    cell: bytes,
    tokens: Sequence[str],
    otherwise: Callable[[int, int, int], bytes],
) -> bytes:
    """Another number or word, a byte changed, a piece cut out, a line doubled, or what the caller does.

    Args:
        content: of the file.
        rng: draws what happens and where.
        cell: pattern of what one of `tokens` may replace.
        tokens: numbers and words.
        otherwise: kind (6 or 7), place and length -> the changed content.
    """
    kind = rng.integers(8)
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 12))
    if kind <= 2:
        cells = list(re.finditer(cell, content))
        found = cells[rng.integers(len(cells))]
        return content[: found.start()] + tokens[rng.integers(len(tokens))].encode() + content[found.end() :]
    if kind == 3:
        return content[:at] + bytes([rng.integers(256)]) + content[at + 1 :]
    if kind == 4:
        return content[:at] + content[at + length :]
    if kind == 5:
        lines = content.splitlines(keepends=True)
        line = int(rng.integers(len(lines)))
        return b"".join([*lines[: line + 1], *lines[line:]])
    return otherwise(int(kind), at, length)


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(0, len(content))]


def swap_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    mutable = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        one, other = rng.integers(0, len(mutable), 2)
        mutable[one], mutable[other] = mutable[other], mutable[one]
    return bytes(mutable)


def flip_bits(content: bytes, rng: np.random.Generator) -> bytes:
    mutable = bytearray(content)
    for place in rng.integers(0, len(mutable), rng.integers(1, 4)):
        mutable[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(mutable)


def insert_piece(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.choice([0, len(content), rng.integers(0, len(content))]))
    return content[:place] + PIECES[rng.integers(0, len(PIECES))] + content[place:]


def remove_piece(content: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(0, len(content)))
    return content[:start] + content[start + int(rng.integers(1, 12)) :]


def words(content: bytes, rng: np.random.Generator) -> bytes:
    """Another word or number."""
    found = list(re.finditer(rb"[^\s,:;\[\]{}\"]+", content))
    if not found:
        return content
    one = found[rng.integers(len(found))]
    new = VALUES[rng.integers(len(VALUES))]
    return content[: one.start()] + str(new).encode() + content[one.end() :]


def nodes(tree: Any) -> list[tuple[Any, Any]]:
    """(holder, key) of every value inside parsed JSON."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [place for key in keys for place in ((tree, key), *nodes(tree[key]))]


def change_tree(tree: Any, rng: np.random.Generator) -> Any:
    """Parsed JSON with a value replaced, removed, doubled, put under another key, or nested deeply."""
    tree = copy.deepcopy(tree)
    places = nodes(tree)
    if not places:
        return VALUES[rng.integers(len(VALUES))]
    holder, key = places[rng.integers(len(places))]
    kind = rng.integers(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.append(holder[key])
    elif kind == 1:
        holder[f"{key}x"] = holder[key]
    elif kind == 2 and isinstance(holder[key], int | float):
        holder[key] = holder[key] * (-1, 2, 10**6, 10**18)[rng.integers(4)]
    elif kind == 3:
        for _ in range(int(10 ** rng.uniform(0, 2.7))):
            holder[key] = [holder[key]]
    else:
        holder[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
    return tree


def json_tree(content: bytes, rng: np.random.Generator) -> bytes:
    """`change_tree` of a JSON file, which stays JSON."""
    return json.dumps(change_tree(json.loads(content), rng)).encode()


def json_lines(content: bytes, rng: np.random.Generator) -> bytes:
    """`change_tree` of a line of a file that has one JSON a line."""
    lines = content.splitlines()
    line = int(rng.integers(len(lines)))
    lines[line] = json_tree(lines[line], rng)
    return b"\n".join(lines) + b"\n"


def safetensors_header(content: bytes, rng: np.random.Generator) -> bytes:
    """`change_tree` of what a .safetensors file says before its numbers, or of the JSON within its metadata."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    said = header.get("__metadata__", {})
    if said and rng.integers(2):
        key = list(said)[rng.integers(len(said))]
        said[key] = json_tree(said[key].encode(), rng).decode() if said[key].startswith("{") else "["
    else:
        header = change_tree(header, rng)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def zip_member(content: bytes, rng: np.random.Generator) -> bytes:
    """A member of a ZIP archive changed, its checksum with it; or another one under its name, or none."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(len(members))]
    other = list(members)[rng.integers(len(members))]
    kind = rng.integers(6)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[name] = members[other]
    elif members[name]:
        members[name] = BYTES[rng.integers(len(BYTES))](members[name], rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for one, held in members.items():
            archive.writestr(one, held)
    return packed.getvalue()


BYTES = (cut, swap_bytes, flip_bits, insert_piece, remove_piece)


def mutants(content: bytes, mutations: tuple[Mutation, ...], count: int, seed: int) -> list[bytes]:
    """Each mutation in turn; every third one is mutated twice."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        mutant = mutations[number % len(mutations)](content, rng)
        if number % 3 == 0 and len(mutant) > 8:
            mutant = mutations[rng.integers(0, len(mutations))](mutant, rng)
        found.append(mutant)
    return found
