"""Every way in which an attested document can be wrong, each refused for its own reason."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import cms, core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.attestation import authority
from tests.attestation.authority import (
    NONCE,
    NOW,
    SHA256,
    SUBSCRIPTION,
    VM_ID,
    Holder,
    anchors,
    attributes_for,
    chain,
    content,
    document,
    issue,
    leaf,
    signer_info,
    text,
)

from moorings.attestation.azure import signature_in, verify
from moorings.attestation.refusal import NotAttested, Reason

OID_DATA = bytes.fromhex("06092a864886f70d010701")
OID_DIGESTED_DATA = bytes.fromhex("06092a864886f70d010705")
EVIL = b'{"nonce":"' + NONCE.encode() + b'"}'


def _refused(given: str, **options: Any) -> Reason:
    with pytest.raises(NotAttested) as refused:
        verify(given, **({"nonce": NONCE, "anchors": anchors(), "now": NOW} | options))
    # Outward it never shows what was looked at, nor the document.
    assert NONCE not in str(refused.value)
    assert VM_ID not in str(refused.value)
    return refused.value.reason


def _foreign() -> Holder:
    root = issue("Foreign root", authority=True)
    return issue("metadata.azure.com", issuer=root, names=authority.NAMES, key_name="foreign leaf")


def _foreign_chain() -> bytes:
    stranger = _foreign()
    return document(by=stranger, bag=[stranger, issue("Foreign root", authority=True)])


def _tampered(part: bytes, by: bytes, der: bytes | None = None) -> bytes:
    der = der or document()
    assert der.count(part) == 1
    return der.replace(part, by)


def _with_attributes(**options: Any) -> bytes:
    return document(attributes=attributes_for(content(), **options), digest=SHA256)


def _bag_order() -> bytes:
    """The genuine certificate first, the attacker signs: what other verifiers fell for."""
    stranger = _foreign()
    return document(EVIL, by=stranger, bag=[chain()[2], stranger])


def _cloned() -> bytes:
    """Another certificate with the genuine issuer and serial, beside the genuine one."""
    genuine = chain()[2]
    clone = issue(
        "metadata.azure.com", issuer=chain()[1], names=authority.NAMES, serial=genuine.certificate.serial_number,
        key_name="clone",
    )  # fmt: skip
    return document(by=clone, bag=[genuine, clone])


def _below_leaf() -> bytes:
    """A leaf that acts as an authority."""
    signer = issue("metadata.azure.com", issuer=chain()[2], names=authority.NAMES, key_name="below")
    return document(by=signer, bag=[signer, chain()[2]])


def _deep() -> bytes:
    """One issuing certificate more than the chain's depth allows."""
    above = chain()[1]
    links = []
    for number in range(5):
        above = issue(f"Link {number}", issuer=above, authority=True)
        links.append(above)
    signer = issue("metadata.azure.com", issuer=above, names=authority.NAMES, key_name="deep")
    return document(by=signer, bag=[signer, *links])


def _loop() -> bytes:
    """Two authorities that certify each other."""
    one = issue("Loop one", authority=True)
    two = issue("Loop two", issuer=one, authority=True)
    again = issue("Loop one", issuer=two, authority=True)
    signer = issue("metadata.azure.com", issuer=again, names=authority.NAMES, key_name="looped")
    return document(by=signer, bag=[signer, again, two])


def _other_choice() -> bytes:
    attribute_certificate = cms.CertificateChoices(
        name="other", value=cms.OtherCertificateFormat({"other_cert_format": "1.2.3.4", "other_cert": core.Null()})
    )
    return document(bag=[chain()[2], attribute_certificate])


def _confused() -> bytes:
    """Signed attributes of a genuine document, shown as the content of one without."""
    covered = cms.CMSAttributes([{"type": kind, "values": values} for kind, values in attributes_for(content())]).dump()
    return document(covered)


def _content(**changes: Any) -> Callable[[], bytes]:
    return lambda: document(content(**changes))


def _named(*names: str, **options: Any) -> Callable[[], bytes]:
    return lambda: document(by=leaf(names=names, **options))


def _nested() -> bytes:
    return document(b"[" * 3000 + b"]" * 3000)


CASES: list[tuple[str, Callable[[], bytes], Reason]] = [
    # -- form
    ("truncated", lambda: document()[:-1], Reason.NOT_SIGNED_DATA),
    ("half of it", lambda: document()[: len(document()) // 2], Reason.NOT_SIGNED_DATA),
    ("trailing bytes", lambda: document() + b"\x00", Reason.NOT_SIGNED_DATA),
    ("nothing", lambda: b"", Reason.NOT_SIGNED_DATA),
    (
        "plain data",
        lambda: cms.ContentInfo({"content_type": "data", "content": content()}).dump(),
        Reason.NOT_SIGNED_DATA,
    ),
    ("detached", lambda: document(detached=True), Reason.NOT_SIGNED_DATA),
    ("inner type is not data", lambda: _tampered(OID_DATA, OID_DIGESTED_DATA), Reason.NOT_SIGNED_DATA),
    ("empty content", lambda: document(b""), Reason.NOT_SIGNED_DATA),
    ("deep nesting", lambda: b"\x30\x80" * 5000, Reason.NOT_SIGNED_DATA),
    # -- signer
    ("no certificate", lambda: document(bag=[]), Reason.TOO_MANY_CERTIFICATES),
    ("twenty certificates", lambda: document(bag=[chain()[2]] * 20), Reason.TOO_MANY_CERTIFICATES),
    ("another kind of certificate", _other_choice, Reason.OTHER_CERTIFICATES),
    ("no signer", lambda: document(infos=[]), Reason.NOT_ONE_SIGNER),
    ("two signers", lambda: document(infos=[signer_info(content(), chain()[2])] * 2), Reason.NOT_ONE_SIGNER),
    ("signer by key id", lambda: document(by_key=True, version="v3"), Reason.SIGNER_UNKNOWN),
    ("signer not in the bag", lambda: document(by=_foreign(), bag=[chain()[2]]), Reason.SIGNER_UNKNOWN),
    ("the same certificate twice", lambda: document(bag=[chain()[2]] * 2), Reason.SIGNER_UNKNOWN),
    ("cloned issuer and serial", _cloned, Reason.SIGNER_UNKNOWN),
    # -- algorithms
    ("SHA-1", lambda: document(digest="1.3.14.3.2.26", algorithm=hashes.SHA1()), Reason.ALGORITHM),
    ("MD5", lambda: document(digest="1.2.840.113549.2.5", algorithm=hashes.MD5()), Reason.ALGORITHM),
    ("RSA-PSS", lambda: document(scheme="1.2.840.113549.1.1.10"), Reason.ALGORITHM),
    ("ECDSA", lambda: document(scheme="1.2.840.10045.4.3.2", signing=authority.curve_key("x")), Reason.ALGORITHM),
    # -- signed attributes
    ("attributes of other content", lambda: _with_attributes(digest=b"\0" * 32), Reason.ATTRIBUTES),
    ("attributes of another type", lambda: _with_attributes(kind="signed_data"), Reason.ATTRIBUTES),
    ("attributes without a digest", lambda: document(attributes=[("content_type", ["data"])]), Reason.ATTRIBUTES),
    ("attributes without a type", lambda: document(attributes=attributes_for(content())[1:]), Reason.ATTRIBUTES),
    ("a repeated attribute", lambda: document(attributes=attributes_for(content()) * 2), Reason.ATTRIBUTES),
    ("two values of one", lambda: document(attributes=[("content_type", ["data", "data"])]), Reason.ATTRIBUTES),
    # -- name
    ("common name alone", _named(), Reason.NAME),
    ("another domain", _named("example.test"), Reason.NAME),
    ("look-alike behind", _named("metadata.azure.com.evil.test"), Reason.NAME),
    ("look-alike before", _named("evilmetadata.azure.com"), Reason.NAME),
    ("wildcard alone", _named("*.metadata.azure.com"), Reason.NAME),
    ("another cloud's", _named("metadata.azure.us"), Reason.NAME),
    # -- chain
    ("bag order: genuine first, attacker signs", _bag_order, Reason.CHAIN),
    ("foreign chain", lambda: document(by=_foreign()), Reason.CHAIN),
    ("foreign chain with its own root", _foreign_chain, Reason.CHAIN),
    ("self-signed", lambda: document(by=leaf(issuer=None)), Reason.CHAIN),
    ("leaf as an authority", _below_leaf, Reason.CHAIN),
    ("too deep", _deep, Reason.CHAIN),
    ("authorities in a loop", _loop, Reason.CHAIN),
    ("expired", lambda: document(by=leaf(ends=NOW - timedelta(seconds=1))), Reason.CHAIN),
    ("not yet valid", lambda: document(by=leaf(begins=NOW + timedelta(seconds=5))), Reason.CHAIN),
    ("for clients", lambda: document(by=leaf(usage=[ExtendedKeyUsageOID.CLIENT_AUTH])), Reason.CHAIN),
    # -- key and signature
    ("right certificate, other key", lambda: document(signing=authority.key("other")), Reason.SIGNATURE),
    ("tampered content", lambda: _tampered(b"22_04-lts-gen2", b"22_04-lts-gen3"), Reason.SIGNATURE),
    ("tampered content behind attributes", lambda: _tampered(b"gen2", b"gen3", _with_attributes()), Reason.ATTRIBUTES),
    ("tampered signature", lambda: document()[:-1] + bytes([document()[-1] ^ 1]), Reason.SIGNATURE),
    ("hash of another family", lambda: document(algorithm=hashes.SHA384()), Reason.SIGNATURE),
    ("attributes shown as content", _confused, Reason.CONTENT),
    # -- content
    ("repeated keys", lambda: document(content()[:-1] + b',"vmId":"' + VM_ID.encode() + b'"}'), Reason.CONTENT),
    ("a list", lambda: document(b"[]"), Reason.CONTENT),
    ("no JSON", lambda: document(b"{"), Reason.CONTENT),
    ("no UTF-8", lambda: document(b"\xff{}"), Reason.CONTENT),
    ("a number of 9,000 digits", lambda: document(b'{"a":' + b"9" * 9000 + b"}"), Reason.CONTENT),
    ("deep JSON", _nested, Reason.CONTENT),
    ("no VM id", _content(vmId=None), Reason.CONTENT),
    ("a VM id that is none", _content(vmId="x' or '1'='1"), Reason.CONTENT),
    ("a VM id that is a number", _content(vmId=1), Reason.CONTENT),
    ("a subscription that is none", _content(subscriptionId=f"{SUBSCRIPTION}/x"), Reason.CONTENT),
    ("no times", _content(timeStamp=None), Reason.CONTENT),
    ("times of another form", _content(timeStamp={"createdOn": "2026-11-21", "expiresOn": "x"}), Reason.CONTENT),
    ("times that are numbers", _content(timeStamp={"createdOn": 1, "expiresOn": 2}), Reason.CONTENT),
    ("a nonce that is a number", _content(nonce=12), Reason.CONTENT),
    ("another nonce", _content(nonce="another"), Reason.NONCE),
    ("no nonce", _content(nonce=None), Reason.NONCE),
    ("an empty nonce", _content(nonce=""), Reason.NONCE),
    ("half of a character", _content(nonce="\ud800"), Reason.NONCE),
]


@pytest.mark.parametrize(("made", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_it_is_refused_for_its_own_reason(made: Callable[[], bytes], reason: Reason) -> None:
    assert _refused(text(made())) is reason


@pytest.mark.parametrize("bits", [1024, 4104])
def test_keys_that_are_too_small_or_too_big_are_refused(bits: int) -> None:
    """The check of the chain lets both pass."""
    assert _refused(text(document(by=leaf(private=authority.key("odd", bits))))) is Reason.KEY


def test_a_key_that_is_not_rsa_is_refused() -> None:
    holder = leaf(private=authority.curve_key("leaf"))

    assert _refused(text(document(by=holder))) is Reason.KEY


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", Reason.NOT_SIGNED_DATA),
        ("not base64!", Reason.NOT_BASE64),
        ("AAAA AAAA", Reason.NOT_BASE64),
        ("AAA", Reason.NOT_BASE64),
        ("ÄÖÜß", Reason.NOT_BASE64),
        ("A" * (32 * 1024 + 4), Reason.TOO_LONG),
    ],
)
def test_text_that_is_no_document_is_refused(given: str, reason: Reason) -> None:
    assert _refused(given) is reason


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (timedelta(seconds=-31 - 60), Reason.IN_FUTURE),
        (timedelta(seconds=-29 - 61), None),
        (timedelta(minutes=4, seconds=30), None),
        (timedelta(minutes=4, seconds=31), Reason.TOO_OLD),
    ],
)
def test_it_counts_for_five_minutes_and_one_of_skew(after: timedelta, reason: Reason | None) -> None:
    given = text(document())

    if reason is None:
        assert verify(given, nonce=NONCE, anchors=anchors(), now=NOW + after).vm_id == VM_ID
    else:
        assert _refused(given, now=NOW + after) is reason


def test_it_ends_when_it_says_so_however_old_it_may_be() -> None:
    given = text(document())

    assert _refused(given, now=NOW + timedelta(hours=6), max_age=timedelta(days=1)) is Reason.EXPIRED


def test_an_empty_challenge_is_never_answered() -> None:
    assert _refused(text(document(content(nonce=""))), nonce="") is Reason.NONCE


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<html>",
        "[]",
        '{"signature": "AAAA"}',
        '{"encoding": "pkcs7"}',
        '{"encoding": "pkcs7", "signature": ""}',
        '{"encoding": "pkcs7", "signature": 1}',
        '{"encoding": "jws", "signature": "AAAA"}',
        '{"encoding": "pkcs7", "signature": "AAAA", "signature": "BBBB"}',
        "[" * 5000,
    ],
)
def test_what_the_metadata_service_does_not_answer_is_refused(answer: str) -> None:
    with pytest.raises(NotAttested) as refused:
        signature_in(answer)

    assert refused.value.reason is Reason.NOT_ENVELOPE


def test_every_reason_has_a_case() -> None:
    shown = {reason for _, _, reason in CASES} | {
        Reason.KEY, Reason.NOT_BASE64, Reason.TOO_LONG, Reason.IN_FUTURE, Reason.TOO_OLD, Reason.EXPIRED,
        Reason.NOT_ENVELOPE,
    }  # fmt: skip

    assert shown == set(Reason)


def test_certificates_of_the_proof_are_only_ever_links() -> None:
    """The genuine chain's root in the bag is not needed, and a foreign one gives nothing."""
    root, issuer, signer = chain()
    bare = authority.Anchors(roots=(root.certificate,))

    assert verify(text(document(bag=[signer, issuer])), nonce=NONCE, anchors=bare, now=NOW).vm_id == VM_ID
    assert _refused(text(document(bag=[signer, root])), anchors=bare) is Reason.CHAIN
    assert isinstance(signer.certificate, x509.Certificate)
