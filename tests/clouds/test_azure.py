"""Azure's clients against the local Azure and its token service: who we are, how patient, errors in our own words."""

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from localcloud.azure.entra_applications import Application
from localcloud.azure.service import Azure as LocalAzure
from localcloud.azure.vms import Vm
from localcloud.cloud import LocalCloud
from localcloud.principals import Kind, Principal
from localcloud.server import loopback_socket
from moorings.clouds.azure import (
    CLOUDS,
    PUBLIC,
    Azure,
    Certificate,
    Federation,
    Patience,
    Place,
    Proof,
    Secret,
    cloud_named,
)
from moorings.clouds.azure_errors import AzureDenied, AzureFault, AzureUnanswered, translated
from moorings.clouds.federation import web_identity
from moorings.errors import Busy, Misconfigured

AUDIENCE = CLOUDS[PUBLIC].exchange_audience
HOUR = timedelta(hours=1)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:GetWebIdentityToken", "Resource": "*"}],
}
ROLE = {
    "Name": "reader",
    "Actions": ["Microsoft.Compute/*/read", "Microsoft.Compute/locations/*/read", "Microsoft.Compute/snapshots/write"],
    "NotActions": [],
}


class Ground:
    """A local Azure with a VM, and an application that may read."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.azure = cloud.world.part(LocalAzure)
        self.vm: Vm = self.azure.vms.create("web-01")
        self.application: Application = self.azure.entra.application("patching")
        scope = f"/subscriptions/{self.azure.subscription_id}"
        self.azure.rbac.assign(
            principal=self.application.object_id, role=ROLE | {"AssignableScopes": [scope]}, scope=scope
        )
        self.secret = self.application.add_secret()
        self.place = Place(arm_url=self.azure.arm_url, authority_url=self.azure.authority_url, tls_bundle=cloud.ca_file)
        self.opened: list[Azure] = []

    @property
    def proof(self) -> Secret:
        return Secret(tenant_id=self.azure.tenant_id, client_id=self.application.client_id, secret=self.secret)

    def connect(
        self,
        proof: Proof | None = None,
        *,
        place: Place | None = None,
        left: timedelta = HOUR,
        patience: Patience | None = None,
    ) -> Azure:
        made = Azure(proof=proof or self.proof, place=place or self.place, remaining=lambda: left, patience=patience)
        self.opened.append(made)
        return made

    def read(self, azure: Azure) -> str:
        with translated("Microsoft.Compute/virtualMachines/read"):
            found = azure.client(self.azure.subscription_id).virtual_machines.get(self.vm.resource_group, self.vm.name)
        return str(found.vm_id)

    def sts(self, *, role: str = "patcher", policy: Any = ALLOWED) -> Any:
        iam = self.cloud.client("iam")
        self.role_arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        if policy:
            iam.put_role_policy(RoleName=role, PolicyName="inline", PolicyDocument=json.dumps(policy))
        arn = f"arn:aws:sts::{self.cloud.world.account}:assumed-role/{role}/function"
        principal = Principal(kind=Kind.ROLE, arn=arn, role_name=role, session="function")
        credentials = self.cloud.world.credentials.issue(principal, expires_at=datetime.now(UTC) + HOUR)
        return self.cloud.client("sts", credentials=credentials)

    def federation(self, assertion: Callable[[], str]) -> Federation:
        return Federation(tenant_id=self.azure.tenant_id, client_id=self.application.client_id, assertion=assertion)


@pytest.fixture
def ground() -> Iterator[Ground]:
    with LocalCloud(scale=0.001) as cloud:
        made = Ground(cloud)
        yield made
        for azure in made.opened:
            azure.close()


def _certificate() -> tuple[bytes, bytes]:
    """(certificate, certificate with key), as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "patching")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = (
        built.serial_number(x509.random_serial_number())
        .not_valid_before(now - HOUR)
        .not_valid_after(now + HOUR)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return public, private + public


# -- who we are


def test_a_secret_opens_resource_manager(ground: Ground) -> None:
    assert ground.read(ground.connect()) == ground.vm.vm_id


def test_a_certificate_does(ground: Ground) -> None:
    public, both = _certificate()
    ground.application.add_certificate(public)
    proof = Certificate(tenant_id=ground.azure.tenant_id, client_id=ground.application.client_id, pem=both)

    assert ground.read(ground.connect(proof)) == ground.vm.vm_id


def test_the_roles_own_word_does_without_any_secret(ground: Ground) -> None:
    issuer = ground.cloud.client("iam").enable_outbound_web_identity_federation()["IssuerIdentifier"]
    sts = ground.sts()
    ground.application.remove_credentials()
    ground.application.add_federated(issuer=issuer, subject=ground.role_arn, audience=AUDIENCE)

    connected = ground.connect(ground.federation(web_identity(sts, audience=AUDIENCE)))

    assert ground.read(connected) == ground.vm.vm_id
    assert ground.azure.entra.requests[-1].proof == "federated"


def test_one_token_serves_many_calls_and_subscriptions_clients(ground: Ground) -> None:
    connected = ground.connect()

    for _ in range(3):
        ground.read(connected)
    client = connected.client(ground.azure.subscription_id.upper())

    assert client is connected.client(ground.azure.subscription_id)
    assert len(ground.azure.entra.requests) == 1


def test_an_account_without_web_identities_is_told_the_command(ground: Ground) -> None:
    connected = ground.connect(ground.federation(web_identity(ground.sts(), audience=AUDIENCE)))

    with pytest.raises(Misconfigured) as wrong:
        ground.read(connected)
    assert "enable-outbound-web-identity-federation" in wrong.value.remedy


def test_a_role_that_may_not_is_told_the_action(ground: Ground) -> None:
    ground.cloud.client("iam").enable_outbound_web_identity_federation()
    connected = ground.connect(ground.federation(web_identity(ground.sts(policy=None), audience=AUDIENCE)))

    with pytest.raises(Misconfigured) as wrong:
        ground.read(connected)
    assert "sts:GetWebIdentityToken is not allowed" in wrong.value.message


@pytest.mark.parametrize(
    ("changes", "number", "remedy"),
    [
        ({"secret": "wrong"}, "AADSTS7000215", "moorings azure connect"),
        ({"client_id": "00000000-0000-0000-0000-000000000000"}, "AADSTS700016", "client id"),
        ({"tenant_id": "00000000-0000-0000-0000-000000000000"}, "authority configuration", "tenant id"),
    ],
)
def test_refused_credentials_are_a_setting_to_mend(
    ground: Ground, changes: dict[str, str], number: str, remedy: str
) -> None:
    good = ground.proof
    given = {"tenant_id": good.tenant_id, "client_id": good.client_id, "secret": good.secret} | changes

    with pytest.raises(Misconfigured) as wrong:
        ground.read(ground.connect(Secret(**given)))
    assert number in wrong.value.message
    assert remedy in wrong.value.remedy
    assert "Trace ID" not in wrong.value.message


def test_another_role_than_the_trusted_one_is_told_what_to_mend(ground: Ground) -> None:
    issuer = ground.cloud.client("iam").enable_outbound_web_identity_federation()["IssuerIdentifier"]
    sts = ground.sts()
    ground.application.add_federated(issuer=issuer, subject=ground.role_arn + "-other", audience=AUDIENCE)

    with pytest.raises(Misconfigured) as wrong:
        ground.read(ground.connect(ground.federation(web_identity(sts, audience=AUDIENCE))))
    assert "AADSTS700213" in wrong.value.message
    assert "subject" in wrong.value.remedy


def test_an_outage_of_the_token_service_is_no_wrong_setting(ground: Ground) -> None:
    ground.azure.entra.fail(10)

    with pytest.raises(AzureUnanswered) as failed:
        ground.read(ground.connect(patience=Patience(tries=1)))
    assert not failed.value.sent


@pytest.mark.parametrize("number", [50196, 90006, 90012, 90024, 90033, 90055])
def test_what_the_token_service_calls_passing_is_no_wrong_setting(number: int) -> None:
    """It has a number as a wrong secret has; who stored another secret for it would mend nothing."""
    said = ClientAuthenticationError(f"AADSTS{number}: A transient error has occurred. Trace ID: 1")

    with pytest.raises(AzureUnanswered) as failed, translated("Microsoft.Compute/virtualMachines/read"):
        raise said
    assert f"AADSTS{number}" in failed.value.message
    assert "Trace ID" not in failed.value.message


def test_what_azure_says_at_length_is_told_in_one_line(ground: Ground) -> None:
    """It goes into records, whose items have a limit, and into events and mails."""
    ground.azure.faults.error(status=400, code="Odd", message='"first"\r\n' + "and on " * 100_000, count=1)

    with pytest.raises(AzureFault) as failed:
        ground.read(ground.connect())
    assert "Odd: 'first' and on" in failed.value.message
    assert "\n" not in failed.value.message
    assert len(failed.value.message) < 1500


# -- how patient


def test_a_short_outage_is_bridged(ground: Ground) -> None:
    ground.azure.faults.error(status=503, count=2, headers={"retry-after-ms": "5"})

    assert ground.read(ground.connect()) == ground.vm.vm_id


@pytest.mark.parametrize("left", [HOUR, timedelta(seconds=10)])
def test_a_pause_of_twenty_minutes_is_never_made(ground: Ground, left: timedelta) -> None:
    ground.azure.faults.throttle(retry_after=1200, count=1)

    with pytest.raises(Busy) as busy:
        ground.read(ground.connect(left=left))
    assert busy.value.retry_after == timedelta(seconds=1200)


def test_no_try_begins_in_the_time_that_is_reserved(ground: Ground) -> None:
    connected = ground.connect(left=timedelta(seconds=2))
    ground.read(connected)
    ground.azure.faults.error(status=503, count=None, headers={"retry-after-ms": "5"})
    before = len(ground.azure.calls)

    with pytest.raises(AzureFault):
        ground.read(connected)
    assert len(ground.azure.calls) - before == 1


def test_an_unreadable_pause_is_not_made(ground: Ground) -> None:
    ground.azure.faults.error(status=429, code="TooManyRequests", count=1, headers={"Retry-After": "soon"})

    with pytest.raises(Busy) as busy:
        ground.read(ground.connect())
    assert busy.value.retry_after == timedelta(seconds=30)


def test_an_answer_that_takes_too_long_is_not_awaited(ground: Ground) -> None:
    connected = ground.connect(patience=Patience(read=0.3, tries=1))
    ground.azure.faults.latency("*", 1.0, count=1)

    with pytest.raises(AzureUnanswered) as lost:
        ground.read(connected)
    assert lost.value.sent


def test_timeouts_shrink_with_the_time_that_is_left(ground: Ground) -> None:
    seen: dict[str, Any] = {}
    client = ground.connect(left=timedelta(seconds=5)).client(ground.azure.subscription_id)
    transport = client._client._pipeline._transport
    send = transport.send
    transport.send = lambda request, **options: seen.update(options) or send(request, **options)

    client.virtual_machines.get(ground.vm.resource_group, ground.vm.name)

    assert seen["read_timeout"] == seen["connection_timeout"] == 2.0


# -- errors


def test_a_missing_right_is_told_by_its_name(ground: Ground) -> None:
    client = ground.connect().client(ground.azure.subscription_id)

    with pytest.raises(AzureDenied) as denied, translated("Microsoft.Compute/virtualMachines/start/action"):
        client.virtual_machines.begin_start(ground.vm.resource_group, ground.vm.name)
    assert denied.value.action == "Microsoft.Compute/virtualMachines/start/action"
    assert "custom role" in denied.value.remedy


def test_a_linked_right_is_told_by_its_name(ground: Ground) -> None:
    client = ground.connect().client(ground.azure.subscription_id)
    body: Any = {
        "location": "eastus",
        "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": ground.vm.os_disk_id}},
    }

    with pytest.raises(AzureDenied) as denied, translated("Microsoft.Compute/snapshots/write"):
        client.snapshots.begin_create_or_update(ground.vm.resource_group, "s", body)
    assert denied.value.action == "Microsoft.Compute/disks/beginGetAccess/action"


def test_what_is_not_there_is_absent(ground: Ground) -> None:
    client = ground.connect().client(ground.azure.subscription_id)

    with pytest.raises(AzureFault) as fault, translated("Microsoft.Compute/disks/read"):
        client.disks.get(ground.vm.resource_group, "none")
    assert (fault.value.absent, fault.value.code, fault.value.contended) == (True, "ResourceNotFound", False)
    assert fault.value.call == "Microsoft.Compute/disks/read"


@pytest.mark.parametrize(
    ("status", "code", "contended"),
    [(409, "Conflict", True), (412, "PreconditionFailed", True), (409, "PropertyChangeNotAllowed", False)],
)
def test_conflicts_are_told_apart_by_their_code(ground: Ground, status: int, code: str, contended: bool) -> None:
    ground.azure.faults.error(status=status, code=code, message="told so")

    with pytest.raises(AzureFault) as fault:
        ground.read(ground.connect())
    assert (fault.value.status, fault.value.code, fault.value.contended) == (status, code, contended)
    assert "told so" in fault.value.message


def test_an_operation_that_failed_later_says_why(ground: Ground) -> None:
    scope = f"/subscriptions/{ground.azure.subscription_id}"
    everything = {"Name": "admin", "Actions": ["*"], "NotActions": [], "AssignableScopes": [scope]}
    ground.azure.rbac.assign(principal=ground.application.object_id, role=everything, scope=scope)
    call = "Microsoft.Compute/virtualMachines/powerOff/action"
    ground.azure.faults.operation_fails(call, code="InternalExecutionError")
    client = ground.connect().client(ground.azure.subscription_id)

    with pytest.raises(AzureFault) as fault, translated(call):
        client.virtual_machines.begin_power_off(ground.vm.resource_group, ground.vm.name, polling_interval=0).result()

    assert (fault.value.code, fault.value.status) == ("InternalExecutionError", 200)


def test_a_lost_answer_leaves_the_effect_open(ground: Ground) -> None:
    ground.azure.faults.lose_answer(count=None)

    with pytest.raises(AzureUnanswered) as lost:
        ground.read(ground.connect(patience=Patience(tries=1)))
    assert lost.value.sent


def test_nobody_listening_had_no_effect(ground: Ground) -> None:
    free = loopback_socket()
    place = Place(
        arm_url=f"https://localhost:{free.getsockname()[1]}",
        authority_url=ground.azure.authority_url,
        tls_bundle=ground.cloud.ca_file,
    )

    with pytest.raises(AzureUnanswered) as lost:
        ground.read(ground.connect(place=place, patience=Patience(tries=1)))
    free.close()
    assert not lost.value.sent


def test_an_unknown_authority_of_certificates_is_not_trusted(ground: Ground) -> None:
    place = Place(arm_url=ground.azure.arm_url, authority_url=ground.azure.authority_url)

    with pytest.raises(AzureUnanswered) as lost:
        ground.read(ground.connect(place=place, patience=Patience(tries=1)))
    assert not lost.value.sent


def test_an_answer_without_a_body_is_a_fault_all_the_same() -> None:
    error = HttpResponseError(message="(None)")
    error.status_code = 500

    with pytest.raises(AzureUnanswered), translated("x"):
        raise error


# -- clouds


@pytest.mark.parametrize("name", CLOUDS)
def test_every_cloud_is_found_by_its_name_in_any_letters(name: str) -> None:
    cloud = cloud_named(name.upper())

    assert cloud.name == name
    assert cloud.scope.endswith("/.default")
    assert all(url.startswith("https://") for url in (cloud.arm, cloud.scope, cloud.authority))


def test_an_unknown_cloud_names_those_that_there_are() -> None:
    with pytest.raises(Misconfigured) as wrong:
        cloud_named("AzureGermanCloud")
    assert PUBLIC in wrong.value.remedy


def test_without_urls_of_our_own_the_clouds_are_used() -> None:
    proof = Secret(tenant_id="t", client_id="c", secret="s")
    azure = Azure(proof=proof, place=Place(cloud=cloud_named("AzureUSGovernmentCloud")), remaining=lambda: HOUR)

    client = azure.client("00000000-0000-0000-0000-000000000001")
    assert client._config.base_url.startswith("https://management.usgovcloudapi.net")
    assert client._config.credential_scopes == ["https://management.core.usgovcloudapi.net/.default"]
    azure.close()


# -- secrets


def test_no_secret_bearer_or_assertion_shows_anywhere(
    ground: Ground, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Not in logs at their loudest, not in a repr, not in an error or what is behind it."""
    caplog.set_level(logging.DEBUG)
    issuer = ground.cloud.client("iam").enable_outbound_web_identity_federation()["IssuerIdentifier"]
    sts = ground.sts()
    ground.application.add_federated(issuer=issuer, subject=ground.role_arn, audience=AUDIENCE)
    _, pem = _certificate()
    assertions: list[str] = []

    def assertion() -> str:
        assertions.append(web_identity(sts, audience=AUDIENCE)())
        return assertions[-1]

    proofs: list[Proof] = [
        ground.proof,
        ground.federation(assertion),
        Certificate(tenant_id=ground.azure.tenant_id, client_id=ground.application.client_id, pem=pem),
        Secret(tenant_id=ground.azure.tenant_id, client_id=ground.application.client_id, secret="wrong-secret-value"),
    ]
    told, bearers = [], []
    for proof in proofs:
        azure = ground.connect(proof)
        told += [repr(proof), str(proof), repr(azure), repr(azure.credential)]
        try:
            ground.read(azure)
            bearers.append(azure.credential.get_token(CLOUDS[PUBLIC].scope).token)
        except Misconfigured as error:
            told += ["".join(traceback.format_exception(error)), error.message, error.remedy]
    told += [record.getMessage() for record in caplog.records if not record.name.startswith("botocore")]

    hidden = [ground.secret, "wrong-secret-value", *assertions, *bearers, pem.decode()[60:200]]
    assert len(bearers) == 2
    assert len(assertions) == 1
    for secret in hidden:
        assert not any(secret in text for text in told)
