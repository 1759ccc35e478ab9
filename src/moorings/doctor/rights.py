"""What is asked about the rights of whoever deploys: the statements of `deployer-policy.json`, and what each is for.

There is no list of actions here: the policy that is handed out is the one that is asked about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorings.deploy.rights import Part, Place, Statement, statements

# Sid of a statement → what it is needed for.
PURPOSES: Mapping[str, str] = {
    "Stacks": "plan, make, change and remove the stacks",
    "PatchingInclude": "include the runbook in the patching stack",
    "Bucket": "make, check and remove the bucket of the zips",
    "Artifacts": "store, fetch and remove the zips",
    "Functions": "make the functions",
    "PatchingLayer": "make the layer with Azure's modules",
    "Roles": "make the roles",
    "FunctionRoles": "give functions their roles",
    "EnrolmentLoggingRole": "give API Gateway its logging role",
    "EnrolmentRolePolicies": "attach AWS's policies to the nodes' role and to the logging role",
    "PatchingRolePolicies": "attach the stack's own policy to the functions' roles",
    "PatchingPolicy": "make the policy that function and keeper share",
    "Tables": "make the tables",
    "EnrolmentConfiguration": "read and store the configuration",
    "PatchingRestores": "see whether a VM is being put back, before removing",
    "Logs": "make the logs",
    "EnrolmentExecutionLog": "make the API's execution log",
    "AllLogs": "look the logs up",
    "AllAlarms": "look the alarms up",
    "Alarms": "make the alarms",
    "Dashboards": "make the dashboards",
    "Rules": "make the schedules and the rule of outcomes",
    "Keys": "look after the keys of activation codes and of the topic",
    "NewKeys": "make these keys",
    "PatchingTopic": "make the topic of outcomes",
    "PatchingRunbook": "make the runbook",
    "PatchingRunbookName": "see whether the runbook's name is taken, and which version of it is started",
    "EnrolmentApi": "make the private API",
    "EnrolmentApis": "look at APIs and at the account's logging role",
    "EnrolmentEndpoint": "make the VPC endpoint",
    "EnrolmentEndpointNames": "give the VPC endpoint private DNS names",
    "EnrolmentNetwork": "look the network up while the endpoint is made",
    "EnrolmentNetworkState": "look at the VPC and its endpoint",
    "EnrolmentActivations": "sweep activations and find their codes",
    "EnrolmentCodes": "sweep the codes of activations",
    "PatchingRuns": "see whether runs are going on, before removing",
    "DoctorAccount": "look at nodes and quotas",
    "DoctorSettings": "look at settings of Systems Manager",
    "DoctorFunctions": "look at the functions",
    "DoctorLogs": "look when the keepers last ran",
    "DoctorRules": "look at the schedules",
    "DoctorTopics": "see who is told by the topics",
    "DoctorRights": "ask about these rights",
    "DoctorFederation": "see whether the account issues web identities",
    "DoctorSignIn": "have the function sign in to Azure",
    "DoctorCredentials": "see whether credentials for Azure are stored, and when a certificate ends",
}
# What may be missing without a deployment failing; the doctor's other checks then say what they cannot see.
_DEPLOYING = (Part.SHARED, Part.ENROLMENT, Part.PATCHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Actions on resources under conditions, as they are simulated."""

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    context: tuple[tuple[str, tuple[str, ...]], ...] = ()  # key → values that a request would bring along


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What one statement asks for and is not allowed."""

    statement: Statement
    actions: tuple[str, ...]


Answers = Mapping[tuple[str, str], bool]  # action and resource → whether it is allowed


def asked(place: Place) -> tuple[Statement, ...]:
    """The statements that deploying and removing need."""
    return statements(place, parts=_DEPLOYING)


def part_that_has(action: str) -> Part:
    """The document that allows what the doctor could not call; his own if none says so by that name."""
    held = [each.part for each in statements(Place()) if action in each.actions]
    return held[0] if held and Part.DOCTOR not in held else Part.DOCTOR


def anywhere(place: Place) -> tuple[Question, ...]:
    """All actions on any resource, in few calls: enough for whoever is allowed much."""
    wide = [each for each in asked(place) if not each.conditions.keys() - {"ForAnyValue:StringEquals"}]
    grouped: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}
    for each in wide:
        grouped.setdefault(_context(each), []).extend(each.actions)
    return tuple(Question(actions=tuple(dict.fromkeys(some)), context=key) for key, some in grouped.items())


def narrowly(statement: Statement, actions: Sequence[str]) -> Question:
    """Some of a statement's actions, on resources such as the stacks will make."""
    resources = tuple(each.replace("*", "1") if each != "*" else each for each in statement.resources)
    return Question(actions=tuple(actions), resources=resources, context=_context(statement))


def denied_anywhere(statement: Statement, answers: Mapping[Question, Answers]) -> tuple[str, ...]:
    """Those of a statement's actions that are not allowed on any resource whatever, or were not asked about so."""
    context = _context(statement)
    open_to = {
        action
        for question, found in answers.items()
        if question.context == context
        for (action, _), allowed in found.items()
        if allowed
    }
    return tuple(action for action in statement.actions if action not in open_to)


def denied_there(question: Question, found: Answers) -> tuple[str, ...]:
    """Those of the actions that are not allowed on all resources of any one kind: an action knows but one kind."""
    kinds: dict[str, list[str]] = {}
    for each in question.resources:
        kinds.setdefault(_kind(each), []).append(each)
    return tuple(
        action
        for action in question.actions
        if not any(all(found.get((action, each), False) for each in some) for some in kinds.values())
    )


def _context(statement: Statement) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a request would bring along that fits the statement's conditions: of several values one."""
    return tuple(
        (key, tuple(value.replace("*", "1") for value in values[:1]))
        for tests in statement.conditions.values()
        for key, values in tests.items()
    )


def _kind(resource: str) -> str:
    """What an ARN is of: `function`, `security-group`, `/restapis`; the bucket for what lies in one."""
    name = resource.split(":", 5)[-1]
    head = "/" if name.startswith("/") else ""
    return head + name.removeprefix("/").replace(":", "/").partition("/")[0]
