"""Paths in the manual exist, and so does what its links lead to."""

import re
from pathlib import Path

import pytest
from tests.architecture.repository import ROOT, code_spans, pages, shown

_LINK = re.compile(r"(?<!\\)\]\((?P<target>[^)\s]+)\)")
_PATH = re.compile(r"(?:src|tests|docs|bench|bin|requirements|\.ci)(?:/[A-Za-z0-9_.-]+)+/?")
_TOP = re.compile(r"(?:Makefile|pyproject\.toml|LICENSE|README\.md|CHANGELOG\.md|CONTRIBUTING\.md|MAP\.md)")
_PUNCTUATION = re.compile(r"[^\w\- ]")


def _anchors(text: str) -> set[str]:
    """The anchors that headings get, as code hosts make them."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", outside, re.MULTILINE)
    return {_PUNCTUATION.sub("", heading.replace("`", "").strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=shown)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = []
    for link in _LINK.finditer(text):
        target, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / target).resolve() if target else page
        if not there.exists() or (anchor and anchor not in _anchors(there.read_text(encoding="utf-8"))):
            broken.append(link["target"])

    assert not broken


@pytest.mark.parametrize("page", pages(), ids=shown)
def test_documented_paths_exist(page: Path) -> None:
    spans = code_spans(page.read_text(encoding="utf-8"))
    named = {span for span in spans if _PATH.fullmatch(span) or _TOP.fullmatch(span)}

    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_page_of_the_manual_is_reached_from_another() -> None:
    reached = {
        (page.parent / link["target"].partition("#")[0]).resolve()
        for page in pages()
        for link in _LINK.finditer(page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:", link["target"])
    }
    alone = [page for page in pages() if page not in reached and page != ROOT / "README.md"]

    assert not [shown(page) for page in alone]


# -- MAP.md --------------------------------------------------------------------------------------------------------

MAP = (ROOT / "MAP.md").read_text(encoding="utf-8")


def _rooms() -> list[tuple[str, str]]:
    """Each section of the map with the folder that its heading names; paths in it are relative to that."""
    sections = re.split(r"^## ", MAP, flags=re.MULTILINE)[1:]
    headings = [re.search(r"`([^`]+)`", section.partition("\n")[0]) for section in sections]
    return [(heading[1] if heading else "", section) for heading, section in zip(headings, sections, strict=True)]


ON_THE_MAP = sorted(
    {
        (folder, span)
        for folder, section in _rooms()
        for span in re.findall(r"`([^`\s]+)`", section.partition("\n")[2])
        if "/" in span or re.search(r"\.(py|yaml|sh|ps1|toml|md|txt)$", span)
    }
)


@pytest.mark.parametrize(("folder", "path"), ON_THE_MAP)
def test_every_place_on_the_map_exists(folder: str, path: str) -> None:
    whole = (
        path
        if path.split("/", maxsplit=1)[0] in {"tests", "docs", "bench", "bin", "requirements"}
        else f"{folder}{path}"
    )

    assert (ROOT / whole).exists()


@pytest.mark.parametrize("room", ["enrolment", "patching"])
def test_every_module_of_a_room_is_on_the_map(room: str) -> None:
    folder = ROOT / "src" / "moorings" / room
    section = next(each for name, each in _rooms() if name == f"src/moorings/{room}/")
    files = {path.name for path in folder.iterdir() if path.suffix in {".py", ".yaml"}} - {"__init__.py", "keeper.py"}

    assert not [name for name in sorted(files) if f"`{name}`" not in section]
