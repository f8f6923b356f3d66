"""The values of text keys as they stand on a command line: paths and names, not a grammar.

Hydra reads a value by a grammar of its own: 2024_05_02 is a number to it, a comma parts a list, and a Chinese
letter is an error. Here the values of keys that hold text are quoted for it, so that it gives them back as they are.
Interpolations, ${other.key} and ${oc.env:NAME}, stay what they are.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import grammar_parser
from omegaconf.errors import GrammarParseError

from fairmot.cli.keys import kinds_of

_WORD = re.compile(r"(\+{0,2})([\w.][\w.-]*)=(.*)", re.DOTALL)
_ELEMENT = re.compile(r"\s*('(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^,]*?)\s*(?:,|$)", re.DOTALL)
_SWEEPS = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)
_TEXT, _TEXT_OR_NULL, _TEXTS, _TEXTS_BY_NAME = "str", "str | null", "[str]", "{str: str}"


def literal_words(words: Iterable[str], schema: type, conf_dir: Path) -> list[str]:
    """The words of a command line, with the values of text keys quoted for Hydra; a leading ~/ is the home folder.

    In a sweep (-m) commas part a text key's values and functions such as choice(a,b) work, as for all keys, unless
    the value is the path of something that is there.

    Args:
        words: key=value; others are left alone.
        schema: the command's configuration dataclass.
        conf_dir: the YAML files; a folder in it is a group, whose value names a file.
    """
    words = list(words)
    kinds = kinds_of(schema)
    is_sweep = bool({"-m", "--multirun"} & set(words))
    return [_literal(word, kinds, conf_dir, is_sweep) for word in words]


def _literal(word: str, kinds: dict[str, str], conf_dir: Path, is_sweep: bool) -> str:
    found = _WORD.fullmatch(word)
    if not found:
        return word
    plus, key, value = found.groups()
    kind = _kind(key, kinds, conf_dir)
    has_sweep = is_sweep and ("," in value or _SWEEPS.fullmatch(value)) and not Path(value).expanduser().exists()
    if kind is None or has_sweep or (value.lower() == "null" and kind != _TEXT):
        return word
    if kind == _TEXTS and value.startswith("[") and value.endswith("]"):
        return f"{plus}{key}=[{','.join(_quoted(element) for element in _elements(value[1:-1]))}]"
    return f"{plus}{key}={_quoted(value)}"


def _kind(key: str, kinds: dict[str, str], conf_dir: Path) -> str | None:
    """What text a key holds; None: the value is for Hydra to read."""
    if kinds.get(key.rpartition(".")[0]) == _TEXTS_BY_NAME:
        return _TEXT
    if key in kinds:
        return kinds[key] if kinds[key] in (_TEXT, _TEXT_OR_NULL, _TEXTS) else None
    # A mistyped key is to be refused for its name, whatever stands behind it.
    return None if key.startswith("hydra.") or (conf_dir / key).is_dir() else _TEXT_OR_NULL


def _elements(inside: str) -> Iterator[str]:
    """What stands between the commas of a list; only what has commas or blanks at its ends needs quotes."""
    if not inside.strip():
        return
    for found in _ELEMENT.finditer(inside):
        element = found[1]
        is_quoted = len(element) > 1 and element[0] == element[-1] and element[0] in "'\""
        yield re.sub(r"\\(.)", r"\1", element[1:-1]) if is_quoted else element
        if found.end() == len(inside) and not found[0].endswith(","):
            return


def _quoted(text: str) -> str:
    if text == "~" or text.startswith("~/"):
        text = str(Path(text).expanduser())
    if "${" in text and not _is_interpolation(text):
        text = text.replace("${", r"\${")
    return QuotedString(text, Quote.single).with_quotes()


def _is_interpolation(text: str) -> bool:
    """Whether OmegaConf would put another value in, as in ${oc.env:DATA}/mot17, and no file is called so."""
    try:
        grammar_parser.parse(text)
    except GrammarParseError:
        return False
    return not Path(text).exists()
