"""Findings about what a stack made: its status, its functions as the template has them, keepers, alarms. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote

from moorings.deploy.templates import resources
from moorings.doctor.model import Alarm, Finding, Function, Resource, Runbook, StackFacts, State, Subscriptions, Unseen

WELL = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
NEVER_STOOD = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})
FUNCTION, ALARM, RULE = "AWS::Lambda::Function", "AWS::CloudWatch::Alarm", "AWS::Events::Rule"
KEEPER_SCHEDULE = "KeeperSchedule"
RUNBOOK = "Runbook"
# A keeper that runs every minute or every five: three times missed is more than a slow start.
LONGEST_SILENCE = timedelta(minutes=30)
_OPTIONS = {"Runtime": "--runtime", "Handler": "--handler", "Timeout": "--timeout", "MemorySize": "--memory-size"}
_KEPT = "CloudFormation leaves it so until the same property changes in the template"
_GONE = "CloudFormation does not make it again by itself: this shows how it has to be"
_SETTING = re.compile(r"^      (Runtime|Handler|Timeout|MemorySize): (?:!Ref )?([\w.]+)", re.MULTILINE)
_VARIABLE = re.compile(r"^          ([A-Z][A-Z0-9_]+):", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of stack, in the words of the command line."""

    noun: str  # "enrolment", "patch"
    word: str
    first: str  # what its first deployment has to be told

    def deploy(self, stack: StackFacts | str, more: str = "", *, endpoint: str = "") -> str:
        """The command that deploys it again, or, given a name alone, for the first time; `endpoint`: by another one."""
        if isinstance(stack, str):
            return f"moorings {self.noun} deploy --stack-name {stack} {self.first}{more}"
        # Whatever else it was deployed with it keeps; the way in has to be said each time.
        way_in = ""
        if endpoint := endpoint or stack.parameters.get("VpcEndpointForApiGateway", ""):
            no = "" if stack.parameters.get("AllowNetworkProof") == "yes" else "no-"
            way_in = f" --vpc-endpoint {endpoint} --{no}allow-network-proof"
        return f"moorings {self.noun} deploy --stack-name {stack.name}{way_in}{more}"

    def deploy_anew(self, stack: StackFacts) -> str:
        """The same where nothing is kept, as the creation failed: scopes have to be said once more."""
        scopes = filter(None, stack.parameters.get("AllowedScopes", "").split(","))
        return self.deploy(stack, "".join(f" --scope {quote(scope)}" for scope in scopes))


ENROLMENT = Kind(
    noun="enrolment", word="enrolment", first="--vpc VPC --subnet SUBNET --cidr CIDR --allow-network-proof"
)
PATCHING = Kind(noun="patch", word="patching", first="--scope /subscriptions/ID")


def status(kind: Kind, name: str, stack: StackFacts | Unseen | None) -> list[Finding]:
    """Whether the stack stands."""
    if isinstance(stack, Unseen):
        return [
            _stack(
                State.UNKNOWN,
                name,
                f"cannot be seen: {stack.why}",
                "nothing of it can be judged",
                f"aws cloudformation describe-stacks --stack-name {name}",
            )
        ]
    if stack is None:
        means = f"{kind.word} is not deployed; what it needs is looked at all the same"
        return [_stack(State.ADVICE, name, "is not there", means, kind.deploy(name))]
    if stack.status.endswith("_IN_PROGRESS"):
        means = "it is being changed: look again once it has settled"
        command = f"aws cloudformation describe-stack-events --stack-name {name}"
        return [_stack(State.UNKNOWN, name, f"is {stack.status}", means, command)]
    failed = [each for each in stack.resources if each.status.endswith("_FAILED")]
    if stack.status not in WELL or failed:
        named = f"; {', '.join(each.logical for each in failed)} failed" if failed else ""
        means, command = _remedy(kind, stack)
        return [_stack(State.ACT, name, f"is {stack.status}{named}", means, command)]
    return [_stack(State.OK, name, f"is {stack.status}; resources: {len(stack.resources)}")]


def _remedy(kind: Kind, stack: StackFacts) -> tuple[str, str]:
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        command = f"aws cloudformation continue-update-rollback --stack-name {stack.name}"
        return "it stands between two versions, and nothing can be deployed", command
    if stack.status == "UPDATE_ROLLBACK_COMPLETE":
        return "the last update failed and was taken back: what was there before works on", kind.deploy(stack)
    if stack.status == "UPDATE_FAILED":
        command = f"aws cloudformation rollback-stack --stack-name {stack.name}"
        return "the last update failed and was not taken back: it stands between two versions", command
    if stack.status == "DELETE_FAILED":
        return "it is half deleted", f"moorings {kind.noun} remove --stack-name {stack.name}"
    if stack.status in NEVER_STOOD:
        return "its creation failed; deploying removes what is left and begins again", kind.deploy_anew(stack)
    command = f"aws cloudformation describe-stack-events --stack-name {stack.name}"
    return "what failed was left as it is, and the events tell why", command


def runbook(stack: StackFacts, name: str, found: Runbook | Unseen | None) -> Finding:
    """Whether the version that is started is the deployed one.

    CloudFormation should see to it; a report says that it did not, and that the update counted as done all the same.
    Source: aws-cloudformation/cloudformation-coverage-roadmap, issue 2539.
    """
    if isinstance(found, Unseen):
        what, means = f"cannot be seen: {found.why}", "which version of it is started is not known"
        return _of_runbook(State.UNKNOWN, name, what, means, f"aws ssm describe-document --name {name}")
    if found is None:
        return _of_runbook(State.ACT, name, "is gone", f"no run can be started, and {_GONE}", shown(stack, RUNBOOK))
    if found.default == found.newest:
        return _of_runbook(State.OK, name, f"version {found.newest} is the newest, and is started")
    what = f"version {found.default} is started, the newest is {found.newest}"
    means = "runs go as before the last update, unless somebody wants just that"
    command = f"aws ssm update-document-default-version --name {name} --document-version {found.newest}"
    return _of_runbook(State.ACT, name, what, means, command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A function as the template has it. Only what stands there as a value or a parameter is compared."""

    settings: Mapping[str, str]
    variables: frozenset[str]


def wanted(stack: StackFacts, logical: str) -> Wanted:
    """The function `logical` of the deployed template, with the stack's parameters filled in."""
    text = resources(stack.template).get(logical, "")
    settings = {name: stack.parameters.get(value, value) for name, value in _SETTING.findall(text)}
    return Wanted(settings=settings, variables=frozenset(_VARIABLE.findall(text)))


def function(kind: Kind, stack: StackFacts, resource: Resource, found: Function | Unseen | None) -> list[Finding]:
    """One function: there, active, as the template has it."""
    subject, command = resource.physical, f"aws lambda get-function-configuration --function-name {resource.physical}"
    if isinstance(found, Unseen):
        means = "whether it is as deployed is not known"
        return [_function("function-drift", State.UNKNOWN, subject, f"cannot be seen: {found.why}", means, command)]
    if found is None:
        means = "somebody deleted it, and CloudFormation does not make it again: remove the stack and deploy it anew"
        means += ", after which the API has another URL" if kind is ENROLMENT else ""
        remove = f"moorings {kind.noun} remove --stack-name {stack.name}"
        return [_function("function-state", State.ACT, subject, "is gone", means, remove)]
    findings = []
    if found.state not in ("", "Active", "Inactive") or found.last_update not in ("", "Successful"):
        what = f"state {found.state}, last update {found.last_update} {found.reason}".rstrip()
        means = "it may run old code, or none"
        findings.append(_function("function-state", State.ACT, subject, what, means, command))
    else:
        findings.append(_function("function-state", State.OK, subject, "is active"))
    return [*findings, *_drift(kind, stack, resource, found)]


def _drift(kind: Kind, stack: StackFacts, resource: Resource, found: Function) -> list[Finding]:
    expected = wanted(stack, resource.logical)
    settings = {name: value for name, value in expected.settings.items() if found.settings.get(name, "") != value}
    differing = [
        f"{name} is {found.settings.get(name, 'not set')}, deployed was {value}" for name, value in settings.items()
    ]
    told = {
        "added": found.variables - expected.variables,
        "missing": expected.variables - found.variables,
    }
    variables = [f"variables {word}: {', '.join(sorted(names))}" for word, names in told.items() if names]
    if expected.variables and variables:
        means = f"somebody changed it by hand, and {_KEPT}: this shows how it has to be"
        what, command = "; ".join([*differing, *variables]), shown(stack, resource.logical)
    elif differing:
        means, what = f"somebody changed it by hand, and {_KEPT}", "; ".join(differing)
        options = "".join(f" {_OPTIONS[name]} {value}" for name, value in settings.items())
        command = f"aws lambda update-function-configuration --function-name {resource.physical}{options}"
    else:
        return [_function("function-drift", State.OK, resource.physical, "is configured as the template has it")]
    return [_function("function-drift", State.ACT, resource.physical, what, means, command)]


def shown(stack: StackFacts, logical: str) -> str:
    """The command that shows how a resource has to be, and what of that it is not."""
    return f"aws cloudformation detect-stack-resource-drift --stack-name {stack.name} --logical-resource-id {logical}"


def logged_since(group: str, since: datetime) -> str:
    """The command that shows a log; in words that every version of the AWS CLI and every shell knows."""
    start = int(since.timestamp() * 1_000)
    return (
        f"aws logs filter-log-events --log-group-name {group} --start-time {start}"
        " --query 'events[].[message]' --output text"
    )


def keeper(
    kind: Kind, stack: StackFacts, *, schedule: bool | Unseen | None, logged: datetime | Unseen | None, now: datetime
) -> list[Finding]:
    """Whether the keeper is called, and when it last worked."""
    rule = physical(stack, KEEPER_SCHEDULE)
    log = stack.outputs.get("KeeperFunctionLogGroup") or stack.outputs.get("KeeperLogGroup", "")
    return [_schedule(kind, stack, rule, schedule), _runs(log, logged, now)]


def _schedule(kind: Kind, stack: StackFacts, rule: str, schedule: bool | Unseen | None) -> Finding:
    if schedule is True:
        return _of_schedule(State.OK, rule, "is enabled")
    if schedule is False:
        means = f"{kind.word}'s keeper is not called: nothing is rotated, continued or cleaned up"
        return _of_schedule(State.ACT, rule, "is disabled", means, f"aws events enable-rule --name {rule}")
    means = "without it the keeper is not called"
    if schedule is None:
        means += f", and {_GONE}"
        return _of_schedule(State.ACT, rule or "keeper", "is gone", means, shown(stack, KEEPER_SCHEDULE))
    what, command = f"cannot be seen: {schedule.why}", f"aws events describe-rule --name {rule}"
    return _of_schedule(State.UNKNOWN, rule, what, means, command)


def _runs(log: str, logged: datetime | Unseen | None, now: datetime) -> Finding:
    command = logged_since(log, now - timedelta(hours=1))
    if isinstance(logged, Unseen):
        what, means = f"cannot be seen: {logged.why}", "when the keeper last worked is not known"
        return Finding(check="keeper-runs", state=State.UNKNOWN, subject=log, what=what, means=means, command=command)
    if logged is None:
        means = "right after deploying that is well; later it means that the keeper is not called, or cannot start"
        return Finding(
            check="keeper-runs", state=State.ADVICE, subject=log, what="holds nothing yet", means=means, command=command
        )
    age = now - logged
    minutes = int(age.total_seconds() // 60)
    what = f"last entry {minutes} min ago" if minutes > 0 else "last entry less than a minute ago"
    if age > LONGEST_SILENCE:
        return Finding(
            check="keeper-runs",
            state=State.ACT,
            subject=log,
            what=what,
            means="it is due every few minutes: it is not called, or cannot start",
            command=command,
        )
    return Finding(check="keeper-runs", state=State.OK, subject=log, what=what)


def alarms(kind: Kind, stack: StackFacts, found: Mapping[str, Alarm] | Unseen) -> list[Finding]:
    """Alarms that are gone, off, or in ALARM."""
    made = [each for each in stack.resources if each.type == ALARM]
    if isinstance(found, Unseen):
        command = "aws cloudwatch describe-alarms"
        what, means = f"cannot be seen: {found.why}", "whether anything is wrong now is not known"
        return [_alarm("alarms-there", State.UNKNOWN, stack.name, what, means, command)]
    findings = []
    for each in made:
        alarm = found.get(each.physical)
        if alarm is None:
            means, command = f"what it watches goes unnoticed, and {_GONE}", shown(stack, each.logical)
            findings.append(_alarm("alarms-there", State.ACT, each.logical, "was deleted by hand", means, command))
            continue
        if not alarm.actions_enabled:
            command = f"aws cloudwatch enable-alarm-actions --alarm-names {alarm.name}"
            findings.append(
                _alarm("alarms-there", State.ACT, each.logical, "tells nobody", "its actions are off", command)
            )
        if alarm.state == "ALARM":
            means = f"what to do about it: docs/alarms.md, {each.logical} ({kind.word})"
            command = f"aws cloudwatch describe-alarm-history --alarm-name {alarm.name}"
            findings.append(
                _alarm("alarms-quiet", State.ACT, each.logical, f"in ALARM: {alarm.reason}", means, command)
            )
    if not findings:
        findings.append(_alarm("alarms-there", State.OK, stack.name, f"{len(made)} alarms, none of them in ALARM"))
    return findings


def heard(kind: Kind, stack: StackFacts, topics: Mapping[str, Subscriptions | Unseen]) -> list[Finding]:
    """Whether anybody is told. `topics`: those of alarms and of outcomes, as far as the stack has them."""
    findings = []
    if not stack.parameters.get("AlarmTopicArn"):
        command = kind.deploy(stack, " --parameter AlarmTopicArn=TOPIC_ARN")
        means = "alarms show in CloudWatch and nowhere else"
        findings.append(_alarm("alarms-heard", State.ADVICE, stack.name, "its alarms have no topic", means, command))
    for topic, told in topics.items():
        command = f"aws sns list-subscriptions-by-topic --topic-arn {topic}"
        if isinstance(told, Unseen):
            means = "whether anybody is told is not known"
            findings.append(_alarm("alarms-heard", State.UNKNOWN, topic, f"cannot be seen: {told.why}", means, command))
        elif not told.confirmed:
            what = (
                f"has no confirmed subscription ({told.pending} wait for their confirmation)"
                if told.pending
                else ("has no subscription")
            )
            command = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ADDRESS"
            findings.append(_alarm("alarms-heard", State.ACT, topic, what, "nobody is told", command))
        else:
            findings.append(_alarm("alarms-heard", State.OK, topic, f"confirmed subscriptions: {told.confirmed}"))
    return findings


def physical(stack: StackFacts, logical: str) -> str:
    """The physical id of a resource; empty if the stack has none of that name."""
    return next((each.physical for each in stack.resources if each.logical == logical), "")


def _stack(state: State, subject: str, what: str, means: str = "", command: str = "") -> Finding:
    return Finding(check="stack-status", state=state, subject=subject, what=what, means=means, command=command)


def _of_runbook(state: State, subject: str, what: str, means: str = "", command: str = "") -> Finding:
    return Finding(check="runbook-version", state=state, subject=subject, what=what, means=means, command=command)


def _of_schedule(state: State, subject: str, what: str, means: str = "", command: str = "") -> Finding:
    return Finding(check="keeper-schedule", state=state, subject=subject, what=what, means=means, command=command)


def _function(check: str, state: State, subject: str, *told: str) -> Finding:
    """`told`: what was found, what it means, the command; the first alone if all is well."""
    what, means, command = told if len(told) > 1 else (*told, "", "")
    return Finding(check=check, state=state, subject=subject, what=what, means=means, command=command)


def _alarm(check: str, state: State, subject: str, *told: str) -> Finding:
    """`told`: what was found, what it means, the command; the first alone if all is well."""
    what, means, command = told if len(told) > 1 else (*told, "", "")
    return Finding(check=check, state=state, subject=subject, what=what, means=means, command=command)
