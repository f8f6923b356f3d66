"""Reading images out of a pack that is far away: from the cache, by ranges, and why not by whole shards alone.

    python -m benchmarks.studies.far_pack [delay_ms=20] [images=400] [threads=1,4,16] [output=far.json]

"Far" is a server on this machine that waits so long before each answer. 1080p JPEGs of noise, about 170 kB each, are
read in a random order; compare the ratios of one run, the folder's row being 1. "Whole shards alone" is counted, not
run: what epochs in the training's own order would fetch into a cache that holds a part of 100 shards of 1,000 images
and drops what was unused for longest. About a minute.
"""

import multiprocessing
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.drawn_data import LISTS, draw, write_data
from benchmarks.measuring import options
from benchmarks.report import markdown, progress, ratios, write_output
from fairmot.data.index import build_index
from fairmot.data.pack_writer import write_pack
from fairmot.data.packed import PackedImages, open_images
from fairmot.data.sampler import epoch_order
from fairmot.data.shard_cache import PackCacheConfig

DRAWN = 8
SHARD_BYTES = 8_000_000
PARTS = (0.25, 0.5, 0.75, 0.9)


def serve(folder: Path, delay_s: float, told: Connection) -> None:
    """Runs in a process of its own, so that it does not wait for the reader's interpreter lock."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))
    from far_server import FarServer  # noqa: PLC0415

    with FarServer(folder) as server:
        server.fault = lambda file, number: delay_s
        told.send(server.address)
        told.recv()


def seconds(images: PackedImages, numbers: list[int], threads: int) -> float:
    """To read these images once."""
    with ThreadPoolExecutor(threads) as pool:
        began_s = time.perf_counter()
        for _ in pool.map(images.read, numbers):
            pass
        return time.perf_counter() - began_s


def fetch_all(address: str, cache: PackCacheConfig, images: int) -> None:
    """Have the whole pack in the cache."""
    far = open_images(address, cache)
    folder = Path(cache.folder or "")
    far.prefetch(np.arange(images))
    while list(folder.glob("*.part")) or len(list(folder.glob("[0-9a-f]*"))) < 1 + len(far._shards):
        time.sleep(0.01)


def measured(root: Path, address: str, count: int, threads: list[int]) -> dict[str, dict[str, float]]:
    """Seconds of each way."""
    numbers = np.random.default_rng(1).permutation(count).tolist()
    found: dict[str, dict[str, float]] = {}

    def note(case: str, read_s: Callable[[], float]) -> None:
        progress(case)
        took_s = read_s()
        found[case] = {"read_s": took_s, "rate": count / took_s}

    near = open_images(str(root / "pack"))
    note("folder, 1 thread", lambda: seconds(near, numbers, 1))
    for number in threads:
        ranges = open_images(address, PackCacheConfig(str(root / "empty")))
        note(f"far, by ranges, {number} threads", lambda far=ranges, number=number: seconds(far, numbers, number))
    cache = PackCacheConfig(str(root / "cache"))
    began_s = time.perf_counter()
    fetch_all(address, cache, count)
    took_s = time.perf_counter() - began_s
    found["fetching all shards"] = {"read_s": took_s, "rate": count / took_s}
    kept = open_images(address, cache)
    note("far, from the cache, 1 thread", lambda: seconds(kept, numbers, 1))
    return found


def packs_fetched(part: float, shards: int = 100, images: int = 1000) -> float:
    """Multiples of a pack's size that its second epoch fetches, whole shards alone."""
    cached: OrderedDict[int, None] = OrderedDict()
    fetched = 0
    for epoch in (0, 1):
        fetched = 0
        for shard in (epoch_order(shards * images, 317, epoch) // images).tolist():
            if shard not in cached:
                fetched += 1
                if len(cached) >= part * shards:
                    cached.popitem(last=False)
            cached[shard] = None
            cached.move_to_end(shard)
    return fetched / shards


def main() -> None:
    chosen = options(__doc__, delay_ms="20", images="400", threads="1,4,16", output="")
    count = int(chosen["images"])
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        contents = [draw(1080, 1920, seed) for seed in range(DRAWN)]
        write_data(root / "data", [contents[number % DRAWN] for number in range(count)], 1, 1)
        write_pack(build_index(str(root / "data"), LISTS, progress=False), root / "pack", SHARD_BYTES, progress=False)
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(
            target=serve, args=(root / "pack", float(chosen["delay_ms"]) / 1e3, theirs)
        )
        server.start()
        found = measured(root, ours.recv(), count, [int(number) for number in chosen["threads"].split(",")])
        ours.send("done")
        server.join()
    counted = {f"{part:.0%}": packs_fetched(part) for part in PARTS}
    print(ratios(found, {"images/s": "rate", "time against the folder": "read_ratio"}))
    row = ("packs an epoch", *(f"{value:,.0f}" for value in counted.values()))
    print(f"\n{markdown(('whole shards alone, cache of', *counted), [row])}")
    write_output(chosen["output"], {"read": found, "packs_fetched": counted})


if __name__ == "__main__":
    main()
