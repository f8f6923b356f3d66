"""One training sample: a picture and what the network should say about it."""

import copy
import logging
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

import numpy as np

from fairmot.addresses import is_address, masked_address
from fairmot.data.augment import (
    LARGEST_ENLARGEMENT,
    NUM_DRAWS,
    Picture,
    augment_fast,
    augment_reference,
    fit_plainly,
)
from fairmot.data.index import LabelIndex
from fairmot.data.labels import LARGEST_INTEGER
from fairmot.data.mosaic import LARGEST_TILE, TILES, compose_mosaic, erase, mix_up
from fairmot.data.packed import PackedImages, PackedIndex
from fairmot.data.shard_cache import PackCacheConfig
from fairmot.data.synthetic.generate import SyntheticConfig, located
from fairmot.data.targets import Targets, empty_targets, write_targets
from fairmot.data.transforms import TransformConfig
from fairmot.errors import DataError
from fairmot.input_size import check_input_size
from fairmot.media.picture import decode_reduced, read_content

COLUMNS = ("image", "hm", "reg_mask", "ind", "wh", "reg", "ids")
_MOST_SLOTS = 500  # the original's number
_SLOTS_A_STEP = 8
_IDENTITIES_UNQUESTIONED, _MOST_NUMBERS_A_BOX = 1_000_000, 100
# Keys of a sample's streams of random numbers. (0,) is the order of an epoch, see sampler.
_OWN_STREAM: tuple[int, ...] = ()
_MOSAIC = 1
_PARTNER_STREAM = (2,)
_MIXUP_STREAM = (3,)
_ERASING_STREAM = (4,)
_logger = logging.getLogger(__name__)


class Augmentation(Enum):
    """What happens to training pictures."""

    none = "none"  # letterbox only
    reference = "reference"  # the original's chain, step by step
    fast = "fast"  # the same boxes and nearly the same pixels for a fraction of the time


class ValidationFrames(Enum):
    """Which frames of the validation sequences are tracked."""

    all = "all"
    second_half = "second_half"


@dataclass
class DataConfig:
    """The training data.

    Attributes:
        root: folder that image paths, and list files, are relative to.
        train: data set name -> list file (one image path a line), in the order that numbers identities.
        validation: sequences to track while training: glob patterns, relative to root, of folders that hold
            img1 and gt/gt.txt, such as mot17/images/train/*.
        validation_frames: which of their frames; second_half leaves out those that a half data set trains on.
        cache_dir: where the label index is kept; None: inside root, or in the user's cache folder.
        packed: folder written by python -m fairmot.pack that holds the images and labels of `train`, or its address
            (http, https, s3, obs); None: they are files below root.
        pack_cache: how a pack at an address is read.
        workers: threads that prepare samples.
        input_size: height and width of the network's input, pixels.
        max_objects: object slots of a sample; null: as many as the fullest image of the data needs, at most 500, the
            original's number. Empty slots cost time and memory and change no loss.
        num_classes: channels of the heat map. Identities count over all classes.
        augmentation: none; reference, the original's chain; or fast, the same chain in a cheaper order of work.
        transforms: how far the augmentation goes.
        synthetic: when given, this data set is drawn below root before it is read, in a folder synthetic-<digest of
            these settings>; `synthetic` in train and validation means that one.
    """

    root: str = "data"
    train: dict[str, str] = field(default_factory=dict)
    validation: list[str] = field(default_factory=list)
    validation_frames: ValidationFrames = ValidationFrames.all
    cache_dir: str | None = None
    packed: str | None = None
    pack_cache: PackCacheConfig = field(default_factory=PackCacheConfig)
    workers: int = 2
    input_size: list[int] = field(default_factory=lambda: [608, 1088])
    max_objects: int | None = None
    num_classes: int = 1
    augmentation: Augmentation = Augmentation.reference
    transforms: TransformConfig = field(default_factory=TransformConfig)
    synthetic: SyntheticConfig | None = None

    def __post_init__(self) -> None:
        for key in ("workers", "max_objects", "num_classes"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"data.{key} must be at least 1, got {getattr(self, key)}")
        if is_address(self.root):
            raise ValueError(
                f"data.root={masked_address(self.root)}: pictures and lists one by one are read from folders only; "
                "pack them (python -m fairmot.pack), copy the pack there and give data.packed=<its address>"
            )
        check_input_size("data.input_size", self.input_size)
        if self.synthetic is not None:
            self.train = {name: located(path, self.synthetic) for name, path in self.train.items()}
            self.validation = [located(pattern, self.synthetic) for pattern in self.validation]


class JointDataset:
    """Samples for detection and identity together; index it to get one as NumPy arrays.

    A sample is a pure function of (seed, epoch, index): the number of workers or ranks, and what was
    read before, change nothing.
    """

    def __init__(
        self, index: LabelIndex, config: DataConfig, *, seed: int, ltrb: bool, down_ratio: int, msra: bool
    ) -> None:
        """Check that the labels fit the configuration.

        Args:
            index: images and labels.
            config: sizes and augmentation.
            seed: of the augmentation, not negative.
            ltrb: `wh` holds four distances instead of width and height.
            down_ratio: input pixels per cell of the output map.
            msra: heat maps for the MSE loss.

        Raises:
            DataError: there is no box, a label's class has no heat-map channel, or an identity has two classes; the
                message names file and line.
        """
        self.index = index
        self.config = config
        self.seed = seed
        self.epoch = 0
        self._ltrb, self._msra = ltrb, msra
        self._input_size_hw = (config.input_size[0], config.input_size[1])
        self._output_size_hw = (config.input_size[0] // down_ratio, config.input_size[1] // down_ratio)
        chances = config.transforms
        tiles = TILES if self._chance(chances.mosaic_probability) else 1
        pictures = tiles * (2 if self._chance(chances.mixup_probability) else 1)
        needed = -(-max(index.max_objects_per_image * pictures, 1) // _SLOTS_A_STEP) * _SLOTS_A_STEP
        self.slots = config.max_objects or min(needed, _MOST_SLOTS)
        self._packed = PackedImages(index) if isinstance(index, PackedIndex) else None
        self._check_labels()

    def _check_labels(self) -> None:
        """Refuse before training what a sample would fail on hours later, or what cannot teach anything."""
        if not len(self.index.rows):
            raise DataError(
                f"{', '.join(self.index.names)}: not one box in the labels of {len(self.index)} images: nothing to "
                "train on; python -m fairmot.prepare check=true root=... shows what is there"
            )
        too_high = np.flatnonzero(self.index.rows[:, 0] >= self.config.num_classes)
        if len(too_high):
            raise DataError(
                f"{self.index.place(int(too_high[0]))}: class {int(self.index.rows[too_high[0], 0])}, but "
                f"data.num_classes is {self.config.num_classes} (classes count from 0)"
            )
        self._check_numbers_of_identities()
        if self.config.num_classes > 1:
            self._check_classes_of_identities()
        if self.index.max_objects_per_image > self.slots:
            _logger.warning(
                "an image has %d objects but data.max_objects is %d: the rest of such images is left out",
                self.index.max_objects_per_image,
                self.slots,
            )

    def _check_numbers_of_identities(self) -> None:
        """The classifier has a row for every number up to the largest, so one wrong number can fill the memory."""
        offsets = self.index.row_offsets[self.index.image_starts].tolist()
        table = self.index.identities
        for name, count, (start, end) in zip(table.names, table.counts, pairwise(offsets), strict=True):
            ids = self.index.rows[start:end, 1]
            identified = int(np.count_nonzero(ids >= 0))
            if count > max(_IDENTITIES_UNQUESTIONED, _MOST_NUMBERS_A_BOX * identified):
                raise DataError(
                    f"{self.index.place(start + int(ids.argmax()))}: id {count - 1}, but only {identified} boxes of "
                    f"'{name}' have an identity; number identities from 0 on, the classifier has a row for every number"
                )
        if table.num_identities > LARGEST_INTEGER:
            raise DataError(
                f"{', '.join(table.names)}: {table.num_identities} identities together, and the limit is "
                f"{LARGEST_INTEGER}; number them from 0 on in every data set"
            )

    def _check_classes_of_identities(self) -> None:
        """An identity is one object: ids that start anew in every class would merge objects."""
        offsets = self.index.row_offsets[self.index.image_starts]
        for start, end in pairwise(offsets.tolist()):
            rows = self.index.rows[start:end, :2].astype(np.int64)
            identified = np.flatnonzero(rows[:, 1] >= 0)
            _, firsts, which = np.unique(rows[identified, 1], return_index=True, return_inverse=True)
            other = np.flatnonzero(rows[identified, 0] != rows[identified[firsts], 0][which])
            if len(other):
                row, first = int(identified[other[0]]), int(identified[firsts[which[other[0]]]])
                raise DataError(
                    f"{self.index.place(start + row)}: id {rows[row, 1]} is of class {rows[row, 0]} here and of class "
                    f"{rows[first, 0]} in {self.index.place(start + first)}; ids count over all classes of a data set"
                )

    def __len__(self) -> int:
        return len(self.index)

    def at_epoch(self, epoch: int) -> "JointDataset":
        """The same data with the random numbers of another epoch; nothing is copied."""
        view = copy.copy(self)
        view.epoch = epoch
        return view

    def prefetch(self, indices: np.ndarray) -> None:
        """Tell in which order samples will be read; does not wait."""
        if self._packed is not None:
            self._packed.prefetch(indices)

    def _chance(self, probability: float) -> float:
        """How often happens what is configured with this probability."""
        return 0.0 if self.config.augmentation is Augmentation.none else probability

    def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
        """Sample i in the order of COLUMNS.

        Returns:
            image uint8 [H, W, 3] RGB, then the arrays of `targets.Targets`.

        Raises:
            DataError: the image file is missing, cut short or no picture.
        """
        columns = self.empty_columns(1)
        self.write(i, columns, 0)
        return tuple(column[0] for column in columns)

    def empty_columns(self, batch_size: int) -> tuple[np.ndarray, ...]:
        """Room for a batch, in the order of COLUMNS, not filled."""
        image_rgb = np.empty((batch_size, *self._input_size_hw, 3), np.uint8)
        targets = empty_targets(
            batch_size, self._output_size_hw, self.slots, ltrb=self._ltrb, num_classes=self.config.num_classes
        )
        return (image_rgb, *targets)

    def write(self, i: int, columns: tuple[np.ndarray, ...], row: int) -> None:
        """Put sample i into a row of a batch, so that nothing need be copied.

        Raises:
            DataError: see `__getitem__`.
        """
        image_rgb, *targets = (column[row] for column in columns)
        if self.config.augmentation is Augmentation.none:
            labels = fit_plainly(self._picture(i, None), image_rgb)
        else:
            labels = self._augmented(i, image_rgb)
        write_targets(labels, Targets(*targets), ltrb=self._ltrb, msra=self._msra)

    def _augmented(self, i: int, image_rgb: np.ndarray) -> np.ndarray:
        """Fill `image_rgb` and return the labels [N, 6], normalised by its size."""
        labels = self._augmented_alone(i, i, _OWN_STREAM, image_rgb)
        if rng := self._chosen(self.config.transforms.mixup_probability, i, _MIXUP_STREAM):
            other_rgb = np.empty_like(image_rgb)
            other_labels = self._augmented_alone(int(rng.integers(len(self))), i, _PARTNER_STREAM, other_rgb)
            labels = mix_up(image_rgb, labels, other_rgb, other_labels, rng)
        if rng := self._chosen(self.config.transforms.erasing_probability, i, _ERASING_STREAM):
            labels = erase(image_rgb, labels, rng)
        return labels

    def _augmented_alone(self, picture: int, i: int, stream: tuple[int, ...], image_rgb: np.ndarray) -> np.ndarray:
        """`_augmented` of one picture, or of a mosaic that starts with it, by random numbers of sample i."""
        uniforms9 = self._random(i, stream).random(NUM_DRAWS)
        chain, fit_hw = augment_reference, None
        if self.config.augmentation is Augmentation.fast:
            chain, fit_hw = augment_fast, self._scaled_input_size(1 / LARGEST_ENLARGEMENT)
        if rng := self._chosen(self.config.transforms.mosaic_probability, i, (*stream, _MOSAIC)):
            others = rng.integers(len(self), size=TILES - 1).tolist()
            tile_hw = self._scaled_input_size(LARGEST_TILE)
            tiles = [self._picture(k, tile_hw) for k in (picture, *others)]
            source = compose_mosaic(tiles, rng.random(2), self._input_size_hw)
        else:
            source = self._picture(picture, fit_hw)
        return chain(source, uniforms9, self.config.transforms, image_rgb)

    def _scaled_input_size(self, factor: float) -> tuple[float, float]:
        return self._input_size_hw[0] * factor, self._input_size_hw[1] * factor

    def _random(self, i: int, stream: tuple[int, ...]) -> np.random.Generator:
        """One of the streams of random numbers that belong to sample i of this epoch."""
        sequence = np.random.SeedSequence([self.seed, self.epoch, int(i)], spawn_key=stream)
        return np.random.Generator(np.random.PCG64(sequence))

    def _chosen(self, probability: float, i: int, stream: tuple[int, ...]) -> np.random.Generator | None:
        """A stream for what has this probability, if it happens to sample i; the others' numbers stay."""
        chance = self._chance(probability)
        if chance == 0:
            return None
        rng = self._random(i, stream)
        return rng if rng.random() < chance else None

    def _picture(self, i: int, fit_hw: tuple[float, float] | None) -> Picture:
        """Read picture i; as large as needed to fill `fit_hw`, or whole."""
        if self._packed is None:
            name = self.index.image_path(i)
            content = read_content(name)
        else:
            name = self._packed.name(i)
            content = self._packed.read(i)
        return Picture(*decode_reduced(content, name, fit_hw), self.index.labels(i))
