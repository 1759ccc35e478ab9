"""Attested documents that are as they should be, the anchors they need, and a guess at what nobody thought of."""

import base64
import json
import random

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given
from hypothesis import strategies as st
from tests.attestation import authority
from tests.attestation.authority import (
    NAMES,
    NONCE,
    NOW,
    SHA256,
    SUBSCRIPTION,
    VM_ID,
    anchors,
    attributes_for,
    chain,
    content,
    document,
    leaf,
    text,
)

from localcloud.azure.attested import AttestedDocuments
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from moorings.attestation.anchors import Anchors
from moorings.attestation.azure import DOMAINS, AttestedVm, signature_in, verify
from moorings.attestation.refusal import NotAttested, Reason
from moorings.errors import Misconfigured

SHA384 = "2.16.840.1.101.3.4.2.2"


def _verify(der: bytes, **options: object) -> AttestedVm:
    return verify(text(der), **({"nonce": NONCE, "anchors": anchors(), "now": NOW} | options))  # type: ignore[arg-type]


def _built(*options: pkcs7.PKCS7Options) -> bytes:
    """As another library writes it: the right digest, attributes or none."""
    signer = chain()[2]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content()).add_signer(
        signer.certificate, signer.key, hashes.SHA256()
    )  # fmt: skip
    return builder.sign(serialization.Encoding.DER, list(options))


@pytest.mark.parametrize(
    "der",
    [
        document(),
        document(digest=SHA256),
        document(digest=SHA384, algorithm=hashes.SHA384()),
        document(scheme="1.2.840.113549.1.1.11"),
        document(attributes=attributes_for(content()), digest=SHA256),
        _built(pkcs7.PKCS7Options.Binary),
        _built(pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoAttributes),
    ],
    ids=["real form", "right digest", "SHA-384", "combined", "attributes", "library", "library, no attributes"],
)
def test_every_honest_form_of_a_document_is_accepted(der: bytes) -> None:
    claims = _verify(der)

    assert (claims.subscription_id, claims.vm_id, claims.sku) == (SUBSCRIPTION, VM_ID, "22_04-lts-gen2")
    assert claims.region_hint == "eastus"
    assert claims.expires_at > NOW > claims.created_at


def test_its_ids_are_told_in_lower_case() -> None:
    claims = _verify(document(content(vmId=VM_ID.upper(), subscriptionId=SUBSCRIPTION.upper())))

    assert (claims.subscription_id, claims.vm_id) == (SUBSCRIPTION, VM_ID)


def test_line_ends_are_ignored() -> None:
    folded = base64.encodebytes(document()).decode().replace("\n", "\r\n")

    assert verify(folded, nonce=NONCE, anchors=anchors(), now=NOW).vm_id == VM_ID


@pytest.mark.parametrize("environment", DOMAINS)
def test_each_cloud_has_its_own_domain(environment: str) -> None:
    domain = DOMAINS[environment]
    der = document(by=leaf(names=[f"here.{domain}"]))

    assert _verify(der, environment=environment.upper()).region_hint == "here"
    for other in set(DOMAINS) - {environment}:
        with pytest.raises(NotAttested) as refused:
            _verify(der, environment=other)
        assert refused.value.reason is Reason.NAME


def test_the_name_may_be_any_below_the_domain_in_any_letters() -> None:
    assert _verify(document(by=leaf(names=["A.B.Metadata.Azure.Com"]))).region_hint == "a.b"
    assert _verify(document(by=leaf(names=["metadata.azure.com"]))).region_hint == ""
    assert _verify(document(by=leaf(names=["other.test", *NAMES]))).region_hint == "eastus"


def test_anchors_are_read_from_bundles() -> None:
    root, issuer, _ = chain()
    pem = serialization.Encoding.PEM
    read = Anchors.from_pem(
        roots=root.certificate.public_bytes(pem) * 2, issuers=b"# issued\n" + issuer.certificate.public_bytes(pem)
    )

    assert _verify(document(), anchors=read).vm_id == VM_ID


@pytest.mark.parametrize("roots", [b"", b"  \n", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_without_anchors_the_remedy_is_the_command_that_fetches_them(roots: bytes) -> None:
    with pytest.raises(Misconfigured) as wrong:
        Anchors.from_pem(roots=roots)

    assert "moorings anchors update" in wrong.value.remedy


def test_no_roots_at_all_is_a_setting_to_mend_not_a_refusal() -> None:
    with pytest.raises(Misconfigured) as wrong:
        _verify(document(), anchors=Anchors(roots=()))
    assert "moorings anchors update" in wrong.value.remedy

    with pytest.raises(Misconfigured):
        _verify(document(), environment="AzureMoonCloud")


def test_the_answer_of_the_metadata_service_holds_it() -> None:
    answer = json.dumps({"encoding": "pkcs7", "signature": text(document())})

    assert verify(signature_in(answer), nonce=NONCE, anchors=anchors(), now=NOW).vm_id == VM_ID


def test_the_local_clouds_documents_are_of_the_same_form() -> None:
    with LocalCloud(clock=SteppedClock(NOW), in_process=True) as cloud:
        documents = cloud.world.part(AttestedDocuments)
        given = documents.document(subscription_id=SUBSCRIPTION, vm_id=VM_ID, nonce=NONCE, location="westeurope")
        trusted = Anchors.from_pem(roots=documents.anchors.roots, issuers=documents.anchors.issuers)

        claims = verify(text(given), nonce=NONCE, anchors=trusted, now=NOW)

    assert (claims.vm_id, claims.subscription_id, claims.region_hint) == (VM_ID, SUBSCRIPTION, "westeurope")
    with pytest.raises(NotAttested):
        verify(text(given), nonce=NONCE, anchors=anchors(), now=NOW)


GOOD = (document(), document(attributes=attributes_for(content()), digest=SHA256), document(bag=chain()[1:]))


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(number=st.integers(0, len(GOOD) - 1), seed=st.integers(0, 2**32), changes=st.integers(1, 4))
def test_whatever_is_changed_it_is_refused_or_says_the_same(number: int, seed: int, changes: int) -> None:
    """Bytes outside the signature may change unnoticed; what is claimed never does."""
    good, rng = GOOD[number], random.Random(seed)
    honest = _verify(good)
    mutant = bytearray(good)
    for _ in range(changes):
        place = rng.randrange(len(mutant))
        match rng.randrange(4):
            case 0:
                mutant[place] ^= 1 << rng.randrange(8)
            case 1:
                mutant[place] = rng.randrange(256)
            case 2:
                del mutant[place : place + rng.randrange(1, 5)]
            case _:
                mutant[place:place] = rng.randbytes(rng.randrange(1, 5))

    try:
        claims = _verify(bytes(mutant))
    except NotAttested:
        return
    assert claims == honest


@given(given=st.one_of(st.text(max_size=200), st.binary(max_size=400).map(authority.text)))
def test_nothing_but_a_refusal_ever_comes_of_nonsense(given: str) -> None:
    with pytest.raises(NotAttested):
        verify(given, nonce=NONCE, anchors=anchors(), now=NOW)
