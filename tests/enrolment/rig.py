"""Enrolment in one process over a local cloud at the HTTP seam: real adapters, no socket, a clock moved by hand."""

import itertools
import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from localcloud.aws.seam import attach
from localcloud.aws.ssm.activations import Activations
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.wire import Request, Response
from moorings.enrolment.assembly import Enrolment
from moorings.enrolment.function import respond
from moorings.enrolment.keeper import keep
from moorings.settings import EnrolmentSettings

VPCE = "vpce-0123456789abcdef0"
NODE_ROLE = "nodes"
KEEPER = "keeper"
_numbers = itertools.count(1)
_keys: dict[str, str] = {}  # KMS key ARN by account


@cache
def client_of(cloud: LocalCloud, service: str) -> Any:
    """The operator's client of a service, made once."""
    client = cloud.client(service)
    attach(client, cloud.world.endpoint.dispatch)
    return client


Wire = Callable[[Request], Response]


class Crash(BaseException):
    """The function's process is gone: nothing of ours may catch this."""


class ProductClock:
    """The product's clock on the local cloud's: waiting moves it."""

    def __init__(self, stepped: SteppedClock) -> None:
        self._stepped = stepped

    def now(self) -> datetime:
        return self._stepped.now()

    def wait(self, duration: timedelta) -> None:
        self._stepped.step(duration)


def configuration(**pool: Any) -> dict[str, Any]:
    """A document with one shared pool `default`, changed as said, open to our endpoint; and a single-use pool `one`."""
    pools = [
        {"name": "default", "node_role": NODE_ROLE, "registration_limit": 2, **pool},
        {"name": "one", "mode": "single-use", "node_role": NODE_ROLE},
    ]
    rule = {"name": "dc", "proof": "network", "vpce": [VPCE], "cidr": ["10.0.0.0/8"], "pools": ["default", "one"]}
    return {"pool": pools, "rule": [rule]}


def event(method: str = "GET", resource: str = "/", body: object = None, **identity: str) -> dict[str, Any]:
    """A REST proxy event as the gateway builds it, through our endpoint unless `identity` says otherwise."""
    return {
        "httpMethod": method,
        "resource": resource,
        "path": resource,
        "headers": {"Host": "api.example"},
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {"identity": {"vpceId": VPCE, "sourceIp": "10.0.0.5", **identity}},
    }


@dataclass(slots=True)
class Rig:
    """One stack's enrolment. Several environments (each with its own memory) may work on the same table."""

    cloud: LocalCloud
    clock: SteppedClock
    settings: EnrolmentSettings
    wires: list[Callable[[Wire], Wire]] = field(default_factory=list)  # outermost last
    granted: Counter[str] = field(default_factory=Counter)  # slots that a server was told of, by activation
    wake_keeper: bool = False
    woken: list[str] = field(default_factory=list)

    def environment(self) -> Enrolment:
        """A new function environment: nothing cached, its own clients."""
        return Enrolment(self.settings, session=_Clients(self), clock=ProductClock(self.clock), rng=random.Random(7))

    def dispatch(self, request: Request) -> Response:
        wire: Wire = self._to_cloud
        for wrap in self.wires:
            wire = wrap(wire)
        return wire(request)

    def _to_cloud(self, request: Request) -> Response:
        if "/invocations" in request.path:
            # The keeper's function is not deployed here; who was woken is what counts.
            self.woken.append(json.loads(request.body)["pool"])
            return Response(status=202)
        return self.cloud.world.endpoint.dispatch(request)

    def ask(self, environment: Enrolment, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request to the API: status and body. A granted slot is counted once, a repeated grant not again."""
        answer = respond(
            request or event(), enrolment=environment, time=timedelta(seconds=20), request_id=str(uuid.uuid4())
        )
        body = json.loads(answer["body"])
        return {"status": answer["statusCode"], "headers": answer["headers"], **body}

    def vend(self, environment: Enrolment) -> str:
        """The activation id that the plain form got; counts the slot."""
        answer = self.ask(environment)
        assert answer["status"] == 200, answer
        self.granted[answer["ActivationId"]] += 1
        return str(answer["ActivationId"])

    def keyed(self, environment: Enrolment, key: str | None = None, *, pool: str = "") -> dict[str, Any]:
        """The answer to the keyed form."""
        body = {"key": key or str(uuid.uuid4()), **({"pool": pool} if pool else {})}
        return self.ask(environment, event("POST", "/activations", body))

    def script(self, environment: Enrolment) -> int:
        """The status with which the bootstrap script of Linux was served."""
        wanted = event("GET", "/bootstrap/linux")
        served = respond(wanted, enrolment=environment, time=timedelta(seconds=20), request_id=str(uuid.uuid4()))
        return int(served["statusCode"])

    def keep(self, environment: Enrolment | None = None) -> None:
        """One whole keeper run."""
        keep({}, enrolment=environment or self.environment())

    def prepare(self, pool: str = "default") -> None:
        """What the keeper does when it is woken for one pool."""
        keep({"pool": pool}, enrolment=self.environment())

    @contextmanager
    def wired(self, wrap: Callable[[Wire], Wire]) -> Iterator[None]:
        """Put something between the adapters and the cloud for a while."""
        self.wires.append(wrap)
        try:
            yield
        finally:
            self.wires.remove(wrap)

    # -- the world as it is ----------------------------------------------------------------------------------------

    def state(self, pool: str = "default") -> Any:
        """The pool's ledger item."""
        return self.environment().upkeep.ledger.state(pool)

    def live_activations(self) -> dict[str, dict[str, Any]]:
        """Every activation of this stack that the service has, by id."""
        listed = client_of(self.cloud, "ssm").get_paginator("describe_activations").paginate().build_full_result()
        mine = f"stack={self.settings.stack} "
        return {each["ActivationId"]: each for each in listed["ActivationList"] if mine in each.get("Description", "")}

    def forget_activations(self) -> None:
        """Delete every activation of this stack: each is one more in every list that the stacks after it ask for."""
        made = self.cloud.world.part(Activations)
        for each in made.live():
            if f"stack={self.settings.stack} " in each.description:
                made.delete(each.id, region=each.region)

    def stored_codes(self) -> set[str]:
        """The activation ids that a code is stored for."""
        return {activation_id for activation_id, _ in self.environment().upkeep.codes.stored()}


class _Clients:
    """A session whose clients are made once per local cloud: building one takes longer than all that it is used for."""

    _made: ClassVar[dict[tuple[object, ...], Any]] = {}
    serving: ClassVar[dict[str, Rig]] = {}  # by account: the rig whose client is being called

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def client(self, service: str, *, region_name: str, config: Any) -> Any:
        account = self._rig.cloud.world.account
        key = (account, service, id(config))
        if key not in self._made:
            client = self._rig.cloud.session().client(service, region_name=region_name, config=config)
            attach(client, lambda request: self.serving[account].dispatch(request))  # noqa: PLW0108 - looked up late
            self._made[key] = client
        return _Client(self._made[key], self._rig)


class _Client:
    """A shared client in one rig's hands: whoever takes a method from it is the one that it serves."""

    def __init__(self, client: Any, rig: Rig) -> None:
        self._client = client
        self._rig = rig

    def __getattr__(self, name: str) -> Any:
        _Clients.serving[self._rig.cloud.world.account] = self._rig
        return getattr(self._client, name)


def new_rig(cloud: LocalCloud, clock: SteppedClock, document: Mapping[str, Any] | None = None) -> Rig:
    """A new stack in `cloud`: its table and settings; role and key are shared."""
    number = next(_numbers)
    table = f"ledger-{number}"
    client_of(cloud, "dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    settings = EnrolmentSettings(
        region=cloud.world.region,
        table=table,
        stack=f"stack-{number}",
        code_prefix=f"/moorings/stack-{number}",
        kms_key=shared_key(cloud),
        keeper_function=KEEPER,
        api_url="https://api.example/stage",
        vpce=VPCE,
        proofs=frozenset({"network"}),
        default_configuration=json.dumps(document or configuration()),
    )
    return Rig(cloud=cloud, clock=clock, settings=settings)


def shared_key(cloud: LocalCloud) -> str:
    """The KMS key of the test account, and the node role, made on first use."""
    if cloud.world.account in _keys:
        return _keys[cloud.world.account]
    iam = cloud.client("iam")
    if not any(role["RoleName"] == NODE_ROLE for role in iam.list_roles()["Roles"]):
        trust = {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=NODE_ROLE, AssumeRolePolicyDocument=policy)
    _keys[cloud.world.account] = str(cloud.client("kms").create_key()["KeyMetadata"]["Arn"])
    return _keys[cloud.world.account]
