"""What the manual repeats from the code is what the code says now."""

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
from docs.generator import enrolment, flow, http, pages, patching, pictures, runbook

import moorings
from moorings import errors
from moorings.enrolment.policy import Move
from moorings.errors import FAMILIES, MooringsError
from moorings.patching.model import Outcome, Verdict
from moorings.patching.planning import Finish
from moorings.patching.planning import Move as RestoreMove

WRITE = "write it anew: .venv/bin/python -m docs.generator"
PICTURES = pages.DOCS / "pictures"


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: page.name)
def test_the_generated_parts_of_a_page_are_what_the_code_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert pages.filled(text) == text, WRITE


def test_every_generated_block_stands_in_the_manual_once() -> None:
    found = Counter(name for page in pages.pages() for name in pages.block_names(page.read_text(encoding="utf-8")))

    assert found == Counter(pages.BLOCKS.keys())


def test_the_pictures_are_those_that_the_generator_draws() -> None:
    drawn = pictures.drawn()

    assert {path.name for path in PICTURES.iterdir()} == set(drawn)
    for name, svg in drawn.items():
        assert (PICTURES / name).read_text(encoding="utf-8") == svg, WRITE


@pytest.mark.parametrize("picture", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_well_formed_and_says_what_it_shows(picture: Path) -> None:
    root = ET.fromstring(picture.read_text(encoding="utf-8"))  # our own file
    names = {element.tag.partition("}")[2]: (element.text or "") for element in root}

    assert root.tag.endswith("}svg")
    assert names["title"].strip()
    assert names["desc"].strip()
    assert "prefers-color-scheme: dark" in names["style"]


@pytest.mark.parametrize("picture", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_nothing_of_a_picture_lies_outside_of_it(picture: Path) -> None:
    root = ET.fromstring(picture.read_text(encoding="utf-8"))
    _, _, width, height = map(int, root.attrib["viewBox"].split())
    for element in root.iter():
        if element.tag.endswith("}rect"):
            x, y, w, h = (float(element.attrib[name]) for name in ("x", "y", "width", "height"))
            assert min(x, y) >= 0
            assert x + w <= width
            assert y + h <= height
        if element.tag.endswith("}text"):
            assert 0 < float(element.attrib["x"]) < width
            assert 0 < float(element.attrib["y"]) < height


def test_the_table_of_moves_knows_every_move() -> None:
    table = enrolment.moves()

    assert set(enrolment.WORDS) == set(Move.__args__)
    assert not [words for words in enrolment.WORDS.values() if words not in table]


def test_every_step_of_the_runbook_has_a_place_in_the_picture_and_no_two_lie_on_each_other() -> None:
    assert not flow.unplaced(step.name for step in runbook.patch_azure().steps)
    assert not flow.overlaps()


def test_the_tables_of_patching_show_every_verdict_outcome_and_move() -> None:
    assert not [each for each in Verdict if f"`{each.value}`" not in patching.verdicts()]
    assert not [each for each in Outcome if f"`{each.value}`" not in patching.outcomes()]
    assert set(patching.MOVES) | {Finish} == set(RestoreMove.__args__)
    assert not [
        words for words in (*patching.MOVES.values(), *patching.ENDED.values()) if words not in patching.moves()
    ]


def test_every_error_family_is_in_the_table() -> None:
    def below(kind: type[MooringsError]) -> set[type[MooringsError]]:
        return set(kind.__subclasses__()).union(*(below(each) for each in kind.__subclasses__()))

    families = {kind for kind, _ in FAMILIES}
    assert {kind for kind in below(MooringsError) if kind.__module__ == errors.__name__} == families
    assert not [kind for kind in below(MooringsError) if not issubclass(kind, tuple(families))]


def test_the_documented_messages_are_those_of_the_service() -> None:
    """The examples are made by hand; their words are not."""
    sources = Path(moorings.__file__).parent
    code = "".join(path.read_text(encoding="utf-8") for path in (sources / "enrolment").glob("*.py"))
    said = {
        "the pool's grants of this hour are used up": "the pool has granted its hour's share",
        "no activation could be had within 20 s": "no activation could be had in time",
    }
    for why, message in said.items():
        assert http.OTHERS[why].message == message
        assert f'"{message}"' in code
