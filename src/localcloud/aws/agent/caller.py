"""Which node speaks: the node key's authentication, and the checks that every call of an agent starts with."""

from datetime import UTC, datetime

from localcloud.aws.agent import signatures
from localcloud.aws.call import Call
from localcloud.aws.ssm.node import ManagedNode
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ServiceError
from localcloud.principals import Kind, Principal
from localcloud.wire import Request
from localcloud.world import World


def authenticate(world: World, request: Request) -> Principal:
    """Who signed `request` with a node's own key; the endpoint asks this for operations that declare `node-key`.

    As for SigV4, the date is good if it is close to the world's clock or to the host's. Raises ServiceError:
    MissingAuthenticationTokenException, InvalidInstanceId (not registered, or no longer), InvalidSignatureException.
    """
    signed = signatures.parse(request)
    if signed is None:
        raise ServiceError("MissingAuthenticationTokenException", "This call is signed with the node's own key.")
    nodes = world.part(ManagedNodes)
    node = nodes.get(signed.node_id)
    if signed.scope.split("/")[1:] != [node.region, "ssm", "aws4_request"]:
        raise ServiceError("InvalidSignatureException", f"Credential should be scoped to {node.region}/ssm.")
    signatures.verify(request, signed, key=node.public_key, clocks=(world.clock.now(), datetime.now(UTC)))
    return nodes.principal_of(node)


def keyed_node(nodes: ManagedNodes, call: Call) -> ManagedNode:
    """The node whose key signed `call`; raises ServiceError InvalidInstanceId if it was deregistered meanwhile."""
    return nodes.get(call.principal.session)


def speaking_node(nodes: ManagedNodes, call: Call, *, about: str) -> ManagedNode:
    """The node that calls with its role token, if it speaks of itself (`about` is the node id in the request).

    Raises ServiceError AccessDeniedException (status 400) for anybody else, and for a node that was deregistered.
    """
    caller = call.principal
    if caller.kind is not Kind.NODE or caller.session != about:
        raise ServiceError("AccessDeniedException", f"{caller.arn} may not speak for {about}")
    node = nodes.find(about)
    if node is None:
        raise ServiceError("AccessDeniedException", f"{about} is not registered")
    return node
