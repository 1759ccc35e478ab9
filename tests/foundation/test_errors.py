"""One table says how every error shows outside."""

from datetime import timedelta

import pytest

from moorings import errors
from moorings.errors import (
    FAMILIES,
    OUR_BUG,
    Busy,
    CloudFault,
    Conflict,
    Invalid,
    Misconfigured,
    MooringsError,
    RateLimited,
    Refused,
    family_of,
)

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("error", "status", "exit_code", "word"),
    [
        (Invalid("x"), 400, 2, "invalid"),
        (Refused("x"), 403, 3, "refused"),
        (Conflict("x"), 409, 3, "conflict"),
        (RateLimited("x", retry_after=SECOND), 429, 4, "rate_limited"),
        (Busy("x", retry_after=SECOND), 503, 4, "busy"),
        (CloudFault("x", call="ssm:CreateActivation"), 503, 5, "cloud_fault"),
        (Misconfigured("x"), 500, 2, "misconfigured"),
        (RuntimeError("x"), 500, 70, "internal"),
        (KeyboardInterrupt(), 500, 70, "internal"),
    ],
)
def test_every_error_has_its_status_exit_code_and_word(
    error: BaseException, status: int, exit_code: int, word: str
) -> None:
    family = family_of(error)

    assert (family.http_status, family.exit_code, family.word) == (status, exit_code, word)


def test_every_kind_of_ours_is_in_the_table_before_its_parents() -> None:
    """The first match counts, so a general kind must not hide a special one."""
    kinds = [kind for kind, _ in FAMILIES]
    ours = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, MooringsError) and kind is not MooringsError
    }

    assert set(kinds) == ours
    for earlier, kind in enumerate(kinds):
        assert not any(issubclass(kind, before) for before in kinds[:earlier])


def test_the_words_are_all_different() -> None:
    words = [family.word for _, family in FAMILIES]

    assert len({*words, OUR_BUG.word}) == len(words) + 1


def test_the_tree_in_the_docstring_is_the_table() -> None:
    for kind, family in FAMILIES:
        (line,) = [line for line in (errors.__doc__ or "").splitlines() if f" {kind.__name__} " in line]
        assert f" {family.http_status} " in line
        assert f"exit {family.exit_code} " in line


def test_an_error_says_what_and_what_to_do() -> None:
    error = CloudFault("it failed", call="ssm:PutParameter", request_id="r-1", code="InternalServerError")

    assert (str(error), error.message, error.remedy) == ("it failed", "it failed", "try again")
    assert (error.call, error.request_id, error.code) == ("ssm:PutParameter", "r-1", "InternalServerError")
    assert Refused("no").remedy == ""
    assert Busy("later", retry_after=SECOND).retry_after == SECOND
