"""Habits of other command lines, answered with the line to type; looked for before Hydra reads the words.

`--epochs 3`, `epochs = 3`, `experiment quickstart`, a list with blanks or without brackets: what is meant is plain, but
Hydra answers each in words of its grammar, and takes some of them, such as `--experiment`, for a switch of its own.
"""

import difflib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from fairmot.cli.keys import kinds_of

HYDRAS_FLAGS = {
    "--cfg", "--config-dir", "--config-name", "--config-path", "--experimental-rerun", "--help", "--hydra-help",
    "--info", "--multirun", "--package", "--resolve", "--run", "--shell-completion", "--version",
}  # fmt: skip
_SYNONYMS = {"learning_rate": "lr"}
_OF_GROUP, _OF_ALL = 0.4, 0.5  # how much alike, by difflib
_KEY = re.compile(r"\+{0,2}[\w.]+")


def meant(words: list[str], schema: type, conf_dir: Path) -> list[str]:
    """The words as they must be written; the same ones where there is no mistake of these kinds.

    Args:
        words: as the shell hands them over.
        schema: the command's configuration dataclass.
        conf_dir: the YAML files; a folder in it is a group, whose value names a file.
    """
    kinds = kinds_of(schema) | {folder.name: "group" for folder in conf_dir.iterdir() if folder.is_dir()}
    is_sweep = bool({"-m", "--multirun"} & set(words))
    mended = _without_dashes(_lists_whole(_equals_joined(words)), kinds)
    return mended if is_sweep else [_with_brackets(word, kinds) for word in mended]


def line_to_type(words: list[str]) -> str:
    """The command that is running, with these words."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = f"python -m {spec.name.removesuffix('.__main__')}" if spec else Path(sys.argv[0]).name
    return f"{program} {shlex.join(words)}"


def _equals_joined(words: list[str]) -> list[str]:
    """`epochs = 3`, `epochs =3` and `epochs= 3` as one word."""
    found: list[str] = []
    for word in words:
        wants_value = found and found[-1].endswith("=") and _KEY.fullmatch(found[-1].lstrip("-")[:-1])
        is_value = wants_value and "=" not in word and not word.startswith("-")
        if found and (is_value or (word.startswith("=") and _KEY.fullmatch(found[-1].lstrip("-")))):
            found[-1] += word
        else:
            found.append(word)
    return found


def _lists_whole(words: list[str]) -> list[str]:
    """A list that the shell parted at its blanks, `size=[224,` and `384]`, as one word."""
    found: list[str] = []
    for word in words:
        value = found[-1].partition("=")[2] if found else ""
        if value.startswith("[") and "]" not in value and "=" not in word:
            found[-1] += word
        else:
            found.append(word)
    return found


def _without_dashes(words: list[str], kinds: dict[str, str]) -> list[str]:
    """`--max-frames 3`, `--max-frames=3`, `--overwrite` and `experiment quickstart` with their equals signs."""
    return list(_keys_with_values(iter([*words, ""]), kinds))


def _keys_with_values(words: Iterator[str], kinds: dict[str, str]) -> Iterator[str]:
    word = next(words)
    while word:
        following = next(words)
        name, equals, value = word.partition("=")
        key = name.lstrip("-").replace("-", "_")
        is_flag = name.startswith("--") and name not in HYDRAS_FLAGS
        if key not in kinds or (equals and not is_flag) or not (is_flag or name == key):
            yield word
        elif equals:
            yield f"{key}={value}"
        elif following and "=" not in following and not following.startswith("-"):
            yield f"{key}={following}"
            following = next(words)
        elif is_flag and kinds[key] == "bool":
            yield f"{key}=true"
        else:
            yield f"{key}=..." if is_flag else word
        word = following


def _with_brackets(word: str, kinds: dict[str, str]) -> str:
    """`data.input_size=224,384` as a list."""
    key, _, value = word.partition("=")
    is_list = kinds.get(key, "").startswith("[") and "," in value
    return f"{key}=[{value}]" if is_list and not re.match(r"[\[\"'$]|\w+\(", value) else word


def explain_value(key: str, reason: str) -> str:
    """A value that OmegaConf refuses, and how to write one; its own words where there is no more to say."""
    if re.search("'(cuda|gpu)", reason, re.IGNORECASE):
        return f"{key}: {reason}; CUDA has no support here"
    if "is not a ListConfig" in reason:
        return f"{key}: takes a list, such as {key}=[...,...]"
    if "Cannot assign" in reason and "Dict[" in reason:
        return f"{key}: holds entries of your own; add one: +{key}.mine=..."
    wanted = re.match(r"Invalid value '(.*)', expected one of \[(.*)\]", reason)
    if wanted:
        choices = {choice.lower(): choice for choice in wanted.group(2).split(", ")}
        near = difflib.get_close_matches(wanted.group(1).lower(), choices, n=1)
        reason += f": did you mean '{choices[near[0]]}'?" if near else ""
    return f"{key}: {reason}"


def nearest_key(name: str, known: list[str]) -> str | None:
    """The key that was meant: one of its group, one that looks alike, or one typed without its group."""
    group, _, last = name.rpartition(".")
    last = _SYNONYMS.get(last, last)
    if group:
        of_group = {key.rpartition(".")[2]: key for key in known if key.rpartition(".")[0] == group}
        near = difflib.get_close_matches(last, of_group, n=1, cutoff=_OF_GROUP)
        if near:
            return of_group[near[0]]
    near = difflib.get_close_matches(f"{group}.{last}" if group else last, known, n=1, cutoff=_OF_ALL)
    without_group = [key for key in known if key.rpartition(".")[2] == last]
    return next(iter([*near, *without_group]), None)
