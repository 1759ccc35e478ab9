"""SendCommand: the request checked, its nodes found, and the command that follows from it.

Source: SendCommand's members and errors in the service's model. The agent checks next to nothing, so all is done here.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.iam import enforce
from localcloud.aws.iam.rights.commands import on_node
from localcloud.aws.ssm.commands import parameters, targets
from localcloud.aws.ssm.commands.model import Command
from localcloud.aws.ssm.commands.status import Detail
from localcloud.aws.ssm.commands.timeouts import DEFAULT_DELIVERY, execution_timeout
from localcloud.aws.ssm.document_model import COMMAND, DEFAULT, DocumentVersion
from localcloud.aws.ssm.documents import Documents
from localcloud.aws.ssm.node import ManagedNode
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ServiceError, Unsupported
from localcloud.world import World

# Members that would need a service which nothing here runs.
_UNSUPPORTED: Mapping[str, str] = {
    "OutputS3BucketName": "command output is not copied to S3",
    "NotificationConfig": "commands notify nobody",
    "AlarmConfiguration": "no alarm watches a command",
}


class Sending:
    """Makes commands of requests."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nodes = world.part(ManagedNodes)
        self._documents = world.part(Documents)

    def command(self, call: Call) -> Command:
        """The command that a SendCommand asks for; raises ServiceError, or Unsupported."""
        params = call.params
        _require_supported(params)
        document = self._document(call)
        given = {name: list(values) for name, values in (params.get("Parameters") or {}).items()}
        typed = parameters.bind(document.parameters, given)
        wanted = params.get("TimeoutSeconds")
        delivery = DEFAULT_DELIVERY if wanted is None else timedelta(seconds=wanted)
        clock = self._world.clock
        return Command(
            id=str(uuid.uuid4()),
            region=call.region,
            document=document,
            document_version=params.get("DocumentVersion", DEFAULT),
            parameters=given,
            typed_parameters=typed,
            requested_at=call.now,
            deliver_until=call.now + clock.scaled(delivery),
            expires_at=call.now + clock.scaled(delivery + execution_timeout(document, typed)),
            timeout_seconds=int(delivery.total_seconds()),
            max_concurrency=params.get("MaxConcurrency", "50"),
            max_errors=params.get("MaxErrors", "0"),
            comment=params.get("Comment", ""),
            instance_ids=tuple(params.get("InstanceIds") or ()),
            targets=tuple(params.get("Targets") or ()),
            service_role=params.get("ServiceRoleArn", ""),
        )

    def nodes(self, call: Call, command: Command) -> tuple[list[ManagedNode], dict[str, Detail]]:
        """The nodes of a command, and those of them to which it must not go.

        Raises ServiceError DuplicateInstanceId, InvalidInstanceId, UnsupportedPlatformType for nodes given by id.
        """
        if bool(command.instance_ids) == bool(command.targets):
            raise ServiceError("InvalidInstanceId", "Specify either InstanceIds or Targets.")
        platforms = command.document.platform_types
        if command.instance_ids:
            found = targets.by_ids(self._nodes, command.instance_ids, region=call.region)
            for node in found:
                if not _fits(node, platforms):
                    raise ServiceError(
                        "UnsupportedPlatformType",
                        f"The document does not support the platform type of {node.id}: {', '.join(platforms)}.",
                    )
            return found, {}
        found = targets.by_targets(self._nodes, command.targets, region=call.region)
        return found, self._refused(call, found, platforms)

    def _refused(self, call: Call, nodes: Sequence[ManagedNode], platforms: Sequence[str]) -> dict[str, Detail]:
        refused = {node.id: Detail.INVALID_PLATFORM for node in nodes if not _fits(node, platforms)}
        for node in nodes:
            if not enforce.may(call, self._world, on_node(call, node.id, dict(node.tags))):
                refused[node.id] = Detail.ACCESS_DENIED
        return refused

    def _document(self, call: Call) -> DocumentVersion:
        params = call.params
        found = self._documents.find(params["DocumentName"], params.get("DocumentVersion", ""), region=call.region)
        if found.kind != COMMAND:
            raise ServiceError("InvalidDocument", f"Document {found.name} is of the type {found.kind}, not {COMMAND}.")
        wanted = params.get("DocumentHash")
        if wanted and params.get("DocumentHashType", "Sha256") != "Sha256":
            raise Unsupported("the local cloud knows documents by their Sha256 only")
        if wanted and wanted != found.hash:
            raise ServiceError("InvalidDocument", f"The hash of document {found.name} is another one.")
        return found


def _fits(node: ManagedNode, platforms: Sequence[str]) -> bool:
    platform = node.heartbeat.platform_type
    return not platform or platform in platforms


def _require_supported(params: Mapping[str, Any]) -> None:
    for member, why in _UNSUPPORTED.items():
        if params.get(member):
            raise Unsupported(f"the local cloud does not support {member}: {why}")
    if (params.get("CloudWatchOutputConfig") or {}).get("CloudWatchOutputEnabled"):
        raise Unsupported("the local cloud does not support CloudWatchOutputConfig: command output is not logged")
