"""The benchmarks of MOTChallenge and their official sequences."""

from collections.abc import Iterable
from enum import Enum

from fairmot.errors import DataError


class Benchmark(Enum):
    """Whose rules apply; `none` takes ground truth and results as they are."""

    mot15 = "mot15"
    mot16 = "mot16"
    mot17 = "mot17"
    mot20 = "mot20"
    none = "none"


MOT17_DETECTORS = ("FRCNN", "SDP", "DPM")
"""MOT17 lists each scene once for each of these public detectors; a tracker with its own detector ignores them."""

# Scene -> frames. The sums are those MOTChallenge gives: 5500 + 5783, 5316 + 5919, 8931 + 4479.
_MOT15_TRAIN = {
    "ADL-Rundle-6": 525, "ADL-Rundle-8": 654, "ETH-Bahnhof": 1000, "ETH-Pedcross2": 837, "ETH-Sunnyday": 354,
    "KITTI-13": 340, "KITTI-17": 145, "PETS09-S2L1": 795, "TUD-Campus": 71, "TUD-Stadtmitte": 179, "Venice-2": 600,
}  # fmt: skip
_MOT15_TEST = {
    "ADL-Rundle-1": 500, "ADL-Rundle-3": 625, "AVG-TownCentre": 450, "ETH-Crossing": 219, "ETH-Jelmoli": 440,
    "ETH-Linthescher": 1194, "KITTI-16": 209, "KITTI-19": 1059, "PETS09-S2L2": 436, "TUD-Crossing": 201,
    "Venice-1": 450,
}  # fmt: skip
_MOT17_TRAIN = {"02": 600, "04": 1050, "05": 837, "09": 525, "10": 654, "11": 900, "13": 750}
_MOT17_TEST = {"01": 450, "03": 1500, "06": 1194, "07": 500, "08": 625, "12": 900, "14": 750}
_MOT20_TRAIN = {"01": 429, "02": 2782, "03": 2405, "05": 3315}
_MOT20_TEST = {"04": 2080, "06": 1008, "07": 585, "08": 806}


def _named(prefix: str, lengths: dict[str, int]) -> dict[str, int]:
    return {f"{prefix}-{number}": length for number, length in lengths.items()}


TRAIN_LENGTHS = {
    Benchmark.mot15: _MOT15_TRAIN,
    Benchmark.mot16: _named("MOT16", _MOT17_TRAIN),
    Benchmark.mot17: _named("MOT17", _MOT17_TRAIN),
    Benchmark.mot20: _named("MOT20", _MOT20_TRAIN),
}
"""Benchmark -> scene -> frames. MOT17's scenes are named without a detector."""

TEST_LENGTHS = {
    Benchmark.mot15: _MOT15_TEST,
    Benchmark.mot16: _named("MOT16", _MOT17_TEST),
    Benchmark.mot17: _named("MOT17", _MOT17_TEST),
    Benchmark.mot20: _named("MOT20", _MOT20_TEST),
}
"""The same of the sequences whose ground truth is secret; a submission must hold all of them."""


def benchmark_of(sequence: str) -> Benchmark:
    """The benchmark a sequence's name belongs to: `MOT17-02-FRCNN` -> mot17, `TUD-Campus` -> mot15.

    Raises:
        DataError: the name is none of MOTChallenge's; the rules must then be chosen by hand.
    """
    if sequence in _MOT15_TRAIN | _MOT15_TEST:
        return Benchmark.mot15
    prefix = sequence.partition("-")[0].lower()
    if prefix in Benchmark.__members__ and prefix != Benchmark.none.value:
        return Benchmark(prefix)
    choices = ", ".join(benchmark.value for benchmark in Benchmark)
    raise DataError(f"{sequence}: not a sequence of MOTChallenge; say which rules apply: benchmark={choices}")


def scene_of(sequence: str) -> str:
    """The scene a sequence shows: MOT17-01-SDP -> MOT17-01; others are scenes themselves."""
    scene, _, detector = sequence.rpartition("-")
    return scene if sequence.startswith("MOT17-") and detector in MOT17_DETECTORS else sequence


def file_names(benchmark: Benchmark, scenes: Iterable[str]) -> dict[str, str]:
    """The files a submission holds for these scenes: name -> scene."""
    suffixes = [f"-{detector}" for detector in sorted(MOT17_DETECTORS)] if benchmark is Benchmark.mot17 else [""]
    return {f"{scene}{suffix}.txt": scene for scene in scenes for suffix in suffixes}
