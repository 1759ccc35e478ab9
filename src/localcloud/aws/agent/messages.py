"""ec2messages, the agent's polling channel: long polls for messages, acknowledgements, replies.

A poll that finds nothing is held back for `poll_hold`, without a thread; `held_polls` others at once is the limit.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from localcloud.aws.agent import replies
from localcloud.aws.agent.caller import speaking_node
from localcloud.aws.call import Call
from localcloud.aws.ssm.commands.book import Commands
from localcloud.aws.ssm.commands.outbox import Message
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ServiceError
from localcloud.wire import Held
from localcloud.world import World

DEFAULT_VISIBILITY_SECONDS = 10
# For FailMessage, in the codes of the control channel's acknowledgements: neither is the document's fault.
_NOT_HANDLED = "51499"


class MessageCalls:
    """GetMessages, AcknowledgeMessage, SendReply, FailMessage, DeleteMessage."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nodes = world.part(ManagedNodes)
        self._commands = world.part(Commands)
        self._held = 0
        self._lock = threading.Lock()

    def poll(self, call: Call) -> Mapping[str, Any] | Held:
        """GetMessages: what waits for the node; nothing is told after `poll_hold`, or at once if too many are held."""
        node_id = call.params["Destination"]
        speaking_node(self._nodes, call, about=node_id)
        messages = self._take(call)
        if messages or not self._may_hold():
            return _answer(call, messages)
        clock = self._world.clock
        until = clock.now() + clock.scaled(self._nodes.poll_hold)

        def wait(wake: Callable[[], None]) -> Callable[[], None]:
            end = self._commands.outbox.wait(node_id, wake, until=until)

            def ended() -> None:
                end()
                with self._lock:
                    self._held -= 1

            return ended

        return Held(wait=wait, finish=lambda: _answer(call, self._take(call)))

    def acknowledge(self, call: Call) -> Mapping[str, Any]:
        """AcknowledgeMessage: the agent has it; it is not offered again."""
        self._commands.acknowledged(self._message(call))
        return {}

    def reply(self, call: Call) -> Mapping[str, Any]:
        """SendReply: one that says the end stands for the acknowledgement too."""
        message, reply_id = self._message(call), call.params["ReplyId"]
        try:
            reply = replies.parse(call.params["Payload"], reply_id=reply_id)
        except ValueError as error:
            raise ServiceError("ValidationException", f"The reply's payload cannot be read: {error}") from error
        self._commands.replied(message, reply)
        return {"MessageId": message, "ReplyId": reply_id, "ReplyStatus": "SUCCESS", "Description": ""}

    def fail(self, call: Call) -> Mapping[str, Any]:
        """FailMessage: the agent cannot do anything with it."""
        self._commands.acknowledged(self._message(call), code=_NOT_HANDLED)
        return {}

    def delete(self, call: Call) -> Mapping[str, Any]:
        """DeleteMessage: offered no more; says nothing about the command."""
        self._commands.outbox.remove(self._message(call))
        return {}

    def _message(self, call: Call) -> str:
        message: str = call.params["MessageId"]
        speaking_node(self._nodes, call, about=message.rpartition(".")[2])
        if not self._commands.knows(message):
            raise ServiceError("InvalidMessageId", f"There is no message {message}")
        return message

    def _take(self, call: Call) -> list[Message]:
        visibility = call.params.get("VisibilityTimeoutInSeconds", DEFAULT_VISIBILITY_SECONDS)
        return self._commands.outbox.poll(call.params["Destination"], visibility=timedelta(seconds=visibility))

    def _may_hold(self) -> bool:
        with self._lock:
            if self._nodes.poll_hold <= timedelta(0) or self._held >= self._nodes.held_polls:
                return False
            self._held += 1
            return True


def _answer(call: Call, messages: list[Message]) -> Mapping[str, Any]:
    return {
        "Destination": call.params["Destination"],
        "MessagesRequestId": call.params["MessagesRequestId"],
        "Messages": [_wire(one) for one in messages],
    }


def _wire(message: Message) -> dict[str, str]:
    moment = message.created_at
    return {
        "CreatedDate": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
        "Destination": message.node_id,
        "MessageId": message.id,
        "Topic": message.topic,
        "Payload": message.payload,
        "PayloadDigest": hashlib.sha256(message.payload.encode()).hexdigest(),
    }
