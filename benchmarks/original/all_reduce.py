"""How long two processes take to add up a vector by PyTorch's gloo: the reference of benchmarks/ranks.py.

    <python with torch> benchmarks/original/all_reduce.py [numbers=20000000] [repeats=6]

One vector of float32, as PyTorch's data parallelism makes of the gradients, one thread a process. Prints the shortest
of the repeats as JSON, after one that warms up.
"""

import json
import sys
import tempfile
import time

import torch
from torch import distributed, multiprocessing


def reduce(rank: int, store: str, numbers: int, repeats: int) -> None:
    """One of the two."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    vector = torch.ones(numbers)
    seconds = []
    for _ in range(repeats):
        distributed.barrier()
        began_s = time.perf_counter()
        distributed.all_reduce(vector)
        seconds.append(time.perf_counter() - began_s)
    if rank == 0:
        print(json.dumps({"all_reduce_s": min(seconds[1:])}), flush=True)
    distributed.destroy_process_group()


def main() -> None:
    options = {"numbers": "20000000", "repeats": "6"} | dict(word.split("=", 1) for word in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(reduce, (f"{folder}/store", int(options["numbers"]), int(options["repeats"])), 2)


if __name__ == "__main__":
    main()
