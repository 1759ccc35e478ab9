"""The agent's calls over a real socket: the ones signed with the node's key arrive in chunks, without a length."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection

import pytest
from tests.localcloud.ssm.recordings import Exchange, exchanges, facts, needs_recordings

from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud

SCENARIO = "first-start"


@pytest.fixture
def token_call() -> Exchange:
    return exchanges(SCENARIO)[0]


@pytest.fixture
def cloud(token_call: Exchange) -> Iterator[LocalCloud]:
    with LocalCloud(clock=SteppedClock(token_call.stamped or datetime.now(UTC))) as running:
        for node_id, node in facts(SCENARIO)["nodes"].items():
            running.world.part(ManagedNodes).seed(
                node_id=node_id, fingerprint=node["fingerprint"], public_key=node["public_keys"][0]
            )
        yield running


@needs_recordings
def test_a_recorded_token_call_is_understood_in_chunks(cloud: LocalCloud, token_call: Exchange) -> None:
    connection = HTTPConnection(cloud.endpoint_url.removeprefix("http://"), timeout=60)
    assert token_call.request.headers.get("Transfer-Encoding") == "chunked"
    body = token_call.request.body
    connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
    for name, value in token_call.request.headers.items:
        connection.putheader(name, value)
    connection.endheaders(iter([body[:7], body[7:]]), encode_chunked=True)

    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()

    assert response.status == 200, answer
    assert response.version == 11
    assert set(answer) == {"AccessKeyId", "SecretAccessKey", "SessionToken", "TokenExpirationDate", "UpdateKeyPair"}
    assert cloud.world.credentials.find(answer["AccessKeyId"]) is not None
