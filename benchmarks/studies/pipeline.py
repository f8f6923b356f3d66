"""Frames per second from video to tracked video, and what each stage costs.

    python -m benchmarks.studies.pipeline checkpoint=<checkpoint> sources=<video>,<video> [output=pipeline.json]

Every video (or folder of pictures) is tracked as python -m fairmot.track does it, annotated MP4 included, up to 100
frames, after the network is compiled. Stages overlap, so a frame costs about as much as the slowest of them where
there are processors enough. Printed are milliseconds a frame and stage; the results go to a temporary folder.
"""

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import options
from benchmarks.report import markdown, write_output
from fairmot.device import Device
from fairmot.track.command import STAGES, track
from fairmot.track.config import TrackConfig

MAX_FRAMES = 100
BATCH_SIZES = (1, 4)


def measure(checkpoint: str, source: str, batch_size: int, device: Device) -> dict[str, float | int | str]:
    with tempfile.TemporaryDirectory() as output:
        config = TrackConfig(
            source=source,
            checkpoint=checkpoint,
            output=output,
            max_frames=MAX_FRAMES,
            batch_size=batch_size,
            device=device,
        )
        report = track(config)
    row: dict[str, float | int | str] = {"source": Path(source).name, "batch": batch_size, "frames": report.n_frames}
    row |= {f"{stage}_ms": round(report.stage_s[stage] * 1e3 / report.n_frames, 2) for stage in STAGES}
    row["frame_ms"] = round(report.elapsed_s * 1e3 / report.n_frames, 2)
    row["frames_per_s"] = round(report.n_frames / report.elapsed_s, 2)
    return row


def main() -> None:
    given = options(__doc__, checkpoint="", sources="", output="")
    if not (given["checkpoint"] and given["sources"]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    device = Device(os.environ.get("FAIRMOT_DEVICE", "cpu"))
    rows = [
        measure(given["checkpoint"], source, batch_size, device)
        for source in given["sources"].split(",")
        for batch_size in BATCH_SIZES
    ]
    print(markdown(tuple(rows[0]), (tuple(map(str, row.values())) for row in rows)))
    write_output(given["output"], {"processors": os.cpu_count(), "device": device.value, "rows": rows})


if __name__ == "__main__":
    main()
