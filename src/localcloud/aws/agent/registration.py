"""Registration, role tokens and the node's key: the calls an agent makes before and beside its role token."""

import re
from collections.abc import Mapping
from typing import Any

from localcloud.aws.agent.caller import keyed_node
from localcloud.aws.authentication import authenticated_by
from localcloud.aws.call import Call
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ServiceError
from localcloud.world import World

_REGIONAL_HOST = re.compile(r"^ssm\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com")


class RegistrationCalls:
    """RegisterManagedInstance, RequestManagedInstanceRoleToken, UpdateManagedInstancePublicKey."""

    def __init__(self, world: World) -> None:
        self._nodes = world.part(ManagedNodes)

    @authenticated_by("none")
    def register(self, call: Call) -> Mapping[str, Any]:
        """RegisterManagedInstance: unsigned; the activation is the proof. Safe to repeat with the same key."""
        params = call.params
        # An unsigned request names its Region by the host alone; a loopback address names none.
        host = _REGIONAL_HOST.match(call.request.headers.get("Host"))
        node = self._nodes.register(
            activation_id=params["ActivationId"],
            code=params["ActivationCode"],
            fingerprint=params["Fingerprint"],
            public_key=params["PublicKey"],
            region=host.group(1) if host else None,
        )
        return {"InstanceId": node.id}

    @authenticated_by("node-key")
    def role_token(self, call: Call) -> Mapping[str, Any]:
        """RequestManagedInstanceRoleToken: signed with the node's key; the fingerprint must be the registered one."""
        node = keyed_node(self._nodes, call)
        if call.params["Fingerprint"] != node.fingerprint:
            raise ServiceError("MachineFingerprintDoesNotMatch", f"The fingerprint is not that of {node.id}.")
        token = self._nodes.issue_token(node.id)
        return {
            "AccessKeyId": token.access_key,
            "SecretAccessKey": token.secret_key,
            "SessionToken": token.session_token,
            "TokenExpirationDate": token.expires_at,
            "UpdateKeyPair": node.wants_new_key,
        }

    @authenticated_by("node-key")
    def change_key(self, call: Call) -> Mapping[str, Any]:
        """UpdateManagedInstancePublicKey: signed with the old key; every later call uses the new one."""
        node = keyed_node(self._nodes, call)
        self._nodes.change_key(node.id, call.params["NewPublicKey"], signed_with=node.public_key)
        return {}
