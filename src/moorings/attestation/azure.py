"""Azure's attested document: what the metadata service signs about a VM, verified.

The document proves subscription and VM id, and that it was asked for with our nonce. It names no tenant, no resource
group and no VM name, and it has no audience: whoever can make a VM fetch it can show it.
Source: reference/node-attestation, sections 3, 9 and 11.
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

from moorings.attestation.anchors import Anchors, require_chain
from moorings.attestation.refusal import NotAttested, Reason
from moorings.attestation.signed_data import MAX_CHARACTERS, parse
from moorings.errors import Misconfigured

MAX_AGE = timedelta(minutes=5)
MAX_AHEAD = timedelta(minutes=1)
# By the cloud's name as the metadata service tells it (`azEnvironment`).
DOMAINS = {
    "AzurePublicCloud": "metadata.azure.com",
    "AzureUSGovernmentCloud": "metadata.azure.us",
    "AzureChinaCloud": "metadata.azure.cn",
    "AzureGermanCloud": "metadata.microsoftazure.de",
}
PUBLIC = "AzurePublicCloud"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TIME = "%m/%d/%y %H:%M:%S %z"
_ENVELOPE_MARGIN = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedVm:
    """What a verified document proves. The ids are lower case; `sku` is empty where the image has none."""

    subscription_id: str
    vm_id: str
    sku: str
    created_at: datetime
    expires_at: datetime
    region_hint: str  # from the signer's name; where the VM is says only Resource Manager
    signer: str  # SHA-256 of what its issuer signed of the signer's certificate, hexadecimal, for the audit


def verify(
    document: str,
    *,
    nonce: str,
    anchors: Anchors,
    now: datetime,
    max_age: timedelta = MAX_AGE,
    environment: str = PUBLIC,
) -> AttestedVm:
    """The claims of a document, base64 as in the answer's `signature`. `now` is aware, in UTC.

    NotAttested says why it is refused; Misconfigured if there are no anchors. Every claim is from the signed bytes.
    """
    domain = _domain(environment)
    data = parse(document)
    name = _service_name(data.signer, domain)
    require_chain(data.signer, name=name, anchors=anchors, also=data.others, now=now)
    data.require_signature()
    claims = _claims(data.content)
    told = _text(claims, "nonce")
    if not nonce or not hmac.compare_digest(told.encode(errors="surrogatepass"), nonce.encode()):
        raise NotAttested(Reason.NONCE)
    created_at, expires_at = _times(claims)
    if created_at > now + MAX_AHEAD:
        raise NotAttested(Reason.IN_FUTURE)
    if created_at < now - max_age:
        raise NotAttested(Reason.TOO_OLD)
    if expires_at <= now:
        raise NotAttested(Reason.EXPIRED)
    return AttestedVm(
        subscription_id=_guid(claims, "subscriptionId"),
        vm_id=_guid(claims, "vmId"),
        sku=_text(claims, "sku"),
        created_at=created_at,
        expires_at=expires_at,
        region_hint=name.removesuffix(domain).rstrip("."),
        # The usual fingerprint also covers bytes that may change without the certificate's signature breaking.
        signer=hashlib.sha256(data.signer.tbs_certificate_bytes).hexdigest(),
    )


def signature_in(answer: str) -> str:
    """The `signature` of the metadata service's whole answer, `{"encoding": "pkcs7", "signature": "…"}`."""
    if len(answer) > MAX_CHARACTERS + _ENVELOPE_MARGIN:
        raise NotAttested(Reason.TOO_LONG)
    try:
        envelope = json.loads(answer, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise NotAttested(Reason.NOT_ENVELOPE) from error
    if not isinstance(envelope, dict) or envelope.get("encoding") != "pkcs7":
        raise NotAttested(Reason.NOT_ENVELOPE)
    signature = envelope.get("signature")
    if not isinstance(signature, str) or not signature:
        raise NotAttested(Reason.NOT_ENVELOPE)
    return signature


def _domain(environment: str) -> str:
    found = next((domain for name, domain in DOMAINS.items() if name.lower() == environment.lower()), None)
    if found is None:
        raise Misconfigured(
            f"{environment!r} is no Azure cloud whose attested documents are known", remedy=f"use {', '.join(DOMAINS)}"
        )
    return found


def _service_name(signer: x509.Certificate, domain: str) -> str:
    """The DNS name by which the certificate is the metadata service's; the common name counts for nothing."""
    try:
        found = signer.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = found.value.get_values_for_type(x509.DNSName)
    except (
        ValueError,
        x509.ExtensionNotFound,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise NotAttested(Reason.NAME) from error
    for name in (one.lower() for one in names):
        if (name == domain or name.endswith(f".{domain}")) and "*" not in name:
            return name
    raise NotAttested(Reason.NAME)


def _claims(content: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(content.decode(), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise NotAttested(Reason.CONTENT) from error
    if not isinstance(claims, dict):
        raise NotAttested(Reason.CONTENT)
    return claims


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _times(claims: dict[str, Any]) -> tuple[datetime, datetime]:
    stamps = claims.get("timeStamp")
    if not isinstance(stamps, dict):
        raise NotAttested(Reason.CONTENT)
    try:
        return _time(stamps["createdOn"]), _time(stamps["expiresOn"])
    except (KeyError, TypeError, ValueError) as error:
        raise NotAttested(Reason.CONTENT) from error


def _time(stamp: str) -> datetime:
    return datetime.strptime(stamp, _TIME).astimezone(UTC)


def _guid(claims: dict[str, Any], name: str) -> str:
    value = _text(claims, name)
    if not _GUID.fullmatch(value):
        raise NotAttested(Reason.CONTENT)
    return value.lower()


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise NotAttested(Reason.CONTENT)
    return value
