"""Everything `python -m fairmot.link` can be told."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from fairmot.tracking.config import InterpolationConfig


@dataclass
class LinkConfig:
    """How finished tracks are split and joined.

    Attributes:
        split_distance: a track is cut where the mean embeddings before and after differ by more than this cosine
            distance; null: none is cut.
        split_rows: rows with an embedding that each part must have.
        max_gap_frames: longest time between the end of one track and the beginning of another that are joined.
        join_distance: largest cosine distance of the mean embeddings of two tracks that are joined.
        join_mistakes: share of the pairs of people seen at the same time, who cannot be one, that may look as much
            alike as two tracks that are joined: where embeddings tell people apart badly, fewer are joined.
        join_motion: largest miss, in heights of the box, of where each of the two would be at the other's end if it
            went on as it moved; it grows to twice as much over max_gap_frames.
    """

    split_distance: float | None = None
    split_rows: int = 10
    max_gap_frames: int = 120
    join_distance: float = 0.3
    join_mistakes: float = 0.1
    join_motion: float = 2.0

    def __post_init__(self) -> None:
        if self.split_distance is not None and not 0 < self.split_distance <= 2:
            raise ValueError(f"link.split_distance must be from 0 to 2 and not 0, or null, got {self.split_distance}")
        if not 0 < self.join_distance <= 2:
            raise ValueError(f"link.join_distance must be from 0 to 2 and not 0, got {self.join_distance}")
        if not 0 <= self.join_mistakes <= 1:
            raise ValueError(f"link.join_mistakes must be from 0 to 1, got {self.join_mistakes}")
        for key in ("split_rows", "max_gap_frames"):
            if getattr(self, key) < 1:
                raise ValueError(f"link.{key} must be at least 1, got {getattr(self, key)}")
        if not 0 < self.join_motion < float("inf"):
            raise ValueError(f"link.join_motion must be finite and more than 0, got {self.join_motion}")


@dataclass
class LinkCommandConfig:
    """Everything `python -m fairmot.link` can be told.

    Attributes:
        results: folder with `<sequence>.txt` of a tracker, or one such file.
        detections: folder with <sequence>_detections.safetensors, as `fairmot.track store_detections=true` writes them
            beside its results; or the file of a single sequence.
        output: folder for the new `<sequence>.txt`.
        overwrite: replace results that are there.
        link: when tracks are split and joined.
        interpolation: filling gaps, those between joined tracks among them.
    """

    results: str = MISSING
    detections: str = MISSING
    output: str = MISSING
    overwrite: bool = False
    link: LinkConfig = field(default_factory=LinkConfig)
    interpolation: InterpolationConfig = field(default_factory=InterpolationConfig)
