"""What a training step costs as work grows: batch, resolution, objects a picture, identities.

    python -m benchmarks.cost_curves [steps=6] [curves=batch,resolution,objects,identities,drawn] [quick=true]
                                     [output=cost_curves.json]

Runs `python -m train` on pictures of noise: DLA-34 with the plain neck, fp32, batch 4, 256x448, 25 boxes a picture, 500
identities, unless the curve changes that; resolution grows at batch 1. Slots follow the objects. "drawn" is
"identities" with 8192 of them drawn for every batch (loss.identity_samples). Curves over ranks and
the tracker's objects are in benchmarks/ranks.py and tracker.py. A point is one process; points that curves have in
common are measured once. About 6 minutes on two cores.
"""

import tempfile
from functools import cache
from pathlib import Path

from benchmarks.drawn_data import LISTS, draw, write_data
from benchmarks.measuring import FULL, QUICK, Training, options, setting, size_hw, train
from benchmarks.report import Curve, Part, progress, publish

BOXES, IDENTITIES, PICTURES, DRAWN = 25, 500, 32, 8192
POINTS = {
    "batch": ("1", "2", "4"),
    "resolution": ("256x448", "384x672", "608x1088"),
    "objects": (str(BOXES), "120", "500"),
    "identities": (str(IDENTITIES), "10000", "100000"),
    "drawn": ("10000", "100000"),
}
QUICK_POINTS = {
    "batch": ("1", "2"),
    "resolution": ("64x96",),
    "objects": (str(BOXES),),
    "identities": (str(IDENTITIES),),
    "drawn": (str(IDENTITIES),),
}
TITLES = {
    "batch": "batch",
    "resolution": "input, kilopixels",
    "objects": "objects a picture",
    "identities": "identities",
    "drawn": f"identities, {DRAWN} drawn",
}


class Points:
    """Trainings of a folder, each made once.

    Args:
        folder: receives data and runs.
        steps: of each training.
        quick: of the small stand-in.
    """

    def __init__(self, folder: Path, steps: int, quick: bool) -> None:
        self._folder, self._steps, self._quick = folder, steps, quick
        self.train = cache(self._train)

    def of(self, curve: str, value: str) -> Training:
        """One point of a curve."""
        point = {**(QUICK if self._quick else FULL), "objects": str(BOXES), "identities": str(IDENTITIES)}
        changed = {"resolution": {"size": value, "batch": "1"}, "drawn": {"identities": value, "drawn": str(DRAWN)}}
        point |= changed.get(curve, {curve: value})
        return self.train(**point)

    def _train(self, model: str, size: str, batch: str, objects: str, identities: str, drawn: str = "0") -> Training:
        root = self._folder / f"data-{size}-{objects}-{identities}"
        if not root.exists():
            contents = [draw(*size_hw(size), seed) for seed in range(PICTURES)]
            write_data(root, contents, int(objects), int(identities))
        keys = setting(self._quick, model=model, size=size, batch=batch) | {"data": "custom", "data.root": str(root)}
        keys |= {f"+data.train.{name}": path for name, path in LISTS.items()}
        keys["loss.identity_samples"] = drawn
        training = train(keys, self._steps, self._folder)
        progress(
            f"{size}, batch {batch}, {objects} objects, {identities} identities, {drawn} drawn: {training.figures()}"
        )
        return training


def place(curve: str, value: str) -> float:
    """Where a point stands on its curve's axis."""
    return size_hw(value)[0] * size_hw(value)[1] / 1e3 if curve == "resolution" else float(value)


def main() -> None:
    given = options(__doc__, steps="6", curves=",".join(POINTS), quick="", output="")
    quick = given["quick"] == "true"
    curves, details = [], {}
    with tempfile.TemporaryDirectory() as name:
        points = Points(Path(name), int(given["steps"]), quick)
        for curve in given["curves"].split(","):
            values = (QUICK_POINTS if quick else POINTS)[curve]
            found = [points.of(curve, value).figures() for value in values]
            details[curve] = dict(zip(values, found, strict=True))
            lines = [[one[key] for one in found] for key in ("step_s", "peak_gb")]
            x = [place(curve, value) for value in values]
            curves.append(Curve(TITLES[curve], x, ["step, s", "peak memory, GB"], lines))
    publish(Part(curves=curves, details=details), given["output"])


if __name__ == "__main__":
    main()
