"""How the engine calls the emulated services: boto3 clients at the HTTP seam, with the operator's rights."""

import threading
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from localcloud.aws.seam import attach
from localcloud.principals import Kind, Principal

if TYPE_CHECKING:
    from localcloud.world import World


class ServiceClients:
    """One client per service and Region, made on first use; threads may share it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], Any] = {}
        # CloudFormation acts with the rights of its caller; only the operator deploys here.
        principal = Principal(kind=Kind.ROOT, arn=f"arn:aws:iam::{world.account}:root", session="cloudformation")
        issued = world.credentials.issue(principal)
        self._session = boto3.Session(aws_access_key_id=issued.access_key, aws_secret_access_key=issued.secret_key)

    def client(self, service: str, region: str) -> Any:
        """A boto3 client of `service` in `region` that reaches the endpoint without a socket."""
        with self._lock:
            if (service, region) not in self._made:
                config = Config(retries={"mode": "standard", "max_attempts": 3}, s3={"addressing_style": "path"})
                made = self._session.client(service, region_name=region, config=config)
                attach(made, self._world.endpoint.dispatch)
                self._made[service, region] = made
            return self._made[service, region]


class RegionalClients:
    """The clients of one Region, as resource types want them."""

    def __init__(self, clients: ServiceClients, region: str) -> None:
        self._clients = clients
        self._region = region

    def client(self, service: str) -> Any:
        return self._clients.client(service, self._region)
