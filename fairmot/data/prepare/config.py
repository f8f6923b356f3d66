"""What `python -m fairmot.prepare` can be told."""

from dataclasses import dataclass, field

from omegaconf import MISSING


@dataclass
class PrepareConfig:
    """Which download becomes which data set.

    Attributes:
        dataset: name of the data set, such as mot17.
        root: the download's folder, with train/ and test/ in it, or its train/ itself; never written to.
        output: the folder training is given as data.root.
        sequences: only these; empty: all there are.
        link: link the images to the download (hard link, else symbolic link, else copy); false copies them.
        overwrite: build anew, also over a data set prepared with other settings.
    """

    dataset: str = MISSING
    root: str = MISSING
    output: str = MISSING
    sequences: list[str] = field(default_factory=list)
    link: bool = True
    overwrite: bool = False

    def __post_init__(self) -> None:
        for key in ("root", "output"):
            if not getattr(self, key).strip():
                raise ValueError(f"{key} is empty: name a folder")
        if len(set(self.sequences)) != len(self.sequences):
            raise ValueError(f"sequences={self.sequences}: a name is there twice")
