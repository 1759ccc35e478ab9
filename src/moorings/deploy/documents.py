"""The configuration document of a deployed stack: found, completed, and held against the endpoint that is to be."""

from collections.abc import Mapping
from typing import Any

from moorings.clock import Clock
from moorings.clouds.aws import Aws
from moorings.deploy.stacks import Stack
from moorings.enrolment import configuration
from moorings.enrolment.aws import StoredConfigurations
from moorings.enrolment.model import Configuration
from moorings.errors import Misconfigured

# Stands for an endpoint that is yet to be made, where a document or a plan is only looked at.
UNKNOWN_ENDPOINT = "vpce-00000000000000000"
UNKNOWN_ROLE = "the-role-of-the-stack"


def stored_in(stack: Stack, *, aws: Aws, clock: Clock, default: str = "") -> StoredConfigurations:
    """Where the document of a stack lies; `default` (JSON) is what its functions use while there is none."""
    return StoredConfigurations(
        client=aws.client("dynamodb"),
        table=stack.outputs["LedgerTable"],
        default=default,
        code_key=stack.outputs["KmsKeyArn"],
        own_vpce=stack.parameters["VpcEndpointForApiGateway"],
        clock=clock,
    )


def with_node_role(document: Mapping[str, Any], role: str) -> dict[str, Any]:
    """A configuration document whose pools take the stack's node role unless they name another."""
    pools = document.get("pool")
    if not isinstance(pools, list):
        return dict(document)
    filled = [{"node_role": role, **pool} if isinstance(pool, Mapping) else pool for pool in pools]
    return {**document, "pool": filled}


def check_given(document: Mapping[str, Any], *, endpoint: str) -> None:
    """Misconfigured if a document that is to be put in force does not hold, or admits nobody through the endpoint."""
    checked = configuration.parse(with_node_role(document, UNKNOWN_ROLE), version=1, own_vpce=endpoint)
    _require_way_in(checked, endpoint, "the given configuration")


def check_stored(stack: Stack, *, endpoint: str, network_proof: bool, aws: Aws, clock: Clock) -> None:
    """Misconfigured if the stack's stored document would turn every server away after an update.

    It must hold for this version of Moorings, whose functions would start without one otherwise; and a rule of it must
    admit the endpoint, if that is another than before and the network proof counts at all.
    """
    text, version = stored_in(stack, aws=aws, clock=clock).document()
    if not version:
        return
    try:
        checked = configuration.parse(configuration.parse_json(text), version=version, own_vpce=endpoint)
    except Misconfigured as error:
        raise Misconfigured(
            f"the stored configuration does not hold for this version: {error.message}",
            remedy="mend what `moorings enrolment pools show` prints, and give it by --pools",
        ) from error
    if network_proof and endpoint != stack.parameters["VpcEndpointForApiGateway"]:
        _require_way_in(checked, endpoint, f"the stored configuration (version {version})")


def _require_way_in(checked: Configuration, endpoint: str, which: str) -> None:
    """Without any rule nobody is meant to get in; with rules of which none admits the endpoint, somebody was."""
    if not checked.rules or any(endpoint in rule.vpces for rule in checked.rules):
        return
    named = "; ".join(f"rule {rule.name!r} names {', '.join(sorted(rule.vpces))}" for rule in checked.rules)
    shown = "an endpoint that is yet to be made" if endpoint == UNKNOWN_ENDPOINT else endpoint
    raise Misconfigured(
        f"every server would be refused: no rule of {which} admits {shown}: {named}",
        remedy="leave vpce out of that rule, which then means the stack's own endpoint: change what `moorings enrolment"
        " pools show` prints, and give it by --pools",
    )
