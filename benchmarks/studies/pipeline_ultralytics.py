"""What a frame costs ultralytics' `track` from video to annotated video; `pipeline` starts it, by a Python that has it.

    <python> benchmarks/studies/pipeline_ultralytics.py model=<yolo11n.pt or yolo11n.yaml> video=<file> folder=<results>
                                                        [frames=60] [tracker=bytetrack.yaml] [threads=2]

A .yaml is the network with random weights: then it finds nothing, and its tracker and drawing have nothing to do, which
favours it. Prints one line of JSON: the times from the third frame on.
"""

import json
import sys
import time
from itertools import islice

import torch
from ultralytics import YOLO

WARM_UP = 2


def main() -> None:
    given = {"frames": "60", "tracker": "bytetrack.yaml", "threads": "2"} | dict(w.split("=", 1) for w in sys.argv[1:])
    torch.set_num_threads(int(given["threads"]))
    results = YOLO(given["model"]).track(
        given["video"], tracker=given["tracker"], stream=True, save=True, verbose=False, device="cpu",
        project=given["folder"], name="ultralytics", exist_ok=True,
    )  # fmt: skip
    frames = islice(results, int(given["frames"]))
    boxes = [sum(len(result.boxes) for result in islice(frames, WARM_UP))]
    began_s, began_work_s = time.perf_counter(), time.process_time()
    boxes += [len(result.boxes) for result in frames]
    wall_s, worked_s = time.perf_counter() - began_s, time.process_time() - began_work_s
    measured = len(boxes) - 1
    found = {"frame_s": wall_s / measured, "processor_s": worked_s / measured}
    print(json.dumps(found | {"boxes": sum(boxes) / (measured + WARM_UP)}))


if __name__ == "__main__":
    main()
