"""The function's calls, by name: each loads the record, does one short thing, and answers. None waits for a cloud."""

from collections.abc import Callable, Mapping

from moorings.errors import CloudFault, Invalid, MooringsError
from moorings.patching import answers, asks, checking, checkpointing, reporting, restoring, watching
from moorings.patching.answers import Answer
from moorings.patching.asks import Event
from moorings.patching.describing import describe, refuse
from moorings.patching.model import Phase, Run
from moorings.patching.observed import CommandState
from moorings.patching.outside import Outside
from moorings.patching.ports import AzureRefused, Countdown, Overtaken
from moorings.patching.upkeep import PATCH_STEPS

Call = Callable[[Event, Countdown], Answer]
# The patch step may have been begun or not, and the record does not say: earlier it was not, later the record knows.
UNTOLD = frozenset({Phase.CHECKPOINTING, Phase.CHECKPOINTED})


class Patching:
    """What the runbook's Lambda steps call, and `check`, which is a person's. Every call may be repeated."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self.calls: Mapping[str, Call] = {
            "describe": self._describe,
            "checkpoint": self._checkpoint,
            "checkpoint-status": self._checkpoint,  # which begins it, if nobody could before
            "evidence": self._evidence,
            "judge": self._judge,
            "restore": self._restore,
            "verify": self._verify,
            "release": self._release,
            "report": self._report,
            "check": self._check,
        }

    def answer(self, event: Event, countdown: Countdown) -> Answer:
        """Answer one event. Invalid if it names no call of ours; whatever a call raises passes through, but for
        Overtaken where nobody waits for the answer any more."""
        call = self.calls.get(str(event.get("call")))
        if call is None:
            raise Invalid(
                f"there is no call {str(event.get('call'))[:40]!r}", remedy=f"there are: {', '.join(self.calls)}"
            )
        try:
            return call(event, countdown)
        except Overtaken as overtaken:
            if self._heard(event):
                raise  # by another try of the same call: the step tries again, and finds what that one has left
            # Cancelled while it ran: Systems Manager waits for no call, so this is how some of them end.
            self._outside.journal.record(
                "overtaken", call=event["call"], execution=event["execution"], why=overtaken.message
            )
            return answers.overtaken(overtaken.message)
        except AzureRefused as refused:
            raise CloudFault(f"Azure refuses: {refused}", call=str(event["call"]), code=refused.code) from refused

    def _describe(self, event: Event, _: Countdown) -> Answer:
        try:
            ask = asks.describe_ask(event)
        except Invalid as malformed:
            # Not the call is at fault but what somebody chose: that ends a run, with a reason, and is no error.
            run = refuse(asks.execution_of(event), asks.node_of(event), malformed, self._outside)
        else:
            run = describe(ask, self._outside)
        return answers.described(run, has_prepatch=bool(event.get("prePatch")))

    def _checkpoint(self, event: Event, countdown: Countdown) -> Answer:
        health = asks.command_ids(event, "health")
        return answers.checkpointed(checkpointing.checkpoint(self._run(event), self._outside, countdown, health=health))

    def _evidence(self, event: Event, _: Countdown) -> Answer:
        run, commands = self._run(event), asks.commands_of(event)
        stage = event.get("stage")
        if stage == "install":
            look = watching.watch_install(run, self._outside, commands)
            since = look.run.patching_since
        elif stage == "node":
            look = watching.gather(run, self._outside, commands)
            since = look.run.looking_since
        else:
            raise Invalid(f"there is no stage {str(stage)[:40]!r} of evidence", remedy="there are install and node")
        now = self._outside.clock.now()
        return answers.watched(look, elapsed=now - (since or now))

    def _judge(self, event: Event, _: Countdown) -> Answer:
        return answers.judged(watching.judge(self._run(event), self._outside))

    def _restore(self, event: Event, countdown: Countdown) -> Answer:
        run = restoring.restore(self._run(event), self._outside, countdown)
        return answers.restored(run, now=self._outside.clock.now())

    def _verify(self, event: Event, _: Countdown) -> Answer:
        run = restoring.verify(self._run(event), self._outside)
        return answers.verified(run, now=self._outside.clock.now())

    def _release(self, event: Event, _: Countdown) -> Answer:
        checkpointing.release(self._run(event), self._outside)
        return {"Done": True}

    def _report(self, event: Event, _: Countdown) -> Answer:
        execution = asks.execution_of(event)
        run = self._outside.records.load(execution)
        reason = ""
        if run is None:
            run = Run(execution=execution, node=asks.node_of(event), began_at=self._outside.clock.now())
            reason = "the run ended before its VM was described"
        # Asked only where the record cannot tell: the whole account has three such calls a second.
        began = run.phase in UNTOLD and self._outside.executions.began(execution, PATCH_STEPS)
        scan = next(iter(asks.command_ids(event, "scan")), "")
        plugin = watching.PLUGINS.get(run.platform, "")  # a document of several steps tells of each by name only
        nodes = self._outside.nodes
        scanned = bool(scan) and nodes.command(scan, run.node, plugin=plugin).state is CommandState.SUCCESS
        ended = reporting.report(run, self._outside, install_began=began, scanned=scanned, reason=reason)
        return answers.reported(ended)

    def _check(self, event: Event, _: Countdown) -> Answer:
        return answers.checked(checking.check(asks.check_ask(event), self._outside))

    def _run(self, event: Event) -> Run:
        """The event's run, if the event still speaks for it: whoever took it over has raised the fencing number."""
        run = self._outside.run_of(asks.execution_of(event))
        fence = asks.fence_of(event)
        if run.phase is Phase.OVER:
            raise Overtaken(
                f"execution {run.execution} has been concluded", remedy="nothing: moorings patch explain tells how"
            )
        if fence is not None and run.fence != fence:
            raise Overtaken(
                f"execution {run.execution} has been taken over", remedy="nothing: whoever took it over goes on with it"
            )
        return run

    def _heard(self, event: Event) -> bool:
        """Whether an error of this call would be heard; where that cannot be found out it is told as any other."""
        try:
            return self._outside.executions.listens(asks.execution_of(event))
        except MooringsError:
            return True
