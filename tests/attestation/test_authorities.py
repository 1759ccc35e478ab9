"""Authorities count by the signatures that lead from them to a root, never by who delivered them."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.attestation.authority import NOW, Holder, chain, issue

from moorings.attestation.authorities import NEAR_END, Authority, Life, distinct, linked, read

ROOT, ISSUING, LEAF = chain()
YEAR = timedelta(days=365)


def _authority(holder: Holder) -> Authority:
    return Authority(holder.certificate)


def test_certificates_are_read_as_text_and_as_bytes() -> None:
    pem = ROOT.certificate.public_bytes(Encoding.PEM) + b"# between\n" + ISSUING.certificate.public_bytes(Encoding.PEM)

    assert [each.name for each in read(pem)] == ["Test root", "Test issuing CA"]
    assert read(ROOT.certificate.public_bytes(Encoding.DER)) == [_authority(ROOT)]


@pytest.mark.parametrize("content", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        read(content)


def test_an_authority_leads_to_a_root_through_others_in_any_order() -> None:
    lower = issue("Lower", issuer=ISSUING, authority=True)

    accepted, left = linked([_authority(lower), _authority(ISSUING)], [_authority(ROOT)], now=NOW)

    assert {each.name for each in accepted} == {"Lower", "Test issuing CA"}
    assert not left


def test_what_leads_nowhere_is_left_with_the_reason() -> None:
    stranger = issue("Stranger", authority=True)
    foreign = issue("Foreign", issuer=stranger, authority=True)
    old = issue("Old", issuer=ROOT, authority=True, begins=NOW - YEAR, ends=NOW - timedelta(days=1))
    early = issue("Early", issuer=ROOT, authority=True, begins=NOW + timedelta(days=1), ends=NOW + YEAR)
    # By the root's name, with another key: a name proves nothing.
    twin = Holder(certificate=ROOT.certificate, key=stranger.key)
    forged = issue("Forged", issuer=twin, authority=True)

    given = [_authority(each) for each in (foreign, old, early, forged, LEAF)]
    accepted, left = linked(given, [_authority(ROOT), _authority(stranger)][:1], now=NOW)

    assert not accepted
    assert {each.name: why for each, why in left} == {
        "Foreign": "leads to no trusted root",
        "Forged": "leads to no trusted root",
        "Old": f"expired at {NOW - timedelta(days=1):%Y-%m-%d}",
        "Early": "is not valid yet",
        "metadata.azure.com": "is no authority",
    }


def test_a_root_that_has_expired_accepts_nothing() -> None:
    old = issue("Old root", authority=True, begins=NOW - YEAR, ends=NOW - timedelta(days=1))
    below = issue("Below", issuer=old, authority=True)

    assert linked([_authority(below)], [_authority(old)], now=NOW)[0] == []


@pytest.mark.parametrize(
    ("left", "life"),
    [
        (NEAR_END + timedelta(days=1), Life.GOOD),
        (NEAR_END - timedelta(days=1), Life.ENDING),
        (-timedelta(seconds=1), Life.EXPIRED),
    ],
)
def test_the_end_is_told_in_time(left: timedelta, life: Life) -> None:
    made = issue("Ending", authority=True, begins=NOW - YEAR, ends=NOW + left)

    assert _authority(made).life(NOW) is life


def test_a_root_is_its_own_issuer_by_signature_too() -> None:
    same_name = issue("Test root", issuer=ISSUING, authority=True, key_name="another")

    assert _authority(ROOT).self_signed
    assert not _authority(ISSUING).self_signed
    assert not _authority(same_name).self_signed


def test_each_certificate_counts_once() -> None:
    again = Authority(x509.load_der_x509_certificate(ROOT.certificate.public_bytes(Encoding.DER)))

    assert distinct([_authority(ROOT), again, _authority(ISSUING)]) == [_authority(ROOT), _authority(ISSUING)]
