"""A few random pictures with labels, laid out as fairmot/data expects them."""

from pathlib import Path

import cv2
import numpy as np

from fairmot.data.labels import format_labels


def write_data_set(
    root: Path, name: str, labels: list[np.ndarray | None], size_hw: tuple[int, int] = (48, 64)
) -> dict[str, str]:
    """One PNG an entry, labels beside it (none for None); returns {name: list file}."""
    images = root / name / "images"
    images.mkdir(parents=True, exist_ok=True)
    (root / name / "labels_with_ids").mkdir(exist_ok=True)
    rng = np.random.default_rng(len(labels))
    lines = []
    for number, rows in enumerate(labels):
        picture = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), size_hw[::-1], interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(images / f"{number:03d}.png"), picture)
        lines.append(f"{name}/images/{number:03d}.png")
        if rows is not None:
            (root / name / "labels_with_ids" / f"{number:03d}.txt").write_text(format_labels(rows))
    (root / f"{name}.train").write_text("\n".join(lines) + "\n")
    return {name: f"{name}.train"}


def person(identity: int, x: float = 0.5, y: float = 0.5, width: float = 0.2, height: float = 0.4) -> list[float]:
    return [0, identity, x, y, width, height]


def rows(*people: list[float]) -> np.ndarray:
    return np.array(people, np.float32).reshape(-1, 6)
