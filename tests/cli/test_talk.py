"""What commands say besides their results: as much as was asked for, in colour where that is wanted."""

import contextlib
import io
from collections.abc import Callable

import pytest
from rich.console import Console
from tests.cli.conftest import Cli

from moorings.cli.loudness import Loudness, choose
from moorings.cli.talk import Talk
from moorings.cli.terminal import console_on
from moorings.errors import Invalid


class Seconds:
    """A clock that counts only what it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def said(seconds: Seconds) -> Callable[[Loudness], tuple[Talk, io.StringIO]]:
    """A talk on a pipe, and what arrived there."""

    def make(loudness: Loudness) -> tuple[Talk, io.StringIO]:
        choose(loudness)
        talk, stream = Talk(clock=seconds), io.StringIO()
        choose(Loudness.NORMAL)
        talk.console = console_on(stream)
        return talk, stream

    return make


Said = Callable[[Loudness], tuple[Talk, io.StringIO]]


def test_a_long_step_ends_with_how_long_it_took(said: Said, seconds: Seconds) -> None:
    """A short one does not: nobody waited for it."""
    talk, stream = said(Loudness.NORMAL)

    with talk.working("deploying"):
        talk.now("packaging")
        seconds.now += 1.25
        talk.now("planning")
        seconds.now += 0.5

    lines = stream.getvalue().splitlines()
    assert lines == ["· deploying", "· packaging", "✓ packaging (1.2 s)", "· planning", "✓ deploying (1.8 s)"]


def test_a_step_that_failed_took_no_time_worth_telling(said: Said, seconds: Seconds) -> None:
    """What went wrong is told by whoever catches it."""
    talk, stream = said(Loudness.NORMAL)

    def fail() -> None:
        with talk.working("deploying"):
            seconds.now += 9
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "✓" not in stream.getvalue()


def test_the_time_that_a_person_thinks_is_no_steps_time(
    said: Said, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor that of the work around it."""
    talk, stream = said(Loudness.NORMAL)

    class Person(io.StringIO):
        def isatty(self) -> bool:
            return True

        def readline(self, _most: int | None = -1, /) -> str:
            seconds.now += 60
            return "y\n"

    monkeypatch.setattr("sys.stdin", Person())
    with talk.working("deploying"):
        talk.now("planning")
        seconds.now += 2
        assert talk.ask("Create it?")

    assert "✓ planning (2.0 s)" in stream.getvalue()
    assert "✓ deploying (2.0 s)" in stream.getvalue()


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), ""])
def test_whoever_stops_at_a_question_reads_what_is_said_next_on_a_line_of_its_own(
    said: Said, monkeypatch: pytest.MonkeyPatch, ending: KeyboardInterrupt | str
) -> None:
    """By Ctrl-C, or by Ctrl-D, which is no yes."""
    talk, stream = said(Loudness.NORMAL)

    class Person(io.StringIO):
        def isatty(self) -> bool:
            return True

        def readline(self, _most: int | None = -1, /) -> str:
            if isinstance(ending, KeyboardInterrupt):
                raise ending
            return ending

    monkeypatch.setattr("sys.stdin", Person())
    with contextlib.suppress(KeyboardInterrupt):
        assert not talk.ask("Create it?")
    talk.say("stopped")

    assert stream.getvalue() == "Create it? [y/N] \n· stopped\n"


def test_quiet_says_what_failed_and_nothing_else(said: Said, seconds: Seconds) -> None:
    """Not even in a terminal."""
    talk, stream = said(Loudness.QUIET)

    with talk.working("deploying"):
        seconds.now += 5
        talk.now("packaging")
        talk.say("made", mark="done")
        talk.say("broke", mark="failed")
        talk.trace("ssm:Call")

    assert stream.getvalue() == "✗ broke\n"
    talk.console = Console(file=io.StringIO(), force_terminal=True)
    assert not talk.live


def test_verbose_says_calls_that_leave_this_computer(said: Said, seconds: Seconds) -> None:
    """How long they took, and whether they failed."""
    talk, stream = said(Loudness.VERBOSE)

    with talk.calling("entra:token"):
        seconds.now += 0.25

    assert stream.getvalue() == "  entra:token  done  0.25 s\n"


@pytest.mark.parametrize("place", ["before", "behind"])
def test_every_call_to_aws_is_told_with_its_request_id(cli: Cli, nodes: list[str], place: str) -> None:
    """--verbose may stand before the command or behind it; what was sent and answered is not told."""
    typed = ("-v", "nodes", "list", "--json") if place == "before" else ("nodes", "list", "--json", "--verbose")

    shown = cli(*typed)

    assert shown.json["nodes"]
    [who, listed, *_] = shown.err.splitlines()
    assert who.startswith("  sts:GetCallerIdentity  200  ")
    assert listed.startswith("  ssm:DescribeInstanceInformation  200  ")
    assert " s  request " in listed
    assert not any(node in shown.err for node in nodes)


def test_loudness_may_come_from_the_surroundings(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is that of one run alone."""
    monkeypatch.setenv("MOORINGS_VERBOSE", "1")
    assert "sts:GetCallerIdentity" in cli("nodes", "list").err

    monkeypatch.delenv("MOORINGS_VERBOSE")
    assert "sts:GetCallerIdentity" not in cli("nodes", "list").err


@pytest.mark.parametrize(
    ("variables", "typed", "told"),
    [
        ("MOORINGS_VERBOSE", "nodes list --quiet", False),
        ("MOORINGS_VERBOSE", "--quiet nodes list", False),
        ("MOORINGS_QUIET", "nodes list --verbose", True),
        ("MOORINGS_QUIET", "--verbose nodes list", True),
        ("MOORINGS_QUIET MOORINGS_VERBOSE", "nodes list", True),
    ],
)
def test_what_is_typed_goes_before_the_surroundings(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, variables: str, typed: str, told: bool
) -> None:
    """Wherever it stands in the line."""
    for name in variables.split():
        monkeypatch.setenv(name, "1")

    assert ("sts:GetCallerIdentity" in cli(*typed.split()).err) is told


def test_a_variable_that_cannot_be_read_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the option that it stands for, which nobody typed."""
    monkeypatch.setenv("MOORINGS_QUIET", "maybe")

    refused = cli("version")

    assert refused.code == 2
    assert refused.err.startswith("moorings: Invalid value for MOORINGS_QUIET: ")


def test_quiet_leaves_results(cli: Cli, nodes: list[str]) -> None:
    """That is what it is for."""
    shown = cli("nodes", "list", "--quiet")

    assert (shown.code, shown.err) == (0, "")
    assert nodes[0] in shown.out


@pytest.mark.parametrize(
    ("variables", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colour_is_as_the_surroundings_want_it(
    variables: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_COLOR goes first; a pipe is plain unless somebody forces it."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    stream = Stream()
    console_on(stream).print("text", style="bold red")

    assert ("\x1b[" in stream.getvalue()) is coloured


def test_help_is_coloured_alike(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its headings are."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" not in bare("nodes", "--help").out

    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1mExamples:" in bare("nodes", "list", "--help").out


@pytest.mark.parametrize(("pressed", "raised"), [(KeyboardInterrupt, KeyboardInterrupt), (EOFError, Invalid)])
def test_a_secret_that_nobody_types_ends_its_line(
    said: Said, monkeypatch: pytest.MonkeyPatch, pressed: type[BaseException], raised: type[BaseException]
) -> None:
    """Ctrl-C and Ctrl-D: what is said next begins a line."""

    def typed(*_: object, **__: object) -> str:
        raise pressed

    talk, stream = said(Loudness.NORMAL)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", typed)

    with pytest.raises(raised):
        talk.secret("client secret")

    assert stream.getvalue() == "\n"


@pytest.mark.parametrize("loudness", list(Loudness))
def test_nothing_moves_where_calls_are_told(said: Said, loudness: Loudness) -> None:
    """They come from elsewhere, in the midst of a line that is drawn again and again."""
    talk, _ = said(loudness)
    drawn = io.StringIO()
    talk.console = Console(file=drawn, force_terminal=True, width=80)

    with talk.looking("looking"):
        talk.trace("ssm:GetParameter  200")

    assert ("looking" in drawn.getvalue()) is (loudness is Loudness.NORMAL)
    assert talk.live is (loudness is Loudness.NORMAL)
