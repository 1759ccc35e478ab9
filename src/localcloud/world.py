"""The one state of a local cloud: account, clock, credentials, faults, the log of calls, and every service's own part.

Services keep their state in a class that takes the world, and find it (and each other's) with `world.part(TheClass)`.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from localcloud.authority import Authority
from localcloud.aws.call import CallRecord
from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.principals import CredentialStore, Kind, Principal
from localcloud.wire import Endpoint

PartT = TypeVar("PartT")


class CallLog:
    """Every call that the AWS endpoint answered, in the order of their ends. Threads may share it."""

    def __init__(self) -> None:
        self._records: list[CallRecord] = []

    def append(self, record: CallRecord) -> None:
        self._records.append(record)  # list.append is atomic; readers copy

    def __len__(self) -> int:
        return len(self._records)

    def snapshot(self) -> list[CallRecord]:
        """All calls so far, as a copy."""
        return list(self._records)

    def since(self, position: int) -> list[CallRecord]:
        """The calls after the first `position` (take it from `len(calls)` before)."""
        return self._records[position:]

    def count(self, *, since: int = 0) -> Counter[tuple[str, str]]:
        """How often each (service, operation) was called."""
        return Counter((record.service, record.operation) for record in self.since(since))

    def by_principal(self, *, since: int = 0) -> Counter[tuple[str, str, str]]:
        """How often each principal (by ARN) called each (service, operation)."""
        return Counter((record.principal.arn, record.service, record.operation) for record in self.since(since))


class World:
    """State shared by everything in one local cloud; made by `LocalCloud`, or alone in tests at the HTTP seam.

    `serving` makes the AWS endpoint of this world when it is first asked for.
    """

    def __init__(
        self,
        *,
        account: str,
        region: str,
        clock: Clock,
        state_dir: Path,
        serving: Callable[["World"], Endpoint],
        seed: int = 0,
    ) -> None:
        self.account = account
        self.region = region
        self.clock = clock
        self.state_dir = state_dir
        self.faults = Faults(rng=random.Random(seed))  # noqa: S311 - repeatable fault injection, not security
        self.calls = CallLog()
        self.credentials = CredentialStore(clock.now)
        self.root = self.credentials.issue(Principal(kind=Kind.ROOT, arn=f"arn:aws:iam::{account}:root"))
        self.authority = Authority(state_dir)
        # Where all AWS services answer over HTTP, for processes of their own (functions); empty while nothing listens.
        self.endpoint_url = ""
        # Set once the cloud goes down: whoever blocks (long polls, schedules) watches it.
        self.stopping = threading.Event()
        # moto's backends do not guard their conditional writes: whoever touches one directly holds this lock.
        self.moto_lock = threading.RLock()
        self._serving = serving
        self._parts: dict[type[Any], Any] = {}
        self._parts_lock = threading.RLock()
        self._closed = False

    def part(self, kind: Callable[["World"], PartT]) -> PartT:
        """The one instance of `kind` in this world, made on first use as `kind(world)`; closed with the world."""
        key = cast("type[Any]", kind)
        made = self._parts.get(key)
        if made is None:
            with self._parts_lock:
                made = self._parts.get(key)
                if made is None:
                    if self._closed:
                        raise RuntimeError("this local cloud has stopped; nothing new begins in it")
                    made = kind(self)
                    self._parts[key] = made
        return cast("PartT", made)

    @property
    def endpoint(self) -> Endpoint:
        """The AWS endpoint of this world: `world.endpoint.dispatch(request)` is the seam."""
        return self.part(self._serving)

    def backend(self, service: str, region: str | None = None) -> Any:
        """moto's backend of `service` (botocore's name) for this account; hold `moto_lock` while you use it."""
        from localcloud.aws.backends import backend  # noqa: PLC0415 - moto is loaded when it is first needed

        return backend(service, account=self.account, region=region or self.region)

    def regions(self, service: str) -> list[str]:
        """The Regions in which this account has used `service` (botocore's name)."""
        from localcloud.aws.backends import regions  # noqa: PLC0415 - moto is loaded when it is first needed

        return regions(service, account=self.account)

    def close(self) -> None:
        """Wake who waits and close every part, the youngest first. Safe to repeat."""
        self.stopping.set()
        with self._parts_lock:
            parts, self._closed = [] if self._closed else list(self._parts.values()), True
        for part in reversed(parts):
            close = getattr(part, "close", None)
            if callable(close):
                close()
