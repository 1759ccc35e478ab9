"""Runs while they happen: a table that changes in a terminal, a line for each event in a pipe. Fits 80 columns."""

from collections.abc import Iterable
from datetime import datetime

from rich.console import Group
from rich.table import Table
from rich.text import Text

from moorings.cli.live_picture import LivePicture
from moorings.cli.output import counted
from moorings.cli.patch.rows import CELLS, clock_time, outcome_word, phase_word, style_of, track
from moorings.cli.talk import Talk
from moorings.cli.terminal import clean
from moorings.clock import Clock
from moorings.patching.campaign import View
from moorings.patching.standing import Standing

# In a pipe the phases of few nodes are told, of many only their ends.
MOST_TOLD = 20
_FRAME = 6  # lines around the rows
_NODE, _VM, _STATE = 20, 14, 18  # columns of the screen


class PatchScreen(LivePicture):
    """What `Campaign` calls with every view."""

    def __init__(self, talk: Talk, clock: Clock) -> None:
        super().__init__(talk)
        self._clock = clock
        self._began = clock.now()
        self._told: dict[str, str] = {}
        self._executions: tuple[str, ...] = ()

    def __call__(self, view: View) -> None:
        """Show how things stand."""
        for execution in view.executions[len(self._executions) :]:
            self._talk.say(f"execution {execution}")
        self._executions = view.executions
        if self.live:
            self.show(self.picture(view))
        else:
            self._tell(view)

    def picture(self, view: View) -> Group:
        """The live table."""
        now = self._clock.now()
        height = max(3, self._talk.console.size.height - _FRAME)
        shown = _most_telling(view.nodes, height)
        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for name, width in (("NODE", _NODE), ("VM", 0), ("", CELLS), ("STATE", _STATE)):
            made.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
        made.add_column("TIME", justify="right", no_wrap=True)
        for node in shown:
            made.add_row(*_live_row(node, now))
        hidden = len(view.nodes) - len(shown)
        below = [Text(f"… and {counted(hidden, 'node')} more", "dim")] if hidden else []
        return Group(self._head(view, now), made, *below)

    def _head(self, view: View, now: datetime) -> Text:
        over = sum(node.over for node in view.nodes)
        wrong = sum(node.wrong for node in view.nodes if node.over)
        head = Text.assemble((f"{over} of {counted(len(view.nodes), 'node')} over", "bold"))
        if wrong:
            head.append(f" · {wrong} not well", "red")
        if view.allowed is not None and len(view.nodes) > 1:
            head.append(f" · {view.errors} of {view.allowed} errors allowed", "dim")
        head.append(f" · {clock_time((now - self._began).total_seconds())}", "dim")
        return head

    def _tell(self, view: View) -> None:
        few = len(view.nodes) <= MOST_TOLD
        for node in view.nodes:
            if not node.over and (node.execution is None or node.outcome):
                continue  # an outcome is told with its reason, once the run is over
            word = outcome_word(node)
            if self._told.get(node.node) == word or not (few or node.over):
                continue
            self._told[node.node] = word
            why = f"  {node.reason}" if node.over and node.reason else ""
            mark = ("failed" if node.wrong else "done") if node.over else "note"
            self._talk.say(f"{node.node or 'node'}  {word}{why}", mark=mark)


def _most_telling(nodes: Iterable[Standing], most: int) -> list[Standing]:
    """As many as fit: those under way, then what is not well, then the rest; each group in its order."""
    listed = list(nodes)
    if len(listed) <= most:
        return listed
    ranked = sorted(enumerate(listed), key=lambda each: (_rank(each[1]), each[0]))[:most]
    return [node for _, node in sorted(ranked)]


def _rank(node: Standing) -> int:
    if not node.over and node.execution is not None:
        return 0
    if node.over:
        return 1 if node.wrong else 3
    return 2


def _live_row(node: Standing, now: datetime) -> tuple[Text, ...]:
    lasted = node.lasted(now)
    state = outcome_word(node) if node.over else phase_word(node)
    return (
        Text(node.node[:_NODE]),
        Text(_cut(clean(node.vm), _VM)),
        track(node),
        Text(_cut(state, _STATE), style_of(node)),
        Text(clock_time(lasted.total_seconds()) if lasted is not None else "", "dim"),
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
