"""Your own sequences in MOTChallenge's layout, as annotation tools export them: `<sequence>/img1`, `gt/gt.txt`.

gt.txt has nine columns, the eighth a class from 1 on, or ten as MOT15's, without classes. Class names stand in
`<sequence>/gt/labels.txt` (where CVAT writes them) or `<root>/labels.txt`; without them the numbers do.
"""

from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairmot.errors import DataError
from fairmot.mot.rows import GT_COLUMNS
from fairmot.mot.sequence import existing_root, find_sequences
from fairmot.prepare.assemble import Rules, prepare_origins
from fairmot.prepare.classes import ClassOf, number_classes, read_names
from fairmot.prepare.config import PrepareConfig
from fairmot.prepare.sequences import choose_sequences, read_sequence
from fairmot.prepare.source import Origin, Source

_FIRST_CLASS = 1


def prepare(config: PrepareConfig) -> tuple[dict[str, Any], bool]:
    """Prepare sequences below root/train, root/val and root/test, or below root; as `prepare_origins`.

    Raises:
        ConfigError: unknown sequence or class names.
        DataError: as `prepare_origins`; sequences that name their classes differently.
    """
    folders = choose_sequences(find_sequences(config.root), config.sequences)
    texts = [existing_root(config.root) / "labels.txt", *(folder / "gt" / "labels.txt" for folder in folders)]
    texts = [text for text in texts if text.is_file()]
    class_of, classes = number_classes(_names(texts), config.classes, _FIRST_CLASS)
    origins = [
        Origin(
            folder,
            [folder / "img1"],
            [folder / "gt" / "gt.txt", folder / "seqinfo.ini", *texts],
            partial(_read, folder, class_of, bool(config.classes), len(classes or ())),
        )
        for folder in folders
    ]
    settings = {"format": "mot", "classes": config.classes}
    return prepare_origins(
        config, Rules(config.name, classes=classes, first_class=_FIRST_CLASS, settings=settings), origins
    )


def _names(texts: list[Path]) -> dict[int, str] | None:
    found = [read_names(text, _FIRST_CLASS) for text in texts]
    for text, names in zip(texts, found, strict=True):
        if names != found[0]:
            raise DataError(f"{text}: other classes than in {texts[0]}; the sequences of a data set share theirs")
    return found[0] if found else None


def _read(folder: Path, class_of: ClassOf, some_classes: bool, named_classes: int, bar: tqdm) -> list[Source]:
    # With some classes only, who is scored against gt.txt must not find the others there.
    source = read_sequence(folder, GT_COLUMNS, class_of, bar, only_boxes=some_classes, named_classes=named_classes)
    return [source]
