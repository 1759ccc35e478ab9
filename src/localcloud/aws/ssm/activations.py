"""Hybrid activations: created, redeemed by registrations, expired, deleted. One `Activations` per world.

A deleted activation is remembered (never shown), so that a registration whose answer was lost can be repeated.
"""

import base64
import hmac
import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from localcloud.aws.ssm import choices
from localcloud.errors import ServiceError
from localcloud.world import World

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A hybrid activation as the service knows it. `expires_at` is exclusive: at that instant it is expired."""

    id: str
    code: str = field(repr=False)
    region: str
    iam_role: str
    registration_limit: int = 1  # 1 to 1,000
    created_at: datetime
    expires_at: datetime
    default_instance_name: str = ""
    description: str = ""
    tags: Tags = ()

    def expired(self, now: datetime) -> bool:
        """True from `expires_at` on."""
        return now >= self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemptions:
    """How often one activation was used: for benches that prove that none was over-issued."""

    activation_id: str
    registration_limit: int
    registrations: int
    deleted: bool


@dataclass(slots=True)
class _Entry:
    activation: Activation
    registered_at: list[datetime] = field(default_factory=list)
    deleted: bool = False


class Activations:
    """All activations of a world, in every Region. Threads may share it.

    `registrations_lag` (real time, default none) is how long a registration takes to show in RegistrationsCount.
    """

    def __init__(self, world: World) -> None:
        self.registrations_lag = timedelta(0)
        self._clock = world.clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def create(
        self,
        *,
        region: str,
        iam_role: str,
        registration_limit: int = 1,
        expires_at: datetime | None = None,
        default_instance_name: str = "",
        description: str = "",
        tags: Tags = (),
    ) -> Activation:
        """A new activation with a fresh id and code; raises ServiceError unless it ends within 30 days from now."""
        now = self._clock.now()
        ends = expires_at or now + choices.DEFAULT_ACTIVATION_LIFE
        if not now < ends <= now + choices.MAX_ACTIVATION_LIFE:
            raise ServiceError(
                "ValidationException", f"Expiration date {ends:%Y-%m-%dT%H:%M:%SZ} must be within the next 30 days"
            )
        return self.seed(
            Activation(
                id=str(uuid.uuid4()),
                code=base64.b64encode(secrets.token_bytes(15)).decode(),  # 20 characters, as the service's
                region=region,
                iam_role=iam_role,
                registration_limit=registration_limit,
                created_at=now,
                expires_at=ends,
                default_instance_name=default_instance_name,
                description=description,
                tags=tags,
            )
        )

    def seed(self, activation: Activation) -> Activation:
        """Make a given activation known (recordings bring their own ids and codes)."""
        with self._lock:
            self._entries[activation.id] = _Entry(activation)
        return activation

    def live(self, region: str | None = None) -> list[Activation]:
        """Those not deleted, expired ones included, of one Region or of all."""
        with self._lock:
            return [
                entry.activation
                for entry in self._entries.values()
                if not entry.deleted and region in (None, entry.activation.region)
            ]

    def ever(self) -> list[Activation]:
        """Every activation that was ever made, deleted ones included: for those who look for leaked codes."""
        with self._lock:
            return [entry.activation for entry in self._entries.values()]

    def age(self, by: timedelta) -> None:
        """Make every activation older by `by`: for those who cannot wait, but whose own clock is real."""
        with self._lock:
            for entry in self._entries.values():
                made = entry.activation
                entry.activation = replace(made, created_at=made.created_at - by, expires_at=made.expires_at - by)

    def visible_count(self, activation_id: str) -> int:
        """The registrations that DescribeActivations shows by now."""
        until = self._clock.now() - self.registrations_lag
        with self._lock:
            return sum(at <= until for at in self._entries[activation_id].registered_at)

    def redemptions(self) -> list[Redemptions]:
        """The true count of every activation ever made, deleted ones included, without lag."""
        with self._lock:
            return [
                Redemptions(
                    activation_id=entry.activation.id,
                    registration_limit=entry.activation.registration_limit,
                    registrations=len(entry.registered_at),
                    deleted=entry.deleted,
                )
                for entry in self._entries.values()
            ]

    def delete(self, activation_id: str, *, region: str) -> None:
        """Refuse registrations from now on; nodes stay. Raises ServiceError InvalidActivationId if there is none."""
        with self._lock:
            entry = self._entries.get(activation_id)
            if entry is None or entry.deleted or entry.activation.region != region:
                raise ServiceError("InvalidActivationId", f"Activation {activation_id} does not exist")
            entry.deleted = True

    def fits(self, activation_id: str, code: str) -> bool:
        """True if id and code belong together, whatever became of the activation since."""
        with self._lock:
            entry = self._entries.get(activation_id)
            return entry is not None and _same(entry.activation.code, code)

    def redeem(
        self, activation_id: str, code: str, *, region: str | None, admit: Callable[[Activation], None]
    ) -> Activation:
        """Count one registration and return its activation, or raise ServiceError and count nothing.

        `region` None: the request did not say which (loopback address). `admit` may refuse by raising, before the
        registration is counted; it runs under this object's lock.
        """
        now = self._clock.now()
        with self._lock:
            entry = self._entries.get(activation_id)
            if (
                entry is None
                or entry.deleted
                or region not in (None, entry.activation.region)
                or not _same(entry.activation.code, code)
            ):
                raise ServiceError("InvalidActivation", "The activation is not valid: ID and code do not match.")
            activation = entry.activation
            if activation.expired(now):
                raise ServiceError("ActivationExpired", f"Activation {activation_id} has expired.")
            if len(entry.registered_at) >= activation.registration_limit:
                raise ServiceError(
                    "RegistrationLimitExceeded",
                    f"Activation {activation_id} has reached its limit of {activation.registration_limit} nodes.",
                )
            admit(activation)
            entry.registered_at.append(now)
            return activation


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
