"""Service settings: of all of them the tier of managed nodes, which bounds how many may register."""

import threading
from dataclasses import dataclass
from datetime import datetime

from localcloud.errors import ServiceError
from localcloud.world import World

ACTIVATION_TIER = "/ssm/managed-instance/activation-tier"
STANDARD = "standard"
ADVANCED = "advanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The tier of one Region. `changed_at` None: never changed, the default holds."""

    value: str = STANDARD
    changed_at: datetime | None = None
    changed_by: str = ""


class ServiceSettings:
    """The managed-node tier per Region. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._clock = world.clock
        self._tiers: dict[str, Setting] = {}
        self._lock = threading.Lock()

    def tier(self, region: str) -> Setting:
        """The Region's setting; `standard` until somebody changes it."""
        with self._lock:
            return self._tiers.get(region, Setting())

    def set_tier(self, region: str, value: str, *, by: str = "") -> Setting:
        """Change the Region's tier; raises ServiceError ValidationException for a value that is no tier."""
        if value not in (STANDARD, ADVANCED):
            raise ServiceError("ValidationException", f"{value} is not a tier; it must be {STANDARD} or {ADVANCED}")
        made = Setting(value=value, changed_at=self._clock.now(), changed_by=by)
        with self._lock:
            self._tiers[region] = made
        return made

    def reset_tier(self, region: str) -> Setting:
        """Back to the default."""
        with self._lock:
            self._tiers.pop(region, None)
        return Setting()
