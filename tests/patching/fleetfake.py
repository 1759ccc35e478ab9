"""Automation behind the `Automations` port, in memory: rate control by the service's rules, one child over at a time.

Time passes when the campaign waits. Which nodes go wrong is told; answers get lost, listings lag, on demand.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from localcloud.automation import rate_control
from localcloud.automation.rate_control import Progress
from moorings.errors import CloudFault
from moorings.patching.executions import Execution, Runbook, StepRun
from moorings.patching.fleets import Start
from moorings.patching.model import Run

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


class Wall:
    """A clock that moves when somebody waits."""

    def __init__(self) -> None:
        self.time = START
        self.waits: list[timedelta] = []

    def now(self) -> datetime:
        return self.time

    def wait(self, duration: timedelta) -> None:
        self.waits.append(duration)
        self.time += max(duration, timedelta(0))


@dataclass
class Parent:
    """One execution under rate control, or a plain one."""

    id: str
    start: Start
    children: dict[str, Execution] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    status: str = "InProgress"
    refused: list[StepRun] = field(default_factory=list)


@dataclass
class FakeAutomations:
    """The service. `bad` nodes fail, `refused` ones are never started; each look ends one child."""

    wall: Wall
    bad: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    lost_answers: int = 0
    stale_listings: int = 0
    cancel_after: int = -1  # nodes
    parents: dict[str, Parent] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)  # nodes, in the order of their starts
    _numbers: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def start(self, runbook: Runbook, start: Start, *, token: str) -> str:
        del runbook
        self.calls.append("start")
        if token not in self.tokens:
            made = Parent(id=f"parent-{len(self.parents) + 1}", start=start)
            self.tokens[token] = made.id
            self.parents[made.id] = made
            self.starts.append(start)
        if self.lost_answers:
            self.lost_answers -= 1
            raise CloudFault("no answer", call="ssm:StartAutomationExecution")
        return self.tokens[token]

    def find(self, execution: str) -> Execution | None:
        self.calls.append("find")
        parent = self.parents[execution]
        self._go_on(parent)
        if not parent.start.rate_controlled:
            return replace(next(iter(parent.children.values())), id=execution, parent="", node="")
        return Execution(
            id=execution, status=parent.status, over=parent.status != "InProgress", fleet=True,
            targets=parent.start.nodes, began_at=START,
        )  # fmt: skip

    def children(self, execution: str) -> list[Execution]:
        self.calls.append("children")
        shown = list(self.parents[execution].children.values())
        if self.stale_listings and self.parents[execution].status != "InProgress":
            self.stale_listings -= 1
            return [replace(each, status="InProgress", over=False) for each in shown]
        return shown

    def recent(self, document: str, *, most: int) -> list[Execution]:
        raise AssertionError(f"nobody asks for the latest {most} of {document}")

    def steps(self, execution: str, *, failed_only: bool = False) -> list[StepRun]:
        assert failed_only
        return self.parents[execution].refused

    def stop(self, execution: str) -> bool:
        parent = self.parents[execution]
        going = parent.status == "InProgress"
        parent.status = "Cancelled" if going else parent.status
        return going

    def _go_on(self, parent: Parent) -> None:
        budget = rate_control.Budget(
            targets=len(parent.start.nodes), concurrency=parent.start.concurrency, errors=parent.start.errors
        )
        if parent.status != "InProgress":
            return
        for _ in range(rate_control.may_start(budget, parent.progress)):
            self._begin(parent, budget)
        going = [each for each in parent.children.values() if not each.over]
        if going:
            self._end(parent, budget, going[0])
        if 0 <= self.cancel_after <= len(self.begun):
            parent.status = "Cancelled"
        elif rate_control.done(budget, parent.progress):
            parent.status = "Failed" if rate_control.exceeded(budget, parent.progress) else "Success"

    def _begin(self, parent: Parent, budget: rate_control.Budget) -> None:
        node = parent.start.nodes[parent.progress.started]
        parent.progress = rate_control.started(parent.progress, 1)
        if node in self.refused:
            parent.progress = rate_control.completed(budget, parent.progress, succeeded=False)
            parent.refused.append(
                StepRun(name=node, action="aws:executeAutomation", status="Failed", failure="no room")
            )
            return
        self.begun.append(node)
        child = Execution(
            id=f"run-{node}", status="InProgress", over=False, parent=parent.id, node=node, began_at=self.wall.now()
        )
        parent.children[node] = child

    def _end(self, parent: Parent, budget: rate_control.Budget, child: Execution) -> None:
        well = child.node not in self.bad
        parent.progress = rate_control.completed(budget, parent.progress, succeeded=well)
        parent.children[child.node] = replace(
            child, status="Success" if well else "Failed", over=True, ended_at=self.wall.now()
        )


@dataclass
class FakeArchive:
    """Records by execution."""

    records: dict[str, Run] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)

    def runs(self, executions: Iterable[str]) -> Mapping[str, Run]:
        wanted = list(executions)
        self.asked.append(wanted)
        return {each: self.records[each] for each in wanted if each in self.records}

    def of_node(self, node: str) -> list[Run]:
        return [run for run in self.records.values() if run.node == node]

    def with_leftovers(self) -> list[Run]:
        return [run for run in self.records.values() if run.leftovers]
