"""A loop that is under way: which pass, and which steps belong to its body."""

from dataclasses import dataclass, field

from localcloud.automation import values
from localcloud.automation.document import Step
from localcloud.automation.loops import LoopPlan, Pass
from localcloud.automation.records import ParentStep
from localcloud.automation.scheduler import Timer


@dataclass(slots=True, kw_only=True)
class Frame:
    """The loop that the flow is in; changed by the execution only."""

    step: Step
    record: str  # id of the loop's own record
    plan: LoopPlan
    at: Pass
    timer: Timer | None = None  # the loop's timeoutSeconds
    cancelled: bool = False  # the execution was cancelled inside it: no further pass
    _body: dict[str, Step] = field(init=False)

    def __post_init__(self) -> None:
        self._body = {step.name: step for step in self.step.steps}

    def inner(self, name: str) -> Step | None:
        """The step of the body with that name."""
        return self._body.get(name)

    def parent(self) -> ParentStep:
        """What the records of this pass say of the loop."""
        value = self.at.value
        return ParentStep(
            id=self.record,
            name=self.step.name,
            action=self.step.action,
            iteration=self.at.number,
            iterator_value="" if value is None else values.to_wire(value)[0],
        )
