"""What may be deleted, by whom, when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorings.patching.deleting import (
    CHECKPOINT,
    FAILED_DISK,
    REPLACEMENT,
    ROLES,
    Deleter,
    expiry_of,
    expiry_text,
    may_delete,
    own_tags,
    resource_name,
)
from moorings.patching.model import TAG_EXECUTION, TAG_EXPIRY, TAG_NAME, TAG_PREFIX, TAG_ROLE, TAG_STACK, VmRef

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EXECUTION = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
PAST, FUTURE = expiry_text(NOW - timedelta(seconds=1)), expiry_text(NOW + timedelta(hours=1))
NAME = "web-1-snapshot"


def tags(role: str = CHECKPOINT, **changes: str | None) -> dict[str, str]:
    found: dict[str, str | None] = {TAG_EXECUTION: EXECUTION, TAG_NAME: NAME, TAG_ROLE: role}
    found |= {f"moorings-{key}": value for key, value in changes.items()}
    return {key: value for key, value in found.items() if value is not None}


def why(
    given_tags: dict[str, str], deleter: Deleter, *, over: bool = True, attached: bool = False, name: str = NAME
) -> str:
    return may_delete(name, given_tags, deleter=deleter, execution=EXECUTION, now=NOW, over=over, attached=attached)


@pytest.mark.parametrize(
    ("role", "expiry", "over", "deleters"),
    [
        (CHECKPOINT, None, False, {Deleter.RUN}),
        (CHECKPOINT, None, True, {Deleter.RUN, Deleter.PERSON}),
        (CHECKPOINT, PAST, True, {Deleter.RUN, Deleter.PERSON, Deleter.KEEPER}),
        (CHECKPOINT, PAST, False, {Deleter.RUN}),
        (CHECKPOINT, FUTURE, True, {Deleter.RUN, Deleter.PERSON}),
        (CHECKPOINT, "soon", True, {Deleter.RUN, Deleter.PERSON}),
        (REPLACEMENT, None, False, set()),
        (REPLACEMENT, None, True, {Deleter.PERSON}),
        (REPLACEMENT, PAST, True, {Deleter.PERSON, Deleter.KEEPER}),
        (FAILED_DISK, None, True, set()),
        (FAILED_DISK, PAST, True, {Deleter.KEEPER}),
        (FAILED_DISK, FUTURE, True, set()),
        (FAILED_DISK, PAST, False, set()),
        ("backup", PAST, True, set()),
        ("", PAST, True, set()),
    ],
)
def test_who_may_delete_what(role: str, expiry: str | None, over: bool, deleters: set[Deleter]) -> None:
    marked = tags(role, expiry=expiry)

    assert {one for one in Deleter if not why(marked, one, over=over)} == deleters


@pytest.mark.parametrize("deleter", Deleter)
@pytest.mark.parametrize("missing", ["execution", "name", "role"])
def test_without_one_of_the_three_tags_nothing_is_deleted(deleter: Deleter, missing: str) -> None:
    bare = tags(expiry=PAST)
    del bare[f"moorings-{missing}"]

    assert why(bare, deleter)


@pytest.mark.parametrize("deleter", Deleter)
def test_a_copy_that_took_our_tags_along_is_not_ours(deleter: Deleter) -> None:
    assert "a copy" in why(tags(expiry=PAST), deleter, name="web-1-snapshot-copy")


@pytest.mark.parametrize("deleter", Deleter)
def test_another_executions_are_not_ours(deleter: Deleter) -> None:
    assert "another execution" in why(tags(expiry=PAST, execution=OTHER), deleter)


@pytest.mark.parametrize("deleter", Deleter)
def test_what_a_vm_holds_is_left(deleter: Deleter) -> None:
    assert why(tags(expiry=PAST), deleter, attached=True) == "a VM holds it"


def test_azure_keeps_no_letter_case_in_names() -> None:
    assert not why(tags(), Deleter.RUN, name=NAME.upper())


@given(
    st.dictionaries(
        st.sampled_from([TAG_EXECUTION, TAG_NAME, TAG_ROLE, TAG_EXPIRY, TAG_STACK, "env"]),
        st.sampled_from([EXECUTION, OTHER, NAME, "x", *ROLES, PAST, FUTURE, ""]),
    ),
    st.sampled_from(Deleter),
    st.booleans(),
    st.booleans(),
)
def test_nothing_is_deleted_outside_the_rule(
    some: dict[str, str], deleter: Deleter, over: bool, attached: bool
) -> None:
    if why(some, deleter, over=over, attached=attached):
        return
    assert (some[TAG_EXECUTION], some[TAG_NAME]) == (EXECUTION, NAME)
    assert some[TAG_ROLE] in ROLES
    assert not attached
    if deleter is Deleter.RUN:
        assert some[TAG_ROLE] == CHECKPOINT
    else:
        assert over
    if deleter is Deleter.KEEPER:
        assert some[TAG_EXPIRY] == PAST
    if deleter is Deleter.PERSON:
        assert some[TAG_ROLE] != FAILED_DISK


@pytest.mark.parametrize(("text", "known"), [(PAST, True), ("", False), ("2026-11-21", False), ("never", False)])
def test_an_expiry_that_cannot_be_read_is_none(text: str, known: bool) -> None:
    assert (expiry_of({TAG_EXPIRY: text}) is not None) is known


def test_an_expiry_survives_its_tag() -> None:
    assert expiry_of({TAG_EXPIRY: expiry_text(NOW)}) == NOW


vm_names = st.text(st.sampled_from("abcXYZ019-_.()äß 漢"), min_size=1, max_size=80)


@given(vm_names, st.sampled_from([None, 0, 7, 63]))
def test_names_fit_azure_and_tell_vm_execution_and_slot(name: str, lun: int | None) -> None:
    made = resource_name(VmRef(subscription="s", group="g", name=name), EXECUTION, lun)

    assert len(made) <= 80
    assert made[0].isalnum()
    assert made[-1].isalnum()
    assert all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in made)
    assert made.endswith(EXECUTION.replace("-", "") + ("-os" if lun is None else f"-lun{lun}"))


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=60))
def test_a_resource_of_ours_keeps_its_sources_tags_but_never_ours_and_never_too_many(copied: dict[str, str]) -> None:
    copied = {**copied, TAG_EXPIRY: PAST, "Moorings-Role": "x"}

    made = own_tags(name=NAME, execution=EXECUTION, role=REPLACEMENT, stack="stack", copied=copied)

    assert len(made) <= 49  # the expiry comes later
    ours = {key: value for key, value in made.items() if key.lower().startswith(TAG_PREFIX)}
    assert ours == {TAG_EXECUTION: EXECUTION, TAG_NAME: NAME, TAG_ROLE: REPLACEMENT, TAG_STACK: "stack"}
    others = [key for key in copied if not key.lower().startswith(TAG_PREFIX)]
    assert all(made[key] == copied[key] for key in others[:45])
