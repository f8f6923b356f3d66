"""The configured step: whether it repeats itself, what an overflow does, whether ranks stay equal, time and memory."""

import gc
import statistics
import time
from collections.abc import Mapping

import mindspore as ms
import numpy as np

from fairmot.errors import FairMOTError
from train.packing import num_bytes
from train.selfcheck.check import Measurement, Session, Trained, not_applicable

ENORMOUS_SCALE = 2.0**127
"""The largest power of two in fp32: gradients above 2 overflow."""
SLOW_US_PER_KERNEL = 500.0
"""By estimate a host hands over a kernel in 5 to 20 microseconds, and a recipe at full size computes 200 for each."""
MORE_THAN_PLANNED = 1.1
_WH = 4
"""Where a batch has its box sizes."""


def measure_repeat(session: Session) -> Measurement:
    """The same step twice from the same state: how many tensors are not equal to the bit."""
    trained = session.trained
    trained.make_step()  # moments and running statistics are no longer what they began with
    before = trained.tensors()
    outcomes = []
    for _ in range(2):
        trained.set_tensors(before)
        scalars = np.array(list(trained.make_step().values()))
        outcomes.append({**trained.tensors(), "scalars": scalars})
    first, second = outcomes
    differing = [name for name in first if first[name].tobytes() != second[name].tobytes()]
    if all(first[name].tobytes() == array.tobytes() for name, array in before.items()):
        raise ValueError("the step changed nothing, so that nothing was compared")
    detail = f"of {len(first)} tensors {len(differing)} differ" + (f", {differing[0]} first" if differing else "")
    promised = session.config.runtime.deterministic or not session.on_ascend
    if not promised:
        detail += "; runtime.deterministic=false promises nothing"
    return Measurement(float(len(differing)), 0.0 if promised else None, "tensors", detail)


def measure_overflow(session: Session) -> Measurement:
    """A step whose gradients overflow, on all ranks and then on the last one alone: how many things it did wrong."""
    trained, world = session.trained, session.world
    start = trained.tensors()
    name = f"optimizer/{trained.state.loss_scale.value.name}"
    enormous = {**start, name: np.array(ENORMOUS_SCALE, np.float32)}
    faults = _faults_of_overflow(trained, enormous, trained.batch, name)
    if world.size > 1:
        batch = list(trained.batch)
        if world.rank == world.size - 1:
            batch[_WH] = np.where(batch[_WH] > 0, np.float32(np.inf), batch[_WH])
        faults += [
            f"when rank {world.size - 1} alone overflows: {fault}"
            for fault in _faults_of_overflow(trained, start, batch, name)
        ]
    trained.set_tensors(start)
    return Measurement(
        float(len(faults)), 0.0, "faults", "; ".join(faults) or "skipped, nothing changed, scale lowered"
    )


def _faults_of_overflow(
    trained: Trained, before: Mapping[str, np.ndarray], batch: list[np.ndarray], scale_name: str
) -> list[str]:
    """What a step from `before` on `batch` did that a skipped step does not."""
    trained.set_tensors(before)
    scalars = trained.make_step(batch)
    after = trained.tensors()
    counters = {parameter.name for parameter in trained.state.loss_scale.get_parameters()}
    weights = {parameter.name for parameter in trained.step.optimizer.weights}
    kept = {
        name
        for name in before
        if (short := name.split("/", 1)[1]) in weights or (name.startswith("optimizer/") and short not in counters)
    }
    changed = sorted(name for name in kept if before[name].tobytes() != after[name].tobytes())
    is_dynamic = trained.state.loss_scale.dynamic
    wanted = float(before[scale_name]) * (0.5 if is_dynamic else 1.0)
    faults = []
    if not scalars["overflow"]:
        faults.append("the overflow was not seen")
    if changed:
        faults.append(f"{len(changed)} tensors changed, such as {changed[0]}")
    if float(after[scale_name]) != wanted:
        faults.append(f"the loss scale is {float(after[scale_name]):g} instead of {wanted:g}")
    return faults


def measure_ranks(session: Session) -> Measurement:
    """After steps on batches of their own all ranks hold the same weights, to the bit."""
    if session.world.size == 1:
        return not_applicable("one rank")
    trained = session.trained
    weights = trained.state.weights()
    before = [parameter.asnumpy().copy() for parameter in weights]
    for _ in range(3):
        trained.make_step()
    if all(np.array_equal(parameter.asnumpy(), old) for parameter, old in zip(weights, before, strict=True)):
        raise ValueError("the steps changed nothing, so that nothing was compared")
    try:
        session.world.check_identical((parameter.asnumpy() for parameter in weights), "after three steps")
    except FairMOTError as error:
        return Measurement(1.0, 0.0, "differences", str(error))
    return Measurement(0.0, 0.0, "differences", f"{session.world.size} ranks hold the same weights after three steps")


def measure_step_time(session: Session) -> Measurement:
    """A step's time, its scalars read each time, beside the kernels that the dry run counted."""
    trained, count = session.trained, session.config.selfcheck.timed_steps
    trained.make_step()
    times_s = []
    for _ in range(count):
        began_at_s = time.perf_counter()
        trained.make_step()
        times_s.append(time.perf_counter() - began_at_s)
    began_at_s = time.perf_counter()
    for _ in range(count):
        vector = trained.call(trained.batch)
    vector.asnumpy()
    unread_ms = (time.perf_counter() - began_at_s) / count * 1e3
    step_ms = statistics.median(times_s) * 1e3
    values = {"step_ms": step_ms, "slowest_ms": max(times_s) * 1e3, "step_ms_scalars_unread": unread_ms}
    detail = f"median of {count}; {unread_ms:.1f} ms when only the last one's scalars are read"
    planned = _planned_for(session)
    if planned is None:
        return Measurement(step_ms, None, "ms", f"{detail}; selfcheck.report= would count its kernels", values)
    kernels = planned["kernels_per_step"]["total"] * trained.micro_batches
    values["us_per_kernel"] = step_ms * 1e3 / kernels
    detail = f"{step_ms:.1f} ms for {kernels} kernels, {detail}"
    limit = SLOW_US_PER_KERNEL if session.on_ascend else None
    return Measurement(values["us_per_kernel"], limit, "us a kernel", detail, values)


def measure_memory(session: Session) -> Measurement:
    """The most device memory that a step takes, beside what the dry run planned."""
    if not session.on_ascend:
        return not_applicable("MindSpore measures device memory on an NPU only")
    trained = session.trained
    gc.collect()  # what earlier checks have built
    ms.runtime.reset_peak_memory_stats()
    trained.make_step()
    values = {
        "peak_gb": ms.runtime.max_memory_allocated() / 2**30,
        "reserved_gb": ms.runtime.max_memory_reserved() / 2**30,
    }
    detail = f"{values['peak_gb']:.2f} GB in use at once, {values['reserved_gb']:.2f} GB reserved"
    planned = _planned_for(session)
    planned_gb = planned and planned["peak_gb_with_fragments"]
    if not planned_gb:
        return Measurement(values["peak_gb"], None, "GB", f"{detail}; selfcheck.report= would say the plan", values)
    detail += f", {planned_gb:.2f} GB planned with fragments"
    return Measurement(values["peak_gb"] / planned_gb, MORE_THAN_PLANNED, "of the plan", detail, values)


def _planned_for(session: Session) -> Mapping | None:
    """The dry run's report, if it is of this step.

    Raises:
        ValueError: it is of another one.
    """
    planned = session.planned
    if planned is None:
        return None
    state = session.trained.state
    parameters = [*state.parameters("network").values(), *state.parameters("loss").values()]
    ours = num_bytes(parameters)
    if planned["parameter_bytes"] != ours or planned["ranks"] != session.world.size:
        raise ValueError(
            f"selfcheck.report={session.config.selfcheck.report}: it is of {planned['ranks']} ranks and "
            f"{planned['parameter_bytes']} bytes of parameters, here are {session.world.size} and {ours}; give both "
            "commands the same keys, and simulate.ranks= the number of ranks"
        )
    return planned
