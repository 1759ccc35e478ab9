"""The federation's set-up follows from the stack: whose cloud, which scopes, which audience."""

import json
import shlex
from typing import Any

import pytest

from moorings.deploy.azure_connection import STANDARD_TIER, Credentials, connection_of, store, with_secret
from moorings.deploy.azure_setup import assignment_scopes, federated_setup, role_definition
from moorings.deploy.stacks import Stack
from moorings.errors import Conflict

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
GROUP = f"{SUBSCRIPTION}/resourceGroups/web"
GUID = "8d10da13-8125-4ba9-a717-bf7490507b3d"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/web-1"


class _Iam:
    """An account that issues web identities."""

    region = "eu-central-1"

    def client(self, service: str) -> Any:
        assert service == "iam"
        return self

    def get_outbound_web_identity_federation_info(self) -> dict[str, Any]:
        return {"IssuerIdentifier": "https://issuer.test", "JwtVendingEnabled": True}


def _stack(**parameters: str) -> Stack:
    outputs = {
        "FunctionRoleArn": "arn:aws:iam::111122223333:role/function",
        "KeeperRoleArn": "arn:aws:iam::111122223333:role/keeper",
        "CredentialPrefix": "/moorings/azure",
        "AzureCredentialParameters": ",".join(
            f"/moorings/azure/{name}" for name in ("tenant_id", "client_id", "client_secret")
        ),
    }
    given = {"AllowedScopes": GROUP, "FederationAudience": "api://AzureADTokenExchange", **parameters}
    return Stack(name="p", id="id", status="CREATE_COMPLETE", outputs=outputs, parameters=given)


@pytest.mark.parametrize(
    ("allowed", "wide"),
    [
        ([SUBSCRIPTION, GROUP], (SUBSCRIPTION, GROUP)),
        ([VM, f"{VM}2", GROUP], (GROUP,)),  # its checkpoint is made in its group
        (["", f" {GROUP}"], (GROUP,)),
    ],
)
def test_the_role_is_assigned_where_checkpoints_are_made(allowed: list[str], wide: tuple[str, ...]) -> None:
    assert assignment_scopes(allowed) == wide


def test_each_stacks_role_has_a_name_of_its_own_and_reaches_no_further_than_the_stack() -> None:
    role = role_definition("web", (GROUP,))

    assert (role["Name"], role["AssignableScopes"]) == ("Moorings patching (web)", [GROUP])


def test_another_cloud_has_its_own_audience_and_the_stack_is_told() -> None:
    setup = federated_setup(_stack(AzureEnvironment="AzureUSGovernmentCloud"), _Iam())
    lines = [each.line for each in setup.commands]

    assert setup.audience == "api://AzureADTokenExchangeUSGov"
    assert "az cloud set --name AzureUSGovernment" in lines
    assert lines[-1].endswith("--parameter FederationAudience=api://AzureADTokenExchangeUSGov")


def test_an_audience_that_was_chosen_is_kept() -> None:
    setup = federated_setup(_stack(FederationAudience="api://ours"), _Iam())
    credential = next(each.line for each in setup.commands if "federated-credential" in each.line)

    assert json.loads(shlex.split(credential)[-1])["audiences"] == ["api://ours"]
    assert "FederationAudience" not in setup.commands[-1].line


def test_names_outside_of_the_prefix_are_not_written() -> None:
    stack = _stack()
    outputs = {**stack.outputs, "AzureCredentialParameters": "/a/tenant_id,/a/client_id,/a/client_secret"}

    with pytest.raises(Conflict, match="does not say where its credentials"):
        connection_of(Stack(name="p", id="i", status="s", outputs=outputs, parameters={}))


class _Ssm:
    """Parameter Store, as far as credentials are written."""

    region = "eu-central-1"

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def client(self, service: str) -> Any:
        assert service == "ssm"
        return self

    def put_parameter(self, **request: Any) -> dict[str, Any]:
        self.written.append(request)
        return {"Version": 2}


@pytest.mark.parametrize(("key", "sent"), [("", None), ("mrk-0123", "mrk-0123")])
def test_values_are_encrypted_with_the_stacks_key(key: str, sent: str | None) -> None:
    ssm = _Ssm()
    credentials = with_secret(tenant_id=GUID.upper(), client_id=GUID, secret=" value\n")

    versions = store(credentials, connection_of(_stack(CredentialKmsKeyId=key)), ssm)

    assert [each["Value"] for each in ssm.written] == [GUID, GUID, "value"]
    assert {each["Type"] for each in ssm.written} == {"SecureString"}
    assert {each.get("KeyId") for each in ssm.written} == {sent}
    assert list(versions) == [each["Name"] for each in ssm.written]
    assert "value" not in repr(credentials)


def test_a_long_certificate_needs_the_advanced_tier() -> None:
    ssm = _Ssm()
    long = Credentials(tenant_id=GUID, client_id=GUID, secret="x" * (STANDARD_TIER + 1))

    store(long, connection_of(_stack()), ssm)

    assert [each["Tier"] for each in ssm.written] == ["Standard", "Standard", "Advanced"]
