"""Time and memory with which the ranks of a host open their labels, as pictures and ranks grow.

    python -m benchmarks.studies.startup [images=10000,100000] [ranks=1,8] [kinds=pack,files] [against=<checkout>]
        [folder=<where to draw>] [before=<command>] [output=startup.json]

A pack's index and a mix of label files are generated, BOXES boxes a picture; the pack's shards are files with a hole.
So many processes open them at the same moment as a training does, up to a data set that could give samples. Then,
while all of them still hold it, each reads what it has for itself alone and its share of what the processes share
(/proc/<pid>/smaps_rollup), over what it had before. Everything is in the page cache, unless `before` says otherwise.
With `against` the same is done by the code of another checkout, in the same run. Pictures are hard links of a few
files: they are looked for by name alone.

With `before` a shell command runs before each measured opening, such as one that mounts the folder's file system anew:
then nothing of it is in the page cache. A slow disk, as root on Linux with cgroups of version 1: an ext4 image on a
loop device, mounted as `folder`, and this program in a group of blkio whose blkio.throttle.read_iops_device is small.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import options
from benchmarks.report import markdown, progress, short, write_output
from fairmot.data.folders import stamp_files
from fairmot.data.label_cache import CachedLabels, cache_files, save
from fairmot.data.labels import format_labels, label_path_for, read_labels
from fairmot.data.pack_format import FORMAT, INDEX, MANIFEST, shard_name

BOXES, FRAMES, PICTURE_BYTES = 5, 1000, 100_000
SHARD_PICTURES = 10_000
IDENTITIES = 50_000
LINKS, LIST_LINES = 10_000, 2_000_000

# Interfaces that did not change, so that an older checkout can run it.
RANK = """
import json, re, sys, time
from pathlib import Path
from fairmot.data.dataset import DataConfig, JointDataset
from fairmot.data.packed import open_index

def held_mb():
    text = Path("/proc/self/smaps_rollup").read_text()
    kb = {key: int(value) for key, value in re.findall(r"(\\w+): +(\\d+) kB", text)}
    return (kb["Private_Clean"] + kb["Private_Dirty"]) / 1e3, kb["Pss"] / 1e3

def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1e3

try:
    from fairmot.data.shared_index import share_index
except ImportError:  # a version before it
    share_index = None

root, packed, host, lists = sys.argv[1], sys.argv[2] or None, Path(sys.argv[3]), json.loads(sys.argv[4])
config = DataConfig(root=root, train=lists, packed=packed, cache_dir=root + "/cache")
print("ready", flush=True)
sys.stdin.readline()
before, shared_before = held_mb()
began = time.perf_counter()
read = lambda: open_index(packed, root, config.train, config.cache_dir, progress=False)
index = read() if packed or share_index is None else share_index(host, root, config.train, read)
dataset = JointDataset(index, config, seed=1, ltrb=True, down_ratio=4, msra=False)
took_s = time.perf_counter() - began
print("done", flush=True)
sys.stdin.readline()
own, shared = held_mb()
print(json.dumps({"s": took_s, "own_mb": own - before, "share_mb": shared - shared_before, "peak_mb": peak_mb(),
                  "digest": index.digest}), flush=True)
"""


def drawn_rows(images: int) -> np.ndarray:
    """Label rows, float32 [images * BOXES, 6]."""
    rng = np.random.default_rng(0)
    rows = rng.uniform(0.05, 0.9, (images * BOXES, 6)).astype(np.float32)
    rows[:, 0] = 0
    rows[:, 1] = rng.integers(0, IDENTITIES, len(rows))
    return rows


def names(images: int) -> list[str]:
    """Paths of pictures, in sequences."""
    return [f"drawn/images/train/{k // FRAMES:05d}/img1/{k % FRAMES + 1:06d}.jpg" for k in range(images)]


def draw_pack(folder: Path, images: int) -> Path:
    """A pack whose index is real and whose shards are holes."""
    folder.mkdir(parents=True)
    rows, number = drawn_rows(images), np.arange(images, dtype=np.int64)
    paths = names(images)
    content = io.BytesIO()
    np.savez(
        content,
        paths=np.frombuffer("\n".join(paths).encode(), np.uint8),
        image_starts=np.array([0, images]),
        rows=rows,
        row_offsets=np.arange(images + 1) * BOXES,
        image_shard=number // SHARD_PICTURES,
        image_offset=number % SHARD_PICTURES * PICTURE_BYTES,
        image_size=np.full(images, PICTURE_BYTES),
        image_crc32=number,
    )
    (folder / INDEX).write_bytes(content.getbuffer())
    shards = [
        {"name": shard_name(k), "bytes": SHARD_PICTURES * PICTURE_BYTES, "images": SHARD_PICTURES, "sha256": "0" * 64}
        for k in range(-(-images // SHARD_PICTURES))
    ]
    for shard in shards:
        (folder / str(shard["name"])).touch()
        os.truncate(folder / str(shard["name"]), SHARD_PICTURES * PICTURE_BYTES)
    sha256 = hashlib.sha256(content.getbuffer()).hexdigest()
    counts = [int(rows[:, 1].max()) + 1]
    said = {"format": FORMAT, "digest": "0" * 64, "names": ["drawn"], "counts": counts}
    (folder / MANIFEST).write_text(json.dumps(said | {"index_sha256": sha256, "shards": shards}))
    return folder


def draw_files(root: Path, images: int) -> dict[str, str]:
    """Label files, a picture of one byte beside each, their lists, and the cache that reading them would leave."""
    texts = [format_labels(rows) for rows in drawn_rows(FRAMES).reshape(FRAMES, BOXES, 6)]
    paths = names(images)
    for k, path in enumerate(paths):
        picture, labels = root / path, root / label_path_for(path)
        if k % FRAMES == 0:
            picture.parent.mkdir(parents=True)
            labels.parent.mkdir(parents=True)
        if k % LINKS == 0:
            original = picture
            picture.write_bytes(b"x")
        else:
            picture.hardlink_to(original)  # pictures of an earlier start are looked for by name alone
        labels.write_text(texts[k % FRAMES])
    lists = {}
    for begin in range(0, images, LIST_LINES):
        name = f"drawn{begin // LIST_LINES}"
        lists[name] = f"{name}.train"
        (root / lists[name]).write_text("".join(f"{path}\n" for path in paths[begin : begin + LIST_LINES]))
    label_paths = [label_path_for(path) for path in paths]
    rows = np.concatenate([read_labels(str(root / path)) for path in label_paths[:FRAMES]])
    time.sleep(3)  # files of the last two seconds are not trusted to stay as they are
    with ThreadPoolExecutor() as pool:
        found = stamp_files(str(root), label_paths, pool)
    stamps = np.fromiter(chain.from_iterable(found[path] for path in label_paths), np.int64).reshape(-1, 3)
    rows = np.tile(rows, (-(-images // FRAMES), 1))[: images * BOXES]
    cached = CachedLabels(label_paths, stamps, rows, np.arange(images + 1) * BOXES)
    save(cache_files(str(root), lists, str(root / "cache")), cached, must_succeed=True)
    return lists


def start(
    checkout: Path, root: Path, packed: Path | None, lists: dict[str, str], ranks: int, before: str = ""
) -> list[dict[str, Any]]:
    """What each of so many processes measured; all of them open at the same moment and hold at the same moment."""
    if before:
        subprocess.run(before, shell=True, check=True)
    with tempfile.TemporaryDirectory() as host:  # the launcher's folder
        return _run(
            [sys.executable, "-c", RANK, str(root), str(packed or ""), host, json.dumps(lists)], checkout, ranks
        )


def _run(command: list[str], checkout: Path, ranks: int) -> list[dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(command, env=environment, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(ranks)
    ]
    found = []
    for wanted in ("ready", "done", ""):
        lines = []
        for process in processes:
            assert process.stdout is not None
            lines.append(process.stdout.readline())
            if wanted and lines[-1].strip() != wanted:
                sys.exit(f"a process ended: {lines[-1]!r}")
        if wanted:
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
        else:
            found = [json.loads(line) for line in lines]
    for process in processes:
        process.communicate()
    return found


def row(kind: str, images: int, code: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of all processes the slowest and the largest, and what the host holds for all of them."""
    worst = {key: max(rank[key] for rank in found) for key in ("s", "own_mb", "peak_mb")}
    return {
        "labels": kind,
        "pictures": images,
        "ranks": len(found),
        "code": code,
        **worst,
        "host_mb": sum(rank["share_mb"] for rank in found),
        "digest": found[0]["digest"][:12],
    }


def main() -> None:
    chosen = options(
        __doc__, images="10000,100000", ranks="1,8", kinds="pack,files", against="", folder="", before="", output=""
    )
    here = Path(__file__).resolve().parents[2]
    checkouts = {"this": here} | ({"other": Path(chosen["against"]).resolve()} if chosen["against"] else {})
    rows = []
    for images in map(int, chosen["images"].split(",")):
        for kind in chosen["kinds"].split(","):
            with tempfile.TemporaryDirectory(dir=chosen["folder"] or None) as temporary:
                root = Path(temporary)
                packed = draw_pack(root / "pack", images) if kind == "pack" else None
                lists = draw_files(root, images) if packed is None else {"drawn": "drawn.train"}
                for ranks in map(int, chosen["ranks"].split(",")):
                    for code, checkout in checkouts.items():
                        progress(f"{kind}, {images} pictures, {ranks} ranks, {code}")
                        if kind == "files" and chosen["against"]:
                            start(checkout, root, None, lists, 1)  # each has a cache of its own format
                        found = start(checkout, root, packed, lists, ranks, chosen["before"])
                        rows.append(row(kind, images, code, found))
                        progress(json.dumps(rows[-1]))
    assert len({(each["labels"], each["pictures"], each["digest"]) for each in rows}) == len(
        {(each["labels"], each["pictures"]) for each in rows}
    ), "not the same labels"
    print(
        markdown(
            list(rows[0]),
            (
                [
                    short(each) if isinstance(each, float) else f"{each:,}" if isinstance(each, int) else each
                    for each in row_.values()
                ]
                for row_ in rows
            ),
        )
    )
    write_output(chosen["output"], rows)


if __name__ == "__main__":
    main()
