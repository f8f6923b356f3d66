"""MOTA, IDF1, HOTA and the counts behind them, for one sequence and for several together.

CLEAR (MOTA, MOTP, switches, fragments, MT, PT, ML) and identity (IDF1) figures come from `official_rules` or
`motmetrics_rules`, HOTA from `hota`. All frames count: those of the ground truth and those in which only results are.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from fairmot.errors import DataError
from fairmot.evaluation.hota import HotaSums, hota_sums
from fairmot.evaluation.official_rules import score_by_official_rules
from fairmot.evaluation.overlap import FrameOverlap, overlap_by_frame
from fairmot.evaluation.preprocess import preprocess
from fairmot.evaluation.rules import MatchCounts, MatchEvents, Rules
from fairmot.mot.benchmarks import Benchmark
from fairmot.mot.rows import MotRows, first_fault

OVERALL = "OVERALL"

EventWatch = Callable[[str, MatchEvents], None]
"""Looks at what was counted in the sequence of that name."""


@dataclass
class SequenceMetrics:
    """The sums a sequence contributes, and as properties the figures made of them, in percent.

    Attributes:
        name: the sequence.
        frame_count: frames with ground truth or results.
        gt_count: boxes of ground truth.
        result_count: boxes of the results.
        gt_id_count: identities of ground truth.
        matches: boxes of ground truth found at IoU 0.5, switched ones included.
        overlap_sum: IoU of those, summed.
        switches: times an identity was found under another id than the last time.
        fragments: times an identity was lost and found again.
        mostly_tracked: identities found in more than 80 % of their frames; by motmetrics in at least 80 %.
        partially_tracked: in 20 to 80 %.
        mostly_lost: in less than 20 %.
        id_matches: boxes that agree under the best one-to-one assignment of whole tracks (IDTP).
        hota: the sums behind HOTA.
    """

    name: str
    frame_count: int
    gt_count: int
    result_count: int
    gt_id_count: int
    matches: int
    overlap_sum: float
    switches: int
    fragments: int
    mostly_tracked: int
    partially_tracked: int
    mostly_lost: int
    id_matches: int
    hota: HotaSums

    @property
    def misses(self) -> int:
        """Boxes of ground truth not found (FN)."""
        return self.gt_count - self.matches

    @property
    def false_positives(self) -> int:
        """Boxes of the results that are on nothing (FP)."""
        return self.result_count - self.matches

    @property
    def mota(self) -> float:
        """100 - (FN + FP + switches) / boxes of ground truth; below 0 when most results are wrong.

        Without ground truth it is not defined, and 0 as in the official evaluation.
        """
        if not self.gt_count:
            return 0.0
        return 100 - _percent(self.misses + self.false_positives + self.switches, self.gt_count)

    @property
    def motp(self) -> float:
        """Mean IoU of the matches."""
        return _percent(self.overlap_sum, self.matches)

    @property
    def recall(self) -> float:
        """Matches per box of ground truth."""
        return _percent(self.matches, self.gt_count)

    @property
    def precision(self) -> float:
        """Matches per box of the results."""
        return _percent(self.matches, self.result_count)

    @property
    def false_alarm_rate(self) -> float:
        """False positives per frame (FAR), not in percent."""
        return self.false_positives / max(1, self.frame_count)

    @property
    def idf1(self) -> float:
        """Harmonic mean of `id_precision` and `id_recall`."""
        return _percent(2 * self.id_matches, self.gt_count + self.result_count)

    @property
    def id_precision(self) -> float:
        """Boxes of the results that carry the right identity."""
        return _percent(self.id_matches, self.result_count)

    @property
    def id_recall(self) -> float:
        """Boxes of ground truth found under the right identity."""
        return _percent(self.id_matches, self.gt_count)

    @property
    def hota_score(self) -> float:
        """Mean over the thresholds of sqrt(DetA AssA)."""
        detection = self.hota.detection_accuracy(self.gt_count, self.result_count)
        return 100 * float(np.sqrt(detection * self.hota.association_accuracy()).mean())

    @property
    def detection_accuracy(self) -> float:
        """DetA, mean over the thresholds."""
        return 100 * float(self.hota.detection_accuracy(self.gt_count, self.result_count).mean())

    @property
    def association_accuracy(self) -> float:
        """AssA, mean over the thresholds."""
        return 100 * float(self.hota.association_accuracy().mean())

    @property
    def localisation_accuracy(self) -> float:
        """LocA, mean over the thresholds."""
        return 100 * float(self.hota.localisation_accuracy().mean())

    def figures(self) -> dict[str, float | int]:
        """All figures under the names MOTChallenge prints, in the order of its tables; percent, counts are int."""
        return {
            "HOTA": self.hota_score,
            "MOTA": self.mota,
            "IDF1": self.idf1,
            "DetA": self.detection_accuracy,
            "AssA": self.association_accuracy,
            "LocA": self.localisation_accuracy,
            "MOTP": self.motp,
            "IDP": self.id_precision,
            "IDR": self.id_recall,
            "Rcll": self.recall,
            "Prcn": self.precision,
            "FAR": self.false_alarm_rate,
            "GT": self.gt_id_count,
            "MT": self.mostly_tracked,
            "PT": self.partially_tracked,
            "ML": self.mostly_lost,
            "FP": self.false_positives,
            "FN": self.misses,
            "IDs": self.switches,
            "FM": self.fragments,
        }


@dataclass
class SequencePair:
    """One sequence to score.

    Attributes:
        name: of the sequence.
        gt: all rows of its gt file.
        results: all rows of its result file.
        benchmark: whose pre-processing applies.
        rules: whose matching and counting.
    """

    name: str
    gt: MotRows
    results: MotRows
    benchmark: Benchmark
    rules: Rules = Rules.official


def evaluate_sequence(
    gt: MotRows, results: MotRows, name: str = "sequence", rules: Rules = Rules.official
) -> SequenceMetrics:
    """Score results against ground truth, both after pre-processing.

    Args:
        gt: what should have been found; without any box, all results are false positives.
        results: what the tracker found; no boxes at all is a valid, if poor, result.
        name: the sequence, for tables and messages.
        rules: whose matching and counting.

    Raises:
        DataError: an id appears twice in a frame.
    """
    return _score(gt, results, name, rules)[0]


def _score(gt: MotRows, results: MotRows, name: str, rules: Rules) -> tuple[SequenceMetrics, MatchEvents]:
    for source, rows in (("ground truth", gt), ("results", results)):
        fault = first_fault(rows, sized=np.zeros(len(rows), bool))
        if fault:
            raise DataError(f"{name}: {source}, row {fault[0]}: {fault[1]}")
    overlaps = list(overlap_by_frame(gt, results, within_classes=True))
    counts, events = _matcher(rules)(gt, results, overlaps)
    metrics = SequenceMetrics(
        name=name,
        frame_count=len(overlaps),
        gt_count=len(gt),
        result_count=len(results),
        gt_id_count=len(np.unique(gt.ids)),
        hota=hota_sums(gt, results, overlaps),
        **vars(counts),
    )
    return metrics, events


def _matcher(rules: Rules) -> Callable[[MotRows, MotRows, list[FrameOverlap]], tuple[MatchCounts, MatchEvents]]:
    if rules is Rules.official:
        return score_by_official_rules
    # It brings pandas along, for those alone who ask for it.
    from fairmot.evaluation.motmetrics_rules import score_by_motmetrics  # noqa: PLC0415

    return score_by_motmetrics


def evaluate_pair(pair: SequencePair) -> SequenceMetrics:
    """`evaluate_sequence` after the benchmark's pre-processing.

    Raises:
        DataError: see `evaluate_sequence` and `preprocess`.
    """
    return score_pair(pair)[0]


def score_pair(pair: SequencePair) -> tuple[SequenceMetrics, MatchEvents]:
    """`evaluate_pair`, and what it counted, box by box.

    Raises:
        DataError: see `evaluate_pair`.
    """
    try:
        gt, results = preprocess(pair.gt, pair.results, pair.benchmark)
    except DataError as error:
        raise DataError(f"{pair.name}: {error}") from error
    return _score(gt, results, pair.name, pair.rules)


def evaluate_sequences(
    pairs: Sequence[SequencePair], workers: int = 1, watch: EventWatch | None = None
) -> list[SequenceMetrics]:
    """`evaluate_pair` of every sequence, in their order.

    Args:
        pairs: the sequences.
        workers: processes to spread them over; 1 stays in this one. Each process spends a second or two
            on its imports, so they pay off from some ten thousand boxes on.
        watch: called with every sequence's name and what was counted, by the process that scored it.

    Raises:
        DataError: the first sequence that cannot be scored.
    """
    workers = min(workers, len(pairs))
    work = partial(_evaluate_and_show, watch=watch)
    if workers <= 1:
        return list(map(work, pairs))
    # A fork of a process in which MindSpore runs threads may hang; spawn starts clean.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(work, pairs))


def _evaluate_and_show(pair: SequencePair, watch: EventWatch | None) -> SequenceMetrics:
    metrics, events = score_pair(pair)
    if watch is not None:
        watch(pair.name, events)
    return metrics


def combine(sequences: Sequence[SequenceMetrics], name: str = OVERALL) -> SequenceMetrics:
    """The sequences as if they were one: sums are added, then figures formed (no means of percentages).

    Raises:
        ValueError: there is no sequence.
    """
    if not sequences:
        raise ValueError("sequences: nothing to combine")
    totals = {}
    for field in fields(SequenceMetrics):
        if field.name != "name":
            first, *others = (getattr(metrics, field.name) for metrics in sequences)
            totals[field.name] = sum(others, start=first)
    return SequenceMetrics(name=name, **totals)


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0
