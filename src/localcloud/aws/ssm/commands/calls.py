"""SendCommand, CancelCommand, and the calls that show commands and their invocations."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.ssm.commands import answers
from localcloud.aws.ssm.commands.book import Commands, Sent
from localcloud.aws.ssm.commands.filters import filters_of, passes
from localcloud.aws.ssm.commands.model import Command, Invocation
from localcloud.aws.ssm.commands.sending import Sending
from localcloud.aws.ssm.commands.status import Detail
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.aws.ssm.paging import page
from localcloud.errors import ServiceError
from localcloud.world import World

DEFAULT_PAGE = 50
_LATEST_FIRST = 10**13  # milliseconds: later than any command


class CommandCalls:
    """Run Command's operations, over the world's `Commands`."""

    def __init__(self, world: World) -> None:
        self._commands = world.part(Commands)
        self._nodes = world.part(ManagedNodes)
        self._sending = Sending(world)

    def send(self, call: Call) -> Mapping[str, Any]:
        """SendCommand: answered before anything is sent."""
        command = self._sending.command(call)
        nodes, refused = self._sending.nodes(call, command)
        sent = self._commands.send(command, nodes, refused=refused)
        return {"Command": answers.command(sent, detail=Detail.PENDING)}

    def cancel(self, call: Call) -> Mapping[str, Any]:
        """CancelCommand: on the given nodes, or on all; what has ended stays as it is."""
        ids = call.params.get("InstanceIds") or ()
        if len(set(ids)) != len(ids):
            raise ServiceError("DuplicateInstanceId", "You cannot specify an instance ID in more than one place.")
        self._commands.cancel(call.params["CommandId"], region=call.region, node_ids=ids)
        return {}

    def invocation(self, call: Call) -> Mapping[str, Any]:
        """GetCommandInvocation."""
        node_id = call.params["InstanceId"]
        try:
            sent = self._commands.find(call.params["CommandId"], region=call.region)
        except ServiceError:
            raise _no_invocation() from None
        found = [one for one in sent.invocations if one.node_id == node_id]
        if not found or not self._commands.shows_invocations(sent.command):
            raise _no_invocation()
        return answers.invocation_answer(sent.command, found[0], plugin=call.params.get("PluginName", ""))

    def commands(self, call: Call) -> Mapping[str, Any]:
        """ListCommands: the latest first."""
        filters = filters_of(call.params, stages=True)
        node_id = call.params.get("InstanceId")
        found = [
            sent
            for sent in self._chosen(call)
            if (node_id is None or any(one.node_id == node_id for one in sent.invocations))
            and passes(filters, sent.command, status=sent.detail.command_status, detail=sent.detail)
        ]
        shown, token = page(
            found,
            key=lambda sent: _place(sent.command),
            size=call.params.get("MaxResults", DEFAULT_PAGE),
            token=call.params.get("NextToken", ""),
            question=["ListCommands", call.region, call.params.get("CommandId"), node_id, filters],
        )
        return {"Commands": [answers.command(one) for one in shown]} | ({"NextToken": token} if token else {})

    def invocations(self, call: Call) -> Mapping[str, Any]:
        """ListCommandInvocations: the latest first, with the plugins if Details is asked for."""
        params = call.params
        filters = filters_of(params, stages=False)
        node_id, details = params.get("InstanceId"), bool(params.get("Details"))
        found: list[tuple[Command, Invocation]] = [
            (sent.command, one)
            for sent in self._chosen(call)
            if self._commands.shows_invocations(sent.command)
            for one in sent.invocations
            if node_id in (None, one.node_id)
            and passes(filters, sent.command, status=one.detail.status, detail=one.detail)
        ]
        shown, token = page(
            found,
            key=lambda pair: f"{_place(pair[0])} {pair[1].node_id}",
            size=params.get("MaxResults", DEFAULT_PAGE),
            token=params.get("NextToken", ""),
            question=["ListCommandInvocations", call.region, params.get("CommandId"), node_id, details, filters],
        )
        listed = [answers.listed_invocation(command, one, details=details) for command, one in shown]
        return {"CommandInvocations": listed} | ({"NextToken": token} if token else {})

    def _chosen(self, call: Call) -> list[Sent]:
        """The commands among which a listing looks; an unknown id is refused, as is a node that is not registered."""
        node_id = call.params.get("InstanceId")
        command_id = call.params.get("CommandId")
        if command_id:
            return [self._commands.find(command_id, region=call.region)]
        if node_id is not None and self._nodes.find(node_id) is None:
            raise ServiceError("InvalidInstanceId", node_id)
        return self._commands.all(call.region)


def _place(command: Command) -> str:
    return f"{_LATEST_FIRST - int(command.requested_at.timestamp() * 1000):013d} {command.id}"


def _no_invocation() -> ServiceError:
    return ServiceError(
        "InvocationDoesNotExist",
        "An error occurred: the command ID and instance ID specified did not match any invocations.",
    )
