"""The published token buckets of Resource Manager and of compute; a call that finds one empty gets 429 and Retry-After.

Refills are rates that the service measures, so the clock scales their unit. Source: reference/azure-compute, section 8.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from localcloud.azure.errors import ArmError
from localcloud.azure.ids import COMPUTE, key
from localcloud.azure.routes import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A bucket's refill in tokens a minute, and its size."""

    per_minute: float
    burst: float


# Resource Manager: per subscription, principal and region.
ARM = {
    "reads": Rate(per_minute=25 * 60, burst=250),
    "writes": Rate(per_minute=10 * 60, burst=200),
    "deletes": Rate(per_minute=10 * 60, burst=200),
}
GLOBAL = 15  # a whole subscription may do this many times what one principal may
# Compute: per virtual machine, and per subscription.
COMPUTE_RATES: dict[str, tuple[Rate | None, Rate]] = {
    "PutVM": (Rate(per_minute=4, burst=12), Rate(per_minute=500, burst=1500)),
    "UpdateVM": (Rate(per_minute=4, burst=12), Rate(per_minute=500, burst=1500)),
    "DeleteVM": (Rate(per_minute=4, burst=12), Rate(per_minute=500, burst=1500)),
    "LowCostGet": (Rate(per_minute=12, burst=36), Rate(per_minute=8000, burst=24000)),
    "HighCostGet": (None, Rate(per_minute=300, burst=900)),
    "GetOperation": (Rate(per_minute=15, burst=45), Rate(per_minute=5000, burst=15000)),
}
_POLICIES = {
    "virtualMachines.patch": "UpdateVM",
    "virtualMachines.powerOff": "UpdateVM",
    "virtualMachines.start": "UpdateVM",
    "virtualMachines.restart": "UpdateVM",
    "virtualMachines.redeploy": "UpdateVM",
    "virtualMachines.reapply": "UpdateVM",
    "virtualMachines.attachDetachDataDisks": "UpdateVM",
    "virtualMachines.delete": "DeleteVM",
    "virtualMachines.deallocate": "DeleteVM",
    "virtualMachines.get": "LowCostGet",
    "virtualMachines.instanceView": "LowCostGet",
    "virtualMachines.list": "HighCostGet",
    "virtualMachines.list_all": "HighCostGet",
    "virtualMachines.list_by_location": "HighCostGet",
    "operations.get": "GetOperation",
}


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: datetime


def policy_of(operation: str, *, new: bool) -> str:
    """The compute policy that an operation counts against; a PUT of what is there is an update. Empty: none."""
    if operation == "virtualMachines.put":
        return "PutVM" if new else "UpdateVM"
    return _POLICIES.get(operation, "")


class Throttling:
    """All buckets of one local Azure. The state's lock guards it."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, ...], _Bucket] = {}

    def arm(self, route: Route, method: str, principal: str, *, now: datetime, unit: timedelta) -> dict[str, str]:
        """Count a call against Resource Manager's buckets; the headers that tell what is left, or 429."""
        word = {"GET": "reads", "DELETE": "deletes"}.get(method, "writes")
        rate = ARM[word]
        whole = Rate(per_minute=rate.per_minute * GLOBAL, burst=rate.burst * GLOBAL)
        subscription = route.subscription.lower()
        wanted = [
            (("arm", word, subscription, principal), rate),
            (("arm-global", word, subscription), whole),
        ]
        left = self._take(wanted, word, now=now, unit=unit)
        name = f"x-ms-ratelimit-remaining-subscription-{word}"
        return {name: str(left[0]), name.replace("subscription-", "subscription-global-"): str(left[1])}

    def compute(self, route: Route, policy: str, target: str, *, now: datetime, unit: timedelta) -> dict[str, str]:
        """Count a call against compute's buckets; `target` is the virtual machine's id, empty if there is none."""
        per_machine, per_subscription = COMPUTE_RATES[policy]
        wanted = [(("compute", policy, route.subscription.lower()), per_subscription)]
        names = [f"{COMPUTE}/{policy}Subscription"]
        if per_machine is not None and target:
            wanted.insert(0, (("compute", policy, key(target)), per_machine))
            names.insert(0, f"{COMPUTE}/{policy}")
        left = self._take(wanted, policy, now=now, unit=unit)
        told = ",".join(f"{name};{number}" for name, number in zip(names, left, strict=True))
        return {"x-ms-ratelimit-remaining-resource": told, "x-ms-request-charge": "1"}

    def _take(
        self, wanted: Iterable[tuple[tuple[str, ...], Rate]], policy: str, *, now: datetime, unit: timedelta
    ) -> list[int]:
        pairs = [(self._filled(name, rate, now=now, unit=unit), rate) for name, rate in wanted]
        for bucket, rate in pairs:
            if bucket.tokens < 1:
                wait = (1 - bucket.tokens) * (unit / rate.per_minute)
                raise _refusal(policy, rate, wait, now=now, unit=unit)
        for bucket, _ in pairs:
            bucket.tokens -= 1
        return [int(bucket.tokens) for bucket, _ in pairs]

    def _filled(self, name: tuple[str, ...], rate: Rate, *, now: datetime, unit: timedelta) -> _Bucket:
        bucket = self._buckets.setdefault(name, _Bucket(tokens=rate.burst, filled_at=now))
        passed = max(timedelta(0), now - bucket.filled_at) / unit
        bucket.tokens = min(rate.burst, bucket.tokens + passed * rate.per_minute)
        bucket.filled_at = now
        return bucket


def _refusal(policy: str, rate: Rate, wait: timedelta, *, now: datetime, unit: timedelta) -> ArmError:
    told = {
        "operationGroup": policy,
        "startTime": (now - unit).isoformat(),
        "endTime": now.isoformat(),
        "allowedRequestCount": int(rate.burst),
        "measuredRequestCount": int(rate.burst) + 1,
    }
    return ArmError(
        429,
        "OperationNotAllowed",
        "The server rejected the request because too many requests have been received for this subscription.",
        details=[{"code": "TooManyRequests", "target": policy, "message": json.dumps(told)}],
        headers={
            "Retry-After": str(max(1, math.ceil(wait.total_seconds()))),
            "x-ms-ratelimit-remaining-resource": f"{COMPUTE}/{policy};0",
            "x-ms-request-charge": "1",
        },
        bare=True,
    )
