"""Authorities: certificates that sign others. Read, told apart, linked to trusted roots, and watched for their end.

Linking is stricter than trusting whoever delivers them: an authority counts only if signatures lead from it to a root.
Source: RFC 5280, sections 4.2.1.3 and 4.2.1.9.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

# Publishers announce nothing; this leaves time to notice, fetch and deploy.
NEAR_END = timedelta(days=60)


class Life(Enum):
    """Whether an authority can still be used."""

    GOOD = "good"
    ENDING = "ending"
    EXPIRED = "expired"
    FUTURE = "not valid yet"


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority's certificate, as people name it."""

    certificate: x509.Certificate

    @property
    def name(self) -> str:
        """Its common name, or all of its name."""
        return _common_name(self.certificate.subject)

    @property
    def issuer(self) -> str:
        """The common name of who issued it."""
        return _common_name(self.certificate.issuer)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the whole certificate, hexadecimal, lower case."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def expires_at(self) -> datetime:
        """The last moment at which it is valid."""
        return self.certificate.not_valid_after_utc

    @property
    def self_signed(self) -> bool:
        """Whether it is its own issuer, by name and by signature: a root, or nothing."""
        return _issued(self.certificate, by=self.certificate)

    @property
    def may_sign(self) -> bool:
        """Whether it may sign other certificates."""
        try:
            found = self.certificate.extensions
            constraints = found.get_extension_for_class(x509.BasicConstraints).value
        except (x509.ExtensionNotFound, ValueError):
            return False
        try:
            usage = found.get_extension_for_class(x509.KeyUsage).value
        except x509.ExtensionNotFound:
            return constraints.ca
        return constraints.ca and usage.key_cert_sign

    def life(self, now: datetime) -> Life:
        """Whether it is valid at `now`, and for how much longer."""
        if now < self.certificate.not_valid_before_utc:
            return Life.FUTURE
        if now > self.expires_at:
            return Life.EXPIRED
        return Life.ENDING if self.expires_at - now < NEAR_END else Life.GOOD


def read(content: bytes) -> list[Authority]:
    """Every certificate in PEM text, or the one in DER. ValueError if there is none that can be read."""
    if b"-----BEGIN" not in content:
        return [Authority(x509.load_der_x509_certificate(content))]
    return [Authority(each) for each in x509.load_pem_x509_certificates(content)]


def linked(
    candidates: Iterable[Authority], roots: Sequence[Authority], *, now: datetime
) -> tuple[list[Authority], list[tuple[Authority, str]]]:
    """Those that lead to one of the roots at `now`, and of the others why not."""
    waiting = list(candidates)
    accepted: list[Authority] = []
    while True:
        signers = [*(root for root in roots if root.life(now) is not Life.EXPIRED), *accepted]
        found = [each for each in waiting if not _unfit(each, now) and _any_issued(each, signers)]
        if not found:
            return accepted, [(each, _unfit(each, now) or "leads to no trusted root") for each in waiting]
        accepted += found
        waiting = [each for each in waiting if each not in found]


def distinct(authorities: Iterable[Authority]) -> list[Authority]:
    """Each certificate once, in the order in which they come."""
    return list({each.fingerprint: each for each in authorities}.values())


def _unfit(authority: Authority, now: datetime) -> str:
    if not authority.may_sign:
        return "is no authority"
    life = authority.life(now)
    if life is Life.EXPIRED:
        return f"expired at {authority.expires_at:%Y-%m-%d}"
    return "is not valid yet" if life is Life.FUTURE else ""


def _any_issued(authority: Authority, signers: Iterable[Authority]) -> bool:
    return any(_issued(authority.certificate, by=each.certificate) for each in signers)


def _issued(certificate: x509.Certificate, *, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()
