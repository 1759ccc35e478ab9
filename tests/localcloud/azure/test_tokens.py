"""The tenant's access tokens: who they say, for whom, how long."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from localcloud.azure.tokens import InvalidToken, Tokens
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
ARM = "https://management.azure.com/"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(START)


@pytest.fixture
def tokens(clock: SteppedClock) -> Iterator[Tokens]:
    with LocalCloud(clock=clock, in_process=True) as cloud:
        yield cloud.world.part(Tokens)


def test_a_bearer_tells_principal_application_and_end(tokens: Tokens) -> None:
    claims = tokens.verify(tokens.issue("object", "app", ARM), ARM)

    assert (claims.principal, claims.app_id, claims.tenant_id) == ("object", "app", tokens.tenant_id)
    assert claims.expires_at == START + timedelta(seconds=3599)


def test_the_audience_counts_with_and_without_its_slash(tokens: Tokens) -> None:
    bearer = tokens.issue("object", "app", ARM)

    assert tokens.verify(bearer, ARM.rstrip("/")).audience == ARM
    with pytest.raises(InvalidToken) as refused:
        tokens.verify(bearer, "https://vault.azure.net")
    assert refused.value.code == "InvalidAuthenticationTokenAudience"


def test_a_bearer_ends_by_the_clouds_clock(tokens: Tokens, clock: SteppedClock) -> None:
    bearer = tokens.issue("object", "app", ARM)
    clock.step(timedelta(seconds=3599))

    with pytest.raises(InvalidToken) as refused:
        tokens.verify(bearer, ARM)
    assert refused.value.code == "ExpiredAuthenticationToken"


def test_the_keys_are_published(tokens: Tokens) -> None:
    bearer = tokens.issue("object", "app", ARM)
    published = {key["kid"]: jwt.PyJWK(key, algorithm="RS256") for key in tokens.keys()["keys"]}

    key = published[jwt.get_unverified_header(bearer)["kid"]]
    read = jwt.decode(
        bearer,
        key,
        algorithms=["RS256"],
        options={"verify_exp": False, "verify_aud": False, "verify_nbf": False, "verify_iat": False},
    )
    assert read["appid"] == "app"


def test_another_tenants_bearer_and_an_unsigned_one_are_refused(tokens: Tokens) -> None:
    with LocalCloud(in_process=True) as other:
        foreign = other.world.part(Tokens).issue("object", "app", ARM)
    unsigned = jwt.encode({"aud": ARM, "iss": tokens.issuer}, None, algorithm="none")

    for bearer in (foreign, unsigned, "", "x.y.z"):
        with pytest.raises(InvalidToken) as refused:
            tokens.verify(bearer, ARM)
        assert refused.value.code == "InvalidAuthenticationToken"
        assert not bearer or bearer not in str(refused.value)
