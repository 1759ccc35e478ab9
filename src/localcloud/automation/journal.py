"""The steps of one execution as they happen: a record for each step of the document, and one for each pass in a loop.

Not guarded: whoever owns the execution guards its journal too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from localcloud.automation.document import Step
from localcloud.automation.flow import possible_next
from localcloud.automation.records import ParentStep, Status, StepExecution


class Journal:
    """All runs of steps, in the document's order; the passes of a loop follow the loop in theirs."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._records: dict[str, StepExecution] = {}
        self._outer: list[str] = []
        self._inner: dict[str, list[str]] = {}
        self._latest: dict[str, str] = {}
        self._onward: dict[str, tuple[str, ...]] = {}  # by step: a loop asks for the same ones pass by pass
        for step, following in zip(steps, [*(one.name for one in steps[1:]), ""], strict=True):
            self._outer.append(self._new(step, following).id)

    def begin(self, step: Step, *, following: str, parent: ParentStep | None = None, **changes: Any) -> str:
        """The id of a new run of `step`. A step of the document that is reached again gets a further record."""
        known = self._latest.get(step.name)
        if parent is None and known and self._records[known].status is Status.PENDING:
            self.change(known, **changes)
            return known
        made = self._new(step, following, parent=parent, **changes)
        if parent is None:
            self._outer.append(made.id)
        else:
            self._inner.setdefault(parent.id, []).append(made.id)
        return made.id

    def change(self, record: str, **changes: Any) -> StepExecution:
        """Replace fields of a record; the record as it is now."""
        changed = replace(self._records[record], **changes)
        self._records[record] = changed
        return changed

    def record(self, record: str) -> StepExecution:
        """The record of that id; KeyError without one."""
        return self._records[record]

    def latest(self, step: str) -> StepExecution | None:
        """The last run of a step, or its pending record; None for a step that is in no list yet."""
        record = self._latest.get(step)
        return self._records[record] if record else None

    def outputs(self, step: str) -> Mapping[str, Any] | None:
        """What can be read of a step's last run; None if it never ran."""
        found = self.latest(step)
        return None if found is None or found.status is Status.PENDING else found.outputs

    def all(self) -> list[StepExecution]:
        """Every record, in order."""
        return [self._records[record] for record in self._ordered()]

    def _ordered(self) -> Iterator[str]:
        for record in self._outer:
            yield record
            yield from self._inner.get(record, ())

    def _new(self, step: Step, following: str, **given: Any) -> StepExecution:
        onward = self._onward.get(step.name)
        if onward is None:
            onward = self._onward[step.name] = possible_next(step, following=following)
        made = StepExecution(
            id=str(uuid4()),
            step=step,
            valid_next_steps=onward,
            next_step=onward[0] if len(onward) == 1 else "",
            **given,
        )
        self._records[made.id] = made
        self._latest[step.name] = made.id
        return made
