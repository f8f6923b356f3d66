"""Writes what the self-check expects, train/selfcheck/expected, from the fixtures of the original PyTorch code.

    python scripts/selfcheck_expected.py

Nothing is computed here: the numbers are those of tests/parity/fixtures, cut to what an installed package can carry. A
test compares the files with what this makes.
"""

import json
import sys
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
FIXTURES = PROJECT / "tests" / "parity" / "fixtures"
EXPECTED = PROJECT / "train" / "selfcheck" / "expected"

Arrays = dict[str, np.ndarray]

_CELL_STRIDE = 2
_EMBEDDING_CHANNELS = 8
_UNUSED = ("base.level3.project.1", "base.level4.project.1")
"""Projections whose result no output uses: the original's buffers move there, this project's do not."""


def network(name: str) -> Arrays:
    """Head maps at every second cell (of the embedding the first channels) and buffers after one training pass."""
    whole = np.load(FIXTURES / f"{name}_io_seed20240101.npz")
    kept = {}
    for mode in ("eval", "train"):
        for head in ("hm", "wh", "id", "reg"):
            kept[f"{mode}_{head}"] = whole[f"{mode}_{head}"][:, :_EMBEDDING_CHANNELS, ::_CELL_STRIDE, ::_CELL_STRIDE]
    for key in whole.files:
        if key.startswith("after_train_") and not key.removeprefix("after_train_").startswith(_UNUSED):
            kept[key] = whole[key]
    return kept


def losses() -> Arrays:
    """Maps, targets, losses and gradients; of the embedding's map only the cells that an object is at."""
    whole = np.load(FIXTURES / "losses_a.npz")
    images, _, height, width = whole["out_id"].shape
    cells = np.zeros((images, height * width), bool)
    for image, (ind, mask) in enumerate(zip(whole["tgt_ind"], whole["tgt_reg_mask"], strict=True)):
        cells[image, ind[mask > 0]] = True
    at = np.argwhere(cells)
    columns = {key: whole[key].reshape(images, -1, height * width).swapaxes(1, 2) for key in ("out_id", "exp_grad_id")}
    if np.any(columns["exp_grad_id"][~cells]):
        raise ValueError("losses_a.npz: the embedding has a gradient where no object is")
    kept = {key: whole[key] for key in whole.files if key.split("_")[0] in ("exp", "tgt", "out")}
    kept |= {key: column[at[:, 0], at[:, 1]] for key, column in columns.items()}
    return kept | {"cells": at.astype(np.int32)}


def decode() -> Arrays:
    """The heatmap about its forty highest peaks, which lower ones elsewhere do not change, and the objects there."""
    whole = np.load(FIXTURES / "decode_1920x1080.npz")
    height, width = whole["hm"].shape[2:]
    inds = whole["exp_inds"][0]
    near = {
        (y, x)
        for cell in inds
        for y in range(max(cell // width - 1, 0), min(cell // width + 2, height))
        for x in range(max(cell % width - 1, 0), min(cell % width + 2, width))
    }
    cells = np.array(sorted(y * width + x for y, x in near), np.int32)
    kept = {"map_hw": np.array([height, width], np.int32), "cells": cells, "hm": whole["hm"].reshape(-1)[cells]}
    for head in ("wh", "reg"):
        kept[head] = whole[head].reshape(-1, height * width)[:, inds]
    return kept | {"exp_inds": inds.astype(np.int32), "exp_dets_fm": whole["exp_dets_fm"][0]}


def five_steps() -> Arrays:
    """Targets of the trainer's five steps, and its losses."""
    whole = np.load(FIXTURES / "train_traj_seed3000.npz")
    steps = json.loads((FIXTURES / "train_traj_seed3000.json").read_text())["steps"]
    kept = {key: whole[key] for key in whole.files if key.startswith("step")}
    names = ("loss", "hm_loss", "wh_loss", "off_loss", "id_loss", "det_loss")
    return kept | {f"exp_{name}": np.array([step["losses"][name] for step in steps]) for name in names}


def deform_layer() -> Arrays:
    """The whole fixture of one layer."""
    whole = np.load(FIXTURES / "dcn_unit.npz")
    return {key: whole[key] for key in whole.files}


def everything() -> dict[str, Arrays]:
    """File name without ending -> arrays."""
    return {
        "plain_network": network("dla34_conv"),
        "deformable_network": network("dla34_dcn"),
        "deform_layer": deform_layer(),
        "losses": losses(),
        "decode": decode(),
        "five_steps": five_steps(),
    }


def main() -> int:
    """Write all files."""
    EXPECTED.mkdir(exist_ok=True)
    for name, arrays in everything().items():
        np.savez_compressed(EXPECTED / f"{name}.npz", **arrays)
        print(f"{name}.npz: {(EXPECTED / f'{name}.npz').stat().st_size / 1e3:.0f} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
