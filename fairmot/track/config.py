"""Everything `python -m fairmot.track` can be told."""

import dataclasses
from dataclasses import dataclass, field

from omegaconf import MISSING

from fairmot.detections.text import score_range_of
from fairmot.device import Device
from fairmot.inference.config import MAX_OBJECTS, Engine
from fairmot.inference.trained_rules import TrackerOfCheckpoint
from fairmot.media import RECONNECT_S
from fairmot.tracking.config import InterpolationConfig, TrackerConfig


@dataclass
class TrackConfig(TrackerOfCheckpoint):
    """Everything `python -m fairmot.track` can be told.

    Attributes:
        source: a video file, a folder of pictures, a MOTChallenge sequence folder, an address such as rtsp://camera/1
            or https://host/street.mp4, or a camera: /dev/video0 or its number.
        checkpoint: a checkpoint or run directory, best or newest alone or behind a run directory, or a file of
            fairmot.convert or fairmot.export.
        detections: instead of checkpoint, what was found before: a detector's det.txt (frame,-1,x,y,w,h,confidence),
            a file of store_detections, or a folder with such a file for the source's name.
        score_range: confidences of a det.txt that count as 0 and 1, such as [0,100]; null: they are from 0 to 1.
        output: folder for <name>.txt (MOTChallenge rows), <name>.mp4 and <name>_frames; name is the source's.
        conf_thres: detections must score more than this; null: tracker.conf_thres.
        video: write the annotated MP4.
        frames: write the annotated frames as JPEG files.
        store_detections: write what the network found, with embeddings, as <name>_detections.safetensors.
        store_least_score: detections that score less are not stored.
        scores: write scores beside the identities.
        trail_frames: length of the trails; 0 draws none.
        max_frames: stop after so many frames.
        reconnect_s: seconds for which a camera, stream or server that falls silent is tried again.
        overwrite: replace results that are there.
        batch_size: frames that go through the network together.
        max_objects: objects taken from a frame at most.
        device: cpu, ascend, or auto: an NPU where one is found, else the CPU.
        engine: what runs a checkpoint's network: mindspore; onnx, ONNX Runtime, on CPUs; or auto: onnx on a CPU where
            it saves time, else mindspore. Onnx exports the checkpoint once, into a folder beside it.
        tracker: the tracker's rules; what is not given is as in the checkpoint's training. frame_rate counts where
            the source does not know its own.
        interpolation: filling gaps in the text file; the video shows what was seen frame by frame.
    """

    source: str = MISSING
    checkpoint: str | None = None
    detections: str | None = None
    score_range: list[float] | None = None
    output: str = MISSING
    conf_thres: float | None = None
    video: bool = True
    frames: bool = False
    store_detections: bool = False
    store_least_score: float = 0.1
    scores: bool = False
    trail_frames: int = 30
    max_frames: int | None = None
    reconnect_s: float = RECONNECT_S
    overwrite: bool = False
    batch_size: int = 1
    max_objects: int = MAX_OBJECTS
    device: Device = Device.auto
    engine: Engine = Engine.auto
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    interpolation: InterpolationConfig = field(default_factory=InterpolationConfig)

    def __post_init__(self) -> None:
        if (self.checkpoint is None) == (self.detections is None):
            given = "neither was given" if self.checkpoint is None else "both were given"
            raise ValueError(f"give either checkpoint=<run or checkpoint> or detections=<file or folder>; {given}")
        if self.store_detections and self.detections is not None:
            raise ValueError("store_detections=true: with checkpoint= only; detections= are stored already")
        if not 0 <= self.store_least_score <= 1:
            raise ValueError(f"store_least_score={self.store_least_score}: must be from 0 to 1")
        score_range_of(self.score_range)
        for key, least in (("batch_size", 1), ("max_objects", 1), ("trail_frames", 0)):
            if getattr(self, key) < least:
                raise ValueError(f"{key}={getattr(self, key)}: must be at least {least}")
        if self.max_frames is not None and self.max_frames < 1:
            raise ValueError(f"max_frames={self.max_frames}: must be at least 1, or null for all")
        if not 0 <= self.reconnect_s < float("inf"):
            raise ValueError(f"reconnect_s={self.reconnect_s}: must be finite and not negative")
        if self.conf_thres is not None:
            self.tracker = dataclasses.replace(self.tracker, conf_thres=self.conf_thres)
