"""Stages of a pipeline that work at the same time, and what each of them costs."""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

Item = TypeVar("Item")

_POLL_S = 0.1


class StageTimes:
    """Seconds spent in each stage of a pipeline. Stages may run in threads of their own.

    Attributes:
        seconds: by name of the stage.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time of a `with` block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start

    def each(self, items: Iterable[Item], stage: str) -> Iterator[Item]:
        """The items; the time of making them counts to a stage."""
        iterator, end = iter(items), object()
        while True:
            with self.measure(stage):
                item = next(iterator, end)
            if item is end:
                return
            yield item  # type: ignore[misc]


def in_background(
    items: Iterable[Item], ahead: int, hurry: Callable[[], object] = lambda: None
) -> Generator[Item, None, None]:
    """The items, made in a thread of their own that keeps at most `ahead` of them ready.

    What making them raises is raised here, after the items made before. Closing the result waits for the item in
    work and ends the thread.

    Args:
        items: what the thread makes.
        ahead: items.
        hurry: called when the result is closed: tells what makes the items not to wait for more of them.
    """
    ready: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(ahead)
    stop = threading.Event()

    def hand_over(kind: str, value: Item | BaseException | None) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                ready.put((kind, value), timeout=_POLL_S)
                return

    def work() -> None:
        try:
            for item in items:
                hand_over("item", item)
                if stop.is_set():
                    return
            hand_over("end", None)
        except BaseException as error:
            hand_over("error", error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "error":
                raise value  # type: ignore[misc]
            if kind == "end":
                return
            yield value  # type: ignore[misc]
    finally:
        stop.set()
        hurry()
        thread.join()
