"""A world with moto's IAM, a key, a table and a role to try rights on."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud.aws.backends import forget_account
from localcloud.aws.call import Call
from localcloud.aws.endpoint import AwsEndpoint
from localcloud.aws.iam.enforce import authorise
from localcloud.aws.seam import attach
from localcloud.clock import SteppedClock
from localcloud.principals import Kind, Principal
from localcloud.wire import Request
from localcloud.world import World

ACCOUNT = "300000000017"
TRUST_LAMBDA = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class Account:
    """What the tests do in one account: as the operator, and in the name of roles and nodes."""

    def __init__(self, world: World) -> None:
        self.world = world

    def client(self, service: str) -> Any:
        """A client with the operator's rights."""
        root = self.world.root
        client = boto3.client(
            service,
            region_name=self.world.region,
            aws_access_key_id=root.access_key,
            aws_secret_access_key=root.secret_key,
        )
        attach(client, self.world.endpoint.dispatch)
        return client

    def role(self, name: str, *statements: Mapping[str, Any], **options: Any) -> str:
        """Create a role with an inline policy of these statements; answers with its ARN."""
        iam = self.client("iam")
        trust = options.pop("trust", TRUST_LAMBDA)
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), **options)
        if statements:
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(document))
        return str(made["Role"]["Arn"])

    def ask(
        self, service: str, operation: str, params: Mapping[str, Any], *, role: str = "f", kind: Kind = Kind.ROLE
    ) -> tuple[str, ...]:
        """Ask for the verdict on a call in the name of `role`, before anything would be carried out."""
        session = "mi-0123456789abcdef0" if kind is Kind.NODE else "session"
        arn = f"arn:aws:sts::{self.world.account}:assumed-role/{role}/{session}"
        call = Call(
            id="request-1",
            service=service,
            operation=operation,
            params=params,
            principal=Principal(kind=kind, arn=arn, role_name=role, session=session),
            account=self.world.account,
            region=self.world.region,
            now=self.world.clock.now(),
            request=Request(method="POST", path="/"),
        )
        return tuple(dict.fromkeys(use.action for use in authorise(call, self.world)))


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    world = World(
        account=ACCOUNT,
        region="us-east-1",
        clock=SteppedClock(datetime(2026, 11, 21, tzinfo=UTC)),
        state_dir=tmp_path,
        serving=AwsEndpoint,
    )
    yield Account(world)
    world.close()
    forget_account(ACCOUNT)


@pytest.fixture
def allow() -> Callable[..., dict[str, Any]]:
    """Makes an Allow statement."""

    def make(actions: str | list[str], resource: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition}

    return make
