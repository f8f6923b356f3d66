"""Batches for one rank, prepared in the background by MindSpore's data engine."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor

from fairmot.data.dataset import COLUMNS, JointDataset
from fairmot.data.sampler import rank_indices


class _Batches:
    """What the data engine iterates over: whole batches in their order, made ahead by threads of our own.

    The engine's own worker threads would each put a handler of SIGTERM in place that ends the process on the spot, with
    exit code 0 where the parent process has sent it, and others that silence faulthandler. Whole batches, since it need
    not put them together, sample by sample, once more. Keeps the first error, which the engine would bury in text.
    """

    def __init__(self, dataset: JointDataset, indices: np.ndarray, workers: int) -> None:
        self._dataset, self._left = dataset, iter(indices.tolist())
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batch")
        self._begun: deque[Future[tuple[np.ndarray, ...]]] = deque()
        self.error: Exception | None = None
        for _ in range(workers + 1):  # one more, so that a thread that is done finds the next
            self._begin()

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        try:
            while self._begun:
                batch = self._begun.popleft().result()
                self._begin()
                yield batch
        except Exception as error:
            self.error = error
            raise

    def _begin(self) -> None:
        samples = next(self._left, None)
        if samples is not None:
            self._begun.append(self._pool.submit(self._read, samples))

    def close(self) -> None:
        """Begin no further batch, and wait for those that have begun."""
        self._pool.shutdown(cancel_futures=True)

    def _read(self, samples: list[int]) -> tuple[np.ndarray, ...]:
        columns = self._dataset.empty_columns(len(samples))
        try:
            for row, i in enumerate(samples):
                self._dataset.write(i, columns, row)
        finally:  # also the reason why a picture may be gone
            self._dataset.index.check_unchanged()
        return columns


class TrainLoader:
    """One rank's batches, epoch by epoch.

    Order and content depend on (seed, epoch, start_sample, world size) alone, never on the workers.
    """

    def __init__(
        self,
        dataset: JointDataset,
        *,
        batch_size: int,
        rank: int,
        world_size: int,
        seed: int,
        workers: int,
        prefetch: int = 4,
        shuffle: bool = True,
    ) -> None:
        """Check that the data fills at least one batch on every rank.

        Args:
            dataset: the samples.
            batch_size: samples per step on this rank.
            rank: this rank.
            world_size: number of ranks.
            seed: of the order, not negative.
            workers: threads, each of which prepares a batch at a time. Threads, not processes: decoding and warping
                work without the interpreter lock and a sample need not be copied between processes.
            prefetch: batches kept ready.
            shuffle: False keeps the order of the lists.

        Raises:
            ValueError: the data does not fill one batch on every rank, or an argument is out of range.
        """
        self.dataset = dataset
        self._batch_size, self._rank, self._world_size = batch_size, rank, world_size
        self._seed, self._shuffle, self._prefetch = seed, shuffle, prefetch
        self._workers = min(workers, os.cpu_count() or 1)
        # OpenCV's own threads would compete with the loader's, and with those of all ranks of a host.
        cv2.setNumThreads(1)
        self.steps_per_epoch = self.steps_left(0)

    def steps_left(self, start_sample: int) -> int:
        """Batches of this rank in an epoch of which all ranks together have already taken `start_sample` samples."""
        return len(self._indices(epoch=0, start_sample=start_sample)) // self._batch_size

    def _indices(self, epoch: int, start_sample: int) -> np.ndarray:
        return rank_indices(
            len(self.dataset),
            self._seed,
            epoch,
            rank=self._rank,
            world_size=self._world_size,
            batch_size=self._batch_size,
            start_sample=start_sample,
            shuffle=self._shuffle,
        )

    def epoch(self, epoch: int, start_sample: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The batches of an epoch, each a tuple in the order of COLUMNS; nothing skipped is read.

        Args:
            epoch: counted from 0.
            start_sample: how many samples all ranks together have already taken from this epoch.

        Yields:
            image uint8 [B, H, W, 3] RGB, hm [B, C, h, w], reg_mask [B, K], ind [B, K], wh [B, K, 4 or 2],
            reg [B, K, 2], ids [B, K].

        Raises:
            DataError: a sample cannot be read.
        """
        indices = self._indices(epoch, start_sample).reshape(-1, self._batch_size)
        if not len(indices):
            return
        self.dataset.prefetch(indices.reshape(-1))
        source = _Batches(self.dataset.at_epoch(epoch), indices, self._workers)
        # One setting for the whole process; it is read when an iterator is made.
        ds.config.set_prefetch_size(self._prefetch)
        # The order is drawn already, and this rank's share of it taken.
        iterator = ds.GeneratorDataset(source, list(COLUMNS), shuffle=False).create_tuple_iterator(num_epochs=1)
        try:
            yield from map(tuple, iterator)
        except RuntimeError:
            if source.error is not None:
                raise source.error from None
            raise
        finally:
            iterator.stop()
            source.close()
