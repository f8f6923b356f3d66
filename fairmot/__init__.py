"""FairMOT in MindSpore: one-shot multi-object tracking (Zhang et al., IJCV 2021).

The names of `__all__` are what Python programs use; docs/python.md shows them. Each is imported when it is first used,
as MindSpore takes seconds.

Importing this package sets process-wide defaults that MindSpore and OpenCV read once, when they are imported.
"""

import importlib
import os
import sys
import warnings
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "track_video": "fairmot.interface",
    "evaluate_tracks": "fairmot.interface",
    "open_detector": "fairmot.inference.exported",
    "Detector": "fairmot.inference.detector",
    "Device": "fairmot.device",
    "Detections": "fairmot.structures",
    "Tracker": "fairmot.tracking.tracker",
    "TrackerConfig": "fairmot.tracking.config",
    "Tracks": "fairmot.structures",
    "open_source": "fairmot.media.video",
    "FairMOTError": "fairmot.errors",
}
"""Name of the interface -> module that has it."""

__all__ = sorted(_PLACES)  # noqa: PLE0605

_ONEDNN_ISA = "ONEDNN_MAX_CPU_ISA"


def _set_platform_defaults() -> None:
    """Keep fp32 convolutions on the fast CPU kernels.

    From 2.9 on MindSpore's oneDNN answers plain-layout Conv2D on AVX-512 machines with a reference
    kernel 25-30 times slower than its AVX2 one. The limit works only if it stands in the
    environment before mindspore is imported; a value the user set is left alone.
    """
    if _ONEDNN_ISA in os.environ:
        return
    if "mindspore" in sys.modules:
        warnings.warn(
            f"mindspore was imported before fairmot and {_ONEDNN_ISA} is not set: convolutions may be "
            f"25 times slower on AVX-512 CPUs. Import fairmot first, or export {_ONEDNN_ISA}=AVX2.",
            stacklevel=3,
        )
        return
    os.environ[_ONEDNN_ISA] = "AVX2"


_set_platform_defaults()
# MindSpore's warnings speak of its own deprecations on every start; GLOG_v=2 brings them back.
os.environ.setdefault("GLOG_v", "3")
# MOST_PIXELS of fairmot/media/image_size.py for OpenCV too, which reads it once, when it is imported.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 26))


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'fairmot' has no attribute '{name}'; its interface is {', '.join(__all__)}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
