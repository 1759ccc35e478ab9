"""What can befall a VM that is patched, and how each such run has to end. The demo and the tests play the same ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorings.cli.demo.harbour import Berth, Harbour
from moorings.patching.aws import SsmNodes
from moorings.patching.deleting import resource_name
from moorings.patching.model import Outcome, Phase, vm_ref
from moorings.patching.standing import Standing

if TYPE_CHECKING:
    from localcloud.machines.updates import Update

# Waiting shows only that time passes: where a node stays silent or a check keeps failing, little of it.
BRIEF: Mapping[str, Sequence[str]] = {"NodeBootTime": ["PT10S"], "HealthSettleTime": ["PT2S"]}
SLOW: Mapping[str, Sequence[str]] = {"SleepDuration": ["PT30S"]}
AGENT, SNAP_AGENT = "amazon-ssm-agent", "snap.amazon-ssm-agent.amazon-ssm-agent"


@dataclass(slots=True, kw_only=True)
class Play:
    """A scenario on its VM: what was started, and how it stands. `other`: another VM, for who claims to be that."""

    scenario: "Scenario"
    harbour: Harbour
    berth: Berth
    other: Berth
    execution: str = ""
    first: str = ""  # of two runs at once, the one that began before
    acted: bool = False  # what happens in the middle of the run has happened
    standing: Standing | None = None
    first_standing: Standing | None = None


Deed = Callable[[Play], None]
Question = Callable[[Play], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One story. `before` happens ahead of the start, which waits until the VM is `ready`; `begun` happens right after
    it, `meanwhile` each time somebody looks."""

    key: str  # the server's name
    title: str
    expected: Outcome
    os: str = "ubuntu-24.04"
    wrong: bool = True
    updates: "tuple[Update, ...]" = ()
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    before: Deed | None = None
    ready: Question | None = None
    begun: Deed | None = None
    meanwhile: Deed | None = None
    twice: bool = False  # two runs at once; the outcome is that of the second
    warns: bool = False  # it ends well, with something to be known

    @property
    def put_back(self) -> bool:
        """Whether the disk has to be that of the checkpoint."""
        return self.expected is Outcome.ROLLED_BACK


def scenarios() -> tuple[Scenario, ...]:
    """All of them, those that take long first."""
    return (*_silent(), *_put_back(), *_left_alone(), *_well())


def _silent() -> tuple[Scenario, ...]:
    """The node is not heard of again."""
    return (
        Scenario(
            key="no-boot",
            title="does not boot",
            expected=Outcome.ROLLED_BACK,
            updates=_update("no-boot", reboot=True),
            parameters=BRIEF,
        ),
        Scenario(
            key="agent-dies",
            os="debian-12",
            title="agent dies mid-way",
            expected=Outcome.ROLLED_BACK,
            updates=_update("agent-gone"),
            # Azure says that the VM runs, so nobody knows that it is bad: whoever wants it back all the same says so.
            parameters={**BRIEF, "RollbackOn": ["BadOrUnknown"]},
        ),
    )


def _put_back() -> tuple[Scenario, ...]:
    """The update stops what the server is there for."""
    breaks, rolled_back = _update("stop-service web"), Outcome.ROLLED_BACK
    return (
        Scenario(
            key="no-way-back",
            title="restore impossible",
            expected=Outcome.ROLLBACK_FAILED,
            updates=breaks,
            parameters=BRIEF,
            before=_no_update_works,
        ),
        Scenario(
            key="cancelled",
            os="rhel-9",
            title="cancelled while restoring",
            expected=rolled_back,
            updates=breaks,
            parameters={**BRIEF, **SLOW},
            meanwhile=_cancel_while_down,
        ),
        Scenario(
            key="dead-service",
            os="sles-15",
            title="exit 0, service dead",
            expected=rolled_back,
            updates=breaks,
            parameters=BRIEF,
        ),
        Scenario(
            key="update-fails",
            title="VM update fails once",
            expected=rolled_back,
            updates=breaks,
            parameters=BRIEF,
            before=_one_update_fails,
        ),
    )


def _left_alone() -> tuple[Scenario, ...]:
    """Something speaks against patching."""
    good, unchanged = _update(), Outcome.UNCHANGED
    return (
        Scenario(key="stuck-snapshot", title="snapshot stuck", expected=unchanged, updates=good, begun=_snapshot_stuck),
        Scenario(
            key="twice",
            title="two runs at once: second",
            expected=unchanged,
            updates=_update("takes 120"),
            twice=True,
        ),
        Scenario(key="no-snapshot", title="snapshot fails", expected=unchanged, updates=good, begun=_snapshot_fails),
        Scenario(key="impostor", title="node claims another VM", expected=unchanged, updates=good, before=_pretend),
        Scenario(
            key="offline",
            title="node offline",
            expected=unchanged,
            updates=good,
            before=_go_offline,
            ready=_is_offline,
        ),
    )


def _well() -> tuple[Scenario, ...]:
    """Nothing is wrong at the end."""
    reboot, good, patched = _update(reboot=True), _update(), Outcome.PATCHED
    return (
        Scenario(key="reboot", os="rhel-9", title="good, with a reboot", expected=patched, wrong=False, updates=reboot),
        Scenario(key="good", os="debian-12", title="good", expected=patched, wrong=False, updates=good),
        Scenario(
            key="exit-1",
            title="exit 1, but all is well",
            expected=patched,
            wrong=False,
            updates=_update("exit-1"),
            warns=True,
        ),
        Scenario(key="compliant", os="sles-15", title="compliant already", expected=Outcome.UNCHANGED, wrong=False),
    )


def _update(*effects: str, reboot: bool = False) -> "tuple[Update, ...]":
    from localcloud.machines.updates import Update

    files = (("/opt/app/version", "2\n"), ("/opt/app/changes", "a new version\n"))
    return (Update(id="app-2", title="App 2", files=files, needs_reboot=reboot, effects=effects),)


def _snapshot(play: Play) -> str:
    """The end of the id of the OS disk's snapshot: it is known before the first call asks for it."""
    ref = vm_ref(play.berth.vm.id)
    assert ref is not None, "the local Azure makes ids of VMs"
    return f"/{resource_name(ref, play.execution, None)}"


def _snapshot_stuck(play: Play) -> None:
    play.harbour.cloud.azure.faults.snapshot_stuck(resource=_snapshot(play))


def _snapshot_fails(play: Play) -> None:
    play.harbour.cloud.azure.faults.snapshot_failed(resource=_snapshot(play))


def _no_update_works(play: Play) -> None:
    play.harbour.cloud.azure.faults.update_fails(None, resource=play.berth.vm.id)


def _one_update_fails(play: Play) -> None:
    play.harbour.cloud.azure.faults.update_fails(1, resource=play.berth.vm.id)


def _pretend(play: Play) -> None:
    from localcloud.azure.imds import Metadata

    play.harbour.cloud.world.part(Metadata).pretend(play.berth.machine, play.other.vm)


def _go_offline(play: Play) -> None:
    machine = play.berth.machine
    machine.run(["systemctl", "stop", SNAP_AGENT if machine.spec.snap_agent else AGENT])


def _is_offline(play: Play) -> bool:
    node = SsmNodes(client=play.harbour.aws.client("ssm")).node(play.berth.node)
    return node is not None and not node.online


def _cancel_while_down(play: Play) -> None:
    standing = play.standing
    if standing is None or standing.run is None:
        return
    down = play.berth.vm.power in {"stopping", "stopped"}
    if not play.acted and down and standing.run.phase is Phase.RESTORING:
        play.acted = play.harbour.patched.automations.stop(play.execution)
    elif play.acted and standing.unfinished:
        play.harbour.hasten(play.execution)
