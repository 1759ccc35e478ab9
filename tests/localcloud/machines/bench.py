"""A node at a stand-in for the service, for tests of Run Command beside recordings of the real agent."""

import base64
import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

from tests.localcloud.machines import recordings
from tests.localcloud.machines.channel import Channel
from tests.localcloud.machines.stub import Answer, Seen, Stub

from localcloud.machines.agent.calls import Services
from localcloud.machines.agent.commands.shell import ShellScript
from localcloud.machines.agent.console import Console
from localcloud.machines.agent.daemon import Daemon, Host
from localcloud.machines.agent.places import Configuration, Places
from localcloud.machines.agent.registration import Agent, register
from localcloud.machines.agent.vault import Vault

CREATED = "<CreateControlChannelResponse><TokenValue>token-1</TokenValue></CreateControlChannelResponse>"
DENIED = "<AccessDeniedException><Message>denied</Message></AccessDeniedException>"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Service:
    """What stands in for the service: content with everything; `open_channel` False refuses the control channel."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.open_channel = True
        self.messages: list[list[dict[str, Any]]] = []
        self.answers: dict[str, list[Any]] = {}
        self.stub = Stub(self._answer)

    def _answer(self, request: Seen, earlier: int) -> Answer:
        if request.target == "RegisterManagedInstance":
            return 200, {"InstanceId": self.node_id}
        if request.target == "RequestManagedInstanceRoleToken":
            token = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "s3cret", "SessionToken": "t"}
            return 200, {**token, "TokenExpirationDate": time.time() + 3600, "UpdateKeyPair": False}
        if request.target.startswith("/v1/control-channel/"):
            return (201, CREATED) if self.open_channel else (403, DENIED)
        if request.target == "GetMessages":
            return 200, {"Messages": self.messages.pop(0) if self.messages else self._nothing()}
        if request.target in self.answers:
            return 200, self.answers[request.target][earlier]
        return 200, {}

    def _nothing(self) -> list[dict[str, Any]]:
        time.sleep(0.05)  # as a long poll that was held for a while
        return []


class Node:
    """An agent with a disk; it can be stopped and started again."""

    def __init__(self, root: Path, service: Service, *, time_scale: float) -> None:
        (root / "etc").mkdir()
        (root / "etc/machine-id").write_text("1cd3df7bd5b24fe6aff5b426a11f9a96\n")
        (root / "etc/os-release").write_text('NAME="Debian GNU/Linux"\nVERSION_ID="12"\n')
        self.places = Places(root=root, home=root / "root")
        self.reboots = threading.Event()
        self._service = service
        self._scale = time_scale
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        agent, services = self._parts()
        register(
            agent,
            services,
            activation_id="30025d1b-68c5-49e7-bb2d-75032684cb24",
            code="BnaY83Z6Q0CV+DQRgmT9",
            region="us-east-1",
            force=False,
            check_similarity=True,
        )
        services.close()

    def start(self) -> None:
        agent, services = self._parts()
        self._stop = threading.Event()
        host = Host(plugins={"aws:runShellScript": ShellScript()}, reboot=self.reboots.set)
        registered = agent.vault.registration()
        daemon = Daemon(agent, services, registered, host=host, wait=self._stop.wait, time_scale=self._scale)
        self._thread = threading.Thread(target=daemon.run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)
            assert not self._thread.is_alive()

    @property
    def folder(self) -> Path:
        return self.places.data / self._service.node_id

    def _parts(self) -> tuple[Agent, Services]:
        url = self._service.stub.url
        configuration = Configuration(
            present=True, endpoints=tuple((s, url) for s in ("ssm", "ec2messages", "ssmmessages"))
        )
        console = Console(self.places, configuration)
        pause = self._stop.wait
        agent = Agent(places=self.places, console=console, vault=Vault(self.places), pause=pause)
        return agent, Services(region="us-east-1", configuration=configuration, tls=None, pause=pause)


class Bench:
    """A node at a service, for one recorded scenario."""

    def __init__(self, root: Path, scenario: str, *, time_scale: float = 1.0, open_channel: bool = True) -> None:
        self.scenario = scenario
        self._root = root
        self.service = Service(next(iter(recordings.facts(scenario)["nodes"])))
        self.service.open_channel = open_channel
        self.node = Node(root, self.service, time_scale=time_scale)
        self.node.start()

    def channel(self, count: int = 1) -> Channel:
        return self.service.stub.wait_for_channel(count)

    def jobs(self, scenario: str = "") -> list[dict[str, Any]]:
        """The recorded jobs, as the service sent them."""
        lines = recordings.exchange(scenario or self.scenario)
        return [line["frame_decoded"] for line in lines if kind_of(line) == "agent_job"]

    def push(self, channel: Channel, job: dict[str, Any]) -> None:
        """Send a recorded job; what it would write outside of this test goes into its folder."""
        payload = json.loads(
            json.dumps(job["payload"]).replace("/var/lib/amazon/ssm/rebooted", f"{self._root}/rebooted")
        )
        channel.push("agent_job", payload, name=job["message_id"])

    def recorded(self, kind: str, scenario: str = "") -> list[str]:
        lines = recordings.exchange(scenario or self.scenario)
        return [
            timeless(payload_of(line))
            for line in lines
            if kind_of(line) == kind and line["direction"] == "agent->service"
        ]

    def close(self) -> None:
        self.node.stop()
        self.service.stub.close()


def kind_of(line: dict[str, Any]) -> str:
    return (
        str((line.get("frame_decoded") or {}).get("message_type", "")).strip() if line.get("opcode") == "binary" else ""
    )


def payload_of(line: dict[str, Any]) -> str:
    return base64.b64decode(line["frame_base64"])[120:].decode().replace("node1", socket.gethostname())


def timeless(text: str) -> str:
    return _DATE.sub("TIME", text)


def sent(channel: Channel, kind: str) -> list[str]:
    return [timeless(frame.text) for frame in channel.of(kind)]


def until(condition: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
