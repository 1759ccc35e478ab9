"""Updates that a machine lacks, as data on its disk: what installing one changes, and what else it does.

Written by the local cloud when the disk is made, read by the machine's patch program; so a copied or restored disk
lacks again what it lacked. No product script knows of them.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

UPDATES = "var/lib/localcloud/updates.json"

STOP_SERVICE = "stop-service"  # NAME: it is stopped, and starts again at the next boot if it is enabled
RESTART_SERVICE = "restart-service"  # NAME: so that it runs with the update's files
FAIL = "fail"  # the update cannot be installed; nothing of it reaches the disk
EXIT_1 = "exit-1"  # the program ends with 1 although everything was installed
NO_BOOT = "no-boot"  # the disk does not boot any more
AGENT_GONE = "agent-gone"  # the agent dies in the middle of the installation and never starts again
NO_REPORT = "no-report"  # from now on the program's reports do not arrive
TAKES = "takes"  # SECONDS of the cloud's time
EFFECTS = frozenset({STOP_SERVICE, RESTART_SERVICE, FAIL, EXIT_1, NO_BOOT, AGENT_GONE, NO_REPORT, TAKES})
_WITH_WORD = frozenset({STOP_SERVICE, RESTART_SERVICE, TAKES})

SEVERITIES = ("Critical", "Important", "Moderate", "Low", "Unspecified")


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One update. `files`: (absolute path, text) that installing it writes; a text that begins with #! is executable.

    `needs_reboot`: it counts as installed only after the next boot, and asks for one. `effects`: see this module's
    constants, some followed by a word ("stop-service web", "takes 600").
    """

    id: str
    title: str = ""
    severity: str = "Important"
    classification: str = "Security"
    cve_ids: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    needs_reboot: bool = True
    effects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity is {self.severity!r}; it is one of {', '.join(SEVERITIES)}")
        for path, _ in self.files:
            if not path.startswith("/") or ".." in PurePosixPath(path).parts:
                raise ValueError(f"{path!r} is no absolute path")
        for effect in self.effects:
            name, _, word = effect.partition(" ")
            if name not in EFFECTS or bool(word) != (name in _WITH_WORD):
                raise ValueError(f"there is no effect {effect!r}; there are: {', '.join(sorted(EFFECTS))}")

    def has(self, name: str) -> bool:
        """Whether it has this effect."""
        return any(effect.partition(" ")[0] == name for effect in self.effects)

    def words(self, name: str) -> list[str]:
        """The words of all its effects of this name."""
        return [effect.partition(" ")[2] for effect in self.effects if effect.partition(" ")[0] == name]


def to_text(updates: Iterable[Update]) -> str:
    """The file's content."""
    return json.dumps({"updates": [asdict(update) for update in updates]}, indent=1)


def from_text(text: str) -> tuple[Update, ...]:
    """What `to_text` wrote."""
    raw: list[dict[str, Any]] = json.loads(text)["updates"]
    return tuple(
        Update(
            **{
                **entry,
                "cve_ids": tuple(entry["cve_ids"]),
                "files": tuple((path, content) for path, content in entry["files"]),
                "effects": tuple(entry["effects"]),
            }
        )
        for entry in raw
    )
