"""Makes the checks one after the other; one that breaks off does not keep the others from being made."""

import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairmot.errors import ConfigError
from train.distributed import World
from train.selfcheck import exchange, parity, stepping, versions
from train.selfcheck.check import Check, Measurement, Session, Verdict

CHECKS = (
    Check("versions", "the installation: install what the detail names, see docs/ascend.md", versions.measure_versions),
    Check(
        "deform_layer",
        "one deformable convolution is computed wrongly: networks with the deformable neck (model=dla_34) are of no "
        "use here; model=dlaconv_34 does without it",
        parity.measure_layer,
    ),
    Check(
        "losses",
        "the losses or their gradients are computed wrongly: training would learn something else; the values say which",
        parity.measure_losses,
    ),
    Check(
        "decode",
        "objects are read off the heatmap wrongly: tracking and validation would be wrong; max pooling or top-k differ",
        parity.measure_decode,
    ),
    Check(
        "plain_network",
        "the network's maps differ: a little too much looks like reduced precision (runtime.allow_hf32=false, "
        "runtime.precision=fp32); much looks like a wrong kernel, which the buffers in the report's values narrow down",
        parity.measure_plain_network,
    ),
    Check(
        "deformable_network",
        "as plain_network; where that passes, the neck's deformable convolutions differ, see deform_layer",
        parity.measure_deformable_network,
    ),
    Check(
        "five_steps",
        "training takes another way: a wrong step 0 is the forward pass (plain_network, losses), a wrong step 1 the "
        "gradients or the optimiser",
        parity.measure_five_steps,
    ),
    Check(
        "repeat",
        "the same step gives other bits: a resumed run will not equal an uninterrupted one; runtime.deterministic=true",
        stepping.measure_repeat,
    ),
    Check(
        "overflow",
        "a step with an overflow is not skipped as it should be, on one rank or all: half precision would spoil the "
        "weights; try runtime.overflow_mode=infnan, and runtime.precision=fp32 until it is mended",
        stepping.measure_overflow,
    ),
    Check(
        "ranks",
        "ranks hold different weights after the same steps: the all-reduce is wrong or not deterministic; "
        "runtime.deterministic=true, runtime.check_ranks_every_steps=1 finds the step",
        stepping.measure_ranks,
    ),
    Check(
        "all_reduce",
        "means over ranks are wrong. Where only the speed is low: hccn_tool link state, the rank table's addresses, "
        "HCCL_BUFFSIZE",
        exchange.measure_all_reduce,
    ),
    Check(
        "step_time",
        "the host starts kernels slowly, or kernels run on the host: bind ranks to the NPU's NUMA node, look for other "
        "jobs, runtime.profile_steps=5 and docs/scaling.md say where time goes",
        stepping.measure_step_time,
    ),
    Check(
        "memory",
        "the step takes more device memory than planned: lower batch_size_per_rank, and send the report",
        stepping.measure_memory,
    ),
)

_SEVERITY = (Verdict.skipped, Verdict.measured, Verdict.passed, Verdict.failed, Verdict.error)
"""Ascending: of the ranks' verdicts the last one counts."""


@dataclass(frozen=True)
class Result:
    """What came of a check on all ranks.

    Attributes:
        check: which.
        verdict: the worst of the ranks'.
        measurement: this rank's.
        worst: the largest value of any rank; None: no rank has one.
        ranks: those where it failed or broke off.
        seconds: this rank's.
    """

    check: Check
    verdict: Verdict
    measurement: Measurement
    worst: float | None
    ranks: tuple[int, ...]
    seconds: float

    @property
    def is_bad(self) -> bool:
        """Whether somebody must look at it."""
        return self.verdict in (Verdict.failed, Verdict.error)


def chosen(names: list[str]) -> tuple[Check, ...]:
    """The checks of these names, all if there are none.

    Raises:
        ConfigError: there is no such check.
    """
    known = {check.name: check for check in CHECKS}
    for name in names:
        if name not in known:
            raise ConfigError(f"selfcheck.checks: no check '{name}'; there are: {', '.join(known)}")
    return tuple(check for check in CHECKS if not names or check.name in names)


def run_checks(session: Session, checks: tuple[Check, ...]) -> Iterator[Result]:
    """Make the checks; every rank must take all results."""
    for check in checks:
        began_at_s = time.perf_counter()
        measurement, verdict = _measured(check, session)
        seconds = time.perf_counter() - began_at_s
        try:
            verdict, worst, ranks = _over_ranks(session.world, verdict, measurement.value)
        except Exception as error:  # the device or a rank is gone: the report still has to be written
            measurement, verdict = _broken(error), Verdict.error
            worst, ranks = None, (session.world.rank,)
        yield Result(check, verdict, measurement, worst, ranks, seconds)


def _measured(check: Check, session: Session) -> tuple[Measurement, Verdict]:
    try:
        measurement = check.measure(session)
    except Exception as error:  # whatever it is, the other checks are still to be made
        traceback.print_exc(file=sys.stderr)
        return _broken(error), Verdict.error
    return measurement, measurement.verdict


def _broken(error: Exception) -> Measurement:
    """The last line of the traceback, and where it was."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    said = next((line for line in str(error).splitlines() if line.strip()), "")
    return Measurement(None, None, "", f"{type(error).__name__}: {said} ({frame.filename}:{frame.lineno})")


def _over_ranks(world: World, verdict: Verdict, value: float | None) -> tuple[Verdict, float | None, tuple[int, ...]]:
    """The worst verdict, the largest value, and the ranks that failed or broke off."""
    numbers = np.array([_SEVERITY.index(verdict), np.nan if value is None else value], np.float32)
    severities, values = world.gather(numbers).T
    bad = np.flatnonzero(severities >= _SEVERITY.index(Verdict.failed))
    largest = None if np.isnan(values).all() else float(np.nanmax(values))
    return _SEVERITY[int(severities.max())], largest, tuple(int(rank) for rank in bad)
