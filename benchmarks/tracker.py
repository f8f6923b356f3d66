"""Time of the tracker alone, without network or pictures, beside the original's.

    python -m benchmarks.tracker [objects=20,60,120,250] [frames=150] [passes=3] [output=tracker.json]
                                 [original=<the original's repository>]

People walk at random through a 1920x1080 picture, come late, leave early, are hidden for up to 44 frames, are missed in
10 % of the frames; false detections join them. Each size is timed in several passes over one sequence, ours, ours with
tracker=boxes and the original's (benchmarks/original/tracker.py) in turn; printed are the median frame of the fastest
pass and the 99th percentile over all of them, in milliseconds. Less than a minute.
"""

import time
from collections.abc import Callable

import numpy as np
from omegaconf import OmegaConf

from benchmarks.measuring import options
from benchmarks.original.tracker import original_tracker
from benchmarks.report import Curve, Part, Row, publish
from fairmot.cli.command import CONF_DIR
from fairmot.structures import Detections
from fairmot.tracking.config import TrackerConfig
from fairmot.tracking.tracker import Tracker

WARM_UP_FRAMES = 20
REID_DIM = 128
PICTURE_PX = np.array([1920.0, 1080.0])


def crowd(objects: int, frames: int = 150, seed: int = 0) -> list[Detections]:
    """Detections of `objects` people, in descending order of score, frame by frame."""
    rng = np.random.default_rng(seed)
    heights_px = rng.uniform(60, 220, objects)
    sizes_px = np.stack([heights_px * rng.uniform(0.35, 0.5, objects), heights_px], axis=1)
    centres_px, speeds_px = rng.random((objects, 2)) * PICTURE_PX, rng.normal(0, 2, (objects, 2))
    identities = unit(rng.normal(size=(objects, REID_DIM)))
    enters, leaves = rng.integers(0, frames // 3, objects), rng.integers(frames * 2 // 3, frames + 1, objects)
    enters[: objects // 2], leaves[: objects // 2] = 0, frames
    hidden_from, hidden_for = rng.integers(0, frames, objects), rng.integers(3, 45, objects)
    sequence = []
    for frame in range(frames):
        speeds_px += rng.normal(0, 0.3, speeds_px.shape)
        speeds_px[(centres_px + speeds_px < 0) | (centres_px + speeds_px > PICTURE_PX)] *= -1
        centres_px += speeds_px
        hidden = (hidden_from <= frame) & (frame < hidden_from + hidden_for)
        seen = np.flatnonzero((enters <= frame) & (frame < leaves) & ~hidden & (rng.random(objects) > 0.1))
        false = rng.poisson(objects / 40)
        centres = np.concatenate([centres_px[seen], rng.random((false, 2)) * PICTURE_PX])
        sizes = np.concatenate([sizes_px[seen], rng.uniform(40, 160, (false, 2))])
        centres += rng.normal(0, 0.02, centres.shape) * sizes
        sizes *= np.exp(rng.normal(0, 0.03, sizes.shape))
        own = identities[seen] + 0.06 * rng.normal(size=(len(seen), REID_DIM))
        spoilt = rng.random(len(seen)) < 0.08
        own[spoilt] = rng.normal(size=(int(spoilt.sum()), REID_DIM))
        embeddings = unit(np.concatenate([own, rng.normal(size=(false, REID_DIM))]))
        scores = rng.uniform(0.35, 1, len(centres))
        order = np.argsort(-scores)
        boxes_xyxy = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
        sequence.append(Detections(boxes_xyxy[order], scores[order], embeddings[order]))
    return sequence


def rules(name: str) -> TrackerConfig:
    """A file of conf/tracker."""
    merged = OmegaConf.merge(OmegaConf.structured(TrackerConfig), OmegaConf.load(CONF_DIR / "tracker" / f"{name}.yaml"))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, TrackerConfig)
    return config


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def time_frames(update: Callable[[Detections], object], sequence: list[Detections]) -> np.ndarray:
    """Milliseconds of every frame after the warm-up."""
    times_ms = []
    for detections in sequence:
        start = time.perf_counter()
        update(detections)
        times_ms.append((time.perf_counter() - start) * 1e3)
    return np.array(times_ms[WARM_UP_FRAMES:])


def main() -> None:
    given = options(__doc__, objects="20,60,120,250", frames="150", passes="3", output="", original="")
    makers: dict[str, Callable[[], Callable[[Detections], object]]] = {
        "ours": lambda: Tracker(TrackerConfig()).update,
        "tracker=boxes": lambda: Tracker(rules("boxes")).update,
    }
    if given["original"]:
        makers["original"] = original_tracker(given["original"])
    counts = [int(count) for count in given["objects"].split(",")]
    rows, details = [], []
    for objects in counts:
        sequence = crowd(objects, int(given["frames"]))
        passes: dict[str, list[np.ndarray]] = {name: [] for name in makers}
        for _ in range(int(given["passes"])):
            for name, make in makers.items():
                passes[name].append(time_frames(make(), sequence))
        median_ms = {name: float(np.median(several, axis=1).min()) for name, several in passes.items()}
        p99_ms = {name: float(np.percentile(several, 99)) for name, several in passes.items()}
        reference = "the original's tracker" if given["original"] else ""
        for what, found in (("median", median_ms), ("99th percentile", p99_ms)):
            frame = f"a frame, {objects} objects, {what}"
            rows.append(Row(frame, found["ours"], "ms", reference, found.get("original")))
            rows.append(Row(f"{frame}, tracker=boxes", found["tracker=boxes"], "ms", "the default", found["ours"]))
        detections_per_frame = float(np.mean([len(detections) for detections in sequence]))
        details.append({"objects": objects, "detections_per_frame": detections_per_frame} | median_ms)
    lines = [[row[name] for row in details] for name in makers]
    curve = Curve("tracked objects", counts, [f"{name}, ms a frame" for name in makers], lines)
    publish(Part(rows, [curve], details), given["output"])


if __name__ == "__main__":
    main()
