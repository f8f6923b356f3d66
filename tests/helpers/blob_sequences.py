"""MOTChallenge sequences of white squares, which BlobNetwork finds."""

from pathlib import Path

import cv2
from blob_network import walk

BOX_PX = 16


def write_sequence(folder: Path, n_frames: int = 12, with_gt: bool = True) -> Path:
    """Two squares that walk to the right; img1, seqinfo.ini and gt/gt.txt of 9 columns."""
    (folder / "img1").mkdir(parents=True)
    for number, frame in enumerate(walk(n_frames), start=1):
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.png"), frame)
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={folder.name}\nframeRate=30\nseqLength={n_frames}\n")
    if with_gt:
        (folder / "gt").mkdir()
        (folder / "gt" / "gt.txt").write_text(gt_text(n_frames))
    return folder


def gt_text(n_frames: int = 12, columns: str = "1,1,1.0") -> str:
    """Rows of the squares of `walk`."""
    rows = []
    for frame in range(1, n_frames + 1):
        for identity, (x, y) in enumerate([(22 + 4 * (frame - 1), 22), (42 + 4 * (frame - 1), 70)], start=1):
            rows.append(f"{frame},{identity},{x - BOX_PX // 2},{y - BOX_PX // 2},{BOX_PX},{BOX_PX},{columns}\n")
    return "".join(rows)


def result_text(n_frames: int = 12) -> str:
    """The result of a perfect tracker."""
    return gt_text(n_frames, "0.9,-1,-1,-1")


def run_command_in_process(monkeypatch, module: str, words: list[str]) -> int:
    """Exit code of `python -m <module> <words>` without the seconds of another interpreter."""
    import runpy
    import sys

    monkeypatch.setattr(sys, "argv", [module, *words])
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    except SystemExit as left:
        return int(left.code or 0)
    return 0
