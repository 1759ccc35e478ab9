"""What the demo shows while servers enrol: every server, every activation's slots, rotations. Fits 80 × 24."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from moorings.cli.demo.servers import Fleet, Server
from moorings.cli.listing import listing
from moorings.cli.live_picture import LivePicture
from moorings.cli.talk import Talk
from moorings.enrolment.oversight import Part, PoolStatus, Standing

MOST_ROWS = 14  # servers on the screen; with more, only those under way
MOST_ACTIVATIONS = 4
_STAGE_STYLES = {"managed node": "green", "registered": "cyan", "asking to enrol": "yellow"}
_PART_STYLES = {Part.CURRENT: "green", Part.STANDBY: "cyan", Part.DRAINING: "dim"}
_SQUARES = 20  # the widest bar


class Screen(LivePicture):
    """In a terminal a picture that changes; elsewhere a line for each thing that happens."""

    def __init__(self, talk: Talk, fleet: Fleet) -> None:
        super().__init__(talk)
        self._fleet = fleet
        self._numbers: dict[str, int] = {}  # activations in the order in which they were seen
        self._current = ""

    def update(self, pool: PoolStatus | None, fresh: Sequence[Server]) -> None:
        """Show how things stand; `fresh` have just become managed nodes."""
        self._tell_rotation(pool)
        if self.live:
            self.show(self._picture(pool))
            return
        for server in fresh:
            self._talk.say(f"{server.name} is {server.node} after {server.seconds:.1f} s", mark="done")

    def _tell_rotation(self, pool: PoolStatus | None) -> None:
        if pool is None:
            return
        for each in sorted(pool.activations, key=lambda each: _ORDER[each.part]):
            self._numbers.setdefault(each.id, len(self._numbers) + 1)
        current = next(iter(pool.part(Part.CURRENT)), None)
        if current is None or current.id == self._current:
            return
        before = next((each for each in pool.activations if each.id == self._current), None)
        self._current = current.id
        number = self._numbers[current.id]
        if before is None:
            self._talk.say(f"activation {number} created, {current.limit} slots", mark="done")
        else:
            spent = f"activation {self._numbers[before.id]} is used up ({before.issued} of {before.limit} slots)"
            self._talk.say(f"rotation: {spent}, activation {number} takes over", mark="done")

    def _picture(self, pool: PoolStatus | None) -> RenderableType:
        servers = self._fleet.servers
        shown = servers if len(servers) <= MOST_ROWS else [each for each in servers if not each.registered][:MOST_ROWS]
        rows = [(server.name, server.kind.cloud, server.os_label, _stage(server), _seconds(server)) for server in shown]
        done = sum(server.registered for server in servers)
        head = Text(f"{done} of {len(servers)} servers are managed nodes · {self._fleet.elapsed:.0f} s", "bold")
        return Group(head, listing(("SERVER", "CLOUD", "OS", "STAGE", ">SECONDS"), rows), Text(), self._slots(pool))

    def _slots(self, pool: PoolStatus | None) -> RenderableType:
        if pool is None or not pool.activations:
            return Text("no activation yet", "dim")
        made = Table.grid(padding=(0, 2, 0, 0))
        latest = sorted(pool.activations, key=lambda each: self._numbers[each.id])[-MOST_ACTIVATIONS:]
        for each in latest:
            style = _PART_STYLES.get(each.part, "")
            made.add_row(
                f"activation {self._numbers[each.id]}",
                Text(each.part.value, style),
                bar(each, style),
                f"{each.issued}/{each.limit} slots granted",
            )
        return made


_ORDER = {Part.DRAINING: 0, Part.CURRENT: 1, Part.STANDBY: 2, Part.SINGLE_USE: 3, Part.UNKNOWN: 4}


def bar(each: Standing, style: str) -> Text:
    """The slots of an activation as squares: granted ones are full."""
    squares = min(each.limit, _SQUARES)
    full = round(squares * each.issued / each.limit) if each.limit else 0
    return Text.assemble(("■" * full, style), ("□" * (squares - full), "dim"))


def _stage(server: Server) -> Text:
    return Text(server.stage, "red" if server.failed else _STAGE_STYLES.get(server.stage, "dim"))


def _seconds(server: Server) -> str:
    return f"{server.seconds:.1f}" if server.seconds is not None else ""
