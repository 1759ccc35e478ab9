"""Rows under headings at any width: nothing that is copied is broken, nothing is cut off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from moorings.cli.listing import fold, listing

NODE, EXECUTION = "mi-0123456789abcdef0", "01234567-89ab-cdef-0123-456789abcdef"
ROW = (NODE, "no-way-back", "disk from checkpoint", "ROLLBACK_FAILED", "3 min", "somebody removes it", EXECUTION)
COLUMNS = ("NODE", "VM", "WHAT", "OUTCOME", "AGE", "KEPT UNTIL", "EXECUTION")
words = st.text(st.characters(whitelist_categories=("L", "N")), min_size=1, max_size=12)


def drawn(columns: tuple[str, ...], *rows: tuple[str, ...], width: int) -> list[str]:
    return [line.plain for line in listing(columns, rows).lines(width)]


def test_where_there_is_room_rows_are_lines() -> None:
    """Under their headings."""
    assert drawn(("NODE", ">SECONDS"), (NODE, "7"), width=40) == [
        "NODE                  SECONDS",
        f"{NODE}        7",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_ids_are_whole_at_any_width(width: int) -> None:
    """They are copied from the screen."""
    lines = drawn(COLUMNS, ROW, width=width)

    assert all(any(cell in line for line in lines) for cell in (NODE, EXECUTION, "ROLLBACK_FAILED"))
    assert max(len(line) for line in lines) <= width


def test_without_room_for_columns_each_cell_is_named() -> None:
    """The row's first cell says whose they are."""
    assert drawn(COLUMNS, ROW, width=80) == [
        f"{NODE}  vm no-way-back  what disk from checkpoint",
        "  outcome ROLLBACK_FAILED  age 3 min  kept until somebody removes it",
        f"  execution {EXECUTION}",
    ]


def test_a_narrower_gap_goes_before_broken_rows() -> None:
    """One line a row is what is read most easily."""
    lines = drawn(("EXECUTION", "OF", "OUTCOME", "AGE"), (EXECUTION, NODE, "ROLLBACK_FAILED", "12 min"), width=80)

    assert len(lines) == 2


def test_a_text_is_broken_between_words_under_its_heading() -> None:
    """As long as it is no ribbon."""
    lines = drawn(("NODE", "REASON"), (NODE, "health check 1 passed before and fails now; " * 2), width=60)

    assert lines[1].startswith(f"{NODE}  health check 1")
    assert all(line.startswith(" " * len(NODE)) for line in lines[2:])


def test_a_hosts_name_is_broken_after_a_dot_only_where_it_does_not_fit() -> None:
    """And numbers never."""
    assert [line.plain for line in fold(Text("at search-05.gcp.internal"), 22)] == ["at", "search-05.gcp.internal"]
    assert [line.plain for line in fold(Text("search-05.gcp.internal"), 14)] == ["search-05.gcp.", "internal"]
    assert [line.plain for line in fold(Text("10.20.30.40/16 13:55:38"), 8)] == ["10.20.30.40/16", "13:55:38"]


def test_an_arn_is_whole() -> None:
    """It is copied; its row is told with names, where there is no room for columns."""
    arn = "arn:aws:iam::111122223333:role/moorings-patching-AutomationRole-96vgy35tt3b0"

    assert drawn(("DEPLOYED", ""), ("role of runs", arn), width=60) == ["role of runs", f"  {arn}"]


def test_a_cell_cannot_move_the_cursor() -> None:
    """Servers choose their own names."""
    assert "\x1b" not in "".join(drawn(("NAME",), ("evil\x1b[2J",), width=80))


@given(st.lists(words, max_size=30), st.integers(12, 40), st.integers(0, 4))
def test_a_folded_text_keeps_all_its_words_in_their_order(told: list[str], width: int, further: int) -> None:
    """And no line is too long: no word here is longer than a line."""
    lines = [line.plain for line in fold(Text(" ".join(told)), width + 4, further=further)]

    assert " ".join(lines).split() == told
    assert all(len(line) <= width + 4 - (further if number else 0) for number, line in enumerate(lines))


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=5), st.integers(20, 90))
def test_no_cell_is_ever_lost(rows: list[tuple[str, str, str]], width: int) -> None:
    """Whatever the width."""
    lines = drawn(("A", "B", "C"), *rows, width=width)

    shown = " ".join(lines).split()
    assert all(cell in shown for row in rows for cell in row)


@pytest.mark.parametrize("width", [140, 80, 70, 60])
def test_characters_of_two_columns_are_counted_as_two(width: int) -> None:
    """Servers have names in every language."""
    nodes = [
        ("mi-0123456789abcdef0", "日本語サーバー一号機日本語サーバー", "Ubuntu 24.04", "online", "2 min ago"),
        ("mi-0123456789abcdef1", "web-1", "Ubuntu 24.04", "lost", "20 min ago"),
    ]
    found = listing(("NODE", "COMPUTER", "PLATFORM", "STATUS", "LAST PING"), nodes)

    assert max(line.cell_len for line in found.lines(width)) <= width
    assert all(line.cell_len <= 20 for line in fold(Text("日本語 サーバー 一号機 and more of it"), 20))
