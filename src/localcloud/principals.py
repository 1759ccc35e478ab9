"""Who calls: principals, and the credentials that the local cloud has issued for them."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum


class Kind(Enum):
    """What a principal is; decides which rules bind it."""

    ROOT = "root"  # the operator: may do everything
    ROLE = "role"  # a function (or another assumed role): its policies are enforced
    NODE = "node"  # a managed node with its role token


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An identity behind an access key. `session` is the function environment or the node id."""

    kind: Kind
    arn: str
    role_name: str = ""
    session: str = ""
    via: str = ""  # the service that calls with this identity's rights, such as cloudformation.amazonaws.com


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An access key and what belongs to it; `expires_at` None means it lasts."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False, default="")
    expires_at: datetime | None = None
    principal: Principal


FEW = 256  # below it is not worth looking
FORGOTTEN_AFTER = timedelta(hours=1)  # who comes later hears that the key is unknown, not that it has expired


class CredentialStore:
    """Issues credentials and finds whose they are. Threads may share it.

    What expired long ago is forgotten: a cloud that runs for days issues new ones all the time.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._by_key: dict[str, Credentials] = {}
        self._tidy_at = FEW
        self._lock = threading.Lock()

    def issue(self, principal: Principal, *, expires_at: datetime | None = None) -> Credentials:
        """New credentials for `principal`: temporary (ASIA…, with a token) if they expire, else lasting (AKIA…)."""
        prefix, token = ("ASIA", secrets.token_urlsafe(96)) if expires_at else ("AKIA", "")
        made = Credentials(
            access_key=prefix + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16)),
            secret_key=secrets.token_urlsafe(30),
            session_token=token,
            expires_at=expires_at,
            principal=principal,
        )
        return self.add(made)

    def add(self, credentials: Credentials) -> Credentials:
        """Make given credentials known (golden recordings bring their own)."""
        with self._lock:
            self._by_key[credentials.access_key] = credentials
            if len(self._by_key) > self._tidy_at:
                self._tidy()
        return credentials

    def find(self, access_key: str) -> Credentials | None:
        """The credentials of `access_key`, also for a while after they expired; None if it is not known here."""
        with self._lock:
            return self._by_key.get(access_key)

    def _tidy(self) -> None:
        floor = self._now() - FORGOTTEN_AFTER
        self._by_key = {
            key: one for key, one in self._by_key.items() if one.expires_at is None or one.expires_at > floor
        }
        self._tidy_at = max(FEW, 2 * len(self._by_key))
