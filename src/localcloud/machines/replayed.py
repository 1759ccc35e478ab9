"""Windows machines: a disk, a power button and an agent that speaks the real protocol, but no Windows.

What their agent is asked to run is answered from recordings (see `recorded`), and says so. Updates are real as far as
files go: AWS-RunPatchBaseline looks for and installs those of the machine's disk, and reports them. The agent's files
lie on the disk where Linux has them.
"""

import contextlib
import functools
import json
import re
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localcloud.errors import CannotRun
from localcloud.machines import disk
from localcloud.machines.agent.calls import CallFailed, Services
from localcloud.machines.agent.commands.documents import Step
from localcloud.machines.agent.commands.plugin import AgentStopped, Ended, Place, Stop
from localcloud.machines.agent.console import Console
from localcloud.machines.agent.daemon import Daemon, Host
from localcloud.machines.agent.places import Configuration, Places
from localcloud.machines.agent.registration import Agent, register
from localcloud.machines.agent.vault import Vault
from localcloud.machines.machine import Machine, State
from localcloud.machines.patching.ledger import Ledger, own_baseline
from localcloud.machines.patching.program import Node
from localcloud.machines.patching.run import REBOOT, UNBOOTABLE, AgentGone, Patching, Wish
from localcloud.machines.recorded import BOOT_ID, NOTICE
from localcloud.machines.spec import MachineSpec
from localcloud.machines.surroundings import EmulatedClouds, Surroundings
from localcloud.machines.updates import UPDATES, to_text
from localcloud.server import Listener
from localcloud.wire import Headers, Request
from localcloud.world import World

PATCH_DOCUMENT = "AWS-RunPatchBaseline"
WINDOWS_REBOOT = 3010
AGENT_GONE = "agent-gone"  # on the disk: no agent starts any more
REBOOT_SECONDS = 60.0
_METADATA_URL = re.compile(r"http://169\.254\.169\.254(/metadata/[^\s'\"`]+)")


class ReplayedMachine(Machine):
    """A machine without programs. `enrol` takes the place of user data; `run` is refused."""

    def __init__(self, spec: MachineSpec, *, directory: Path, world: World) -> None:
        super().__init__(spec, directory=directory, start=_never, serve=_never, turns=threading.Semaphore())
        self._world = world
        self._ended = threading.Event()
        self._agent_over = threading.Event()
        self._enrolled = threading.Event()

    def make_disk(self) -> None:
        """Write the new machine's disk."""
        if self.spec.image_disk is not None:
            disk.copy(self.spec.image_disk, self.disk)
        for name in ("boot", "etc/amazon/ssm", "etc/ssl/certs", "root", "var/lib/localcloud"):
            (self.disk / name).mkdir(parents=True, exist_ok=True)
        (self.disk / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
        (self.disk / "etc/ssl/certs/ca-certificates.crt").write_bytes(self._world.authority.pem)
        if self.spec.updates or self.spec.image_disk is None:
            (self.disk / UPDATES).write_text(to_text(self.spec.updates))

    def enrol(self, *, activation_id: str, code: str, region: str = "") -> str:
        """Register the running machine's agent with an activation and start it; the node's id. CannotRun if refused."""
        if self.state is not State.RUNNING:
            raise CannotRun(f"machine {self.name} is {self.state.value}; boot it first")
        agent, services = self._parts(region or self._world.region)
        try:
            code_of_exit = register(
                agent,
                services,
                activation_id=activation_id,
                code=code,
                region=region or self._world.region,
                force=True,
                check_similarity=True,
            )
        finally:
            services.close()
        if code_of_exit != 0:
            raise CannotRun(f"machine {self.name} could not register: {self._log()}")
        self._enrolled.set()
        return self.node_id

    @property
    def agent_running(self) -> bool:
        """Whether its agent runs."""
        return self.state is State.RUNNING and bool(self.node_id) and not (self.disk / AGENT_GONE).exists()

    def run(self, *_: Any, **__: Any) -> Any:
        """CannotRun: there is nothing to run programs with."""
        raise CannotRun(f"machine {self.name} is replayed: no program runs in it")

    def reboot(self) -> None:
        """Go down after a minute of the cloud's time, and come up again."""
        self._going = "reboot"
        self._ended.wait(self._scale * REBOOT_SECONDS)
        self._power_goes()

    def answer(self, script: str) -> Ended:
        """What is recorded for a script."""
        installed = Ledger.load(self.disk).installed
        found = next((each for each in self.spec.replay if each.fits(script, installed)), None)
        if found is None:
            return Ended(code=1, errors=f"Nothing is recorded for this script.\n{NOTICE}")
        if found.live:
            output = found.live(script, self._asked)
        else:
            output = self._metadata(script) if found.metadata else found.output.replace(BOOT_ID, self.boot_id)
        return Ended(code=found.exit_code, output=output, errors=found.errors + NOTICE)

    def patch(self, parameters: dict[str, Any]) -> Ended:
        """Do what AWS-RunPatchBaseline asks, on this disk."""
        lines: list[str] = []
        for name in ("BaselineOverride", "InstallOverrideList"):
            if parameters.get(name):
                return Ended(code=15, errors=f"a replayed server does not read {name}\n{NOTICE}")
        wish = Wish(
            operation=str(parameters["Operation"]),
            reboot_option=str(parameters.get("RebootOption") or "RebootIfNeeded"),
            snapshot_id=str(parameters.get("SnapshotId") or ""),
        )
        patching = Patching(
            self.disk, own_baseline(self.disk), boot_id=self.boot_id, effects=_Effects(self), say=lines.append
        )
        try:
            done = patching.run(wish)
            if done.items:
                Node(self._places).put_inventory(done.items)
        except AgentGone as error:
            raise AgentStopped from error
        except CallFailed as error:
            return Ended(code=1, output=_text(lines), errors=f"the report was not taken: {error}\n{NOTICE}")
        return Ended(code=WINDOWS_REBOOT if done.code == REBOOT else done.code, output=_text(lines), errors=NOTICE)

    def remove_agent(self) -> None:
        """Its agent ends and never starts again."""
        (self.disk / AGENT_GONE).touch()
        self._agent_over.set()

    def wait(self, seconds: float) -> None:
        """Let so much of the cloud's time pass, or the machine end."""
        self._ended.wait(seconds * self._scale)

    # -- power

    def _one_life(self) -> tuple[str, bool]:
        if self._off:
            return "", False
        self._going = ""
        for event in (self._ended, self._agent_over, self._enrolled):
            event.clear()
        broken = self.disk / UNBOOTABLE
        if broken.exists():
            return f"its disk does not boot: {broken.read_text().strip()}", False
        (self.directory / "boot-id").write_text(f"{uuid.uuid4()}\n")
        listener = self._listen_for_agent()
        try:
            self._configure(listener.port)
            self._booted(None)
            self._run_agent()
        finally:
            listener.close()
        if self._off or self._going != "reboot":
            return "", False
        self._set(State.WAITING)
        return "", True

    def _go_off(self, how: Callable[[Any], None]) -> None:
        self._off = True
        self._power_goes()
        super()._go_off(how)

    def _power_goes(self) -> None:
        for event in (self._ended, self._agent_over, self._enrolled):
            event.set()

    def _run_agent(self) -> None:
        if not Vault(self._places).registration().complete:
            self._enrolled.wait()
        if not self._ended.is_set() and not (self.disk / AGENT_GONE).exists():
            registered = Vault(self._places).registration()
            agent, services = self._parts(registered.region)
            image = self.spec.image
            host = Host(
                plugins={"aws:runPowerShellScript": _ReplayedPowerShell(self)},
                reboot=self.reboot,
                platform="Windows",
                release=(image.label, image.version),
                name=self.name,
                address=self.spec.ip,
            )
            Daemon(agent, services, registered, host=host, wait=self._agent_over.wait, time_scale=self._scale).run()
        self._ended.wait()

    @property
    def _scale(self) -> float:
        return self._world.clock.scaled(timedelta(seconds=1)).total_seconds()

    @property
    def _places(self) -> Places:
        return Places(root=self.disk, home=self.disk / "root")

    def _parts(self, region: str) -> tuple[Agent, Services]:
        places = self._places
        configuration = Configuration.read(places)
        agent = Agent(
            places=places,
            console=Console(places, configuration, quiet=True),
            vault=Vault(places),
            pause=self._ended.wait,
        )
        return agent, Services(region=region, configuration=configuration, tls=None, pause=self._ended.wait)

    def _configure(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}"
        sections = {name: {"Endpoint": url} for name in ("Ssm", "Mds", "Mgs")}
        (self.disk / "etc/amazon/ssm/amazon-ssm-agent.json").write_text(json.dumps(sections))

    def _listen_for_agent(self) -> Listener:
        from localcloud.aws import front  # noqa: PLC0415 - not needed where no Windows machine is
        from localcloud.server import loopback_socket  # noqa: PLC0415

        return front.listen(self._world, loopback_socket(), noticing=self._noticed())

    def _noticed(self) -> Callable[[Request], None] | None:
        around = self._around()
        return None if around is None else functools.partial(around.hear, self)

    def _metadata(self, script: str) -> str:
        found = _METADATA_URL.search(script)
        return self._asked(found[1]) if found is not None else ""

    def _asked(self, url: str) -> str:
        around = self._around()
        if around is None:
            return ""
        parts = urlsplit(url)
        request = Request(method="GET", path=parts.path, query=parts.query, headers=Headers.of({"Metadata": "true"}))
        return around.answer(self, request).body.decode()

    def _around(self) -> Surroundings | None:
        return self._world.part(EmulatedClouds).around(self.spec)

    def _log(self) -> str:
        path = self._places.log / "amazon-ssm-agent.log"
        with contextlib.suppress(OSError):
            return path.read_text().splitlines()[-1]
        return "it said nothing"


class _ReplayedPowerShell:
    """The plugin aws:runPowerShellScript of a machine that cannot run any."""

    def __init__(self, machine: ReplayedMachine) -> None:
        self._machine = machine

    def run(self, step: Step, number: int, place: Place, _stop: Stop) -> Ended:
        """The recorded answer; patching is done."""
        if place.document.name == PATCH_DOCUMENT:
            return self._machine.patch(dict(place.document.parameters))
        lines = step.runs[number].get("runCommand") or []
        return self._machine.answer("\n".join(str(line) for line in lines))


class _Effects:
    """What installing does to a replayed machine: it has no services, their state is what is recorded."""

    def __init__(self, machine: ReplayedMachine) -> None:
        self._machine = machine

    def service(self, verb: str, name: str) -> None:
        """Nothing: what a script says of it afterwards is recorded with `after`."""

    def remove_agent(self) -> None:
        """Its agent ends."""
        self._machine.remove_agent()

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self._machine.wait(seconds)


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _never(*_: object) -> Any:
    raise AssertionError("a replayed machine has no process")
