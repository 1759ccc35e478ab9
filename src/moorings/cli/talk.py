"""What a command says while it works, on stderr: as much as was asked for, with how long what took long has taken."""

import getpass
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.text import Text

from moorings.cli.listing import Listing, fold
from moorings.cli.loudness import Loudness, loudness
from moorings.cli.terminal import clean, console_on
from moorings.errors import Invalid, Misconfigured

if TYPE_CHECKING:
    from rich.status import Status

MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "note": ("·", "dim")}
WORTH_TELLING = 1.0  # seconds; what is over sooner needs no line that says how long it took


class Talk:
    """What goes on, on stderr: steps while they happen, then a line for each that is done."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds, from wherever."""
        self.console = console_on(sys.stderr)
        self.loudness = loudness()
        self._clock = clock
        self._status: Status | None = None
        self._asked = 0.0  # seconds that a person took to answer: no step's time
        self._timing = False
        self._step: tuple[str, float] | None = None  # what goes on within the work, and since when

    @property
    def quiet(self) -> bool:
        """Whether only errors and questions are to be said."""
        return self.loudness is Loudness.QUIET

    @property
    def live(self) -> bool:
        """Whether a person watches a terminal, and something may move there: calls that are told would break in."""
        return self.console.is_terminal and self.loudness is Loudness.NORMAL

    @property
    def answers(self) -> bool:
        """Whether a person can be asked."""
        return self.console.is_terminal and sys.stdin.isatty()

    @contextmanager
    def working(self, text: str, *, always_timed: bool = False) -> Iterator[None]:
        """Show that `text` goes on until the block ends: a spinner in a terminal, a line elsewhere.

        Once it ends well, a line says how long it took, if that was long, and so for steps within. With `always_timed`
        it says so in any case, and steps within show only while they last.
        """
        began, outer = self._worked(), self._timing
        if not self.live or (self._status is not None and not always_timed):
            self.say(text)  # no spinner will show it
        with self._spinning(text):
            self._timing = not always_timed
            try:
                yield
                self._end_step()
            finally:
                self._timing, self._step = outer, None
        self._tell_time(text, began, least=0.0 if always_timed else WORTH_TELLING)

    @contextmanager
    def looking(self, text: str) -> Iterator[None]:
        """The same for what is over in a moment: a log need not know of it, nor how long it took."""
        with self._spinning(text):
            yield

    @contextmanager
    def calling(self, what: str) -> Iterator[None]:
        """Around a call that leaves this computer: who wants every call told, is told of it."""
        began, outcome = self._clock(), "failed"
        try:
            yield
            outcome = "done"
        finally:
            self.trace(f"{what}  {outcome}  {self._clock() - began:.2f} s")

    def now(self, text: str) -> None:
        """What goes on now: replaces the spinner's text, or is said."""
        if self._timing:
            self._end_step()
            self._step = (text, self._worked())
        if self._status is not None:
            self._status.update(Text(clean(text)))
        else:
            self.say(text)

    def say(self, text: str, *, mark: str = "note") -> None:
        """One line that stays."""
        if self.quiet and mark != "failed":
            return
        sign, style = MARKS[mark]
        first, *rest = fold(Text(clean(text)), self.console.width - len("· "))
        self.console.print(Text.assemble((f"{sign} ", style), first), soft_wrap=True)
        for line in rest:
            self.console.print(Text("  ") + line, soft_wrap=True)

    def trace(self, text: str) -> None:
        """A line for whoever wants to know every call; may come from any thread."""
        if self.loudness is Loudness.VERBOSE:
            self.console.print(Text(f"  {clean(text)}", "dim"), soft_wrap=True)

    def plain(self, text: str, style: str = "") -> None:
        """A line without a mark, such as one of a difference."""
        self.console.print(Text(clean(text), style), soft_wrap=True)

    def ask(self, question: str) -> bool:
        """A yes or no, asked on stderr. Misconfigured if there is nobody to ask."""
        self.require_somebody(question)
        if self._status is not None:
            self._status.stop()  # it would draw over the question
        began, line = self._clock(), ""
        self.console.print(Text.assemble(clean(question), (" [y/N] ", "bold")), end="")
        try:
            line = sys.stdin.readline()
        finally:
            if not line.endswith("\n"):  # Ctrl-C or Ctrl-D: what is said next begins a line
                self.console.print()
        answer = line.strip().lower()
        self._asked += self._clock() - began
        if self._status is not None:
            self._status.start()
        return answer in {"y", "yes"}

    def secret(self, question: str) -> str:
        """A secret, typed without showing. Misconfigured if there is nobody to ask, Invalid if nothing is typed."""
        if not sys.stdin.isatty():
            raise Misconfigured(f"this needs a secret: {question}", remedy="pipe it in, and say so: --secret-stdin")
        try:
            return getpass.getpass(f"{clean(question)}: ", stream=sys.stderr)
        except KeyboardInterrupt:
            self.console.print()
            raise
        except EOFError as error:  # Ctrl-D
            self.console.print()
            raise Invalid(f"nothing was typed: {question}", remedy="type it, or pipe it in: --secret-stdin") from error

    def require_somebody(self, question: str) -> None:
        """Misconfigured if there is nobody to ask: told before work begins whose end would be a question."""
        if not sys.stdin.isatty():
            raise Misconfigured(f"this needs a yes: {question}", remedy="give --yes, as there is no terminal to ask on")

    def show(self, what: Listing) -> None:
        """Rows on stderr, such as a plan to decide on."""
        self.console.print(what)

    @contextmanager
    def _spinning(self, text: str) -> Iterator[None]:
        if not self.live or self._status is not None:
            yield
            return
        self._status = self.console.status(Text(clean(text)))
        try:
            with self._status:
                yield
        finally:
            self._status = None

    def _end_step(self) -> None:
        if self._step is not None:
            self._tell_time(*self._step, least=WORTH_TELLING)

    def _worked(self) -> float:
        """Seconds that nobody was asked in."""
        return self._clock() - self._asked

    def _tell_time(self, text: str, began: float, *, least: float) -> None:
        took = self._worked() - began
        if took >= least:
            self.say(f"{text} ({took:.1f} s)", mark="done")
