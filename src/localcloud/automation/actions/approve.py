"""`aws:approve`: until enough of the named approvers have approved, or one has rejected."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from localcloud.automation.actions.own import Immediate
from localcloud.automation.actions.protocol import ActionFailed, FailureStage, Finished, Held, StepCall, Turn
from localcloud.automation.errors import SignalRefused
from localcloud.automation.signals import Message, Signal, SignalType, Told

MAX_APPROVERS = 10
MAX_MESSAGE = 4096
_WORDS = {SignalType.APPROVE: "Approved", SignalType.REJECT: "Rejected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    approver: str
    word: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vote:
    approvers: tuple[str, ...]
    needed: int
    decisions: tuple[_Decision, ...] = ()

    def outputs(self, word: str) -> dict[str, Any]:
        decided = [{"Approver": one.approver, "Decision": one.word, "Comment": one.comment} for one in self.decisions]
        return {"ApprovalStatus": word, "ApproverDecisions": decided}


class Approve(Immediate):
    """Waits for people. The operator decides in the place of the next approver who has not decided yet."""

    name = "aws:approve"
    inline = False  # it may publish to a topic first
    blocks = True
    default_timeout = timedelta(days=7)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Approvers, how many are needed, the message's length."""
        approvers = inputs.get("Approvers")
        if not isinstance(approvers, list) or not 1 <= len(approvers) <= MAX_APPROVERS:
            raise _invalid(f"Approvers must be a list of 1 to {MAX_APPROVERS} users or roles.")
        try:
            needed = int(inputs.get("MinRequiredApprovals", 1))
        except (TypeError, ValueError) as error:
            raise _invalid("MinRequiredApprovals must be a number.") from error
        if not 1 <= needed <= len(approvers):
            raise _invalid("MinRequiredApprovals must be between 1 and the number of approvers.")
        if len(str(inputs.get("Message", ""))) > MAX_MESSAGE:
            raise _invalid(f"Message must have at most {MAX_MESSAGE} characters.")

    def begin(self, call: StepCall) -> Turn:
        """Tell the topic, if there is one, and wait."""
        topic = call.inputs.get("NotificationArn")
        if topic:
            text = str(call.inputs.get("Message", "")) or f"Step {call.step.name} waits for your approval."
            call.surroundings.client("sns").publish(
                TopicArn=topic,
                Subject="Approval request",
                Message=f"{text}\nAutomation execution: {call.surroundings.execution_id}",
            )
        vote = _Vote(
            approvers=tuple(str(one) for one in call.inputs["Approvers"]),
            needed=int(call.inputs.get("MinRequiredApprovals", 1)),
        )
        return Held(state=vote, waiting=True, outputs=vote.outputs("Waiting"))

    def tell(self, call: StepCall, state: Any, message: Message) -> Turn:
        """Count one decision; one rejection is enough."""
        if not isinstance(message, Told) or message.signal.type not in _WORDS:
            raise SignalRefused(f"Step {call.step.name} waits for Approve or Reject only.")
        vote: _Vote = state
        signal = message.signal
        word = _WORDS[signal.type]
        decision = _Decision(approver=_approver(vote, signal), word=word, comment=signal.comment)
        vote = replace(vote, decisions=(*vote.decisions, decision))
        if signal.type is SignalType.REJECT:
            raise ActionFailed(f"Step {call.step.name} was rejected.", outputs=vote.outputs(word))
        if len(vote.decisions) < vote.needed:
            return Held(state=vote, waiting=True, outputs=vote.outputs("Waiting"))
        return Finished(outputs=vote.outputs(word))


def _approver(vote: _Vote, signal: Signal) -> str:
    decided = {one.approver for one in vote.decisions}
    open_ones = [one for one in vote.approvers if one not in decided]
    if signal.sender_may_all:
        return open_ones[0]
    mine = [one for one in open_ones if _is(one, signal.sender_arn)]
    if not mine:
        raise SignalRefused(f"{signal.sender_arn} is not an approver of this step, or has decided already.")
    return mine[0]


def _is(approver: str, arn: str) -> bool:
    """Whether an approver (user name, user, role or assumed-role ARN) is who has this ARN."""
    if approver == arn:
        return True
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    if not approver.startswith("arn:"):
        return kind == "user" and rest.rsplit("/", 1)[-1] == approver
    role = approver.rpartition(":")[2]
    return kind == "assumed-role" and role.startswith("role/") and role.rsplit("/", 1)[-1] == rest.split("/", 1)[0]


def _invalid(message: str) -> ActionFailed:
    return ActionFailed(message, stage=FailureStage.INPUT_VALIDATION)
