"""Compiles every recipe for Ascend by the dry run, at its full size, and writes the table of docs/ascend.md.

    python scripts/dry_run_table.py                              # every experiment, jit_level O0 and O1
    python scripts/dry_run_table.py mot20_finetune tud           # only these
    python scripts/dry_run_table.py --chip a3 --ranks 16         # for another chip, and so many ranks
    python scripts/dry_run_table.py --fits                       # instead: the largest batch that fits

Experiments that make the same graph share a row. The rows are printed as they come, as Markdown.
"""

import argparse
import dataclasses
import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairmot.cli.command import CONF_DIR, compose
from fairmot.errors import FairMOTError
from train.config import TrainConfig
from train.simulate.config import Chip
from train.simulate.run import simulated

EXPERIMENTS = sorted(path.stem for path in (CONF_DIR / "experiment").glob("*.yaml"))
LEVELS = ("O0", "O1")
_logger = logging.getLogger(__name__)
HEAD = (
    "| experiment | batch a rank | kernels O0 | O1 | collectives | peak GB, with fragments: O0 | O1 | fits 32 | 64 |\n"
    "|---|---|---|---|---|---|---|---|---|"
)

FITS_HEAD = (
    "| experiment | input | fp32: GB | in 32 GB | in 64 GB | fp16: GB | in 32 GB | in 64 GB |\n"
    "|---|---|---|---|---|---|---|---|"
)
PRECISIONS = ("fp32", "fp16")
FITS_BATCHES = (4, 16)
FITS_SHARE = 0.9
"""Of a device's memory; CANN, HCCL and the kernels' own take the rest."""


def graph_of(config: TrainConfig) -> str:
    """What decides which graph a configuration is compiled to, but for sizes; equal texts mean equal graphs."""
    optim = config.optim
    switches = [optim.clip_norm > 0, optim.ema_decay > 0, optim.weight_decay > 0]
    parts = [
        *(dataclasses.asdict(config.model), dataclasses.asdict(config.loss), config.data.num_classes),
        *(optim.name, optim.accumulation, switches, config.batch_norm, config.runtime.precision),
    ]
    return json.dumps(parts, default=str, sort_keys=True)


def rows_of(experiments: list[str], words: list[str]) -> dict[str, list[str]]:
    """Experiment -> those of the same graph, sizes and validation, itself the first."""
    rows: dict[tuple[Any, ...], list[str]] = {}
    for experiment in experiments:
        config = compose([f"experiment={experiment}", *words], TrainConfig, "train")
        sizes = (*config.data.input_size, config.batch_size_per_rank, config.validate_every_epochs > 0)
        rows.setdefault((graph_of(config), *sizes), []).append(experiment)
    return {same[0]: same for same in rows.values()}


def row(experiments: list[str], configs: list[TrainConfig]) -> str:
    """One row of the table; what does not compile says why instead.

    Args:
        experiments: that share it.
        configs: of the first of them, one a level of LEVELS.
    """
    (height, width), batch = configs[0].data.input_size, configs[0].batch_size_per_rank
    names = [", ".join(experiments), f"{batch} x {height}x{width}"]
    reports = []
    for level, config in zip(LEVELS, configs, strict=True):
        _logger.info("%s, jit_level %s", experiments[0], level)
        try:
            reports.append(simulated(config))
        except FairMOTError as error:
            return "| " + " | ".join([*names, f"{level}: {' '.join(str(error).split())}"]) + " |"
    kernels = [str(report["kernels_per_step"]["total"]) for report in reports]
    collectives = " / ".join(dict.fromkeys(str(report["collectives_per_step"]) for report in reports))
    peaks = [f"{_gb(report['peak_gb'])}, {_gb(report['peak_gb_with_fragments'])}" for report in reports]
    fits = ["yes" if all(report["fits"][memory] for report in reports) else "no" for memory in ("32", "64")]
    return "| " + " | ".join([*names, *kernels, collectives, *peaks, *fits]) + " |"


def fits_row(experiments: list[str], batches: dict[tuple[str, int], TrainConfig]) -> str:
    """One row of the table of largest batches: the planned peak grows evenly with the batch, two give the line.

    Args:
        experiments: that share it.
        batches: configurations of the first of them, by precision and batch.
    """
    (height, width) = next(iter(batches.values())).data.input_size
    cells = [", ".join(experiments), f"{height}x{width}"]
    for precision in PRECISIONS:
        peaks = []
        for batch in FITS_BATCHES:
            _logger.info("%s, %s, batch %d", experiments[0], precision, batch)
            try:
                peaks.append(simulated(batches[precision, batch])["peak_gb_with_fragments"])
            except FairMOTError as error:
                return "| " + " | ".join([*cells, f"{precision}: {' '.join(str(error).split())}"]) + " |"
        a_picture = (peaks[1] - peaks[0]) / (FITS_BATCHES[1] - FITS_BATCHES[0])
        rest = peaks[0] - a_picture * FITS_BATCHES[0]
        cells += [f"{rest:.1f} + {a_picture:.2f}"]
        cells += [str(int((FITS_SHARE * memory - rest) / a_picture)) for memory in (32, 64)]
    return "| " + " | ".join(cells) + " |"


def _gb(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", metavar="experiment", help="of conf/experiment; none: all")
    parser.add_argument("--chip", default="910b", choices=[chip.value for chip in Chip])
    parser.add_argument("--ranks", type=int, default=8, help="how many; rank 0 is compiled")
    parser.add_argument("--at-once", type=int, default=2, help="dry runs at the same time; each takes 2 to 6 GB")
    parser.add_argument("--fits", action="store_true", help="the table of the largest batches that fit")
    arguments = parser.parse_args()
    words = [f"simulate.chip={arguments.chip}", f"simulate.ranks={arguments.ranks}", "data.root=no-data"]
    try:
        if arguments.fits:
            words.append("validate_every_epochs=0")
        same_batch = ["batch_size_per_rank=1"] if arguments.fits else []
        rows = rows_of(arguments.experiments or EXPERIMENTS, [*words, *same_batch])
        make, configs = (fits_row, _batches) if arguments.fits else (row, _levels)
        composed = [configs(name, words) for name in rows]
    except FairMOTError as error:
        parser.error(str(error))
    logging.basicConfig(level=logging.INFO, format="%(threadName)s: %(message)s")
    print(FITS_HEAD if arguments.fits else HEAD, flush=True)
    with ThreadPoolExecutor(arguments.at_once, thread_name_prefix="process") as pool:
        for line in pool.map(make, rows.values(), composed):
            print(line, flush=True)


def _levels(experiment: str, words: list[str]) -> list[TrainConfig]:
    return [_composed(experiment, [*words, f"runtime.jit_level={level}"]) for level in LEVELS]


def _batches(experiment: str, words: list[str]) -> dict[tuple[str, int], TrainConfig]:
    return {
        (precision, batch): _composed(
            experiment, [*words, f"runtime.precision={precision}", f"batch_size_per_rank={batch}"]
        )
        for precision in PRECISIONS
        for batch in FITS_BATCHES
    }


def _composed(experiment: str, words: list[str]) -> TrainConfig:
    return compose([f"experiment={experiment}", *words], TrainConfig, "train")


if __name__ == "__main__":
    main()
