"""How the engine calls the emulated services: boto3 clients at the HTTP seam, with the rights of whoever deploys.

Source: CloudFormation User Guide, "Forward access sessions (FAS) requests and permission evaluation"; IAM User Guide,
"AWS global condition context keys", aws:CalledVia.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from localcloud.aws import sessions
from localcloud.aws.call import Call, CallRecord, Use
from localcloud.aws.iam import enforce
from localcloud.aws.iam.rights.model import Right
from localcloud.aws.seam import attach
from localcloud.errors import ServiceError
from localcloud.principals import Principal
from localcloud.wire import Request
from localcloud.world import World

if TYPE_CHECKING:
    import boto3

SERVICE = "cloudformation.amazonaws.com"


class ServiceClients:
    """One client per caller, service and Region, made on first use; threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._sessions: dict[Principal, boto3.Session] = {}
        self._made: dict[tuple[Principal, str, str], Any] = {}

    def client(self, service: str, region: str, caller: Principal) -> Any:
        """A boto3 client of `service` in `region` that reaches the endpoint without a socket.

        What it does, it does with the rights of `caller`, as CloudFormation does without a service role.
        """
        with self._lock:
            if (caller, service, region) not in self._made:
                config = Config(retries={"mode": "standard", "max_attempts": 3}, s3={"addressing_style": "path"})
                made = self._session(caller).client(service, region_name=region, config=config)
                attach(made, self._world.endpoint.dispatch)
                self._made[caller, service, region] = made
            return self._made[caller, service, region]

    def _session(self, caller: Principal) -> "boto3.Session":
        if caller not in self._sessions:
            # Forwarded access: the caller's own session, which tells by whom it is used.
            issued = self._world.credentials.issue(replace(caller, via=SERVICE))
            self._sessions[caller] = sessions.session(issued, region=self._world.region)
        return self._sessions[caller]


class RegionalClients:
    """The clients of one Region for one caller, as resource types want them."""

    def __init__(self, clients: ServiceClients, world: World, region: str, caller: Principal) -> None:
        self._clients = clients
        self._world = world
        self._region = region
        self._caller = caller

    def client(self, service: str) -> Any:
        return self._clients.client(service, self._region, self._caller)

    def require(self, handler: str, rights: Sequence[Right]) -> None:
        """Ask for what a resource handler of the service needs beside the calls that are made here.

        Recorded as a call of CloudFormation's by the name of the handler. Raises ServiceError if a right is missing.
        """
        world = self._world
        call = Call(
            id=handler,
            service="cloudformation",
            operation=handler,
            params={},
            principal=replace(self._caller, via=SERVICE),
            account=world.account,
            region=self._region,
            now=world.clock.now(),
            request=Request(method="POST", path="/"),
        )
        uses: tuple[Use, ...] = ()
        error = ""
        try:
            uses = enforce.require(call, world, rights)
        except ServiceError as refusal:
            error = refusal.code
            raise
        finally:
            world.calls.append(
                CallRecord(
                    service=call.service,
                    operation=handler,
                    principal=call.principal,
                    status=403 if error else 200,
                    error=error,
                    actions=tuple(dict.fromkeys(use.action for use in uses)),
                    uses=uses,
                    at=call.now,
                )
            )
