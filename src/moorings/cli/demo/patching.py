"""The demo's second half: VMs enrol, and every scenario of patching is played on one of them, all at the same time."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from moorings.cli.demo.director import Director
from moorings.cli.demo.harbour import SERVICE, Berth, Connection, Harbour, build, quicken
from moorings.cli.demo.patching_screen import PatchingScreen
from moorings.cli.demo.scenarios import Play, Scenario, scenarios
from moorings.cli.demo.servers import USER_DATA
from moorings.cli.demo.verdicts import Played
from moorings.cli.patch.look import seen
from moorings.cli.patch.report import made_of, written
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.clouds.aws import Aws
from moorings.deploy import patching
from moorings.errors import Refused
from moorings.nodes.aws import SsmFleet

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud
    from localcloud.machines.machine import Machine

STACK = "moorings-demo-patching"
GROUP = "rg-demo"
SILENCE = timedelta(minutes=1)
ENROL_SECONDS = 90.0
LOOK_EVERY = 0.4  # seconds


class Patching:
    """Patching in one running local cloud."""

    def __init__(self, cloud: "LocalCloud", aws: Aws, talk: Talk) -> None:
        self._cloud = cloud
        self._aws = aws
        self._talk = talk
        self._clock = SystemClock()
        self._building: Future[Harbour] | None = None
        self._harbour: Harbour | None = None
        self._plays: list[Play] = []

    def begin(self) -> None:
        """Begin to deploy the stack; whoever needs it waits."""
        # No pool: whoever interrupts the demo must not wait for this thread.
        self._building = Future()
        threading.Thread(target=self._build, args=(self._building,), name="deploy-patching", daemon=True).start()

    def enrol(self, url: str, vpc_endpoint: str) -> None:
        """Let a VM for each scenario enrol as every other server does; returns once all are managed nodes."""
        assert self._building is not None, "begun before"
        quicken(self._cloud, silence=SILENCE)
        told = scenarios()
        began = time.monotonic()
        machines = [self._machine(scenario, url, vpc_endpoint) for scenario in told]
        with self._talk.looking(f"{len(machines)} Azure VMs enrol, the stack {STACK} is deployed"):
            self._harbour = harbour = self._building.result()
            berths = [harbour.berth(machine) for machine in machines]
            online = self._await_nodes(berths)
        self._talk.say(
            f"{online} of {len(machines)} Azure VMs are managed nodes, patching is deployed"
            f" ({time.monotonic() - began:.1f} s)",
            mark="done" if online == len(machines) else "failed",
        )
        others = [*berths[1:], *berths[:1]]
        self._plays = [
            Play(scenario=scenario, harbour=harbour, berth=berth, other=other)
            for scenario, berth, other in zip(told, berths, others, strict=True)
        ]

    def play(self) -> list[Played]:
        """Play all scenarios at once; how each ended, in the order in which they are told."""
        assert self._harbour is not None, "enrolled before"
        with PatchingScreen(self._talk, self._plays) as screen:
            return Director(self._harbour, self._plays).run(screen.update)

    def report(self, file: Path) -> Path:
        """Write what `moorings patch report` writes: a page, and JSON beside it. The JSON's path."""
        assert self._harbour is not None, "enrolled before"
        patched = self._harbour.patched
        executions = [each for play in self._plays for each in (play.first, play.execution) if each]
        with self._talk.looking("writing the report"):
            return written(made_of(patched, [seen(patched, each) for each in executions], executions), file)

    def take_down(self) -> None:
        """Remove the stack as `patch remove` does, whatever was built."""
        if self._building is not None and self._building.exception() is None:
            try:
                patching.remove(STACK, aws=self._aws, clock=self._clock)
            except Refused as refused:  # a run has not ended in its time; its cloud goes now, and all in it
                self._talk.say(refused.message, mark="failed")

    def _build(self, made: "Future[Harbour]") -> None:
        application = self._cloud.azure.entra.application("moorings")
        try:
            with TemporaryDirectory(prefix="moorings-anchors-") as directory:
                harbour = build(
                    self._cloud,
                    self._aws,
                    stack=STACK,
                    group=GROUP,
                    anchors=Path(directory),
                    clock=self._clock,
                    connection=Connection(application=application),
                )
        except BaseException as error:
            # The thread's outermost door: whoever waits for the harbour gets it.
            made.set_exception(error)
        else:
            made.set_result(harbour)

    def _machine(self, scenario: Scenario, url: str, vpc_endpoint: str) -> "Machine":
        from localcloud.machines.spec import MachineSpec

        shebang, _, enrol = USER_DATA.format(url=url).partition("\n")
        return self._cloud.machines.create(
            MachineSpec(
                name=scenario.key,
                os=scenario.os,
                cloud="azure",
                vpce_id=vpc_endpoint,
                user_data=f"{shebang}\n{SERVICE}{enrol}",
                updates=scenario.updates,
            )
        )

    def _await_nodes(self, berths: Sequence[Berth]) -> int:
        """How many of them are managed nodes: all, or those that are after a time in which all should be."""
        fleet, end = SsmFleet(client=self._aws.client("ssm")), time.monotonic() + ENROL_SECONDS
        while True:
            online = {node.id for node in fleet.nodes() if node.online}
            arrived = sum(berth.node in online for berth in berths)
            if arrived == len(berths) or time.monotonic() > end:
                return arrived
            time.sleep(LOOK_EVERY)
