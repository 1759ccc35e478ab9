"""PKCS#7 signed data as clouds use it for documents: parsed strictly, with the one signer resolved once.

Whoever trusts a document must check name, chain and signature on **that** certificate and then read **that** content:
the two worst bugs of other verifiers broke this (reference/node-attestation, sections 1 and 10). `parse` therefore
answers with both in one value, and nothing else of the document is ever looked at again.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from typing import Any

from asn1crypto import cms, core
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from moorings.attestation.refusal import NotAttested, Reason

MAX_CHARACTERS = 32 * 1024
MAX_CERTIFICATES = 6
KEY_BITS = range(2048, 4096 + 1)

# Real documents name the signature algorithm where the digest belongs, so both spellings are one.
_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "1.2.840.113549.1.1.11": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
}
_RSA_PKCS1 = frozenset({"1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12"})
# What reading malformed DER bit by bit may raise.
_MALFORMED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RecursionError,
    OverflowError,
    x509.InvalidVersion,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedContent:
    """A parsed document: nothing is verified yet but that its parts belong together."""

    content: bytes = field(repr=False)
    signer: x509.Certificate
    others: tuple[x509.Certificate, ...]  # of the bag, untrusted
    signed: bytes = field(repr=False)  # what the signature covers: the content, or attributes that hold its digest
    signature: bytes = field(repr=False)
    digest: hashes.HashAlgorithm

    def require_signature(self) -> None:
        """Refuse a signature that is not the signer's; RSA of 2048 to 4096 bits, PKCS #1 v1.5."""
        try:
            key = self.signer.public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            raise NotAttested(Reason.KEY) from error
        if not isinstance(key, RSAPublicKey) or key.key_size not in KEY_BITS:
            raise NotAttested(Reason.KEY)
        try:
            key.verify(self.signature, self.signed, padding.PKCS1v15(), self.digest)
        except (InvalidSignature, ValueError) as error:
            raise NotAttested(Reason.SIGNATURE) from error


def parse(text: str) -> SignedContent:
    """The signed data in base64 `text` (line ends are ignored, nothing else). NotAttested with the first fault."""
    if len(text) > MAX_CHARACTERS:
        raise NotAttested(Reason.TOO_LONG)
    try:
        der = base64.b64decode(text.replace("\r", "").replace("\n", "").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise NotAttested(Reason.NOT_BASE64) from error
    try:
        return _parsed(der)
    except NotAttested:
        raise
    except _MALFORMED as error:
        raise NotAttested(Reason.NOT_SIGNED_DATA) from error


def _parsed(der: bytes) -> SignedContent:
    whole = cms.ContentInfo.load(der, strict=True)
    if whole["content_type"].native != "signed_data":
        raise NotAttested(Reason.NOT_SIGNED_DATA)
    data = whole["content"]
    inner = data["encap_content_info"]
    content = inner["content"].native
    if inner["content_type"].native != "data" or not isinstance(content, bytes) or not content:
        raise NotAttested(Reason.NOT_SIGNED_DATA)
    info, signer, others = _signer(data)
    digest = _DIGESTS.get(info["digest_algorithm"]["algorithm"].dotted)
    if digest is None or info["signature_algorithm"]["algorithm"].dotted not in _RSA_PKCS1:
        raise NotAttested(Reason.ALGORITHM)
    return SignedContent(
        content=content,
        signer=signer,
        others=others,
        signed=_covered(info, content, digest),
        signature=info["signature"].native,
        digest=digest,
    )


def _signer(data: Any) -> tuple[Any, x509.Certificate, tuple[x509.Certificate, ...]]:
    bag = [] if isinstance(data["certificates"], core.Void) else list(data["certificates"])
    if not 1 <= len(bag) <= MAX_CERTIFICATES:
        raise NotAttested(Reason.TOO_MANY_CERTIFICATES)
    if any(choice.name != "certificate" for choice in bag):
        raise NotAttested(Reason.OTHER_CERTIFICATES)
    if any(choice.chosen.serial_number <= 0 for choice in bag):  # RFC 5280, section 4.1.2.2
        raise NotAttested(Reason.OTHER_CERTIFICATES)
    if len(data["signer_infos"]) != 1:
        raise NotAttested(Reason.NOT_ONE_SIGNER)
    info = data["signer_infos"][0]
    if info["sid"].name != "issuer_and_serial_number":
        raise NotAttested(Reason.SIGNER_UNKNOWN)
    by = info["sid"].chosen
    issuer, serial = by["issuer"].dump(), by["serial_number"].native
    matching = [
        choice.chosen
        for choice in bag
        if choice.chosen.issuer.dump() == issuer and choice.chosen.serial_number == serial
    ]
    if len(matching) != 1:
        raise NotAttested(Reason.SIGNER_UNKNOWN)
    others = [choice.chosen.dump() for choice in bag if choice.chosen is not matching[0]]
    return (
        info,
        x509.load_der_x509_certificate(matching[0].dump()),
        tuple(x509.load_der_x509_certificate(der) for der in others),
    )


def _covered(info: Any, content: bytes, digest: hashes.HashAlgorithm) -> bytes:
    """What the signature covers. Source: RFC 5652, section 5.4."""
    attributes = info["signed_attrs"]
    if isinstance(attributes, core.Void):
        return content
    given: dict[str, Any] = {}
    for attribute in attributes:
        if attribute["type"].dotted in given or len(attribute["values"]) != 1:
            raise NotAttested(Reason.ATTRIBUTES)
        given[attribute["type"].dotted] = attribute["values"][0].native
    hashed = hashes.Hash(digest)
    hashed.update(content)
    told = given.get("1.2.840.113549.1.9.4")
    if given.get("1.2.840.113549.1.9.3") != "data" or not isinstance(told, bytes):
        raise NotAttested(Reason.ATTRIBUTES)
    if not hmac.compare_digest(told, hashed.finalize()):
        raise NotAttested(Reason.ATTRIBUTES)
    covered: bytes = attributes.untag().dump(force=True)
    return covered
