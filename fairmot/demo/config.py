"""Everything `python -m fairmot.demo` can be told."""

from dataclasses import dataclass

from fairmot.device import Device
from fairmot.inference.config import Engine


@dataclass
class DemoConfig:
    """Everything `python -m fairmot.demo` can be told.

    Attributes:
        output: folder for the video, the contact sheet, the scores and the drawn pictures.
        frames: length of the street's scene; ten are a second.
        walkers: people who cross it.
        seed: of street and people; another one draws others.
        overwrite: replace an earlier demo's output.
        device: cpu, ascend, or auto: an NPU where one is found, else the CPU.
        engine: what runs the network: mindspore; onnx, ONNX Runtime, on CPUs; or auto: onnx on a CPU where it saves
            time, else mindspore.
    """

    output: str = "demo"
    frames: int = 60
    walkers: int = 8
    seed: int = 1
    overwrite: bool = False
    device: Device = Device.auto
    engine: Engine = Engine.auto

    def __post_init__(self) -> None:
        for key, least in (("frames", 1), ("walkers", 1), ("seed", 0)):
            if getattr(self, key) < least:
                raise ValueError(f"{key}={getattr(self, key)}: must be at least {least}")
