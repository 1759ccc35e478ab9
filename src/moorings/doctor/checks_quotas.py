"""Findings about quotas, against the planned number of servers. Pure; sources: the services' own quota pages."""

from collections.abc import Iterator
from dataclasses import dataclass

from moorings.doctor.checks_stacks import ENROLMENT
from moorings.doctor.model import Finding, LambdaLimits, StackFacts, State, Unseen

TIER_SETTING = "/ssm/managed-instance/activation-tier"
ADAPTIVE_SETTING = "/ssm/automation/enable-adaptive-concurrency"
THROUGHPUT_SETTING = "/ssm/parameter-store/high-throughput-enabled"
AUTOMATIONS = ("ssm", "L-09101E66")  # "Concurrently executing automations"
STANDARD_NODES = 1_000
USUAL_AUTOMATIONS = 100
USUAL_ENVIRONMENTS = 1_000
FEW_ENVIRONMENTS = 100  # what a boot storm at the API's own throttle takes, 300 requests a second for a third of one
RUN_MINUTES = 45  # of one run, about: snapshot, patches, reboot, scan
LONG_FLEET_HOURS = 24
BOOT_STORM_MINUTES = 15  # the bootstrap script gives up after that
_SETTING = "aws ssm update-service-setting --setting-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the services told about quotas, and the stacks that will use them."""

    planned: int
    tier: str | Unseen
    nodes: int | Unseen
    automations: float | Unseen
    adaptive: str | Unseen
    throughput: str | Unseen
    functions: LambdaLimits | Unseen
    enrolment: StackFacts | str  # a name: the stack is not there

    @property
    def standing(self) -> StackFacts | None:
        """The enrolment stack, if it is there."""
        return self.enrolment if isinstance(self.enrolment, StackFacts) else None


def quotas(seen: Seen) -> list[Finding]:
    """All of them."""
    return [*_tier(seen), *_automations(seen), *_functions(seen), *_throttle(seen), *_throughput(seen)]


def _tier(seen: Seen) -> Iterator[Finding]:
    if isinstance(seen.tier, Unseen) or isinstance(seen.nodes, Unseen):
        why = seen.tier.why if isinstance(seen.tier, Unseen) else seen.nodes.why  # type: ignore[union-attr]
        yield _unknown(
            "hybrid-tier",
            "hybrid tier",
            why,
            "where AWS still has tiers, the standard one ends at 1,000 servers",
            f"aws ssm get-service-setting --setting-id {TIER_SETTING}",
        )
        return
    will = max(seen.planned, seen.nodes)
    what = f"{seen.tier} tier, {seen.nodes:,} managed nodes now" + (
        f", {seen.planned:,} planned" if seen.planned else ""
    )
    # More of them than it once ended at are proof that it does not end there any more.
    if seen.tier == "standard" and seen.nodes <= STANDARD_NODES < will:
        yield Finding(
            check="hybrid-tier",
            state=State.UNKNOWN,
            subject="hybrid tier",
            what=what,
            means="AWS says that the limit of 1,000 hybrid nodes an account and Region went on 2026-06-30, and no call"
            " tells whether it did here: only if servers are refused (exit code 17 of their script) is the advanced"
            " tier needed, which costs",
            command=f"{_SETTING} {TIER_SETTING} --setting-value advanced",
        )
        return
    yield Finding(check="hybrid-tier", state=State.OK, subject="hybrid tier", what=what)


def _automations(seen: Seen) -> Iterator[Finding]:
    service, quota = AUTOMATIONS
    told = isinstance(seen.automations, float | int)
    limit = seen.automations if isinstance(seen.automations, float | int) else USUAL_AUTOMATIONS
    source = "" if told else ", by AWS's default"
    adaptive = seen.adaptive == "True"
    hours = -(-seen.planned // limit) * RUN_MINUTES / 60 if seen.planned else 0
    what = f"{limit:,.0f} runs at a time{source}" + (
        f"; {seen.planned:,} servers take about {hours:,.0f} h" if hours else ""
    )
    if hours > LONG_FLEET_HOURS and not adaptive:
        yield Finding(
            check="automation-concurrency",
            state=State.ADVICE,
            subject="Automation",
            what=what,
            means="further runs wait in a queue; adaptive concurrency goes up to 500",
            command=f"{_SETTING} {ADAPTIVE_SETTING} --setting-value True",
        )
    elif not told:
        yield Finding(
            check="automation-concurrency",
            state=State.UNKNOWN,
            subject="Automation",
            what=what,
            means=f"the account's own value cannot be seen ({_why(seen.automations)}); further runs wait in a queue",
            command=f"aws service-quotas get-service-quota --service-code {service} --quota-code {quota}",
        )
    else:
        yield Finding(check="automation-concurrency", state=State.OK, subject="Automation", what=what)


def _functions(seen: Seen) -> Iterator[Finding]:
    if isinstance(seen.functions, Unseen):
        yield _unknown(
            "lambda-concurrency",
            "Lambda",
            seen.functions.why,
            "new accounts may have so few environments that a boot storm waits its turn for them",
            "aws lambda get-account-settings",
        )
        return
    what = f"{seen.functions.total:,} environments, {seen.functions.unreserved:,} of them not reserved"
    if seen.functions.unreserved < FEW_ENVIRONMENTS:
        yield Finding(
            check="lambda-concurrency",
            state=State.ADVICE,
            subject="Lambda",
            what=what,
            means="all functions of the account share them, and a boot storm waits its turn: ask for more",
            command="aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384"
            f" --desired-value {USUAL_ENVIRONMENTS}",
        )
        return
    yield Finding(check="lambda-concurrency", state=State.OK, subject="Lambda", what=what)


def _throttle(seen: Seen) -> Iterator[Finding]:
    parameters = seen.standing.parameters if seen.standing else {}
    rate = int(parameters.get("ThrottlingRateLimit", "300"))
    hourly = int(parameters.get("DefaultPoolGrantsPerHour", "2000"))
    seconds = seen.planned / rate
    what = f"{rate:,} requests a second, {hourly:,} grants an hour of the default pool"
    if seen.planned > hourly:
        yield Finding(
            check="api-throttle",
            state=State.ADVICE,
            subject="enrolment API",
            what=what,
            means=f"{seen.planned:,} servers that boot at once are turned away after {hourly:,} until the next hour;"
            f" their script gives up after {BOOT_STORM_MINUTES} minutes (a stored configuration may say otherwise)",
            command=ENROLMENT.deploy(seen.enrolment, f" --parameter DefaultPoolGrantsPerHour={seen.planned}"),
        )
        return
    storm = f"; {seen.planned:,} servers at once take {seconds:,.0f} s" if seen.planned else ""
    yield Finding(check="api-throttle", state=State.OK, subject="enrolment API", what=what + storm)


def _throughput(seen: Seen) -> Iterator[Finding]:
    command = f"{_SETTING} {THROUGHPUT_SETTING} --setting-value true"
    if isinstance(seen.throughput, Unseen):
        yield _unknown(
            "parameter-throughput",
            "Parameter Store",
            seen.throughput.why,
            "40 reads a second are shared by the account",
            f"aws ssm get-service-setting --setting-id {THROUGHPUT_SETTING}",
        )
        return
    many = min(seen.planned, USUAL_AUTOMATIONS) >= USUAL_AUTOMATIONS and seen.throughput != "true"
    yield Finding(
        check="parameter-throughput",
        state=State.ADVICE if many else State.OK,
        subject="Parameter Store",
        what="high throughput is on" if seen.throughput == "true" else "40 reads a second, 3 writes",
        means="a hundred runs at once, each reading three credentials, come near it" if many else "",
        command=command if many else "",
    )


def _why(value: object) -> str:
    return value.why if isinstance(value, Unseen) else ""


def _unknown(check: str, subject: str, why: str, means: str, command: str) -> Finding:
    return Finding(
        check=check,
        state=State.UNKNOWN,
        subject=subject,
        what="cannot be seen",
        means=f"{means} ({why})",
        command=command,
    )
