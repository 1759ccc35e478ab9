"""One patch operation on one disk: look, install, look again. What reaches beyond the disk goes through `Effects`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from localcloud.machines import updates
from localcloud.machines.patching import report
from localcloud.machines.patching.baseline import Baseline
from localcloud.machines.patching.ledger import FAILED, MISSING, PENDING_REBOOT, Ledger, known_updates
from localcloud.machines.updates import Update

REBOOT = 194
TOO_MANY_REBOOTS = 3
MOST_REBOOTS = 6
UNBOOTABLE = "boot/unbootable"


class AgentGone(Exception):
    """An update has taken the agent along: nothing more happens, nobody hears of it."""


class Effects(Protocol):
    """What installing does besides writing files."""

    def service(self, verb: str, name: str) -> None:
        """Stop or restart a service."""

    def remove_agent(self) -> None:
        """End the agent; it never starts again."""

    def wait(self, seconds: float) -> None:
        """Let so much of the cloud's time pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for."""

    operation: str  # Scan | Install
    reboot_option: str = "RebootIfNeeded"
    snapshot_id: str = ""
    override_list: str = ""  # where it came from
    only: frozenset[str] | None = None  # the ids in the override list


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The exit code, and the inventory items to send (none if they get lost)."""

    code: int
    items: list[dict[str, Any]]


class Patching:
    """The updates of the disk at `root`."""

    def __init__(
        self, root: Path, baseline: Baseline, *, boot_id: str, effects: Effects, say: Callable[[str], None]
    ) -> None:
        self._root = root
        self._baseline = baseline
        self._boot_id = boot_id
        self._effects = effects
        self._say = say
        self._known = known_updates(root)
        self._ledger = Ledger.load(root)

    def run(self, wish: Wish) -> Done:
        """Do it. AgentGone if the agent went along with it; what was installed until then stays."""
        started = _now()
        self._say(f"Running {wish.operation} with reboot option {wish.reboot_option}")
        code = self._install(wish) if wish.operation == "Install" else 0
        operation = report.Operation(
            name=wish.operation,
            reboot_option=wish.reboot_option,
            snapshot_id=wish.snapshot_id,
            override_list=wish.override_list,
            started=started,
            ended=_now(),
        )
        states = self._states()
        for update, state in states.items():
            self._say(f"{state:<25} {update.id} ({update.severity}, {update.classification})")
        found = report.items(operation, self._baseline, self._ledger, states)
        if self._ledger.silent:
            self._say("The report is lost, as an installed update wants it.")
        return Done(code=code, items=[] if self._ledger.silent else found)

    def _states(self) -> dict[Update, str]:
        found = {update: self._ledger.state(update, self._baseline, self._boot_id) for update in self._known}
        return {update: state for update, state in found.items() if state}

    def _install(self, wish: Wish) -> int:
        wanted = [update for update, state in self._wanted(wish) if state in {MISSING, FAILED}]
        if not wanted:
            self._say("There is nothing to install.")
        broken = False
        for update in wanted:
            broken = not self._install_one(update) or update.has(updates.EXIT_1) or broken
        pending = PENDING_REBOOT in self._states().values()
        if broken:
            return 1
        if pending and wish.reboot_option == "RebootIfNeeded":
            return self._ask_for_reboot()
        self._ledger.reboots = 0
        if wanted and wish.reboot_option == "NoReboot":
            self._ledger.last_install_without_reboot = _now()
        self._ledger.save(self._root)
        return 0

    def _wanted(self, wish: Wish) -> list[tuple[Update, str]]:
        if wish.only is None:
            return list(self._states().items())
        # An override list stands above the baseline.
        everything = Baseline()
        return [
            (update, self._ledger.state(update, everything, self._boot_id))
            for update in self._known
            if update.id in wish.only
        ]

    def _install_one(self, update: Update) -> bool:
        """Whether it could be installed."""
        for seconds in update.words(updates.TAKES):
            self._effects.wait(float(seconds))
        ledger = self._ledger
        if update.has(updates.FAIL):
            self._say(f"Installing {update.id} failed")
            ledger.failed = sorted({*ledger.failed, update.id})
            ledger.save(self._root)
            return False
        for path, text in update.files:
            _write(self._root / path.lstrip("/"), text)
        if update.has(updates.NO_BOOT):
            _write(self._root / UNBOOTABLE, f"{update.id} has broken the boot\n")
        ledger.installed[update.id] = (_now(), self._boot_id)
        ledger.failed = [name for name in ledger.failed if name != update.id]
        ledger.silent = ledger.silent or update.has(updates.NO_REPORT)
        ledger.save(self._root)
        self._say(f"Installed {update.id}")
        for verb, name in (("stop", updates.STOP_SERVICE), ("restart", updates.RESTART_SERVICE)):
            for service in update.words(name):
                self._effects.service(verb, service)
        if update.has(updates.AGENT_GONE):
            self._effects.remove_agent()
            raise AgentGone
        return True

    def _ask_for_reboot(self) -> int:
        ledger = self._ledger
        ledger.reboots += 1
        too_many = ledger.reboots > MOST_REBOOTS
        if too_many:
            ledger.reboots = 0
        ledger.save(self._root)
        self._say("Too many reboots" if too_many else "Rebooting")
        return TOO_MANY_REBOOTS if too_many else REBOOT


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if text.startswith("#!"):
        path.chmod(0o755)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
