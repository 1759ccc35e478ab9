"""Authorities and documents for tests: good ones, and every way in which one can be wrong.

Written apart from the local cloud's own, so that verifier, local cloud and tests cannot share a mistake.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from moorings.attestation.anchors import Anchors

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
NONCE = "0123456789abcdef0123456789abcdef"
VM_ID = "02aab8a4-74ef-476e-8182-f6d2ba4166a6"
SUBSCRIPTION = "8d10da13-8125-4ba9-a717-bf7490507b3d"
SHA256 = "2.16.840.1.101.3.4.2.1"
QUIRK = "1.2.840.113549.1.1.11"
NAMES = ("eastus.metadata.azure.com", "metadata.azure.com")


@functools.cache
def key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key for `name`, made once."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def curve_key(_name: str) -> ec.EllipticCurvePrivateKey:
    """An elliptic curve's key."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> asn1_x509.Certificate:
        return asn1_x509.Certificate.load(self.certificate.public_bytes(serialization.Encoding.DER))


def issue(
    common_name: str,
    *,
    issuer: Holder | None = None,
    authority: bool = False,
    names: Sequence[str] = (),
    usage: Sequence[ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
    begins: datetime = NOW - timedelta(days=30),
    ends: datetime = NOW + timedelta(days=150),
    serial: int | None = None,
    key_name: str = "",
    private: Any = None,
) -> Holder:
    """A certificate below `issuer` (self-signed without)."""
    private = private or key(key_name or common_name)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    above = issuer.certificate.public_key() if issuer else private.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(_key_usage(authority), critical=True)
    )
    if not authority and usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usage)), critical=False)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    return Holder(certificate=builder.sign(issuer.key if issuer else private, hashes.SHA256()), key=private)


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


@functools.cache
def chain() -> tuple[Holder, Holder, Holder]:
    """Root, issuing authority, leaf: all as they should be."""
    root = issue("Test root", authority=True, ends=NOW + timedelta(days=3650))
    issuer = issue("Test issuing CA", issuer=root, authority=True, ends=NOW + timedelta(days=1000))
    return root, issuer, issue("metadata.azure.com", issuer=issuer, names=NAMES, key_name="leaf")


def leaf(**changes: Any) -> Holder:
    """A leaf of the good issuing authority, with these things wrong."""
    options: dict[str, Any] = {"issuer": chain()[1], "names": NAMES, "key_name": "leaf"} | changes
    return issue(options.pop("common_name", "metadata.azure.com"), **options)


def anchors() -> Anchors:
    """What the good chain leads to."""
    root, issuer, _ = chain()
    return Anchors(roots=(root.certificate,), issuers=(issuer.certificate,))


def claims(**changes: Any) -> dict[str, Any]:
    """The content of a good document; a change to None leaves the key out."""
    good: dict[str, Any] = {
        "licenseType": "",
        "nonce": NONCE,
        "plan": {"name": "", "product": "", "publisher": ""},
        "sku": "22_04-lts-gen2",
        "subscriptionId": SUBSCRIPTION,
        "timeStamp": {"createdOn": "11/21/26 12:00:00 -0000", "expiresOn": "11/21/26 18:00:00 -0000"},
        "vmId": VM_ID,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def content(**changes: Any) -> bytes:
    """`claims` as the bytes that are signed."""
    return json.dumps(claims(**changes), separators=(",", ":")).encode()


def signer_info(
    signed: bytes,
    by: Holder,
    *,
    digest: str = QUIRK,
    scheme: str = "1.2.840.113549.1.1.1",
    signing: Any = None,
    attributes: Sequence[tuple[str, Sequence[Any]]] | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
    version: str = "v1",
    by_key: bool = False,
) -> cms.SignerInfo:
    """One signer's part; `signing` is another key than the certificate's."""
    fields: dict[str, Any] = {
        "version": version,
        "sid": _identifier(by, by_key=by_key),
        "digest_algorithm": {"algorithm": digest},
        "signature_algorithm": {"algorithm": scheme},
    }
    covered = signed
    if attributes is not None:
        fields["signed_attrs"] = [{"type": kind, "values": values} for kind, values in attributes]
        covered = cms.CMSAttributes(fields["signed_attrs"]).dump()
    private = signing or by.key
    if isinstance(private, ec.EllipticCurvePrivateKey):
        fields["signature"] = private.sign(covered, ec.ECDSA(hashes.SHA256()))
    else:
        fields["signature"] = private.sign(covered, padding.PKCS1v15(), algorithm or hashes.SHA256())
    return cms.SignerInfo(fields)


def _identifier(by: Holder, *, by_key: bool) -> cms.SignerIdentifier:
    if by_key:
        return cms.SignerIdentifier(name="subject_key_identifier", value=by.der.key_identifier)
    named = cms.IssuerAndSerialNumber({"issuer": by.der.issuer, "serial_number": by.der.serial_number})
    return cms.SignerIdentifier(name="issuer_and_serial_number", value=named)


def attributes_for(signed: bytes, *, kind: str = "data", digest: bytes | None = None) -> list[tuple[str, list[Any]]]:
    """The signed attributes that a document with such must have."""
    return [("content_type", [kind]), ("message_digest", [digest or hashlib.sha256(signed).digest()])]


def document(
    signed: bytes | None = None,
    by: Holder | None = None,
    *,
    bag: Sequence[Any] | None = None,
    infos: Sequence[cms.SignerInfo] | None = None,
    detached: bool = False,
    **signing: Any,
) -> bytes:
    """Signed data, DER: the real form (no signed attributes, the odd digest) unless told otherwise."""
    signed = content() if signed is None else signed
    by = by or chain()[2]
    infos = [signer_info(signed, by, **signing)] if infos is None else infos
    held: dict[str, Any] = {"content_type": "data"} | ({} if detached else {"content": signed})
    fields: dict[str, Any] = {
        "version": "v1",
        "digest_algorithms": [{"algorithm": signing.get("digest", QUIRK)}],
        "encap_content_info": cms.ContentInfo(held),
        "signer_infos": infos,
    }
    certificates = [by.der] if bag is None else [one.der if isinstance(one, Holder) else one for one in bag]
    if certificates:
        fields["certificates"] = certificates
    made: bytes = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(fields)}).dump()
    return made


def text(der: bytes) -> str:
    """As the metadata service's `signature`."""
    return base64.b64encode(der).decode()
