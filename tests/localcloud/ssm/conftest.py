"""A world at the HTTP seam with a role for nodes: a clock moved by hand, no sockets, no waiting polls."""

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.localcloud.ssm.agent import Agent

from localcloud.aws.backends import forget_account
from localcloud.aws.endpoint import AwsEndpoint
from localcloud.aws.iam import managed
from localcloud.aws.ssm.activations import Activations
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.clock import SteppedClock
from localcloud.world import World

NODE_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


def make_role(world: World, name: str, trust: dict[str, Any], *, path: str = "/") -> None:
    """A role with the managed policy of nodes."""
    managed.ensure(world, NODE_POLICY)
    iam = world.backend("iam")
    iam.create_role(
        role_name=name,
        assume_role_policy_document=json.dumps(trust),
        path=path,
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration=None,
    )
    iam.attach_role_policy(policy_arn=NODE_POLICY, role_name=name)


@pytest.fixture
def role(world: World) -> Callable[..., None]:
    """Makes roles: `role(name, trust, path=...)`."""
    return lambda name, trust=TRUST, **options: make_role(world, name, trust, **options)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(datetime.now(UTC))


@pytest.fixture
def world(clock: SteppedClock, tmp_path: Path) -> Iterator[World]:
    account = f"{secrets.randbelow(9 * 10**11) + 10**11}"
    made = World(account=account, region="us-east-1", clock=clock, state_dir=tmp_path, serving=AwsEndpoint)
    made.part(ManagedNodes).poll_hold = timedelta(0)
    make_role(made, "node-role", TRUST)
    yield made
    made.close()
    forget_account(account)


@pytest.fixture
def nodes(world: World) -> ManagedNodes:
    return world.part(ManagedNodes)


@pytest.fixture
def activations(world: World) -> Activations:
    return world.part(Activations)


@pytest.fixture
def client(world: World) -> Callable[..., Any]:
    """boto3 clients whose requests go straight to the world's endpoint."""
    from botocore.config import Config

    from localcloud.aws import sessions
    from localcloud.aws.seam import attach

    def make(service: str, *, region: str = "us-east-1", validate: bool = True) -> Any:
        session = sessions.session(world.root, region=region)
        attach(session, world.endpoint.dispatch)
        # Unvalidated, so that the endpoint's own checks are seen; one try, so that refusals come at once.
        config = Config(parameter_validation=validate, retries={"total_max_attempts": 1})
        return session.client(service, config=config)

    return make


@pytest.fixture
def ssm(client: Callable[..., Any]) -> Any:
    """The operator's Systems Manager client."""
    return client("ssm")


@pytest.fixture
def agent(world: World, clock: SteppedClock) -> Callable[..., Agent]:
    """Agents that sign as the real one does; `agent()` makes one with a key of its own."""

    def make(key: int = 0, **options: Any) -> Agent:
        return Agent(dispatch=world.endpoint.dispatch, clock=clock, key=key, **options)

    return make
