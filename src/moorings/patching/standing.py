"""How things stand with a node's run, from what the service lists and what the record says. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from moorings.patching.executions import FAILED, Execution
from moorings.patching.model import Conclusion, Phase, Run, vm_ref

NOT_BEGUN = "NotBegun"
# What the service shows as the output of a step that did not run.
_NO_OUTPUT = "No output available yet"
OUTCOME, REASON, REMEDY, WRONG = "Report.Outcome", "Report.Reason", "Report.Remedy", "Report.Wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One node: its execution, as the service lists it, and its record, as far as there is one."""

    node: str
    execution: Execution | None = None
    run: Run | None = None
    refused: str = ""  # why the service did not even start it

    @property
    def status(self) -> str:
        """The service's word for it."""
        if self.refused:
            return "Failed"
        return self.execution.status if self.execution else NOT_BEGUN

    @property
    def over(self) -> bool:
        """Whether its execution has ended."""
        return bool(self.refused) or (self.execution is not None and self.execution.over)

    @property
    def failed(self) -> bool:
        """Whether the service counts it as an error."""
        return self.status in FAILED

    @property
    def unfinished(self) -> bool:
        """Whether the keeper has yet to conclude what its execution left."""
        return self.over and self.run is not None and self.run.phase is not Phase.OVER

    @property
    def outcome(self) -> str:
        """The outcome's word; empty while there is none."""
        if (told := self._told) is not None:
            return told.outcome.value
        return self._output(OUTCOME)

    @property
    def wrong(self) -> bool:
        """Whether something is wrong, as far as anybody knows: what has not ended is not wrong yet, what was never
        begun is, and an end without an outcome too, unless the service calls it a success."""
        if not self.over:
            return self.execution is None
        return self._told.wrong if self._told is not None else self.status != "Success"

    @property
    def reason(self) -> str:
        """Why it ended so, or what goes on."""
        if (told := self._told) is not None:
            return told.reason
        if self.refused:
            return self.refused
        if self.execution is None:
            return "was not begun"
        if self.unfinished:
            return "its execution is over; the keeper finishes what it left"
        return self._output(REASON) or self.execution.failure

    @property
    def remedy(self) -> str:
        """What to do next; empty if nothing is to be done."""
        return self._told.remedy if self._told is not None else self._output(REMEDY)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know besides."""
        return self._told.warnings if self._told is not None else ()

    @property
    def vm(self) -> str:
        """The VM's name; empty while it is not proved."""
        return self.run.vm.name if self.run is not None and self.run.vm is not None else ""

    @property
    def began_at(self) -> datetime | None:
        """When the node's execution began."""
        return self.execution.began_at if self.execution else None

    @property
    def ended_at(self) -> datetime | None:
        """When it ended; None while it goes on."""
        return self.execution.ended_at if self.execution else None

    def lasted(self, now: datetime) -> timedelta | None:
        """How long it took, or has taken so far."""
        return (self.ended_at or now) - self.began_at if self.began_at else None

    @property
    def _told(self) -> Conclusion | None:
        """The conclusion, once it is final: a restore that goes on may still change it."""
        if self.run is None or self.run.phase is not Phase.OVER:
            return None
        return self.run.conclusion

    def _output(self, name: str) -> str:
        value = self.execution.outputs.get(name, "") if self.execution else ""
        return "" if "{{" in value or value.startswith(_NO_OUTPUT) else value


def short_name(resource_id: str) -> str:
    """The last part of an ARM id, or of a VM's."""
    ref = vm_ref(resource_id)
    return ref.name if ref else resource_id.rstrip("/").rpartition("/")[2]
