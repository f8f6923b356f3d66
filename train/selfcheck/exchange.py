"""How fast ranks exchange vectors, and whether the mean is right."""

import time

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from train.packing import num_bytes
from train.selfcheck.check import Measurement, Session, not_applicable

SIZES_KB = (4, 64, 1024, 16 * 1024, 64 * 1024)
_REPEATS = 3
_WRONG = 1e-6


def measure_all_reduce(session: Session) -> Measurement:
    """All-reduce of vectors from 4 KB to 64 MB and of the gradients' size: how far the means are off, and the speed."""
    world = session.world
    reducer = world.vector_reducer()
    if reducer is None:
        return not_applicable("one rank")
    sizes = {f"{kb / 1024:g} MB" if kb >= 1024 else f"{kb} KB": kb * 1024 for kb in SIZES_KB}
    sizes["gradients"] = num_bytes(session.trained.step.optimizer.weights)
    values: dict[str, float] = {}
    worst, shown = 0.0, []
    for name, size in sizes.items():
        seconds, off = _timed(reducer, size // 4, world.rank, world.size, session.on_ascend)
        gb_per_s = size / seconds / 1e9
        values |= {f"{name} ms": seconds * 1e3, f"{name} GB/s": gb_per_s}
        shown.append(f"{name} {gb_per_s:.3g} GB/s ({seconds * 1e3:.3g} ms)")
        worst = max(worst, off)
    # What each link carries, whatever the number of ranks: NCCL's and HCCL's "bus bandwidth" of a ring.
    values["64 MB bus GB/s"] = values["64 MB GB/s"] * 2 * (world.size - 1) / world.size
    shown.append(f"bus bandwidth of 64 MB {values['64 MB bus GB/s']:.3g} GB/s")
    return Measurement(worst, _WRONG, "of the mean", ", ".join(shown), values)


def _timed(reducer: nn.Cell, count: int, rank: int, ranks: int, on_ascend: bool) -> tuple[float, float]:
    """Seconds of the fastest all-reduce of `count` fp32, and how far its means are off as a share."""
    vector = Tensor(np.full(count, rank + 1, np.float32))
    result = reducer(vector).asnumpy()  # compiles
    off = float(np.abs(result / ((ranks + 1) / 2) - 1).max())
    times_s = []
    for _ in range(_REPEATS):
        began_at_s = time.perf_counter()
        reduced = reducer(vector)
        if on_ascend:
            ms.runtime.synchronize()  # reading the result would time its way to the host as well
        else:
            reduced.asnumpy()
        times_s.append(time.perf_counter() - began_at_s)
    return min(times_s), off if np.isfinite(off) else float("inf")
