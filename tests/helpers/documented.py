"""The commands that the documentation tells people to type."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [*REPOSITORY.glob("*.md"), REPOSITORY / "rank_table" / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
PROGRAMS = r"(?:[A-Z_]+=\S+ )*(?:python[\d.]*|bash|sbatch|pip|docker|jupyter|pre-commit|npu-smi|mlflow|atc|taskset) \S"
NEEDS = re.compile(r"\bneeds (.+)")


@dataclass(frozen=True)
class Command:
    """What somebody would type.

    Attributes:
        page: the first page that has it, below the repository.
        text: the line, without its comment.
        needs: what has to be there, by the comment beside the line or above it; None where nothing has.
    """

    page: str
    text: str
    needs: str | None

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"

    @property
    def words(self) -> list[str]:
        """As a shell gives them to the program; what the reader is to choose (<name>, ...) is `...`."""
        return shlex.split(re.sub(r"<[^<>]*>", "...", self.text))

    @property
    def module(self) -> str | None:
        """The module of this project that it starts, if it is one of the commands."""
        found = re.match(r"python -m (train(?:\.deliver)?|fairmot\.\w+) ", f"{self.text} ")
        return found[1] if found else None


def commands() -> list[Command]:
    """Every command of every page, each once: fenced or indented lines, and code within a sentence."""
    found: dict[str, Command] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        name = page.relative_to(REPOSITORY).as_posix()
        for line, needs in [*_fenced(text), *_indented(text), *_inline(text)]:
            known = found.setdefault(line, Command(name, line, needs))
            if known.needs is None and needs is not None:
                found[line] = Command(name, line, needs)
    return list(found.values())


def _fenced(text: str) -> list[tuple[str, str | None]]:
    lines = []
    for block in re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        of_the_block = None
        for line in block.splitlines():
            command, comment = _without_comment(line)
            if not command and (needs := NEEDS.search(comment)):
                of_the_block = needs[1]
            needs = NEEDS.search(comment)
            lines += [(part.strip(), needs[1] if needs else of_the_block) for part in command.split("&&") if part]
    return lines


def _indented(text: str) -> list[tuple[str, str | None]]:
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [(_without_comment(line)[0], None) for line in re.findall(rf"^    ({PROGRAMS}.*)$", outside, re.MULTILINE)]


def _inline(text: str) -> list[tuple[str, str | None]]:
    """Whole commands; `python -m train` alone is the program's name."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = [span.replace("\n", " ") for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", outside)]
    return [(re.sub(" +", " ", span), None) for span in spans if re.match(PROGRAMS, span) and not _is_a_name(span)]


def _is_a_name(span: str) -> bool:
    return re.fullmatch(r"python -m (train|fairmot\.\w+)", span) is not None


def _without_comment(line: str) -> tuple[str, str]:
    """The command with single spaces, and what stands behind the #."""
    command, _, comment = re.sub(r"(^|\s)#\s", r"\1\0", line).partition("\0")
    return re.sub(r"\s+", " ", command).strip(), comment
