"""Findings about who asks: identity, rights, clock. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from moorings.deploy.rights import Part
from moorings.doctor.model import Caller, Finding, State, Unseen
from moorings.doctor.rights import PURPOSES, Missing

# Signatures are refused at five minutes, but tokens and attested documents are dated more strictly.
LARGEST_SKEW = timedelta(minutes=1)
_FEW = 4  # purposes that are told; the policy has them all


def identity(caller: Caller | Unseen) -> list[Finding]:
    """Who is signed in."""
    if isinstance(caller, Unseen):
        return [
            Finding(
                check="caller",
                state=State.ACT,
                subject="identity",
                what=caller.why,
                means="nothing can be deployed or looked at",
                command=_sign_in(caller.why),
            )
        ]
    if caller.is_root:
        return [
            Finding(
                check="caller",
                state=State.ADVICE,
                subject=caller.arn,
                what="signed in as the account's root",
                means="root may do everything, and nothing limits it: deploy as a role with the policies that follow",
                command="moorings policy shared",
            )
        ]
    return [Finding(check="caller", state=State.OK, subject=caller.arn, what=f"signed in to account {caller.account}")]


def _sign_in(why: str) -> str:
    """Whoever signs in by IAM Identity Center is told so by boto3; else a refusal may have other reasons than who."""
    if "credentials" not in why:
        return "aws sts get-caller-identity"
    return "aws sso login" if "sso" in why.lower() else "aws configure"


def clock(ahead: timedelta | None) -> list[Finding]:
    """This computer's clock, so much ahead of AWS's; None: AWS told no time."""
    if ahead is None:
        return [
            Finding(
                check="clock-skew",
                state=State.UNKNOWN,
                subject="clock",
                what="AWS told no time",
                means="calls are refused if this clock is five minutes off",
                command="timedatectl",
            )
        ]
    seconds = abs(ahead.total_seconds())
    if abs(ahead) <= LARGEST_SKEW:
        return [Finding(check="clock-skew", state=State.OK, subject="clock", what=f"within {seconds:.0f} s of AWS's")]
    way = "ahead of" if ahead > timedelta(0) else "behind"
    return [
        Finding(
            check="clock-skew",
            state=State.ACT,
            subject="clock",
            what=f"{seconds:.0f} s {way} AWS's",
            means="signed calls and tokens are dated: at five minutes every call is refused",
            command="sudo timedatectl set-ntp true",
        )
    ]


def role_of(arn: str) -> str:
    """The name of the role whose session this is; empty if it is none."""
    return arn.partition(":assumed-role/")[2].partition("/")[0]


def without_session(arn: str) -> str:
    """The identity behind a session, if it is a role without a path; else as it is."""
    role = role_of(arn)
    return f"{arn.partition(':assumed-role/')[0].replace(':sts:', ':iam:')}:role/{role}" if role else arn


def rights(caller: Caller, missing: Sequence[Missing] | Unseen) -> list[Finding]:
    """What is not allowed, statement by statement of the deployer's policy, every action by name."""
    if caller.is_root:
        what = "root needs no rights; policies of an organization were not looked at"
        return [Finding(check="rights", state=State.OK, subject="rights", what=what)]
    if isinstance(missing, Unseen):
        return [
            Finding(
                check="rights",
                state=State.UNKNOWN,
                subject="rights",
                what=f"cannot be seen: {missing.why}",
                means="a missing right is found out while deploying; have somebody compare it with what is needed",
                command="moorings policy shared",
            )
        ]
    if not missing:
        what = "all that deploying and removing need is allowed; policies of an organization were not looked at"
        return [Finding(check="rights", state=State.OK, subject="rights", what=what)]
    by_part: dict[Part, list[Missing]] = {}
    for each in missing:
        by_part.setdefault(each.statement.part, []).append(each)
    return [_lacking(part, some) for part, some in by_part.items()]


def _lacking(part: Part, missing: Sequence[Missing]) -> Finding:
    """One finding for each document that has to be attached."""
    actions = dict.fromkeys(action for each in missing for action in each.actions)
    purposes = [PURPOSES[each.statement.sid] for each in missing]
    told = ", to ".join(purposes[:_FEW])
    more = f", and for {len(purposes) - _FEW} more purposes" if purposes[_FEW:] else ""
    return Finding(
        check="rights",
        state=State.ACT,
        subject=f"rights ({part.value})",
        what=f"{len(actions)} of the actions that are needed {'is' if len(actions) == 1 else 'are'} not allowed",
        means=f"{', '.join(actions)}: needed to {told}{more}; attach the policy that this prints",
        command=f"moorings policy {part.value}",
    )
