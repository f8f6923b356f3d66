import ctypes
import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from small_data import person, rows, write_data_set

from fairmot.data.dataset import COLUMNS, DataConfig, JointDataset
from fairmot.data.index import build_index
from fairmot.data.loader import TrainLoader
from fairmot.data.sampler import epoch_order
from fairmot.errors import DataError

IMAGES = 14
SEED = 3


class CountingDataset(JointDataset):
    """Remembers what was decoded."""

    decoded: list[int]

    def write(self, i: int, columns: tuple[np.ndarray, ...], row: int) -> None:
        self.decoded.append(i)
        super().write(i, columns, row)


def manifest(folder: Path, digest: str) -> None:
    """Written beside and renamed, as every preparation does."""
    path = folder / "new"
    path.write_text(json.dumps({"digest": digest}))
    path.rename(folder / "a.manifest.json")


@pytest.fixture
def dataset(tmp_path: Path) -> CountingDataset:
    lists = write_data_set(tmp_path, "a", [rows(person(k)) for k in range(IMAGES)])
    config = DataConfig(root=str(tmp_path), train=lists, input_size=[64, 96], max_objects=8)
    index = build_index(config.root, config.train, progress=False)
    dataset = CountingDataset(index, config, seed=SEED, ltrb=True, down_ratio=4, msra=False)
    dataset.decoded = []
    return dataset


def loader_for(dataset: JointDataset, **options: int) -> TrainLoader:
    chosen = {"batch_size": 4, "rank": 0, "world_size": 1, "seed": SEED, "workers": 2} | options
    return TrainLoader(dataset, **chosen)


def batches(loader: TrainLoader, epoch: int, start_sample: int = 0) -> list[tuple[np.ndarray, ...]]:
    # All tensors are kept until the end: a reused buffer would show.
    kept = list(loader.epoch(epoch, start_sample))
    return [tuple(column.asnumpy() for column in batch) for batch in kept]


def assert_same(one: list[tuple[np.ndarray, ...]], other: list[tuple[np.ndarray, ...]]) -> None:
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        for name, a, b in zip(COLUMNS, first, second, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_batches_are_the_samples_in_the_epochs_order(workers: int, dataset: CountingDataset) -> None:
    loader = loader_for(dataset, workers=workers)
    assert loader.steps_per_epoch == 3
    order = epoch_order(IMAGES, SEED, 2)
    view = dataset.at_epoch(2)
    expected = [
        tuple(np.stack(column) for column in zip(*(view[i] for i in order[k : k + 4]), strict=True)) for k in (0, 4, 8)
    ]
    assert_same(batches(loader, epoch=2), expected)


def test_epochs_differ_in_order_and_augmentation(dataset: CountingDataset) -> None:
    loader = loader_for(dataset)
    first, again, second = (batches(loader, epoch) for epoch in (0, 0, 1))
    assert_same(first, again)
    ids = COLUMNS.index("ids")
    assert first[0][ids][:, 0].tolist() != second[0][ids][:, 0].tolist()
    assert not np.array_equal(first[0][0], second[0][0])


@pytest.mark.parametrize("workers", [1, 2])
def test_two_ranks_together_are_one(workers: int, dataset: CountingDataset) -> None:
    whole = batches(loader_for(dataset, workers=workers), epoch=1)
    halves = [
        batches(loader_for(dataset, batch_size=2, rank=rank, world_size=2, workers=workers), epoch=1) for rank in (0, 1)
    ]
    joined = [
        tuple(np.concatenate(columns) for columns in zip(*parts, strict=True)) for parts in zip(*halves, strict=True)
    ]
    assert_same(joined, whole)


def test_resume_continues_and_decodes_nothing_twice(dataset: CountingDataset) -> None:
    loader = loader_for(dataset)
    whole = batches(loader, epoch=1)
    dataset.decoded.clear()
    rest = batches(loader, epoch=1, start_sample=8)
    assert_same(rest, whole[2:])
    assert sorted(dataset.decoded) == sorted(epoch_order(IMAGES, SEED, 1)[8:12])


def test_an_epoch_that_is_over_gives_nothing(dataset: CountingDataset) -> None:
    assert batches(loader_for(dataset), epoch=0, start_sample=12) == []
    assert dataset.decoded == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_sample_reaches_the_caller_as_its_own_error(workers: int, dataset: CountingDataset) -> None:
    bad = int(epoch_order(IMAGES, SEED, 0)[6])
    path = Path(dataset.index.image_path(bad))
    path.write_bytes(path.read_bytes()[:-20])
    loader = loader_for(dataset, workers=workers)
    with pytest.raises(DataError, match=f"{path.name}: PNG file is cut short") as caught:
        batches(loader, epoch=0)
    assert caught.value.__suppress_context__
    assert len(batches(loader, epoch=0, start_sample=8)) == 1, "the loader must still work"


@pytest.mark.parametrize("workers", [1, 2])
def test_leaving_an_epoch_early_neither_hangs_nor_leaks_threads(workers: int, dataset: CountingDataset) -> None:
    loader = loader_for(dataset, workers=workers, batch_size=1)
    before, start_s = threading.active_count(), time.monotonic()
    for epoch in range(5):
        iterator = loader.epoch(epoch)
        next(iterator)
        iterator.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start_s < 10
    assert threading.active_count() <= before


def test_more_ranks_than_data(dataset: CountingDataset) -> None:
    with pytest.raises(ValueError, match="batch_size_per_rank=4 = 16, but there are 14 images"):
        loader_for(dataset, world_size=4)


def test_workers_beyond_the_machine_are_cut(dataset: CountingDataset) -> None:
    loader = loader_for(dataset, workers=(os.cpu_count() or 1) + 8)
    assert len(batches(loader, epoch=0)) == 3


def native_handlers() -> dict[int, bytes]:
    """The addresses that the system calls: the engine's handlers are not Python's, which knows nothing of them."""
    found, libc = {}, ctypes.CDLL(None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGSEGV, signal.SIGFPE):
        action = ctypes.create_string_buffer(256)
        assert libc.sigaction(number, None, action) == 0
        found[number] = action.raw[: ctypes.sizeof(ctypes.c_void_p)]
    return found


class WatchingDataset(CountingDataset):
    """Remembers the handlers of signals that were in force while its samples were made."""

    handlers: list[dict[int, bytes]]

    def write(self, i: int, columns: tuple[np.ndarray, ...], row: int) -> None:
        self.handlers.append(native_handlers())
        super().write(i, columns, row)
        time.sleep(0.05)  # time for whatever a thread of the engine does when it begins
        self.handlers.append(native_handlers())


def test_a_signal_is_the_programs_at_every_moment_of_an_epoch(dataset: CountingDataset) -> None:
    """One that the data engine handles ends the process without a last checkpoint, with exit code 0."""
    dataset.__class__, dataset.handlers = WatchingDataset, []
    before = native_handlers()
    for _ in loader_for(dataset, workers=2).epoch(0):
        dataset.handlers.append(native_handlers())
    assert len(dataset.handlers) == 3 * (2 * 4 + 1)  # batches, each of four samples
    assert all(handlers == before for handlers in [*dataset.handlers, native_handlers()])


@pytest.mark.parametrize("later", ["other", None])
def test_a_data_set_made_anew_under_the_training_is_noticed(tmp_path: Path, later: str | None) -> None:
    lists = write_data_set(tmp_path, "a", [rows(person(k)) for k in range(IMAGES)])
    manifest(tmp_path, "first")
    config = DataConfig(root=str(tmp_path), train=lists, input_size=[64, 96], max_objects=8)
    index = build_index(config.root, config.train, progress=False)
    data = JointDataset(index, config, seed=SEED, ltrb=True, down_ratio=4, msra=False)
    loader = TrainLoader(data, batch_size=2, rank=0, world_size=1, seed=SEED, workers=1, prefetch=1)
    manifest(tmp_path, "first")  # the same again is no other
    batches = loader.epoch(0)
    next(batches)
    if later is None:
        (tmp_path / "a.manifest.json").unlink()
        for path in (tmp_path / "a/images").iterdir():
            path.unlink()
    else:
        manifest(tmp_path, later)
    with pytest.raises(DataError, match=r"a.manifest.json: this data set was made anew"):
        list(batches)
