"""Patching many nodes: start a parent, follow its children, and start the next one while the errors allow it.

Nothing is remembered but what the service and the records say, so whoever stops following may follow again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

from moorings.clock import Clock
from moorings.errors import Busy, CloudFault, Conflict
from moorings.patching.executions import CANCELLED, Archive, Automations, Execution, Runbook
from moorings.patching.fleets import MOST_NODES, Fleet, Start, next_start
from moorings.patching.standing import NOT_BEGUN, Standing

# Describe calls are three a second, for everybody in the account; a page has 50 executions.
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=5)
SLOWER_EVERY = 30  # the pause is this part of the time that has passed
PAUSE_PER_PAGE = timedelta(seconds=1)
PAGE = 50
# The keeper runs every minute; what it cannot conclude by then takes longer than anybody waits for.
KEEPER_TIME = timedelta(seconds=150)
# An execution may be listed only moments after it was started.
LISTED_WITHIN = timedelta(seconds=60)
START_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a campaign stands: its parents so far, every node, and why no further node is begun (empty: it goes on, or
    all were). `allowed`: errors; None where nobody said, as for a run that is only watched."""

    executions: tuple[str, ...] = ()
    nodes: tuple[Standing, ...] = ()
    allowed: int | None = None
    stopped: str = ""
    over: bool = False

    @property
    def errors(self) -> int:
        """Nodes that the service counts as errors."""
        return sum(node.failed for node in self.nodes)

    @property
    def wrong(self) -> bool:
        """Whether anything is wrong with any node, or nodes were left out."""
        return bool(self.stopped) or any(node.wrong for node in self.nodes)


Watcher = Callable[[View], None]


class Campaign:
    """One fleet's patching. `latest` is the view as it was last seen, also after an interruption."""

    def __init__(self, *, automations: Automations, archive: Archive, clock: Clock, on_view: Watcher) -> None:
        self._automations = automations
        self._archive = archive
        self._clock = clock
        self._on_view = on_view
        self._began = clock.now()
        self.latest = View()

    def start(self, runbook: Runbook, fleet: Fleet) -> str:
        """Start the fleet's only execution and return its id. Conflict if it would take several."""
        if len(fleet.parts) != 1:
            raise Conflict(
                f"{len(fleet.nodes)} nodes need several executions, one after another, and somebody who starts them",
                remedy=f"stay attached, or patch at most {MOST_NODES} nodes at a time",
            )
        start = next_start(fleet, begun=0, failed=0)
        assert start is not None, "nothing has failed yet"
        return self._started(runbook, start)

    def run(self, runbook: Runbook, fleet: Fleet) -> View:
        """Patch the fleet and return once every run is over, or no further one may begin."""
        self.latest = View(nodes=tuple(Standing(node=node) for node in fleet.nodes), allowed=fleet.errors)
        begun = 0
        while not self.latest.stopped:
            start = next_start(fleet, begun=begun, failed=self.latest.errors)
            if start is None:
                break
            execution = self._started(runbook, start)
            begun += 1
            self._see(replace(self.latest, executions=(*self.latest.executions, execution)))
            ended = self._followed(execution, start.nodes)
            self._judge(ended, start.nodes, fleet)
        self._finish()
        return self.latest

    def follow(self, execution: str) -> View:
        """Follow a run, or all runs of a parent, until they are over. Conflict if the service does not know it."""
        found = self._automations.find(execution)
        if found is None:
            raise Conflict(
                f"Systems Manager knows no execution {execution}",
                remedy="it keeps them for 30 days: moorings patch explain tells what the record says",
            )
        self.latest = View(executions=(execution,), nodes=tuple(Standing(node=node) for node in found.targets))
        ended = self._followed(execution, found.targets)
        if ended.status in CANCELLED and any(node.execution is None for node in self.latest.nodes):
            self.latest = replace(self.latest, stopped="it was cancelled")
        self._finish()
        return self.latest

    def look(self, found: Execution) -> View:
        """One look at a run, or at all runs of a parent."""
        self.latest = View(executions=(found.id,), nodes=tuple(Standing(node=node) for node in found.targets))
        self._looked(found, found.targets)
        if found.over:
            self._tell_unstarted(found, found.targets)
        self.latest = replace(self.latest, over=found.over)
        return self.latest

    def _started(self, runbook: Runbook, start: Start) -> str:
        """Start one execution. The token makes it one, however often the call is made: an answer may get lost."""
        token = str(uuid4())
        for number in range(1, START_TRIES + 1):
            try:
                return self._automations.start(runbook, start, token=token)
            except Busy as busy:
                if number == START_TRIES:
                    raise
                self._clock.wait(busy.retry_after * number)
            except CloudFault as fault:
                if fault.code or number == START_TRIES:
                    raise  # the service has answered
                self._clock.wait(SHORTEST_PAUSE * number)
        raise AssertionError("the last try returns or raises")

    def _followed(self, execution: str, nodes: Sequence[str]) -> Execution:
        """The execution once it and all that it began are over; its nodes are in the view."""
        since = self._clock.now()
        while True:
            found = self._automations.find(execution)
            if found is not None:
                self._looked(found, nodes)
                if not found.over:
                    since = self._clock.now()
                elif not self._lagging(nodes) or self._clock.now() - since > LISTED_WITHIN:
                    self._tell_unstarted(found, nodes)
                    return found
            elif self._clock.now() - since > LISTED_WITHIN:
                raise CloudFault(
                    f"execution {execution} is not listed",
                    call="ssm:DescribeAutomationExecutions",
                    remedy=f"look later: moorings patch status {execution}",
                )
            self._clock.wait(self._pause(len(nodes)))

    def _lagging(self, nodes: Sequence[str]) -> bool:
        """Whether the listing shows a node under way whose parent is over: errors would be counted short."""
        ours = set(nodes)
        return any(node.node in ours and node.execution is not None and not node.over for node in self.latest.nodes)

    def _looked(self, found: Execution, nodes: Sequence[str]) -> None:
        seen = self._automations.children(found.id) if found.fleet else [found]
        concluded = self._concluded()
        asked = [each.id for each in seen if each.id not in concluded]
        records = self._archive.runs(asked)
        known = {node.execution.id: node.run for node in self.latest.nodes if node.execution and node.run}
        standings = []
        for each in seen:
            run = records.get(each.id) or known.get(each.id)
            node = each.node or (run.node if run else "") or (nodes[0] if len(nodes) == 1 else "")
            standings.append(Standing(node=node, execution=each, run=run))
        self._see(replace(self.latest, nodes=_merged(self.latest.nodes, standings)))

    def _tell_unstarted(self, parent: Execution, nodes: Sequence[str]) -> None:
        """Which nodes the service failed to start, and why: the parent's own steps say so."""
        left = [node.node for node in self.latest.nodes if node.execution is None and node.node in nodes]
        if not left or not parent.fleet:
            return
        failed = [step for step in self._automations.steps(parent.id, failed_only=True) if step.failure]
        refused = [Standing(node=node, refused=step.failure) for node in left for step in failed if node in step.name]
        self._see(replace(self.latest, nodes=_merged(self.latest.nodes, refused)))

    def _judge(self, ended: Execution, nodes: Sequence[str], fleet: Fleet) -> None:
        """Whether a further parent may begin; if not, why."""
        unbegun = {node.node for node in self.latest.nodes if node.status == NOT_BEGUN}
        if not unbegun:
            return
        if self.latest.errors > fleet.errors:
            self._stop(f"{_nodes(self.latest.errors)} went wrong and {fleet.errors} may: no further node was begun")
        elif ended.status in CANCELLED:
            self._stop("it was cancelled: no further node was begun")
        elif unbegun & set(nodes):
            why = ended.failure or ended.status
            self._stop(f"the service ended {ended.id} before all of its nodes had begun: {why}")

    def _stop(self, why: str) -> None:
        self._see(replace(self.latest, stopped=why))

    def _finish(self) -> None:
        """Wait for the keeper's word on runs that were cut off, within reason."""
        until = self._clock.now() + KEEPER_TIME
        while self._clock.now() < until:
            unfinished = {node.execution.id: node for node in self.latest.nodes if node.unfinished and node.execution}
            if not unfinished:
                break
            self._clock.wait(LONGEST_PAUSE)
            records = self._archive.runs(unfinished)
            fresh = [replace(node, run=records.get(execution, node.run)) for execution, node in unfinished.items()]
            self._see(replace(self.latest, nodes=_merged(self.latest.nodes, fresh)))
        self._see(replace(self.latest, over=True))

    def _concluded(self) -> set[str]:
        """The executions whose records need not be read again."""
        return {
            node.execution.id
            for node in self.latest.nodes
            if node.execution is not None and node.over and node.run is not None and not node.unfinished
        }

    def _see(self, view: View) -> None:
        self.latest = view
        self._on_view(view)

    def _pause(self, nodes: int) -> timedelta:
        return pause(self._clock.now() - self._began, nodes=nodes)


def pause(elapsed: timedelta, *, nodes: int) -> timedelta:
    """How long to wait between two looks: longer the longer it takes, and the more pages a look costs."""
    patience = min(max(SHORTEST_PAUSE, elapsed / SLOWER_EVERY), LONGEST_PAUSE)
    return max(patience, PAUSE_PER_PAGE * (nodes / PAGE))


def _merged(before: Iterable[Standing], fresh: Iterable[Standing]) -> tuple[Standing, ...]:
    """The standings with fresh ones in their places, by node; unknown nodes come last."""
    new: Mapping[str, Standing] = {standing.node: standing for standing in fresh}
    old = {standing.node: standing for standing in before}
    return tuple({**old, **new}.values())


def _nodes(number: int) -> str:
    return f"{number} node" if number == 1 else f"{number} nodes"
