"""Findings about the way to the private API: VPC, endpoint, DNS, reachability. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from moorings.doctor.checks_stacks import ENROLMENT
from moorings.doctor.model import Endpoint, Finding, StackFacts, State, Unseen, Vpc

_AVAILABLE = "available"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The API's host as this computer sees it."""

    host: str
    addresses: Sequence[str]
    connects: bool


def vpc_dns(vpc: Vpc | Unseen) -> list[Finding]:
    """The two attributes without which private DNS names do not work."""
    if isinstance(vpc, Unseen):
        return [
            Finding(
                check="vpc-dns", state=State.UNKNOWN, subject="VPC", what=f"cannot be seen: {vpc.why}",
                means="an endpoint with private DNS names needs both DNS attributes", command="aws ec2 describe-vpcs",
            )
        ]  # fmt: skip
    wanted = {
        "enableDnsSupport": (vpc.dns_support, "--enable-dns-support"),
        "enableDnsHostnames": (vpc.dns_hostnames, "--enable-dns-hostnames"),
    }
    off = [
        Finding(
            check="vpc-dns", state=State.ACT, subject=vpc.id, what=f"{name} is off",
            means="the endpoint's private DNS names do not resolve, and an endpoint that has them cannot be made",
            command=f"aws ec2 modify-vpc-attribute --vpc-id {vpc.id} {option}",
        )
        for name, (on, option) in wanted.items()
        if not on
    ]  # fmt: skip
    well = f"{' and '.join(wanted)} are on"
    return off or [Finding(check="vpc-dns", state=State.OK, subject=vpc.id, what=well)]


def endpoint(stack: StackFacts, found: Endpoint | Unseen | None, *, region: str) -> list[Finding]:
    """The endpoint that the stack's API admits."""
    wanted = stack.parameters.get("VpcEndpointForApiGateway", "")
    if isinstance(found, Unseen):
        return [
            _endpoint(State.UNKNOWN, wanted, f"cannot be seen: {found.why}", "every request comes through it",
                      f"aws ec2 describe-vpc-endpoints --vpc-endpoint-ids {wanted}")
        ]  # fmt: skip
    if found is None:
        return [
            _endpoint(State.ACT, wanted, "is gone", "the API denies every other way in: no server can enrol",
                      ENROLMENT.deploy(stack, endpoint="VPCE"))
        ]  # fmt: skip
    look = f"aws ec2 describe-vpc-endpoints --vpc-endpoint-ids {wanted}"
    if found.service != f"com.amazonaws.{region}.execute-api" and not found.service.endswith(".execute-api"):
        return [_endpoint(State.ACT, wanted, f"is for {found.service}", "it must be for execute-api", look)]
    if found.state.lower() != _AVAILABLE:
        return [_endpoint(State.ACT, wanted, f"is {found.state}", "no request passes while it is not available", look)]
    private = stack.parameters.get("InvokeUrlStyle", "private-dns") == "private-dns"
    if private and not found.private_dns:
        return [
            _endpoint(State.ACT, wanted, "has no private DNS names, which the API's URL uses",
                      "the URL leads to the internet and is refused there",
                      ENROLMENT.deploy(stack, " --parameter InvokeUrlStyle=endpoint-host"))
        ]  # fmt: skip
    return [_endpoint(State.OK, wanted, "is available" + (", with private DNS names" if found.private_dns else ""))]


def host_of(stack: StackFacts) -> str:
    """The API's host name; empty if the stack shows none."""
    return urlsplit(stack.outputs.get("ApiGatewayInvokeURL", "")).hostname or ""


def reachability(stack: StackFacts, reached: Reached) -> list[Finding]:
    """What can be told from where the operator is; a private API is not meant to be reached from everywhere."""
    url, host = stack.outputs.get("ApiGatewayInvokeURL", ""), reached.host
    on_a_server = f"curl -fsS --max-time 10 -o /dev/null -w '%{{http_code}} %{{remote_ip}}\\n' {url}/bootstrap/linux"
    means = "it cannot be judged from here, as the API is private: run this on a server that is to enrol; 200 is well"
    if not reached.addresses:
        return [_dns(State.UNKNOWN, host, "does not resolve here", means, on_a_server)]
    told = ", ".join(reached.addresses)
    if not all(ip_address(each).is_private for each in reached.addresses):
        return [_dns(State.UNKNOWN, host, f"resolves here to {told}, outside of the VPC", means, on_a_server)]
    if not reached.connects:
        means = "this computer may be outside of AllowedIPRange, so it cannot be judged from here: run this on a server"
        return [_dns(State.UNKNOWN, host, f"resolves to {told}; port 443 does not answer here", means, on_a_server)]
    return [_dns(State.OK, host, f"resolves to {told}, and port 443 answers")]


def _endpoint(state: State, subject: str, what: str, means: str = "", command: str = "") -> Finding:
    return Finding(check="vpc-endpoint", state=state, subject=subject, what=what, means=means, command=command)


def _dns(state: State, subject: str, what: str, means: str = "", command: str = "") -> Finding:
    return Finding(check="api-dns", state=state, subject=subject, what=what, means=means, command=command)
