"""The examination: which probes are asked for which group, in which order. Decides nothing; the checks do."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from moorings.deploy.rights import Place
from moorings.doctor import checks_account as account
from moorings.doctor import checks_credentials as credentials
from moorings.doctor import checks_network as network
from moorings.doctor import checks_quotas as quotas
from moorings.doctor import checks_stacks as stacks
from moorings.doctor import rights
from moorings.doctor.checks_stacks import ENROLMENT, PATCHING, Kind
from moorings.doctor.model import Ask, Caller, Finding, Group, Report, StackFacts, State, Unseen
from moorings.doctor.probes import Probes
from moorings.doctor.rights import Answers, Missing, Question

Told = Callable[[Group], None]
_NO_VM = "moorings-doctor-looks-for-no-vm"
_SUBSCRIPTION_PARTS = 2
_DENIED = re.compile(r"([a-z0-9]+:[A-Za-z]+) is not allowed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """What all groups need, asked once."""

    ask: Ask
    probes: Probes
    caller: Caller
    enrolment: StackFacts | Unseen | None
    patching: StackFacts | Unseen | None

    @property
    def standing(self) -> list[tuple[Kind, StackFacts]]:
        """The stacks that there are."""
        both = ((ENROLMENT, self.enrolment), (PATCHING, self.patching))
        return [(kind, stack) for kind, stack in both if isinstance(stack, StackFacts)]


def examine(ask: Ask, probes: Probes, *, on_group: Told = lambda _group: None) -> Report:
    """Everything that `ask` wants looked at. Nothing is raised for what cannot be seen: it is a finding."""
    caller = probes.caller()
    if isinstance(caller, Unseen):
        return _unreachable(ask, caller, probes)
    site = _Site(
        ask=ask, probes=probes, caller=caller, enrolment=probes.stack(ask.enrolment),
        patching=probes.stack(ask.patching),
    )  # fmt: skip
    findings: list[Finding] = []
    for group, look in _GROUPS.items():
        if group in ask.groups:
            on_group(group)
            findings += look(site)
    # Both halves may have the same topic: what is to be done about it is to be done once.
    return Report(findings=tuple(dict.fromkeys(_for(ask, _permitted(each)) for each in findings)))


def _unreachable(ask: Ask, caller: Unseen, probes: Probes) -> Report:
    """Whoever is not signed in, or does not reach AWS, sees nothing else: one finding instead of one for each check."""
    findings = account.identity(caller)
    if Group.CLOCK in ask.groups:
        findings += account.clock(probes.ahead())
    if Group.CREDENTIALS in ask.groups:
        findings += credentials.anchors(probes.anchors())
    return Report(findings=tuple(findings))


def _for(ask: Ask, finding: Finding) -> Finding:
    """A policy is bound to the names of the stacks: those that are not the usual ones have to be said."""
    if not finding.command.startswith("moorings policy "):
        return finding
    usual = Place()
    options = (
        ("--enrolment-stack", ask.enrolment, usual.enrolment),
        ("--patching-stack", ask.patching, usual.patching),
    )
    said = "".join(f" {option} {name}" for option, name, default in options if name != default)
    return replace(finding, command=finding.command + said)


def _permitted(finding: Finding) -> Finding:
    """What may not be seen is seen by whoever is given the right: a command that makes the same call would fail too."""
    denied = _DENIED.search(f"{finding.what} {finding.means}")
    if finding.state is not State.UNKNOWN or denied is None:
        return finding
    return replace(finding, command=f"moorings policy {rights.part_that_has(denied[1]).value}")


def _identity(site: _Site) -> list[Finding]:
    return account.identity(site.caller)


def _rights(site: _Site) -> list[Finding]:
    if site.caller.is_root:
        return account.rights(site.caller, ())
    return account.rights(site.caller, _missing(site, site.caller))


def _missing(site: _Site, caller: Caller) -> list[Missing] | Unseen:
    """On any resource first; what is denied there may still be allowed on just what will be made."""
    who, place = _simulated_as(site, caller), _place(site, caller)
    wide: dict[Question, Answers] = {}
    for question in rights.anywhere(place):
        found = site.probes.simulated(who, question)
        if isinstance(found, Unseen):
            return found
        wide[question] = found
    missing = []
    for statement in rights.asked(place):
        if not (actions := rights.denied_anywhere(statement, wide)):
            continue
        question = rights.narrowly(statement, actions)
        found = site.probes.simulated(who, question)
        if isinstance(found, Unseen):
            return found
        if denied := rights.denied_there(question, found):
            missing.append(Missing(statement=statement, actions=denied))
    return missing


def _simulated_as(site: _Site, caller: Caller) -> str:
    """The identity that policies hang on: of a role's session the role, as IAM simulates no sessions.

    A session's ARN does not tell the role's path, which those of IAM Identity Center have; IAM does.
    """
    role = account.role_of(caller.arn)
    found = site.probes.role(role) if role else ""
    return found if isinstance(found, str) and found else account.without_session(caller.arn)


def _place(site: _Site, caller: Caller) -> Place:
    """Where deploying needs its rights: names that stand are taken from the stacks, the others are the default ones."""
    given = Place(
        partition=caller.arn.split(":")[1],
        account=caller.account,
        region=site.ask.region,
        enrolment=site.ask.enrolment,
        patching=site.ask.patching,
    )
    parameters = site.patching.parameters if isinstance(site.patching, StackFacts) else {}
    return replace(
        given,
        runbook=parameters.get("DocumentName") or given.runbook,
        credentials=parameters.get("CredentialPrefix") or given.credentials,
        bucket=next((stack.parameters.get("ArtifactBucket", "") for _, stack in site.standing), ""),
    )


def _clock(site: _Site) -> list[Finding]:
    return account.clock(site.probes.ahead())


def _quotas(site: _Site) -> list[Finding]:
    probes = site.probes
    seen = quotas.Seen(
        planned=site.ask.nodes,
        tier=probes.service_setting(quotas.TIER_SETTING),
        nodes=probes.managed_nodes(),
        automations=probes.quota(*quotas.AUTOMATIONS),
        adaptive=probes.service_setting(quotas.ADAPTIVE_SETTING),
        throughput=probes.service_setting(quotas.THROUGHPUT_SETTING),
        functions=probes.lambda_limits(),
        enrolment=site.enrolment if isinstance(site.enrolment, StackFacts) else site.ask.enrolment,
    )
    return quotas.quotas(seen)


def _network(site: _Site) -> list[Finding]:
    stack, probes = site.enrolment, site.probes
    found: list[Finding] = []
    vpc = site.ask.vpc
    if isinstance(stack, StackFacts):
        endpoint = probes.endpoint(stack.parameters.get("VpcEndpointForApiGateway", ""))
        found += network.endpoint(stack, endpoint, region=site.ask.region)
        vpc = vpc or (endpoint.vpc if endpoint and not isinstance(endpoint, Unseen) else "")
    if vpc:
        found += network.vpc_dns(probes.vpc(vpc))
    if isinstance(stack, StackFacts) and (host := network.host_of(stack)):
        addresses = probes.addresses(host)
        connects = bool(addresses) and probes.connects(host)
        found += network.reachability(stack, network.Reached(host=host, addresses=addresses, connects=connects))
    return found


def _stacks(site: _Site) -> list[Finding]:
    return [
        *stacks.status(ENROLMENT, site.ask.enrolment, site.enrolment),
        *stacks.status(PATCHING, site.ask.patching, site.patching),
        *_runbook(site),
    ]


def _runbook(site: _Site) -> list[Finding]:
    if not isinstance(site.patching, StackFacts):
        return []
    name = stacks.physical(site.patching, stacks.RUNBOOK)
    return [stacks.runbook(site.patching, name, site.probes.runbook(name))] if name else []


def _functions(site: _Site) -> list[Finding]:
    found: list[Finding] = []
    for kind, stack in site.standing:
        for each in stack.resources:
            if each.type == stacks.FUNCTION and each.physical:
                found += stacks.function(kind, stack, each, site.probes.function(each.physical))
        rule = stacks.physical(stack, stacks.KEEPER_SCHEDULE)
        log = stack.outputs.get("KeeperFunctionLogGroup") or stack.outputs.get("KeeperLogGroup", "")
        if log:
            found += stacks.keeper(
                kind, stack, schedule=site.probes.schedule_on(rule) if rule else None,
                logged=site.probes.last_logged(log), now=site.probes.now(),
            )  # fmt: skip
    return found


def _alarms(site: _Site) -> list[Finding]:
    found: list[Finding] = []
    for kind, stack in site.standing:
        names = [each.physical for each in stack.resources if each.type == stacks.ALARM and each.physical]
        found += stacks.alarms(kind, stack, site.probes.alarms(names))
        topics = (stack.parameters.get("AlarmTopicArn", ""), stack.outputs.get("OutcomeTopicArn", ""))
        told = {topic: site.probes.subscriptions(topic) for topic in dict.fromkeys(topics) if topic}
        found += stacks.heard(kind, stack, told)
    return found


def _credentials(site: _Site) -> list[Finding]:
    probes, stack = site.probes, site.patching
    found = credentials.anchors(probes.anchors())
    if not isinstance(stack, StackFacts):
        return found
    federated = bool(stack.parameters.get("FederationClientId"))
    names = [] if federated else list(filter(None, stack.outputs.get("AzureCredentialParameters", "").split(",")))
    stored = {name: probes.parameter(name) for name in names}
    found += credentials.parameters(stack, stored, federated=federated, now=probes.now())
    issues = probes.issues_identities() if federated else False
    found += credentials.federation(stack, issues, federated=federated)
    function = stack.outputs.get("AzureLambdaFunctionName", "")
    # Asked only if there is something to sign in with: the answer would be what is known already.
    able = issues is not False if federated else bool(stored) and None not in stored.values()
    event = _check_event(stack, names)
    answer = probes.asked(function, event) if able and function else None
    return [*found, *credentials.sign_in(stack, answer, function, now=probes.now())]


def _check_event(stack: StackFacts, names: list[str]) -> Mapping[str, object]:
    """A check of a VM that cannot be: the function signs in, finds no such VM, and changes nothing."""
    scope = stack.parameters.get("AllowedScopes", "").split(",")[0].strip("/").split("/")
    subscription = scope[1] if len(scope) >= _SUBSCRIPTION_PARTS else str(UUID(int=0))
    place = f"/subscriptions/{subscription}/resourceGroups/{_NO_VM}"
    event: dict[str, object] = {
        "call": "check", "vm": f"{place}/providers/Microsoft.Compute/virtualMachines/{_NO_VM}", "node": "",
        "snapshotDataDisks": False,
    }  # fmt: skip
    return event | dict(zip(("tenantid", "clientid", "clientsecret"), names, strict=False))


def _artifacts(site: _Site) -> list[Finding]:
    given = [stack.parameters.get("ArtifactBucket", "") for _, stack in site.standing]
    own = f"moorings-artifacts-{site.caller.account}-{site.ask.region}"
    names = list(filter(None, dict.fromkeys(given))) or [own]
    return [each for name in names for each in credentials.bucket(name, site.probes.bucket(name))]


_GROUPS: Mapping[Group, Callable[[_Site], list[Finding]]] = {
    Group.IDENTITY: _identity,
    Group.RIGHTS: _rights,
    Group.CLOCK: _clock,
    Group.QUOTAS: _quotas,
    Group.NETWORK: _network,
    Group.STACKS: _stacks,
    Group.FUNCTIONS: _functions,
    Group.ALARMS: _alarms,
    Group.CREDENTIALS: _credentials,
    Group.ARTIFACTS: _artifacts,
}
