"""Azure, as one place to get clients from: which cloud, who we are, and how long a call may take.

Everything is handed in: the proof of who we are, the endpoints, and how much time is left. Tokens live in the
credential object and nowhere else, so a function that keeps its `Azure` between invocations asks for one an hour.
"""

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import RetryPolicy, SansIOHTTPPolicy
from azure.identity import CertificateCredential, ClientAssertionCredential, ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient

from moorings.errors import Misconfigured

PUBLIC = "AzurePublicCloud"
Remaining = Callable[[], timedelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureCloud:
    """One of Azure's clouds. `scope` is for Resource Manager, on another host than it in some clouds."""

    name: str  # as the metadata service tells it (`azEnvironment`)
    arm: str
    scope: str
    authority: str
    exchange_audience: str  # of federated credentials, by custom


# Source: reference/azure-compute, sections 6.2 and 6.3.
CLOUDS: Mapping[str, AzureCloud] = {
    cloud.name: cloud
    for cloud in (
        AzureCloud(
            name=PUBLIC,
            arm="https://management.azure.com",
            scope="https://management.azure.com/.default",
            authority="https://login.microsoftonline.com",
            exchange_audience="api://AzureADTokenExchange",
        ),
        AzureCloud(
            name="AzureUSGovernmentCloud",
            arm="https://management.usgovcloudapi.net",
            scope="https://management.core.usgovcloudapi.net/.default",
            authority="https://login.microsoftonline.us",
            exchange_audience="api://AzureADTokenExchangeUSGov",
        ),
        AzureCloud(
            name="AzureChinaCloud",
            arm="https://management.chinacloudapi.cn",
            scope="https://management.chinacloudapi.cn/.default",
            authority="https://login.chinacloudapi.cn",
            exchange_audience="api://AzureADTokenExchangeChina",
        ),
    )
}


def cloud_named(name: str) -> AzureCloud:
    """The cloud of that name, in any letters; Misconfigured names those that there are."""
    found = next((cloud for known, cloud in CLOUDS.items() if known.lower() == name.lower()), None)
    if found is None:
        raise Misconfigured(f"there is no Azure cloud {name!r}", remedy=f"use {', '.join(CLOUDS)}")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where Azure answers. Empty URLs are the cloud's own; `tls_bundle` is trusted in place of the usual roots."""

    cloud: AzureCloud = CLOUDS[PUBLIC]
    arm_url: str = ""
    authority_url: str = ""
    tls_bundle: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """An application's client secret."""

    tenant_id: str
    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """An application's certificate with its private key, as PEM."""

    tenant_id: str
    client_id: str
    pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """An assertion by a trusted issuer; `assertion` is called once for each token that is fetched."""

    tenant_id: str
    client_id: str
    assertion: Callable[[], str] = field(repr=False)


Proof = Secret | Certificate | Federation
Credential = ClientSecretCredential | CertificateCredential | ClientAssertionCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a call may take: seconds to connect, seconds for bytes, tries in all, and the longest pause between
    two. `reserve` is left over for whoever called: no try begins, and no pause is made, that would eat into it."""

    connect: float = 3.0
    read: float = 10.0
    tries: int = 3
    longest_pause: float = 5.0
    reserve: timedelta = timedelta(seconds=3)


class BoundedRetries(RetryPolicy[Any, Any]):
    """The SDK's retries, which obey any Retry-After (20 minutes, say), bounded by the time that is left.

    A pause that is too long is not made: the answer that asked for it is what the caller gets.
    """

    def __init__(self, *, remaining: Remaining, patience: Patience, **_: Any) -> None:
        # Whatever else a pipeline passes on is not for retries.
        tries = patience.tries - 1
        super().__init__(retry_total=tries, retry_connect=tries, retry_read=tries, retry_status=tries)
        self._remaining = remaining
        self._patience = patience

    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        """Whether to try again after this answer."""
        if not super().is_retry(settings, response):
            return False
        return self._has_time_for(self._pause(response) or self.get_backoff_time(settings))

    def increment(self, settings: dict[str, Any], response: Any = None, error: Exception | None = None) -> bool:
        """Count a failed try; False if it was the last."""
        again = super().increment(settings, response=response, error=error)
        return again and self._has_time_for(self.get_backoff_time(settings))

    def _pause(self, response: Any) -> float:
        try:
            return self.get_retry_after(response) or 0.0
        except ValueError:  # a form that the SDK cannot read
            return self._patience.longest_pause + 1

    def _has_time_for(self, pause: float) -> bool:
        left = self._remaining() - self._patience.reserve
        return pause <= self._patience.longest_pause and timedelta(seconds=pause) < left


class _Timeouts(SansIOHTTPPolicy[Any, Any]):
    """No try waits longer than there is time."""

    def __init__(self, *, remaining: Remaining, patience: Patience) -> None:
        super().__init__()
        self._remaining = remaining
        self._patience = patience

    def on_request(self, request: PipelineRequest[Any]) -> None:
        left = max(1.0, (self._remaining() - self._patience.reserve).total_seconds())
        request.context.options["connection_timeout"] = min(self._patience.connect, left)
        request.context.options["read_timeout"] = min(self._patience.read, left)


class Azure:
    """One application in one of Azure's clouds. Clients are made once for each subscription and may be shared.

    `remaining` tells, whenever it is asked, how much time the caller has left.
    """

    def __init__(self, *, proof: Proof, place: Place, remaining: Remaining, patience: Patience | None = None) -> None:
        self._place = place
        self._remaining = remaining
        self._patience = patience or Patience()
        self._credential = self._credential_of(proof)
        self._clients: dict[str, ComputeManagementClient] = {}
        self._lock = threading.Lock()

    @property
    def arm(self) -> str:
        """Where Resource Manager answers; tokens are for nobody else."""
        return self._place.arm_url or self._place.cloud.arm

    @property
    def credential(self) -> Credential:
        """What fetches tokens and keeps them."""
        return self._credential

    def client(self, subscription_id: str) -> ComputeManagementClient:
        """The compute client of a subscription."""
        key = subscription_id.lower()
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._made(subscription_id)
            return self._clients[key]

    def close(self) -> None:
        """Close every connection; tokens are forgotten."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            client.close()
        self._credential.close()

    def _made(self, subscription_id: str) -> ComputeManagementClient:
        return ComputeManagementClient(
            self._credential,
            subscription_id,
            base_url=self.arm,
            credential_scopes=[self._place.cloud.scope],
            retry_policy=BoundedRetries(remaining=self._remaining, patience=self._patience),
            per_retry_policies=[_Timeouts(remaining=self._remaining, patience=self._patience)],
            user_agent="moorings",
            **self._trust(),
        )

    def _trust(self) -> dict[str, Any]:
        return {} if self._place.tls_bundle is None else {"connection_verify": str(self._place.tls_bundle)}

    def _credential_of(self, proof: Proof) -> Credential:
        options: dict[str, Any] = {
            "authority": self._place.authority_url or self._place.cloud.authority,
            # The authority is configuration: nobody else is asked whether it is one.
            "disable_instance_discovery": True,
            "connection_timeout": self._patience.connect,
            "read_timeout": self._patience.read,
            "retry_policy_class": functools.partial(BoundedRetries, remaining=self._remaining, patience=self._patience),
            **self._trust(),
        }
        match proof:
            case Federation():
                return ClientAssertionCredential(proof.tenant_id, proof.client_id, proof.assertion, **options)
            case Certificate():
                return CertificateCredential(proof.tenant_id, proof.client_id, certificate_data=proof.pem, **options)
            case Secret():
                return ClientSecretCredential(proof.tenant_id, proof.client_id, proof.secret, **options)
