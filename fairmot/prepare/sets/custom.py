"""Your own data: dataset=custom name=<what you call it> format=mot|coco_video|yolo; docs/custom_data.md shows each."""

from collections.abc import Callable
from typing import Any

from fairmot.errors import ConfigError
from fairmot.prepare.config import CustomFormat, PrepareConfig
from fairmot.prepare.sets import coco_video, custom_mot, yolo

_FORMATS: dict[CustomFormat, Callable[[PrepareConfig], tuple[dict[str, Any], bool]]] = {
    CustomFormat.mot: custom_mot.prepare,
    CustomFormat.coco_video: coco_video.prepare,
    CustomFormat.yolo: yolo.prepare,
}


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare a data set of your own; as `prepare_origins`.

    Raises:
        ConfigError: no format.
    """
    if config.format is None:
        raise ConfigError("format is missing: say how the annotations are written")
    return _FORMATS[config.format](config)
