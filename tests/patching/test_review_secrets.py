"""Where a secret could slip out, and where a token could be sent that it is not for."""

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.rest import HttpRequest

from moorings.clouds.azure import Place
from moorings.errors import Misconfigured
from moorings.patching.azure import ArmCompute
from moorings.patching.credentials import AzureClouds
from moorings.patching.model import CredentialNames
from moorings.patching.observed import OperationState
from moorings.patching.ports import AzureRefused

GUID = "11111111-2222-4333-8444-555555555555"
SECRET = "abc8Q~not-a-real-one-but-looks-like-it"
NAMES = CredentialNames(client="/m/client", tenant="/m/tenant", secret="/m/secret")


def clouds(**values: str) -> AzureClouds:
    """Credentials that Parameter Store holds under these names."""

    def get_parameter(*, Name: str, WithDecryption: bool) -> dict[str, Any]:
        assert WithDecryption
        return {"Parameter": {"Value": values[Name.removeprefix("/m/")]}}

    return AzureClouds(ssm=SimpleNamespace(get_parameter=get_parameter), place=Place(), prefix="/m")


@pytest.mark.parametrize(
    ("values", "parameter"),
    [
        ({"client": SECRET, "tenant": GUID, "secret": GUID}, "/m/client"),
        ({"client": GUID, "tenant": SECRET, "secret": GUID}, "/m/tenant"),
        ({"client": GUID, "tenant": f"https://{SECRET}", "secret": GUID}, "/m/tenant"),
        (
            {
                "client": GUID,
                "tenant": GUID,
                "secret": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
            },
            "/m/secret",
        ),
    ],
)
def test_parameters_that_were_mixed_up_are_named_and_never_shown(values: dict[str, str], parameter: str) -> None:
    """Azure repeats the ids that it does not know, and its words go into logs, records and outputs."""
    with pytest.raises(Misconfigured) as caught:
        clouds(**values).compute(NAMES, subscription=GUID)

    assert parameter in caught.value.message
    assert SECRET not in f"{caught.value.message} {caught.value.remedy}"
    assert caught.value.__suppress_context__ or SECRET not in str(caught.value.__context__)


@pytest.mark.parametrize("tenant", [GUID, GUID.upper(), "contoso.onmicrosoft.com"])
def test_what_tenants_are_called_is_taken(tenant: str) -> None:
    assert clouds(client=GUID, tenant=tenant, secret=SECRET).compute(NAMES, subscription=GUID)


@pytest.mark.parametrize(
    "monitor", ["https://evil.example/operations/1", "http://arm.example/operations/1", "file:///x"]
)
def test_a_token_is_sent_to_nobody_but_resource_manager(monitor: str) -> None:
    """A monitor's address lies in the record between two calls: whoever can write there gets no token by it."""
    asked: list[object] = []
    client: Any = SimpleNamespace(send_request=asked.append)
    compute = ArmCompute(client, arm="https://arm.example", unauthenticated=lambda: None)

    assert compute.operation(monitor).state is OperationState.GONE
    assert not asked


class Pages:
    """Resource Manager's answers, each of which names the next page."""

    def __init__(self, following: str) -> None:
        self.following = following
        self.asked: list[str] = []

    def send_request(self, request: HttpRequest) -> Any:
        self.asked.append(request.url)
        body = {"value": [{"actions": ["*/read"]}], "nextLink": self.following}
        return SimpleNamespace(json=lambda: body, raise_for_status=lambda: None)


@pytest.mark.parametrize("following", ["https://evil.example/page", "http://arm.example/page", "//evil.example/page"])
def test_the_token_follows_no_list_to_another_host(following: str) -> None:
    pages = Pages(following)
    client: Any = pages
    compute = ArmCompute(client, arm="https://arm.example", unauthenticated=lambda: None)

    with pytest.raises(AzureRefused):
        compute.missing_actions("/subscriptions/s", ["Microsoft.Compute/disks/read"])
    assert len(pages.asked) == 1


def test_a_list_without_end_is_given_up() -> None:
    pages = Pages("https://arm.example/subscriptions/s/page")
    client: Any = pages
    compute = ArmCompute(client, arm="https://arm.example", unauthenticated=lambda: None)

    with pytest.raises(AzureRefused):
        compute.missing_actions("/subscriptions/s", ["Microsoft.Compute/disks/read"])
    assert len(pages.asked) < 50
