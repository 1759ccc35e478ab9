"""The states of invocations and commands, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.aws.ssm.commands.status import Detail, advanced, aggregate, reported, share

D = Detail


@pytest.mark.parametrize(
    ("word", "detail"),
    [
        ("Success", D.SUCCESS),
        ("Skipped", D.SUCCESS),
        ("Failed", D.FAILED),
        ("TimedOut", D.EXECUTION_TIMED_OUT),
        ("Cancelled", D.CANCELLED),
        ("InProgress", D.IN_PROGRESS),
        ("SuccessAndReboot", D.IN_PROGRESS),
        ("PassedAndReboot", D.IN_PROGRESS),
        ("something new", D.IN_PROGRESS),
    ],
)
def test_the_agents_words_have_the_services_meaning(word: str, detail: Detail) -> None:
    assert reported(word) is detail


@pytest.mark.parametrize(
    ("detail", "status", "terminal", "error"),
    [
        (D.PENDING, "Pending", False, False),
        (D.IN_PROGRESS, "InProgress", False, False),
        (D.DELAYED, "Delayed", False, False),
        (D.CANCELLING, "Cancelling", False, False),
        (D.SUCCESS, "Success", True, False),
        (D.FAILED, "Failed", True, True),
        (D.EXECUTION_TIMED_OUT, "TimedOut", True, True),
        (D.DELIVERY_TIMED_OUT, "TimedOut", True, False),
        (D.UNDELIVERABLE, "Failed", True, False),
        (D.INVALID_PLATFORM, "Failed", True, False),
        (D.ACCESS_DENIED, "Failed", True, False),
        (D.CANCELLED, "Cancelled", True, False),
        (D.TERMINATED, "Cancelled", True, False),
        (D.INCOMPLETE, "Failed", True, False),
        (D.RATE_EXCEEDED, "Failed", True, False),
        (D.NO_INSTANCES, "Success", True, False),
    ],
)
def test_each_state_has_its_status_and_weight(detail: Detail, status: str, terminal: bool, error: bool) -> None:
    assert (detail.status, detail.terminal, detail.error) == (status, terminal, error)


@pytest.mark.parametrize(
    ("present", "news", "then"),
    [
        (D.PENDING, D.IN_PROGRESS, D.IN_PROGRESS),
        (D.DELAYED, D.IN_PROGRESS, D.IN_PROGRESS),
        (D.IN_PROGRESS, D.FAILED, D.FAILED),
        (D.SUCCESS, D.IN_PROGRESS, D.SUCCESS),
        (D.SUCCESS, D.FAILED, D.SUCCESS),
        (D.DELIVERY_TIMED_OUT, D.SUCCESS, D.DELIVERY_TIMED_OUT),
        (D.CANCELLED, D.SUCCESS, D.CANCELLED),
        (D.CANCELLING, D.IN_PROGRESS, D.CANCELLING),
        (D.CANCELLING, D.CANCELLED, D.CANCELLED),
        (D.CANCELLING, D.SUCCESS, D.SUCCESS),
    ],
)
def test_an_end_is_the_end_and_only_an_end_ends_a_cancellation(present: Detail, news: Detail, then: Detail) -> None:
    assert advanced(present, news) is then


@pytest.mark.parametrize(
    ("details", "errors_allowed", "then"),
    [
        ([], 0, D.NO_INSTANCES),
        ([D.PENDING, D.PENDING], 0, D.PENDING),
        ([D.PENDING, D.DELAYED], 0, D.DELAYED),
        ([D.SUCCESS, D.PENDING], 0, D.IN_PROGRESS),
        ([D.IN_PROGRESS], 0, D.IN_PROGRESS),
        ([D.SUCCESS, D.SUCCESS], 0, D.SUCCESS),
        ([D.SUCCESS, D.FAILED], 0, D.FAILED),
        ([D.SUCCESS, D.FAILED], 1, D.SUCCESS),
        ([D.SUCCESS, D.DELIVERY_TIMED_OUT], 0, D.SUCCESS),
        ([D.SUCCESS, D.UNDELIVERABLE, D.INVALID_PLATFORM], 0, D.SUCCESS),
        ([D.DELIVERY_TIMED_OUT, D.DELIVERY_TIMED_OUT], 0, D.DELIVERY_TIMED_OUT),
        ([D.EXECUTION_TIMED_OUT], 0, D.EXECUTION_TIMED_OUT),
        ([D.EXECUTION_TIMED_OUT, D.FAILED], 0, D.FAILED),
        ([D.UNDELIVERABLE, D.INVALID_PLATFORM], 0, D.FAILED),
        ([D.ACCESS_DENIED, D.ACCESS_DENIED], 0, D.ACCESS_DENIED),
        ([D.FAILED, D.TERMINATED], 0, D.FAILED),
        ([D.FAILED], 1, D.INCOMPLETE),
        ([D.DELIVERY_TIMED_OUT, D.UNDELIVERABLE], 0, D.INCOMPLETE),
        ([D.CANCELLED], 0, D.CANCELLED),
    ],
)
def test_a_command_is_what_its_invocations_come_to(details: list[Detail], errors_allowed: int, then: Detail) -> None:
    assert aggregate(details, errors_allowed=errors_allowed, cancelled=False) is then


@pytest.mark.parametrize(
    ("details", "then"),
    [
        ([D.CANCELLING, D.SUCCESS], D.CANCELLING),
        ([D.CANCELLED, D.SUCCESS], D.CANCELLED),
        ([D.SUCCESS, D.SUCCESS], D.SUCCESS),
    ],
)
def test_a_cancelled_command_is_cancelled_unless_everything_had_ended(details: list[Detail], then: Detail) -> None:
    assert aggregate(details, errors_allowed=0, cancelled=True) is then


_invocation_details = st.sampled_from(
    [one for one in Detail if one not in {D.INCOMPLETE, D.RATE_EXCEEDED, D.NO_INSTANCES}]
)


@given(details=st.lists(_invocation_details, max_size=6), allowed=st.integers(0, 6), cancelled=st.booleans())
def test_a_command_is_over_when_every_invocation_is(details: list[Detail], allowed: int, cancelled: bool) -> None:
    found = aggregate(details, errors_allowed=allowed, cancelled=cancelled)

    assert found.terminal == all(one.terminal for one in details)
    assert found.command_status in {"Pending", "InProgress", "Success", "Cancelled", "Failed", "TimedOut", "Cancelling"}


@pytest.mark.parametrize(
    ("text", "total", "at_least", "number"),
    [("50", 3, 1, 50), ("10%", 50, 0, 5), ("10%", 5, 0, 0), ("10%", 5, 1, 1), ("100%", 7, 1, 7), ("0", 9, 0, 0)],
)
def test_shares_are_numbers_or_percentages(text: str, total: int, at_least: int, number: int) -> None:
    assert share(text, total, at_least=at_least) == number
