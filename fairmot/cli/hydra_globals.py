"""What Hydra keeps once for a process, lent to a composition in the middle of somebody else's program."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime
from hydra.version import VersionBase


@contextmanager
def set_aside() -> Iterator[None]:
    """Hydra as if this process had not started it; afterwards it is as before.

    A program that Hydra runs, or a job of its sweep, may call our functions, which compose configurations too. Hydra
    refuses to be initialised twice, and would go on with our name for its job and our version's rules.
    """
    running, runtime, version = GlobalHydra.instance(), JobRuntime.instance(), VersionBase.instance()
    before = running.hydra, runtime.get("name"), version.version_base
    running.clear()
    try:
        yield
    finally:
        GlobalHydra.set_instance(running)  # Hydra has put a copy of the empty one in its place
        running.hydra, version.version_base = before[0], before[2]
        runtime.set("name", before[1])
