"""The documentation: it builds, its links lead somewhere, and what is written twice agrees."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from chromium import keep_picture, open_browser

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"

PAGES = sorted(
    [
        *DOCS.glob("*.md"),
        *REPOSITORY.glob("*.md"),
        REPOSITORY / "rank_table" / "README.md",
        *REPOSITORY.glob("tests/parity/*.md"),
    ]
)
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", without_code(page.read_text(encoding="utf-8")))
    local = [link for link in links if not re.match(r"https?:|mailto:", link)]
    assert not [link for link in local if not (page.parent / link).exists()]


def test_paths_of_the_pages_exist():
    """Files of the program and folders that a page sends its reader to; what a run writes is no path of the program."""
    named = re.compile(
        r"(?<![\w./-])(?!train/images)(?:(?:fairmot|train|benchmarks|conf|scripts|rank_table|tests)/[\w./*-]*)"
    )
    missing = []
    for page in [*PAGES, *sorted((DOCS / "images").glob("*.svg"))]:
        if page.name == "CHANGELOG.md":  # tells of what was
            continue
        for path in named.findall(page.read_text(encoding="utf-8")):
            if not any(REPOSITORY.glob(path.rstrip("./"))):
                missing.append(f"{page.relative_to(REPOSITORY)}: {path}")
    assert not missing


def test_pictures_are_whole_and_light():
    """Each one is shown somewhere, can be opened, and loads on a slow line."""
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    pictures = sorted((DOCS / "images").iterdir())
    assert len(pictures) > 5
    assert not [path.name for path in pictures if f"images/{path.name})" not in shown]
    moving = [path for path in pictures if path.suffix == ".webp"]
    assert len(moving) == 1 and moving[0].stat().st_size <= 1_000_000
    assert not [path.name for path in pictures if path not in moving and path.stat().st_size > 200_000]
    assert not [path.name for path in pictures if path.suffix != ".svg" and cv2.imread(str(path)) is None]


def test_every_page_is_in_the_sites_navigation():
    listed = {entry for block in FENCE.findall((DOCS / "index.md").read_text()) for entry in block[1].split()}
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")} - {"index"}
    assert pages <= listed


def test_the_page_of_all_keys_is_up_to_date():
    import configuration_page

    assert {path.stem for path in configuration_page.CONF_DIR.glob("*.yaml")} == set(configuration_page.COMMANDS)
    is_written = (DOCS / "configuration.md").read_text(encoding="utf-8") == configuration_page.page()
    assert is_written, "run: python scripts/configuration_page.py"


def test_every_key_has_a_meaning():
    import configuration_page

    from fairmot.cli.keys import all_keys, keys_of

    schemas = [schema for _, schema in configuration_page.COMMANDS.values()]
    keys = [key for schema in schemas for key in keys_of(schema)]
    keys += [key for schema in schemas for _, inside in all_keys(schema) for key in inside]
    assert len(keys) > 120
    assert not [key.name for key in keys if not key.meaning]


def headings(path):
    return [
        len(marks) for marks in re.findall(r"^(#+) ", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    ]


def commands(path):
    """The code blocks without their comments, which are translated."""
    blocks = FENCE.findall(path.read_text(encoding="utf-8"))
    return [(language, re.sub(r"\s+#.*$", "", code, flags=re.MULTILINE).strip()) for language, code in blocks]


def test_the_chinese_readme_has_the_same_sections_and_commands():
    english, chinese = REPOSITORY / "README.md", REPOSITORY / "README.zh.md"
    assert headings(chinese) == headings(english)
    assert commands(chinese) == commands(english)
    targets = re.compile(r"\]\(((?!README|docs/\w+\.zh)[^)]+)\)")
    assert targets.findall(chinese.read_text(encoding="utf-8")) == targets.findall(english.read_text(encoding="utf-8"))
    keys = re.compile(r"^\| (`.*?) \|", re.MULTILINE)
    assert len(keys.findall(chinese.read_text(encoding="utf-8"))) == len(
        keys.findall(english.read_text(encoding="utf-8"))
    )


def test_messages_of_the_troubleshooting_page_exist():
    """The first column quotes parts of messages; a reworded message needs its page reworded."""
    rows = re.findall(r"^\| (`[^|]*) \|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    quoted = [part for row in rows for part in re.findall(r"`([^`]+)`", row)]
    sources = [*REPOSITORY.glob("fairmot/**/*.py"), *REPOSITORY.glob("train/**/*.py"), *REPOSITORY.glob("scripts/*.sh")]
    # Adjacent literals of a message are one text; a name in braces may be anything.
    program = "\n".join(re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8")) for path in sources)
    assert len(quoted) > 30
    assert not [part for part in quoted if part not in program]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The finished process that built the site, and where it is."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", folder / "cache", DOCS, folder / "site"]
    words = [str(word) for word in words]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False), folder / "site"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(site):
    built, folder = site
    assert (built.returncode, built.stderr) == (0, "")
    pages = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    assert {"index.html", "configuration.html", "ascend.html"} <= set(pages)
    assert (folder / "_images" / "architecture.svg").is_file()
    assert "project/rank_table.html" in pages["distributed.html"]
    outside = [re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?:[^"]+"', page) for page in pages.values()]
    assert not any(outside), "a page loads something from the network"


@pytest.mark.slow
def test_the_site_in_a_browser(site):
    """Every page shows all its pictures and asks nobody for anything; the front page leads on."""
    _, folder = site
    with open_browser() as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        pages = sorted(folder.glob("*.html"))
        assert len(pages) > 20
        for path in [path for path in pages if path.name != "index.html"] + [folder / "index.html"]:
            page.goto(path.as_uri())
            widths = page.evaluate("[...document.querySelectorAll('article img')].map(image => image.naturalWidth)")
            assert all(width > 100 for width in widths), path.name
        assert widths, "no picture on the front page"
        keep_picture(page, "docs_front_page")
        page.get_by_role("link", name="Custom data").or_(page.get_by_role("link", name="custom_data.md")).first.click()
        assert page.url.endswith("custom_data.html")
        assert not [url for url in asked if not url.startswith(("file:", "data:"))]
