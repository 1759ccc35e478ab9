"""Commands run as users run them, through the door, against a local cloud over HTTP; stacks are made at the seam."""

import base64
import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.enrolment.rig import VPCE, Rig, new_rig

from localcloud.aws.ssm.activations import Activations
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from moorings.cli.main import run


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout; fails if there is anything else."""
        return json.loads(self.out)


Cli = Callable[..., Ended]


@pytest.fixture(scope="session")
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="session")
def cloud(clock: SteppedClock) -> Iterator[LocalCloud]:
    with LocalCloud(clock=clock) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever account the developer is signed in to, no command of a test reaches it."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MOORINGS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "enrolment")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Moorings")


@pytest.fixture
def bare(capfd: pytest.CaptureFixture[str]) -> Cli:
    """A command line without any account around it."""

    def call(*arguments: str) -> Ended:
        capfd.readouterr()
        code = run(arguments)
        out, err = capfd.readouterr()
        return Ended(code=code, out=out, err=err)

    return call


@pytest.fixture
def cli(bare: Cli, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A command line in whose surroundings the local cloud is AWS."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    return bare


@dataclass(frozen=True)
class Deployed:
    """A stack as the commands find it by its outputs, with its enrolment behind it."""

    name: str
    rig: Rig


@pytest.fixture
def stack(cloud: LocalCloud, clock: SteppedClock) -> Deployed:
    """A stack whose outputs name a table made by hand: deploying functions would take seconds in every test."""
    rig = new_rig(cloud, clock)
    environment = rig.environment()
    document, _ = environment.configurations.document()
    environment.configurations.apply(json.loads(document), replacing=0)
    name = f"cli-{rig.settings.stack}"
    outputs = {
        "ApiGatewayInvokeURL": rig.settings.api_url,
        "ApiFunctionName": "api",
        "KeeperFunctionName": rig.settings.keeper_function,
        "NodeRoleName": "nodes",
        "LedgerTable": rig.settings.table,
        "KmsKeyArn": rig.settings.kms_key,
        "StackMark": rig.settings.stack,
        "CodePrefix": rig.settings.code_prefix,
    }
    template = {
        "Parameters": {"VpcEndpointForApiGateway": {"Type": "String"}},
        "Resources": {"Mark": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": name}}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    client = cloud.client("cloudformation")
    client.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "VpcEndpointForApiGateway", "ParameterValue": VPCE}],
    )
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    return Deployed(name=name, rig=rig)


@pytest.fixture(scope="session")
def public_keys() -> list[str]:
    """A few nodes' public keys; making them is what takes time."""
    keys = [rsa.generate_private_key(public_exponent=65_537, key_size=2_048).public_key() for _ in range(3)]
    return [
        base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode() for key in keys
    ]


@pytest.fixture
def nodes(cloud: LocalCloud, stack: Deployed, public_keys: list[str]) -> Iterator[list[str]]:
    """Three managed nodes: the first has just been heard, the others never."""
    managed, activations = cloud.world.part(ManagedNodes), cloud.world.part(Activations)
    made = activations.create(region=cloud.world.region, iam_role="nodes", registration_limit=3, expires_at=None)
    ids = [
        managed.register(activation_id=made.id, code=made.code, fingerprint=f"print-{n}", public_key=key).id
        for n, key in enumerate(public_keys)
    ]
    managed.heard(ids[0], {"ComputerName": "web-01", "PlatformName": "Debian GNU/Linux", "PlatformVersion": "12"})
    yield ids
    for each in ids:
        with contextlib.suppress(Exception):
            managed.deregister(each, region=cloud.world.region)
