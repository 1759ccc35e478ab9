"""What the demo shows while VMs are patched: every scenario and how far it is. Fits 80 × 24."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from moorings.cli.demo.scenarios import Play
from moorings.cli.demo.verdicts import lasted, over
from moorings.cli.listing import listing
from moorings.cli.live_picture import LivePicture
from moorings.cli.patch.rows import CELLS, outcome_word, style_of, track
from moorings.cli.talk import Talk

_STATE = 18  # columns


class PatchingScreen(LivePicture):
    """In a terminal a table that changes; elsewhere a line for each scenario that is over."""

    def __init__(self, talk: Talk, plays: Sequence[Play]) -> None:
        super().__init__(talk)
        self._plays = plays
        self._told: set[str] = set()

    def update(self, elapsed: float) -> None:
        """Show how things stand, `elapsed` seconds after the first start."""
        if self.live:
            self.show(self.picture(elapsed))
            return
        for play in self._plays:
            if play.scenario.key not in self._told and play.standing is not None and over(play):
                self._told.add(play.scenario.key)
                outcome = play.standing.outcome
                self._talk.say(f"{play.scenario.title}: {outcome} after {lasted(play):.1f} s", mark=_mark(play))

    def picture(self, elapsed: float) -> RenderableType:
        """The live table."""
        done = sum(over(play) for play in self._plays)
        head = Text(f"{done} of {len(self._plays)} scenarios are over · {elapsed:.0f} s", "bold")
        rows = [(play.scenario.title, *_course(play), _seconds(play)) for play in self._plays]
        return Group(head, listing(("SCENARIO", "", "STATE".ljust(_STATE), ">SECONDS"), rows))


def _course(play: Play) -> tuple[Text, Text]:
    standing = play.standing
    if standing is None or standing.execution is None:
        word = "the first has begun" if play.first else "waiting"
        return Text("□" * CELLS, "dim"), Text(word, "dim")
    return track(standing), Text(outcome_word(standing), style_of(standing))


def _mark(play: Play) -> str:
    told = play.standing is not None and play.standing.outcome == play.scenario.expected.value
    return "done" if told else "failed"


def _seconds(play: Play) -> str:
    return f"{lasted(play):.1f}" if play.standing is not None and play.standing.began_at is not None else ""
