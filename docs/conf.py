"""The documentation site: Markdown pages by Sphinx and MyST, which reads them as GitHub does; works without a network.

python -m sphinx -W --keep-going docs build/site
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

_PROJECT = Path(__file__).resolve().parent.parent

project = "FairMOT for MindSpore"
author = "the authors of FairMOT for MindSpore"
release = re.findall(r'__version__ = "(.+)"', (_PROJECT / "fairmot" / "__init__.py").read_text())[0]

extensions = ["myst_parser"]
exclude_patterns = ["examples"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpicky = True
highlight_language = "text"

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path: list[str] = []
html_show_copyright = False

_ORIGINALS = {
    "project/rank_table": _PROJECT / "rank_table" / "README.md",
    "project/changelog": _PROJECT / "CHANGELOG.md",
    "project/contributing": _PROJECT / "CONTRIBUTING.md",
    "project/security": _PROJECT / "SECURITY.md",
    "project/notice": _PROJECT / "NOTICE",
}
"""Pages of the site whose text is a file outside docs/."""


def _as_part_of_the_site(app: Sphinx, page: str, source: list[str]) -> None:
    """Take a page's text from outside docs/ where it is there, and let links to such files lead to their pages."""
    docs = Path(app.srcdir)
    here = docs / f"{page}.md"
    origin = _ORIGINALS.get(page, here)
    pages = {original: docs / f"{name}.md" for name, original in _ORIGINALS.items()}

    def within_the_site(link: re.Match[str]) -> str:
        target = (origin.parent / link[1]).resolve()
        return f"]({os.path.relpath(pages.get(target, target), here.parent)}{link[2]})" if target.exists() else link[0]

    if origin is not here:
        text = origin.read_text(encoding="utf-8")
        source[0] = text if origin.suffix == ".md" else f"# {origin.name}\n\n```\n{text}```\n"
    source[0] = re.sub(r"\]\(([^)#:\s]+)([^)]*)\)", within_the_site, source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _as_part_of_the_site)
