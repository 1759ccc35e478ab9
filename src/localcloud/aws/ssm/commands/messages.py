"""The messages by which a command, and its cancellation, travel to a node.

Held to the recorded jobs that the real agent ran.
"""

import json
import uuid
from datetime import datetime

from localcloud.aws.ssm.commands.model import Command, message_id
from localcloud.aws.ssm.commands.outbox import Message

SEND_TOPIC = "aws.ssm.sendCommand"
CANCEL_TOPIC = "aws.ssm.cancelCommand"


def job(command: Command, node_id: str, *, now: datetime) -> Message:
    """The command itself: the whole document travels, with the given parameters."""
    content = {
        "CommandId": command.id,
        "DocumentName": command.document.name,
        "DocumentContent": command.document.content,
        "Parameters": command.typed_parameters,
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
        "CloudWatchLogGroupName": "",
        "CloudWatchOutputEnabled": "false",
    }
    return Message(
        id=message_id(command.id, node_id),
        node_id=node_id,
        topic=f"{SEND_TOPIC}.{command.region}",
        payload=json.dumps(content),
        created_at=now,
        until=command.deliver_until,
    )


def cancellation(command: Command, node_id: str, *, now: datetime) -> Message:
    """The message, with an id of its own, that asks the agent to end a command."""
    return Message(
        id=message_id(str(uuid.uuid4()), node_id),
        node_id=node_id,
        topic=f"{CANCEL_TOPIC}.{command.region}",
        payload=json.dumps({"CancelMessageId": message_id(command.id, node_id)}),
        created_at=now,
        until=command.expires_at,
    )
