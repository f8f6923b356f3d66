"""Frames per second from video to tracked video, and what each stage costs.

    python -m benchmarks.pipeline <checkpoint> <video>... [result.json]

Every video (or folder of pictures) is tracked as python -m fairmot.track does it, annotated MP4 included, up to 100
frames, after the network is compiled. Stages overlap, so a frame costs about as much as the slowest of them where
there are processors enough. Printed are milliseconds a frame and stage; the results go to a temporary folder.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from fairmot.device import Device
from fairmot.files import write_atomic
from fairmot.track import STAGES, TrackConfig, track

MAX_FRAMES = 100
BATCH_SIZES = (1, 4)


def measure(checkpoint: str, source: str, batch_size: int, device: Device) -> dict[str, float | int | str]:
    with tempfile.TemporaryDirectory() as output:
        config = TrackConfig(source, checkpoint, output, max_frames=MAX_FRAMES, batch_size=batch_size, device=device)
        report = track(config)
    row: dict[str, float | int | str] = {"source": Path(source).name, "batch": batch_size, "frames": report.n_frames}
    row |= {f"{stage}_ms": round(report.stage_s[stage] * 1e3 / report.n_frames, 2) for stage in STAGES}
    row["frame_ms"] = round(report.elapsed_s * 1e3 / report.n_frames, 2)
    row["frames_per_s"] = round(report.n_frames / report.elapsed_s, 2)
    return row


def main(checkpoint: str, sources: list[str], output: Path | None) -> None:
    device = Device(os.environ.get("FAIRMOT_DEVICE", "cpu"))
    rows = [measure(checkpoint, source, batch_size, device) for source in sources for batch_size in BATCH_SIZES]
    print("".join(f"{name:>16}" for name in rows[0]))
    for row in rows:
        print("".join(f"{value:>16}" for value in row.values()))
    result = json.dumps({"processors": os.cpu_count(), "device": device.value, "rows": rows}, indent=2)
    print(result)
    if output is not None:
        write_atomic(output, result + "\n")


if __name__ == "__main__":
    given = sys.argv[1:]
    json_path = Path(given.pop()) if given and given[-1].endswith(".json") else None
    if len(given) < 2:
        sys.exit(__doc__)
    main(given[0], given[1:], json_path)
