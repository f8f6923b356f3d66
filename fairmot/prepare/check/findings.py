"""What can be wrong with a prepared data set."""

from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """An error makes training refuse the data, or is wrong for certain; a warning may be meant."""

    error = "error"
    warning = "warning"


class Kind(Enum):
    """The kinds of findings, each with its severity and what it means for training."""

    list_unreadable = (Severity.error, "list files that cannot be read")
    list_empty = (Severity.error, "list files that name no image")
    list_without_labels = (Severity.error, "lists none of whose images has a label file")
    list_without_boxes = (Severity.error, "lists for training without a single box")
    listed_twice = (Severity.error, "images that stand in one list twice")
    no_images_folder = (Severity.error, "entries without a folder `images`, whose labels cannot be found")
    image_missing = (Severity.error, "entries whose image is not there")
    image_unreadable = (Severity.error, "images that cannot be read")
    label_shared = (Severity.error, "different images with one label file")
    label_row = (Severity.error, "label files and rows that cannot be used")
    truth_unusable = (Severity.error, "ground truth that validation and evaluation refuse")
    identity_twice = (Severity.error, "identities that an image has twice")
    identity_of_two_classes = (Severity.error, "identities that have two classes")
    validation_in_training = (Severity.error, "validation images that the same data set trains on")
    shared_images = (Severity.warning, "images for validation that another list trains on")
    row_twice = (Severity.warning, "rows that an image has twice")
    box_outside = (Severity.warning, "boxes wholly outside their image")
    box_without_area = (Severity.warning, "boxes narrower or lower than a pixel, on which nothing is trained")
    identity_gap = (Severity.warning, "identities that are never used, though the classifier has a class for them")
    image_without_boxes = (Severity.warning, "images whose label file is empty")
    label_missing = (Severity.warning, "images without label file, which count as empty")
    label_without_image = (Severity.warning, "label files without image")

    @property
    def severity(self) -> Severity:
        """Error or warning."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """Its findings, as a heading."""
        return self.value[1]


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        kind: which of the kinds.
        file: list, image or label file.
        line: of the file, from 1; 0: the file as a whole.
        message: what it is.
    """

    kind: Kind
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"
