"""The agent's two channels, as long as there are no commands: idle long polls, and a control channel that is refused.

The refusal's body holds the text `<AccessDeniedException>`, which keeps the agent on ec2messages; any other answer
would make it deaf once it has stopped polling.
"""

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from localcloud.aws.agent.caller import speaking_node
from localcloud.aws.call import Call
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ServiceError

if TYPE_CHECKING:
    from localcloud.world import World


class MessageCalls:
    """GetMessages, AcknowledgeMessage, SendReply, FailMessage, and both calls of the control channel."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._nodes = world.part(ManagedNodes)
        self._held = 0
        self._lock = threading.Lock()

    def poll(self, call: Call) -> Mapping[str, Any]:
        """GetMessages: nothing to deliver, told after `poll_hold`, or at once if `held_polls` others are held."""
        speaking_node(self._nodes, call, about=call.params["Destination"])
        if self._may_hold():
            try:
                self._hold(self._nodes.poll_hold)
            finally:
                with self._lock:
                    self._held -= 1
        return {
            "Destination": call.params["Destination"],
            "MessagesRequestId": call.params["MessagesRequestId"],
            "Messages": [],
        }

    def about_message(self, call: Call) -> NoReturn:
        """AcknowledgeMessage, SendReply, FailMessage: there is no message of that id (yet)."""
        message = call.params["MessageId"]
        speaking_node(self._nodes, call, about=message.rpartition(".")[2])
        raise ServiceError("InvalidMessageId", f"There is no message {message}")

    def control_channel(self, _: Call) -> NoReturn:
        """CreateControlChannel, OpenControlChannel: refused in the words that make the agent poll."""
        raise ServiceError("AccessDeniedException", "the control channel is not available", status=403)

    def _may_hold(self) -> bool:
        with self._lock:
            if self._nodes.poll_hold <= timedelta(0) or self._held >= self._nodes.held_polls:
                return False
            self._held += 1
            return True

    def _hold(self, duration: timedelta) -> None:
        clock = self._world.clock
        clock.wait(self._world.stopping, clock.scaled(duration))
