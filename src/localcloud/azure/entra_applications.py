"""Applications of the local tenant, and by what they prove themselves: secrets, certificates, federated credentials."""

import hmac
import secrets
import threading
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from localcloud.clock import Clock

EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"  # the custom one of the public cloud
SECRET_LIFETIME = timedelta(days=180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A client secret and its end."""

    value: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A registered certificate, found by the thumbprints that an assertion's header may name."""

    certificate: x509.Certificate
    sha1: str  # x5t
    sha256: str  # x5t#S256


@dataclass(frozen=True, slots=True, kw_only=True)
class Federated:
    """A federated identity credential: whose assertions stand for the application. All three must match exactly.

    `since` is when the token service begins to honour it: for some minutes a new one is unknown to it.
    """

    issuer: str
    subject: str
    audience: str
    since: datetime


class Application:
    """An application registration with its service principal. Threads may share it."""

    def __init__(self, name: str, *, clock: Clock) -> None:
        self.name = name
        self.client_id = str(uuid.uuid4())
        self.object_id = str(uuid.uuid4())  # of the service principal: what role assignments name
        self._clock = clock
        self._lock = threading.Lock()
        self._secrets: list[Secret] = []
        self._certificates: list[Certificate] = []
        self._federated: list[Federated] = []

    def add_secret(self, *, lifetime: timedelta = SECRET_LIFETIME) -> str:
        """A new client secret, valid from now on; shown here only."""
        made = Secret(value=secrets.token_urlsafe(30), expires_at=self._clock.now() + lifetime)
        with self._lock:
            self._secrets.append(made)
        return made.value

    def add_certificate(self, pem: bytes | str) -> None:
        """Register the (public) certificate in `pem`; a private key beside it is not looked at."""
        text = pem.encode() if isinstance(pem, str) else pem
        certificate = x509.load_pem_x509_certificate(text)
        made = Certificate(
            certificate=certificate,
            sha1=_thumbprint(certificate, hashes.SHA1()),  # noqa: S303 - how `x5t` is defined
            sha256=_thumbprint(certificate, hashes.SHA256()),
        )
        with self._lock:
            self._certificates.append(made)

    def add_federated(
        self, *, issuer: str, subject: str, audience: str = EXCHANGE_AUDIENCE, after: timedelta = timedelta(0)
    ) -> None:
        """Trust assertions of `subject` by `issuer` for `audience`; honoured once `after` has passed."""
        made = Federated(issuer=issuer, subject=subject, audience=audience, since=self._clock.now() + after)
        with self._lock:
            self._federated.append(made)

    def remove_credentials(self) -> None:
        """Forget every secret, certificate and federated credential."""
        with self._lock:
            self._secrets, self._certificates, self._federated = [], [], []

    def secret(self, value: str) -> Secret | None:
        """The secret of this value, expired or not; None if there is none."""
        with self._lock:
            known = list(self._secrets)
        return next((one for one in known if hmac.compare_digest(one.value.encode(), value.encode())), None)

    def certificate(self, *, sha1: str = "", sha256: str = "") -> x509.Certificate | None:
        """The registered certificate with one of these thumbprints (base64url, unpadded)."""
        with self._lock:
            known = list(self._certificates)
        found = (one for one in known if (sha1 and one.sha1 == sha1) or (sha256 and one.sha256 == sha256))
        return next((one.certificate for one in found), None)

    def federated(self) -> Sequence[Federated]:
        """The federated credentials that are honoured now."""
        now = self._clock.now()
        with self._lock:
            return [one for one in self._federated if one.since <= now]


def _thumbprint(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> str:
    return urlsafe_b64encode(certificate.fingerprint(algorithm)).rstrip(b"=").decode()
