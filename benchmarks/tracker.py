"""Time of the tracker alone, without network or pictures.

    python -m benchmarks.tracker [output.json]

People walk at random through a 1920x1080 picture, come late, leave early, are hidden for up to 44 frames, are missed in
10 % of the frames; false detections join them. Each size is timed in several passes over one sequence; printed are the
median frame of the fastest pass and the 99th percentile over all of them, in milliseconds.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from fairmot.files import write_atomic
from fairmot.structures import Detections
from fairmot.tracking.tracker import Tracker, TrackerConfig

OBJECTS = (20, 60, 120, 250)
FRAMES, WARM_UP_FRAMES, PASSES = 150, 20, 3
REID_DIM = 128
PICTURE_PX = np.array([1920.0, 1080.0])


def crowd(objects: int, frames: int = FRAMES, seed: int = 0) -> list[Detections]:
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


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def time_frames(sequence: list[Detections]) -> np.ndarray:
    """Milliseconds of every frame after the warm-up."""
    tracker, times_ms = Tracker(TrackerConfig()), []
    for detections in sequence:
        start = time.perf_counter()
        tracker.update(detections)
        times_ms.append((time.perf_counter() - start) * 1e3)
    return np.array(times_ms[WARM_UP_FRAMES:])


def main(output: Path | None) -> None:
    rows = []
    print(f"{'objects':>8}{'detections':>12}{'median ms':>11}{'p99 ms':>9}{'frames/s':>10}")
    for objects in OBJECTS:
        sequence = crowd(objects)
        passes = np.stack([time_frames(sequence) for _ in range(PASSES)])
        row = {
            "objects": objects,
            "detections_per_frame": round(float(np.mean([len(detections) for detections in sequence])), 1),
            "median_ms": round(float(np.median(passes, axis=1).min()), 3),
            "p99_ms": round(float(np.percentile(passes, 99)), 3),
            "frames_per_s": round(1e3 / float(passes.mean(axis=1).min()), 1),
        }
        rows.append(row)
        print(
            f"{objects:8d}{row['detections_per_frame']:12.1f}{row['median_ms']:11.3f}{row['p99_ms']:9.3f}{row['frames_per_s']:10.1f}"
        )
    if output is not None:
        write_atomic(output, json.dumps({"frames": FRAMES, "reid_dim": REID_DIM, "sizes": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
