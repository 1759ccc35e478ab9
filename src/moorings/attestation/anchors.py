"""Trust anchors: the roots that certificates must lead to, the issuing certificates on the way, and how both are read.

They are configuration, bundled when a stack is deployed. Nothing is ever fetched from an address found in a proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from moorings.attestation.refusal import NotAttested, Reason
from moorings.errors import Misconfigured

MAX_DEPTH = 4
UPDATE = "run `moorings anchors update`, then deploy the stack again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """The trusted roots, and the issuing certificates that signers' certificates are linked to them by (untrusted)."""

    roots: tuple[x509.Certificate, ...]
    issuers: tuple[x509.Certificate, ...] = ()

    @classmethod
    def from_pem(cls, *, roots: bytes, issuers: bytes = b"") -> "Anchors":
        """Read PEM bundles. Misconfigured if there is no root, or if one of them cannot be read."""
        return cls(roots=_read(roots, "trusted roots"), issuers=_read(issuers, "issuing certificates", needed=False))


def require_chain(
    leaf: x509.Certificate,
    *,
    name: str,
    anchors: Anchors,
    also: Sequence[x509.Certificate] = (),
    now: datetime,
) -> None:
    """Refuse a certificate that is not, at `now`, a server's of this DNS name below one of the roots.

    `also`: certificates from the proof itself, which only ever link.
    """
    if not anchors.roots:
        raise Misconfigured("there are no trusted roots for attested documents", remedy=UPDATE)
    try:
        # A self-signed certificate links nothing, and each would take away a step of the chain's depth.
        links = [one for one in (*anchors.issuers, *also) if one.issuer != one.subject]
        verifier = (
            PolicyBuilder()
            .store(Store(list(anchors.roots)))
            .time(now)
            .max_chain_depth(MAX_DEPTH)
            .build_server_verifier(x509.DNSName(name))
        )
        verifier.verify(leaf, links)
    except (VerificationError, ValueError) as error:  # ValueError: what is only read now cannot be
        raise NotAttested(Reason.CHAIN) from error


def _read(pem: bytes, what: str, *, needed: bool = True) -> tuple[x509.Certificate, ...]:
    if not pem.strip():
        if needed:
            raise Misconfigured(f"there are no {what} for attested documents", remedy=UPDATE)
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise Misconfigured(f"the {what} for attested documents cannot be read: {error}", remedy=UPDATE) from error
