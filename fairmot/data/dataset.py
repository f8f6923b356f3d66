"""One training sample: a picture and what the network should say about it."""

import copy
import logging
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

import cv2
import numpy as np

from fairmot.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from fairmot.data.index import LabelIndex
from fairmot.data.synthetic import SyntheticConfig
from fairmot.data.targets import build_targets
from fairmot.data.transforms import (
    TransformConfig,
    affine_matrix,
    flip_left_right,
    hsv_jitter,
    letterbox,
    warp_boxes,
    warp_image,
)
from fairmot.errors import DataError

COLUMNS = ("image", "hm", "reg_mask", "ind", "wh", "reg", "ids")
_STRIDE = 32  # the coarsest level of the backbones
_END_MARKERS = {b"\xff\xd8": ("JPEG", b"\xff\xd9"), b"\x89P": ("PNG", b"IEND")}
_TAIL_BYTES = 4096  # some cameras write a little after the end marker
_logger = logging.getLogger(__name__)


class Augmentation(Enum):
    """What happens to training pictures."""

    none = "none"  # letterbox only
    reference = "reference"  # the original's chain, see transforms


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
        workers: threads that prepare samples.
        input_size: height and width of the network's input, pixels.
        max_objects: object slots of a sample.
        num_classes: channels of the heat map. Identities count over all classes.
        augmentation: none or reference.
        transforms: how far `reference` goes.
        synthetic: when given, this data set is drawn below root before it is read.
    """

    root: str = "data"
    train: dict[str, str] = field(default_factory=dict)
    validation: list[str] = field(default_factory=list)
    validation_frames: ValidationFrames = ValidationFrames.all
    cache_dir: str | None = None
    workers: int = 2
    input_size: list[int] = field(default_factory=lambda: [608, 1088])
    max_objects: int = 500
    num_classes: int = 1
    augmentation: Augmentation = Augmentation.reference
    transforms: TransformConfig = field(default_factory=TransformConfig)
    synthetic: SyntheticConfig | None = None

    def __post_init__(self) -> None:
        for key in ("workers", "max_objects", "num_classes"):
            if getattr(self, key) < 1:
                raise ValueError(f"data.{key} must be at least 1, got {getattr(self, key)}")
        size = list(self.input_size)
        if len(size) != 2 or any(side < _STRIDE or side % _STRIDE for side in size):
            raise ValueError(f"data.input_size must be [height, width], each divisible by {_STRIDE}, got {size}")


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
            DataError: a label's class has no heat-map channel, or an identity has two classes; the message names
                file and line.
        """
        self.index = index
        self.config = config
        self.seed = seed
        self.epoch = 0
        self._ltrb, self._msra = ltrb, msra
        self._input_size_hw = (config.input_size[0], config.input_size[1])
        self._output_size_hw = (config.input_size[0] // down_ratio, config.input_size[1] // down_ratio)
        self._check_labels()

    def _check_labels(self) -> None:
        """Refuse before training what a sample would fail on hours later."""
        too_high = np.flatnonzero(self.index.rows[:, 0] >= self.config.num_classes)
        if len(too_high):
            raise DataError(
                f"{self.index.place(int(too_high[0]))}: class {int(self.index.rows[too_high[0], 0])}, but "
                f"data.num_classes is {self.config.num_classes} (classes count from 0)"
            )
        if self.config.num_classes > 1:
            self._check_classes_of_identities()
        if self.index.max_objects_per_image > self.config.max_objects:
            _logger.warning(
                "an image has %d objects but data.max_objects is %d: the rest of such images is left out",
                self.index.max_objects_per_image,
                self.config.max_objects,
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

    def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
        """Sample i in the order of COLUMNS.

        Returns:
            image uint8 [H, W, 3] RGB, then the arrays of `targets.Targets`.

        Raises:
            DataError: the image file is missing, cut short or no picture.
        """
        image_bgr = read_image(self.index.image_path(i))
        image_bgr, labels = self._prepare(image_bgr, self.index.labels(i), i)
        targets = build_targets(
            labels,
            self._output_size_hw,
            self.config.max_objects,
            ltrb=self._ltrb,
            num_classes=self.config.num_classes,
            msra=self._msra,
        )
        return (cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), *targets)

    def _prepare(self, image_bgr: np.ndarray, labels: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Fit a picture, and boxes normalised by its size, to the network's input; the boxes end normalised by that."""
        augment = self.config.augmentation is Augmentation.reference
        transforms = self.config.transforms
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, self.epoch, int(i)])))
        if augment:
            image_bgr = hsv_jitter(image_bgr, rng, transforms.hsv_fraction)
        height, width = image_bgr.shape[:2]
        image_bgr, ratio, pad_x, pad_y = letterbox(image_bgr, self._input_size_hw)
        scale = np.array([ratio * width, ratio * height] * 2)
        boxes_xyxy = cxcywh_to_xyxy(labels[:, 2:]) * scale + (pad_x, pad_y, pad_x, pad_y)
        if augment:
            matrix, angle_degrees = affine_matrix(rng.random(6), self._input_size_hw, transforms)
            image_bgr = warp_image(image_bgr, matrix)
            boxes_xyxy, kept = warp_boxes(boxes_xyxy, matrix, angle_degrees, self._input_size_hw, transforms.clip_boxes)
            labels = labels[kept]
        boxes_cxcywh = xyxy_to_cxcywh(boxes_xyxy) / (self._input_size_hw[::-1] * 2)
        if augment and rng.random() < transforms.flip_probability:
            image_bgr, boxes_cxcywh = flip_left_right(image_bgr, boxes_cxcywh)
        return image_bgr, np.concatenate([labels[:, :2], boxes_cxcywh.astype(np.float32)], axis=1)


def read_image(path: str) -> np.ndarray:
    """Decode a picture file: uint8 [H, W, 3], BGR, turned upright as its EXIF data says.

    Raises:
        DataError: the file cannot be read, is cut short (OpenCV would return a half-grey picture), or is
            no picture.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise DataError(f"{path}: cannot read this image: {error.strerror}") from error
    kind, end_marker = _END_MARKERS.get(content[:2], ("", b""))
    if end_marker not in content[-_TAIL_BYTES:]:
        raise DataError(f"{path}: {kind} file is cut short ({len(content)} bytes, no end marker); copy it again")
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        raise DataError(f"{path}: not a picture that can be decoded ({len(content)} bytes)")
    return image
