"""The account's outbound web identities: who may have one, what it says, and who can check it."""

import json
import ssl
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from botocore.exceptions import ClientError

from localcloud.aws.web_identity import CLAIMS, WebIdentities
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.principals import Kind, Principal

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EXCHANGE = "api://AzureADTokenExchange"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:GetWebIdentityToken",
            "Resource": "*",
            "Condition": {
                "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": [EXCHANGE]},
                "NumericLessThanEquals": {"sts:DurationSeconds": "300"},
                "StringEquals": {"sts:SigningAlgorithm": "RS256"},
            },
        }
    ],
}


class Account:
    """A role that may have web identities, and its client of STS."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.iam = cloud.client("iam")
        self.role = self.iam.create_role(
            RoleName="patcher", Path="/patching/", AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        self.iam.put_role_policy(RoleName="patcher", PolicyName="inline", PolicyDocument=json.dumps(ALLOWED))
        session = f"arn:aws:sts::{cloud.world.account}:assumed-role/patcher/function"
        self.principal = Principal(kind=Kind.ROLE, arn=session, role_name="patcher", session="function")
        self.sts = self.client(NOW + timedelta(hours=1))

    def client(self, expires_at: datetime) -> Any:
        credentials = self.cloud.world.credentials.issue(self.principal, expires_at=expires_at)
        return self.cloud.client("sts", credentials=credentials)

    def token(self, **options: Any) -> str:
        wanted = {"Audience": [EXCHANGE], "SigningAlgorithm": "RS256"} | options
        return str(self.sts.get_web_identity_token(**wanted)["WebIdentityToken"])


@pytest.fixture
def account() -> Iterator[Account]:
    with LocalCloud(clock=SteppedClock(NOW), in_process=True) as cloud:
        yield Account(cloud)


def _refusal(call: Any, **params: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    return refused.value.response["Error"]["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_nobody_gets_one_until_the_account_switches_it_on(account: Account) -> None:
    wanted = {"Audience": [EXCHANGE], "SigningAlgorithm": "RS256"}

    assert _refusal(account.sts.get_web_identity_token, **wanted) == (
        "OutboundWebIdentityFederationDisabledException", 403)  # fmt: skip
    assert _refusal(account.iam.get_outbound_web_identity_federation_info) == ("FeatureDisabled", 404)
    assert _refusal(account.iam.disable_outbound_web_identity_federation) == ("FeatureDisabled", 404)

    issuer = account.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    assert account.iam.get_outbound_web_identity_federation_info()["IssuerIdentifier"] == issuer
    assert _refusal(account.iam.enable_outbound_web_identity_federation) == ("FeatureEnabled", 409)
    account.iam.disable_outbound_web_identity_federation()
    assert account.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"] == issuer


def test_its_subject_is_the_role_with_its_path_not_the_session(account: Account) -> None:
    issuer = account.iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
    token = account.token()

    keys = {key["kid"]: key for key in account.cloud.world.part(WebIdentities).key_set()["keys"]}
    key = jwt.PyJWK(keys[jwt.get_unverified_header(token)["kid"]], algorithm="RS256")
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=EXCHANGE, issuer=issuer,
                        options={"verify_exp": False, "verify_iat": False})  # fmt: skip

    assert claims["sub"] == account.role
    assert account.role.endswith(":role/patching/patcher")
    assert (claims["iat"], claims["exp"] - claims["iat"]) == (int(NOW.timestamp()), 300)
    assert claims[CLAIMS]["aws_account"] == account.cloud.world.account
    assert claims[CLAIMS]["original_session_exp"] == "2026-11-21T13:00:00Z"


def test_the_roles_policy_narrows_audience_lifetime_algorithm_and_tags(account: Account) -> None:
    account.iam.enable_outbound_web_identity_federation()
    good = {"Audience": [EXCHANGE], "SigningAlgorithm": "RS256"}

    for other in (
        {"Audience": ["https://elsewhere.test"]},
        {"Audience": [EXCHANGE, "https://elsewhere.test"]},
        {"SigningAlgorithm": "ES384"},
        {"DurationSeconds": 301},
        {"Tags": [{"Key": "team", "Value": "x"}]},
    ):
        assert _refusal(account.sts.get_web_identity_token, **(good | other)) == ("AccessDenied", 403)


def test_it_never_outlives_the_session_that_asked_for_it(account: Account) -> None:
    account.iam.enable_outbound_web_identity_federation()
    short = account.client(NOW + timedelta(minutes=2))
    wanted = {"Audience": [EXCHANGE], "SigningAlgorithm": "RS256"}

    assert _refusal(short.get_web_identity_token, **wanted) == ("SessionDurationEscalationException", 403)
    assert short.get_web_identity_token(**wanted, DurationSeconds=60)["Expiration"] == NOW + timedelta(seconds=60)


def test_the_operator_may_ask_for_any_form_of_it(account: Account) -> None:
    account.iam.enable_outbound_web_identity_federation()
    sts = account.cloud.client("sts")
    tags = [{"Key": f"k{number}", "Value": "v" * 256} for number in range(50)]

    token = sts.get_web_identity_token(Audience=["a", "b"], SigningAlgorithm="ES384", Tags=tags[:2])["WebIdentityToken"]
    claims = jwt.decode(token, options={"verify_signature": False})

    assert jwt.get_unverified_header(token) == {"alg": "ES384", "kid": "EC384_0", "typ": "JWT"}
    assert claims["aud"] == ["a", "b"]
    assert set(claims[CLAIMS]["request_tags"]) == {"k0", "k1"}
    assert _refusal(sts.get_web_identity_token, Audience=["a"], SigningAlgorithm="RS256", Tags=tags)[0] == (
        "JWTPayloadSizeExceededException")  # fmt: skip
    assert _refusal(sts.get_web_identity_token, Audience=["a"], SigningAlgorithm="HS256")[0] == "ValidationError"


def test_the_issuers_documents_are_served_over_tls() -> None:
    with LocalCloud() as cloud:
        identities = cloud.world.part(WebIdentities)
        trusting = ssl.create_default_context(cafile=str(cloud.ca_file))

        def read(path: str) -> Any:
            with urllib.request.urlopen(identities.url + path, context=trusting) as answer:
                return json.load(answer)

        found = read("/.well-known/openid-configuration")
        assert found["issuer"] == identities.issuer
        assert read(found["jwks_uri"].removeprefix(identities.issuer)) == identities.key_set()
        assert identities.published(identities.issuer) == identities.key_set()
        assert identities.published("https://other.tokens.sts.global.api.aws") is None
