"""Run Command's side of a running agent: both channels, the queue of commands, and replies, put together."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from localcloud.machines.agent.calls import CallFailed, Services
from localcloud.machines.agent.commands.execution import Surroundings
from localcloud.machines.agent.commands.processor import Processor
from localcloud.machines.agent.commands.states import States
from localcloud.machines.agent.commands.substitution import Unreadable
from localcloud.machines.agent.console import Console
from localcloud.machines.agent.control import Chore, ControlChannel
from localcloud.machines.agent.desk import CONTROL, POLLED, Desk
from localcloud.machines.agent.frames import AgentMessage
from localcloud.machines.agent.places import Places
from localcloud.machines.agent.polling import Poll
from localcloud.machines.agent.replies import ControlReplies, PolledReplies, Shelf
from localcloud.machines.agent.signing import Token

POLL_REST_AFTER_SECONDS = 60.0  # with the control channel open
RESEND_AFTER_SECONDS = 2.0
RESEND_SECONDS = 300.0
LOOKUP_LANE = "parameters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Who the agent speaks for, and with what."""

    id: str
    region: str
    places: Places
    console: Console
    services: Services
    token: Callable[[], Token]
    time_scale: float


class Messaging:
    """Everything between the service's commands and the programs that run them."""

    def __init__(self, node: Node, surroundings: Surroundings, *, reboot: Callable[[], None]) -> None:
        self._node = node
        self._reboot = reboot
        self._stopping = threading.Event()
        folder = node.places.data / node.id
        states = States(folder)
        self._control_replies = ControlReplies(Shelf(folder / "replies_mgs"), self._send)
        self._polled_replies = PolledReplies(
            Shelf(folder / "replies"),
            node.services,
            token=node.token,
            control_channel_open=lambda: self._channel.is_open,
        )
        self._processor = Processor(
            states,
            surroundings,
            lookup=self._parameters,
            tell={CONTROL: self._control_replies.tell, POLLED: self._polled_replies.tell},
            restart=self._restart,
        )
        self._desk = Desk(
            self._processor,
            states,
            control=self._control_replies,
            polled=self._polled_replies,
            send=self._send,
            stopping=self._stopping,
        )
        self._poll = Poll(
            node.services,
            node_id=node.id,
            token=node.token,
            deliver=self._desk.message,
            stopping=self._stopping,
            scale=node.time_scale,
        )
        self._channel = self._make_channel(surroundings.platform)

    @property
    def channel_in_use(self) -> str:
        """What the heartbeat reports."""
        return CONTROL if self._channel.is_open else POLLED

    def start(self) -> None:
        """Take up what was left, then open both channels."""
        self._processor.resume()
        self._channel.start()
        self._poll.start()

    def resend_polled(self) -> None:
        """Send the replies that ec2messages has refused once more."""
        self._polled_replies.resend()

    def close(self) -> None:
        """Stop; scripts that run are left running, replies that nobody has acknowledged lie on the disk."""
        self._stopping.set()
        self._control_replies.close()
        self._processor.close()
        self._channel.close()
        self._poll.stop()

    def _make_channel(self, platform: str) -> ControlChannel:
        scale = self._node.time_scale
        chores = (
            Chore(after=RESEND_AFTER_SECONDS * scale, every=RESEND_SECONDS * scale, do=self._control_replies.resend),
            Chore(after=POLL_REST_AFTER_SECONDS * scale, every=0, do=self._poll.rest),
        )
        return ControlChannel(
            self._node.services,
            node_id=self._node.id,
            platform=platform,
            token=self._node.token,
            receive=self._desk.frame,
            forbidden=self._poll.start,
            chores=chores,
            say=self._node.console.say,
        )

    def _send(self, message: AgentMessage) -> None:
        self._channel.send(message)

    def _restart(self) -> None:
        self._node.console.say("INFO", "Processed document with status SuccessAndReboot, rebooting")
        self._stopping.set()
        self._channel.close()
        self._reboot()

    def _parameters(self, names: list[str], decrypted: bool) -> Mapping[str, str]:
        # The real agent asks twice, for the document and for its parameters.
        for _ in range(2):
            try:
                answer = self._node.services.call(
                    "ssm",
                    "GetParameters",
                    {"Names": names, "WithDecryption": decrypted},
                    self._node.token,
                    lane=LOOKUP_LANE,
                )
            except CallFailed as error:
                raise Unreadable(f"cannot resolve parameters of the parameter store: {error}") from error
            missing = answer.get("InvalidParameters") or []
            if missing:
                raise Unreadable(f"invalid parameters of the parameter store: {missing}")
        return {parameter["Name"]: parameter["Value"] for parameter in answer["Parameters"]}
