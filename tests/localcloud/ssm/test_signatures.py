"""The node key's signature, held to every recorded one."""

import dataclasses
from datetime import timedelta

import pytest
from tests.localcloud.ssm.recordings import Exchange, everything, facts, needs_recordings, scenarios

from localcloud.aws.agent import signatures
from localcloud.errors import ServiceError
from localcloud.wire import Headers, Request

KEYED = [exchange for exchange in everything() if exchange.credential.startswith("mi-")]
ONE = KEYED[:1]


def keys_of(node_id: str) -> list[str]:
    """Every public key that any recording knows for a node."""
    known = [facts(name)["nodes"].get(node_id, {}).get("public_keys", []) for name in scenarios()]
    return [key for keys in known for key in keys]


def verifies(request: Request, exchange: Exchange, *, off: timedelta = timedelta(0)) -> bool:
    """True if the request passes with one of the node's keys at the moment it was stamped."""
    signed = signatures.parse(request)
    assert signed is not None
    assert exchange.stamped is not None
    for key in keys_of(exchange.credential):
        try:
            signatures.verify(request, signed, key=key, clocks=(exchange.stamped + off,))
        except ServiceError as error:
            if (error.code, error.status) != ("InvalidSignatureException", 400):
                raise
        else:
            return True
    return False


@needs_recordings
def test_all_twenty_one_recorded_signatures_verify() -> None:
    assert len(KEYED) == 21
    assert all(verifies(exchange.request, exchange) for exchange in KEYED)


@needs_recordings
@pytest.mark.parametrize("exchange", KEYED, ids=lambda it: f"{it.scenario}-{it.number}")
def test_a_changed_byte_of_the_body_fails(exchange: Exchange) -> None:
    body = bytearray(exchange.request.body)
    body[len(body) // 2] ^= 1

    assert not verifies(dataclasses.replace(exchange.request, body=bytes(body)), exchange)


@needs_recordings
@pytest.mark.parametrize("exchange", ONE, ids=lambda it: it.scenario)
@pytest.mark.parametrize("name", ["Content-Type", "Host", "X-Amz-Target"])
def test_a_changed_signed_header_fails(exchange: Exchange, name: str) -> None:
    items = [(key, value + "x" if key == name else value) for key, value in exchange.request.headers.items]

    assert not verifies(dataclasses.replace(exchange.request, headers=Headers.of(items)), exchange)


@needs_recordings
@pytest.mark.parametrize("exchange", ONE, ids=lambda it: it.scenario)
def test_a_signature_is_good_for_five_minutes_either_way(exchange: Exchange) -> None:
    assert verifies(exchange.request, exchange, off=timedelta(minutes=5))
    assert verifies(exchange.request, exchange, off=-timedelta(minutes=5))
    assert not verifies(exchange.request, exchange, off=timedelta(minutes=5, seconds=1))
    assert not verifies(exchange.request, exchange, off=-timedelta(minutes=5, seconds=1))


@needs_recordings
@pytest.mark.parametrize("exchange", ONE, ids=lambda it: it.scenario)
def test_another_nodes_key_does_not_verify(exchange: Exchange) -> None:
    signed = signatures.parse(exchange.request)
    assert signed is not None
    assert exchange.stamped is not None
    other = next(key for one in KEYED for key in keys_of(one.credential) if one.credential != exchange.credential)

    with pytest.raises(ServiceError, match="InvalidSignatureException"):
        signatures.verify(exchange.request, signed, key=other, clocks=(exchange.stamped,))


@needs_recordings
@pytest.mark.parametrize("exchange", ONE, ids=lambda it: it.scenario)
def test_a_signature_that_does_not_cover_the_target_is_refused(exchange: Exchange) -> None:
    signed = signatures.parse(exchange.request)
    assert signed is not None
    assert exchange.stamped is not None
    loose = dataclasses.replace(signed, signed_headers=("content-type", "host", "x-amz-date"))

    with pytest.raises(ServiceError, match="must be signed"):
        signatures.verify(exchange.request, loose, key=keys_of(exchange.credential)[0], clocks=(exchange.stamped,))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic Zm9v",
        "AWS4-HMAC-SHA256 Credential=ASIA0/20261121/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=00",
    ],
)
def test_a_request_without_a_node_id_as_credential_carries_no_node_signature(header: str) -> None:
    assert signatures.parse(Request(method="POST", path="/", headers=Headers.of({"Authorization": header}))) is None


@pytest.mark.parametrize(
    "rest",
    [
        "Credential=mi-0/20261121/us-east-1, SignedHeaders=host, Signature=AA==",
        "Credential=mi-0/20261121/us-east-1/ssm/aws4_request, SignedHeaders=host",
        "Credential=mi-0/20261121/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=not base64",
    ],
)
def test_a_malformed_node_signature_is_refused(rest: str) -> None:
    headers = Headers.of({"Authorization": f"AWS4-HMAC-SHA256 {rest}"})

    with pytest.raises(ServiceError, match="IncompleteSignature"):
        signatures.parse(Request(method="POST", path="/", headers=headers))


@pytest.mark.parametrize("text", ["", "AAAA", "not base64 at all", "MIIBIjANBgkq"])
def test_what_is_no_key_is_an_invalid_public_key(text: str) -> None:
    with pytest.raises(ServiceError, match="InvalidPublicKey"):
        signatures.public_key(text)
