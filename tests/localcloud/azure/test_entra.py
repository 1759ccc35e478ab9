"""The token service as azure-identity, unmodified, meets it: three kinds of credentials and their refusals."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential, ClientAssertionCredential, ClientSecretCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from localcloud.azure.entra import Entra
from localcloud.azure.entra_applications import Application
from localcloud.azure.tokens import Tokens
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.principals import Kind, Principal
from localcloud.server import loopback_socket
from localcloud.wire import Headers, Request

SCOPE = "https://management.azure.com/.default"
EXCHANGE = "api://AzureADTokenExchange"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:GetWebIdentityToken", "Resource": "*"}],
}


class Site:
    """A cloud whose token service listens, and an AWS role that may have web identities."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.entra = cloud.world.part(Entra)
        tls = cloud.world.authority.context_for(["localhost"])
        listener = cloud.server.serve_calls(self.entra.answer, loopback_socket(), tls)
        self.url = f"https://localhost:{listener.port}"
        self.options: dict[str, Any] = {
            "authority": self.url,
            "connection_verify": str(cloud.ca_file),
            "disable_instance_discovery": True,
            "retry_total": 0,
        }
        iam = cloud.client("iam")
        self.issuer = iam.enable_outbound_web_identity_federation()["IssuerIdentifier"]
        self.role = iam.create_role(RoleName="patcher", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName="patcher", PolicyName="inline", PolicyDocument=json.dumps(ALLOWED))
        arn = f"arn:aws:sts::{cloud.world.account}:assumed-role/patcher/function"
        principal = Principal(kind=Kind.ROLE, arn=arn, role_name="patcher", session="function")
        credentials = cloud.world.credentials.issue(principal, expires_at=datetime.now(UTC) + timedelta(hours=1))
        self.sts = cloud.client("sts", credentials=credentials)

    def assertion(self, **options: Any) -> str:
        wanted = {"Audience": [EXCHANGE], "SigningAlgorithm": "RS256"} | options
        return str(self.sts.get_web_identity_token(**wanted)["WebIdentityToken"])

    def federated(self, application: Application, assertion: Callable[[], str]) -> ClientAssertionCredential:
        return ClientAssertionCredential(self.entra.tenant_id, application.client_id, assertion, **self.options)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with LocalCloud() as cloud:
        yield Site(cloud)


@pytest.fixture
def application(site: Site) -> Application:
    return site.entra.application("patching")


def _certificate() -> tuple[bytes, bytes]:
    """(certificate, certificate with key), as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "patching")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return public, private + public


def _number(credential: Any, scope: str = SCOPE) -> int:
    with pytest.raises(ClientAuthenticationError) as refused:
        credential.get_token(scope)
    found = re.search(r"AADSTS(\d+)", str(refused.value))
    assert found, str(refused.value)
    return int(found[1])


def test_a_client_secret_buys_a_bearer_of_the_application(site: Site, application: Application) -> None:
    secret = application.add_secret()

    bearer = ClientSecretCredential(site.entra.tenant_id, application.client_id, secret, **site.options).get_token(
        SCOPE
    )

    claims = site.cloud.world.part(Tokens).verify(bearer.token, "https://management.azure.com/")
    assert (claims.principal, claims.app_id) == (application.object_id, application.client_id)
    assert 3500 < bearer.expires_on - time.time() <= 3600


@pytest.mark.parametrize("chain", [False, True])
def test_a_certificate_buys_one_too(site: Site, application: Application, chain: bool) -> None:
    public, both = _certificate()
    application.add_certificate(public)

    credential = CertificateCredential(
        site.entra.tenant_id,
        application.client_id,
        certificate_data=both,
        send_certificate_chain=chain,
        **site.options,
    )

    assert credential.get_token(SCOPE).token
    assert site.entra.requests[-1].proof == "certificate"


def test_an_assertion_of_the_trusted_role_buys_one_without_a_secret(site: Site, application: Application) -> None:
    application.add_federated(issuer=site.issuer, subject=site.role, audience=EXCHANGE)

    bearer = site.federated(application, site.assertion).get_token(SCOPE)

    assert site.cloud.world.part(Tokens).verify(bearer.token, "https://management.azure.com").app_id == (
        application.client_id
    )
    assert site.entra.requests[-1].proof == "federated"


@pytest.mark.parametrize(
    ("trusted", "asked", "number"),
    [
        ({"issuer": "https://other.tokens.sts.global.api.aws"}, {}, 700211),
        ({"audience": "api://other"}, {}, 700212),
        ({}, {"Audience": ["api://other"]}, 700212),
        ({"subject": "arn:aws:iam::111122223333:role/patcher"}, {}, 700213),
        ({"after": timedelta(minutes=5)}, {}, 700211),
        ({}, {"SigningAlgorithm": "ES384"}, 5002738),
    ],
)
def test_an_assertion_that_fits_no_federated_credential_is_refused_by_what_does_not_fit(
    site: Site, application: Application, trusted: dict[str, Any], asked: dict[str, Any], number: int
) -> None:
    given = {"issuer": site.issuer, "subject": site.role, "audience": EXCHANGE} | trusted
    application.add_federated(**given)

    assert _number(site.federated(application, lambda: site.assertion(**asked))) == number


def test_a_forged_assertion_is_refused(site: Site, application: Application) -> None:
    application.add_federated(issuer=site.issuer, subject=site.role, audience=EXCHANGE)
    genuine = site.assertion()
    claims = jwt.decode(genuine, options={"verify_signature": False})
    forger = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def forged(key_id: str, **changes: Any) -> str:
        return jwt.encode(claims | changes, forger, algorithm="RS256", headers={"kid": key_id})

    assert _number(site.federated(application, lambda: forged("RSA_0"))) == 50013
    assert _number(site.federated(application, lambda: forged("RSA_1"))) == 50013
    assert _number(site.federated(application, lambda: forged("EC384_0"))) == 50013
    header, body, signature = genuine.split(".")
    swapped = jwt.encode(claims | {"jti": "other"}, "k" * 32, algorithm="HS256").split(".")[1]
    assert _number(site.federated(application, lambda: f"{header}.{swapped}.{signature}")) == 50013
    assert _number(site.federated(application, lambda: f"{header}.{body}")) == 50027
    assert _number(site.federated(application, lambda: "nonsense")) == 50027


def test_an_assertion_is_good_for_its_own_time_only() -> None:
    clock = SteppedClock()
    with LocalCloud(clock=clock) as cloud:
        site = Site(cloud)
        application = site.entra.application("patching")
        application.add_federated(issuer=site.issuer, subject=site.role, audience=EXCHANGE)
        old = site.assertion(DurationSeconds=60)
        clock.step(timedelta(minutes=7))

        assert _number(site.federated(application, lambda: old)) == 700024


def test_wrong_and_expired_secrets_are_refused(site: Site, application: Application) -> None:
    old = application.add_secret(lifetime=timedelta(0))
    tenant, client = site.entra.tenant_id, application.client_id

    assert _number(ClientSecretCredential(tenant, client, "wrong", **site.options)) == 7000215
    assert _number(ClientSecretCredential(tenant, client, old, **site.options)) == 7000222


def test_an_unregistered_certificate_and_a_foreign_key_are_refused(site: Site, application: Application) -> None:
    tenant, client = site.entra.tenant_id, application.client_id
    public, _ = _certificate()
    _, other = _certificate()

    assert _number(CertificateCredential(tenant, client, certificate_data=other, **site.options)) == 700027
    application.add_certificate(public)
    assert _number(CertificateCredential(tenant, client, certificate_data=other, **site.options)) == 700027


def test_unknown_applications_scopes_and_resources_are_refused(site: Site, application: Application) -> None:
    secret = application.add_secret()
    tenant, client = site.entra.tenant_id, application.client_id
    good = ClientSecretCredential(tenant, client, secret, **site.options)

    assert _number(ClientSecretCredential(tenant, "0" * 8, secret, **site.options)) == 700016
    assert _number(good, "https://management.azure.com/user_impersonation") == 1002012
    assert _number(good, "https://elsewhere.test/.default") == 500011
    site.entra.remove(application)
    assert _number(ClientSecretCredential(tenant, client, secret, **site.options)) == 700016


def _post(site: Site, tenant: str, **form: str) -> tuple[int, dict[str, Any]]:
    answer = site.entra.answer(
        Request(
            method="POST",
            path=f"/{tenant}/oauth2/v2.0/token",
            headers=Headers.of({"Host": site.url.removeprefix("https://")}),
            body=urlencode(form).encode(),
        )
    )
    return answer.status, json.loads(answer.body)


def test_what_no_sdk_sends_is_refused_too(site: Site, application: Application) -> None:
    def refused(tenant: str = site.entra.tenant_id, **form: str) -> tuple[int, str, list[int]]:
        status, body = _post(site, tenant, **form)
        return status, body["error"], body["error_codes"]

    client = application.client_id
    whole = {"grant_type": "client_credentials", "client_id": client, "scope": SCOPE}
    assert refused("common", **whole) == (400, "invalid_request", [90002])
    assert refused(client_id=client) == (400, "invalid_request", [900144])
    assert refused(grant_type="password", client_id=client) == (400, "unsupported_grant_type", [70003])
    assert refused(**whole) == (401, "invalid_client", [7000218])
    assert refused(**whole, client_assertion="x", client_assertion_type="other") == (401, "invalid_client", [7000218])


def test_an_assertion_for_another_endpoint_or_application_is_refused(site: Site, application: Application) -> None:
    public, both = _certificate()
    application.add_certificate(public)
    key = serialization.load_pem_private_key(both, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    thumbprint = application._certificates[0].sha1
    endpoint = f"{site.url}/{site.entra.tenant_id}/oauth2/v2.0/token"
    good = {"iss": application.client_id, "sub": application.client_id, "aud": endpoint, "exp": time.time() + 60}

    def number(**changes: Any) -> int:
        assertion = jwt.encode(good | changes, key, algorithm="RS256", headers={"x5t": thumbprint})
        _, body = _post(
            site,
            site.entra.tenant_id,
            grant_type="client_credentials",
            client_id=application.client_id,
            scope=SCOPE,
            client_assertion=assertion,
            client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        )
        return int(body.get("error_codes", [0])[0])

    assert number() == 0
    assert number(aud="https://elsewhere.test") == 700023
    assert number(sub="another") == 700021
    assert number(exp=time.time() - 3600) == 700024


def test_an_outage_of_the_service_passes(site: Site, application: Application) -> None:
    secret = application.add_secret()
    whole = {"grant_type": "client_credentials", "client_id": application.client_id, "scope": SCOPE}
    site.entra.fail(2, retry_after=1)

    assert [_post(site, site.entra.tenant_id, **whole, client_secret=secret)[0] for _ in range(3)] == [503, 503, 200]


def test_no_secret_or_assertion_shows_in_refusals_or_reprs(site: Site, application: Application) -> None:
    secret = application.add_secret()
    assertion = site.assertion()
    whole = {"grant_type": "client_credentials", "client_id": application.client_id, "scope": SCOPE}

    for form in ({"client_secret": secret + "x"}, {"client_assertion": assertion, "client_assertion_type":
                 "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}):  # fmt: skip
        _, body = _post(site, site.entra.tenant_id, **whole, **form)
        assert body["error"]
        assert secret not in json.dumps(body)
        assert assertion not in json.dumps(body)
    assert secret not in repr(application) + repr(application.secret(secret)) + repr(site.entra.requests)
