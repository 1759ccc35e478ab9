"""Attested documents: what a VM's metadata service signs about it, in the real form, by an authority of our own.

The form is that of a document of 2026 (reference/node-attestation, section 3): SignedData of version 1 with the content
attached, one signer, only the leaf in the bag, no signed attributes, and a digest algorithm that is none.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import algos, cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcloud.signing_keys import rsa_key
from localcloud.world import World

LIFETIME = timedelta(hours=6)
LEAF_LIFETIME = timedelta(days=180)
ISSUER_LIFETIME = timedelta(days=3 * 365)
ROOT_LIFETIME = timedelta(days=14 * 365)
# How long ago everything was issued, so that a clock that a test starts a little earlier finds it valid.
AGE = timedelta(days=30)
TIME_FORMAT = "%m/%d/%y %H:%M:%S -0000"
# sha256WithRSAEncryption where SHA-256 belongs: as in real documents.
_QUIRK = "1.2.840.113549.1.1.11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """What a verifier must be given, as PEM: roots to trust, and issuing certificates, which no document holds."""

    roots: bytes
    issuers: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey


class AttestedDocuments:
    """The authority and the documents of a world: `world.part(AttestedDocuments)`. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._chain: tuple[Signer, Signer] | None = None
        self._leaves: dict[str, Signer] = {}

    @property
    def anchors(self) -> Anchors:
        """The root and the issuing certificate of this world."""
        root, issuer = self._issuers()
        return Anchors(roots=_pem(root.certificate), issuers=_pem(issuer.certificate))

    def document(
        self, *, subscription_id: str, vm_id: str, nonce: str, location: str, image: Mapping[str, str] | None = None
    ) -> bytes:
        """The signed document, DER. Without a nonce it holds a time stamp instead; `image` brings sku and plan."""
        now = self._world.clock.now()
        told = image or {}
        content = {
            "licenseType": told.get("licenseType", ""),
            "nonce": nonce or stamp(now + LIFETIME),
            "plan": {name: told.get(name, "") for name in ("name", "product", "publisher")},
            "sku": told.get("sku", ""),
            "subscriptionId": subscription_id,
            "timeStamp": {"createdOn": stamp(now), "expiresOn": stamp(now + LIFETIME)},
            "vmId": vm_id,
        }
        return sign(json.dumps(content, separators=(",", ":")).encode(), self.leaf(location))

    def leaf(self, location: str) -> Signer:
        """What signs in a location; made when it is first asked for."""
        _, issuer = self._issuers()
        with self._lock:
            made = self._leaves.get(location)
            if made is None or made.certificate.not_valid_after_utc <= self._world.clock.now():
                # A new one when the old one has ended, as its publisher does.
                names = (f"{location}.metadata.azure.com", "metadata.azure.com")
                made = self._leaves[location] = issue_leaf(names, issuer=issuer, now=self._world.clock.now())
            return made

    def _issuers(self) -> tuple[Signer, Signer]:
        with self._lock:
            if self._chain is None:
                now = self._world.clock.now()
                root = issue_authority("Local cloud metadata root", issuer=None, now=now, lifetime=ROOT_LIFETIME)
                issuer = issue_authority("Local cloud metadata CA 01", issuer=root, now=now, lifetime=ISSUER_LIFETIME)
                self._chain = root, issuer
            return self._chain


def stamp(moment: datetime) -> str:
    """A time as these documents write it."""
    return moment.strftime(TIME_FORMAT)


def sign(content: bytes, signer: Signer) -> bytes:
    """The content as signed data, DER."""
    certificate = asn1_x509.Certificate.load(signer.certificate.public_bytes(serialization.Encoding.DER))
    quirk: Any = algos.DigestAlgorithm({"algorithm": _QUIRK})
    by = cms.IssuerAndSerialNumber({"issuer": certificate.issuer, "serial_number": certificate.serial_number})
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [quirk],
            "encap_content_info": cms.ContentInfo({"content_type": "data", "content": content}),
            "certificates": [certificate],
            "signer_infos": [
                cms.SignerInfo(
                    {
                        "version": "v1",
                        "sid": cms.SignerIdentifier(name="issuer_and_serial_number", value=by),
                        "digest_algorithm": quirk,
                        "signature_algorithm": {"algorithm": "rsassa_pkcs1v15"},
                        "signature": signer.key.sign(content, padding.PKCS1v15(), hashes.SHA256()),
                    }
                )
            ],
        }
    )
    whole: bytes = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    return whole


def issue_authority(name: str, *, issuer: Signer | None, now: datetime, lifetime: timedelta) -> Signer:
    """A root (without `issuer`), or an issuing certificate below one."""
    key = rsa_key(name)
    parent = issuer
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, key, parent, now=now, lifetime=lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0 if parent else None), critical=True)
        .add_extension(usage, critical=True)
    )
    return Signer(certificate=builder.sign(parent.key if parent else key, hashes.SHA256()), key=key)


def issue_leaf(names: tuple[str, ...], *, issuer: Signer, now: datetime) -> Signer:
    """A signing certificate for these DNS names, for server authentication only, as the real ones are."""
    key = rsa_key(f"metadata of {names[0]}")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=False,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(names[0], key, issuer, now=now, lifetime=LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    )
    return Signer(certificate=builder.sign(issuer.key, hashes.SHA256()), key=key)


def _builder(
    name: str, key: rsa.RSAPrivateKey, issuer: Signer | None, *, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above = issuer.certificate.public_key() if issuer else key.public_key()
    assert isinstance(above, rsa.RSAPublicKey)
    begins = (now - AGE).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
