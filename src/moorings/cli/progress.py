"""A deployment as it is seen happening: steps, CloudFormation's events, and the plan to be approved."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from moorings.cli.listing import Listing, listing
from moorings.cli.output import Results, counted
from moorings.cli.talk import Talk

if TYPE_CHECKING:
    from moorings.deploy.stacks import Change, ChangeSet, StackEvent
    from moorings.deploy.steps import Notice, Step

_SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE")
_STACK = "AWS::CloudFormation::Stack"


class DeployProgress:
    """Tells steps and events on stderr; `each_resource` also a line for every resource that is done."""

    def __init__(self, talk: Talk, *, each_resource: bool = True) -> None:
        self._talk = talk
        self._each = each_resource
        self._done: Counter[str] = Counter()
        self._expected: dict[str, int] = {}

    def __call__(self, progress: "Step | Notice | StackEvent") -> None:
        """What `deploy` and `remove` call."""
        from moorings.deploy.steps import Notice, Step

        if isinstance(progress, Step):
            self._talk.now(progress.text)
        elif isinstance(progress, Notice):
            self._talk.say(progress.text)
        elif progress.type != _STACK:
            self._resource(progress)

    def approve(self, planned: "ChangeSet", *, ask: bool) -> bool:
        """Show what a plan would do, and whether it may; remembers how much there is to do."""
        self._expected[planned.stack] = len(planned.changes)
        if not self._each:
            return True
        if ask or not self._talk.quiet:
            self._talk.show(plan_table(planned))
        verb = "Create" if planned.creates else "Change"
        changes = counted(len(planned.changes), "resource" if planned.creates else "change")
        return not ask or self._talk.ask(f"{verb} stack {planned.stack} like this ({changes})?")

    def _resource(self, event: "StackEvent") -> None:
        if event.failed:
            self._expected.pop(event.stack, None)  # from now on resources are done that go back
            self._talk.say(f"{event.resource} ({event.type}) {event.status}: {event.reason}", mark="failed")
        elif event.status in _SETTLED:
            self._done[event.stack] += 1
            if self._each:
                gone = "  deleted" if event.status == "DELETE_COMPLETE" else ""
                self._talk.say(f"{event.resource}  {event.type}{gone}", mark="done")
        expected = self._expected.get(event.stack)
        count = f"{self._done[event.stack]} of {expected}" if expected else str(self._done[event.stack])
        if self._talk.live:
            self._talk.now(f"stack {event.stack}: {count} resources done")


def show_plans(results: Results, planned: Iterable["ChangeSet"]) -> None:
    """What a dry run prints: each plan as a table, or all as one object."""
    if not results.as_json:
        for each in planned:
            if each.changes:
                results.show(plan_table(each))
            else:
                results.prose(f"stack {each.stack}: nothing to change")
        return
    stacks = [
        {"stack": each.stack, "creates": each.creates, "changes": [asdict(change) for change in each.changes]}
        for each in planned
    ]
    results.json({"dry_run": True, "stacks": stacks})


def _replacing(change: "Change") -> str:
    return " (replaces it)" if change.replacement else " (may replace it)" if change.may_replace else ""


def plan_table(planned: "ChangeSet") -> Listing:
    """A plan as a table: what happens to which resource."""
    rows = [(change.action + _replacing(change), change.resource, change.type) for change in planned.changes]
    return listing(("DO", "RESOURCE", f"TYPE (stack {planned.stack})"), rows)
