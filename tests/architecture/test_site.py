"""The manual as a site: every page has its place, and what is built from the pages holds by itself."""

import ast
import html
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs.generator import site
from docs.generator.drawing import STYLE
from docs.generator.site import DOCS
from tests.architecture.repository import SOURCES

CONFIGURATION = tomllib.loads((DOCS / site.CONFIGURATION).read_text(encoding="utf-8"))["project"]


def _named(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        for under in entry.values():
            yield from [under] if isinstance(under, str) else _named(under)


NAMED = list(_named(CONFIGURATION["nav"]))


def test_every_page_has_its_place_in_the_navigation_and_only_one() -> None:
    """A page that is missing here: give it a place in docs/zensical.toml."""
    manual = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    decisions = {page for page in manual if page.startswith("decisions/2")}  # listed by their index

    assert set(NAMED) == (manual - decisions) | set(site.ROOT_PAGES.values())
    assert len(NAMED) == len(set(NAMED))


def test_the_site_is_built_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    """The build itself ends the test if a link, an anchor, a picture or a script leads nowhere, or out of the site."""
    first = site.build(tmp_path)

    addresses = [address for _, address in site.loaded(first.parent)]
    assert (first.parent / "decisions" / "index.html").is_file()
    assert [each for each in addresses if each.endswith("pictures/moorings.dark.svg#only-dark")]
    assert [each for each in addresses if each.endswith("iframe-worker.js")]


def test_the_theme_is_told_to_fetch_nothing() -> None:
    assert CONFIGURATION["theme"]["font"] is False
    assert not [path for path in CONFIGURATION["extra"]["polyfills"] if not (DOCS / path).is_file()]
    assert "url(http" not in "".join((DOCS / path).read_text(encoding="utf-8") for path in CONFIGURATION["extra_css"])


@pytest.mark.parametrize(
    ("source", "text", "copied"),
    [
        ("quickstart.md", "[how](how-it-works.md#x)", "[how](how-it-works.md#x)"),
        ("operate.md", "[CHANGELOG](../CHANGELOG.md)", "[CHANGELOG](changelog.md)"),
        ("decisions/one.md", "[CHANGELOG](../../CHANGELOG.md#a)", "[CHANGELOG](../changelog.md#a)"),
        ("decisions/one.md", "see [MAP](../../MAP.md).", "see MAP."),
        ("one.md", "[elsewhere](https://example.com/x)", "[elsewhere](https://example.com/x)"),
        ("../CHANGELOG.md", "[page](docs/security.md#a)", "[page](security.md#a)"),
        ("one.md", "drawn by [a module](generator/flow.py)", "drawn by a module"),
        ("one.md", "[errors.md](errors.md#b): see it", "[Errors and exit codes](errors.md#b): see it"),
        ("decisions/one.md", "[the quickstart](../quickstart.md)", "[the quickstart](../quickstart.md)"),
        ("one.md", "`[MAP](../MAP.md)`", "`[MAP](../MAP.md)`"),
        ("one.md", "```\n[MAP](../MAP.md)\n```\n[MAP](../MAP.md)", "```\n[MAP](../MAP.md)\n```\nMAP"),
    ],
)
def test_links_that_leave_the_manual_lead_to_the_copy_or_are_text(source: str, text: str, copied: str) -> None:
    assert site.page(text, source=DOCS / source) == copied


@pytest.mark.parametrize(
    ("text", "copied"),
    [
        ("1. one\n\n   ```bash\n   run\n   ```\n\n2. two", "1. one\n\n    ```bash\n    run\n    ```\n\n2. two"),
        (
            "- one\n  more\n\n  ```text\n  - said\n  ```\n\nAfter",
            "- one\n    more\n\n    ```text\n    - said\n    ```\n\nAfter",
        ),
        ("```yaml\n- one\n  two\n```\n  three", "```yaml\n- one\n  two\n```\n  three"),
    ],
)
def test_what_belongs_to_an_item_of_a_list_stays_in_it(text: str, copied: str) -> None:
    """Indented by less than four, it would end the list, and the next item would be the first of another."""
    assert site.page(text, source=DOCS / "one.md") == copied


def test_a_picture_stands_in_both_shades() -> None:
    made = site.page("![What it is](pictures/one.svg)", source=DOCS / "one.md")

    assert "![What it is](pictures/one.light.svg#only-light)" in made
    assert "![What it is](pictures/one.dark.svg#only-dark)" in made


def test_a_shade_asks_nobody_for_the_colours() -> None:
    svg = f"<svg><style>{STYLE}  </style></svg>"

    light, dark = site.shades(svg)

    assert "prefers-color-scheme" in svg
    assert "prefers-color-scheme" not in light + dark
    assert light.count(".panel") == 1
    assert dark.count(".panel") == 2  # the later one counts
    assert light.count("{") == light.count("}")
    assert dark.count("{") == dark.count("}")


SHOWN = [path for folder in ("pictures", "screens") for path in sorted((DOCS / folder).iterdir())]


@pytest.mark.parametrize("picture", SHOWN, ids=lambda path: path.name)
def test_every_picture_is_shown_somewhere_and_loads_nothing(picture: Path) -> None:
    svg = picture.read_text(encoding="utf-8")
    name = f"{picture.parent.name}/{picture.name}"

    assert [page for page in DOCS.rglob("*.md") if f"({name})" in page.read_text(encoding="utf-8")]
    assert not re.search(r"url\((?!#)|href=|<image|@import|@font-face", svg)
    assert "<title id=" in svg


def _tables() -> set[tuple[str, ...]]:
    """The headings of every table of the command line, as they are shown."""
    found = set()
    for module in (SOURCES / "moorings" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Tuple):
                names = [str(each.value) for each in node.elts if isinstance(each, ast.Constant)]
                found.add(tuple(name.removeprefix(">") for name in names))
    return found


@pytest.mark.parametrize("screen", sorted((DOCS / "screens").iterdir()), ids=lambda path: path.name)
def test_a_picture_of_a_terminal_shows_the_tables_that_are_printed_now(screen: Path) -> None:
    """It does not: take the pictures anew, `python -m docs.generator.screens`."""
    lines: dict[str, str] = {}
    for line, text in re.findall(r'<text [^>]*-line-([0-9]+)\)">([^<]*)</text>', screen.read_text(encoding="utf-8")):
        lines[line] = f"{lines.get(line, '')}  {html.unescape(text)}".replace("\xa0", " ")
    rows = [tuple(re.split(" {2,}", line.strip())) for line in lines.values()]
    headings = {row for row in rows if len(row) > 1 and all(re.fullmatch("[A-Z][A-Z ()]+", cell) for cell in row)}

    assert headings
    assert headings <= _tables()
