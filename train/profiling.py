"""MindSpore's profiler around a few steps of a run."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mindspore.profiler import ProfilerActivity, profile, tensorboard_trace_handler

from fairmot.device import Device

_STEPS_BEFORE = 3


class StepProfiler:
    """Records `steps` steps after the first few, which compile and warm up.

    Args:
        steps: how many; 0 records nothing.
        folder: receives MindSpore's files, readable with MindStudio Insight.
        device: whose operators are recorded.
    """

    def __init__(self, steps: int, folder: Path, device: Device) -> None:
        self._steps, self._folder, self._device = steps, folder, device
        self._seen = 0

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Around each step."""
        if self._steps and self._seen == _STEPS_BEFORE:
            self._begin()
        yield
        self._seen += 1
        if self._steps and self._seen == _STEPS_BEFORE + self._steps:
            self._profile.stop()

    def _begin(self) -> None:
        activities = [ProfilerActivity.CPU]
        if self._device is Device.ascend:
            activities.append(ProfilerActivity.NPU)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._profile = profile(
            activities=activities, on_trace_ready=tensorboard_trace_handler(dir_name=str(self._folder))
        )
        self._profile.start()
