"""Updates while servers ask without a pause: of code, of parameters, of the API, of the key; and one that fails.

CloudFormation changes one thing after the other, and Lambda takes code and configuration in two calls. So each call of
an update waits until servers were answered by what stands at that moment, started cold and warm: every state between
the old stack and the new one is met, whatever the computer's speed.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from tests.journeys.releases import reworded
from tests.journeys.site import Answer, BriefClock, Site, deploy, eventually, standing

from moorings.deploy import templates
from moorings.deploy.artifacts import Artifacts
from moorings.deploy.package import Package, build, function_platform
from moorings.deploy.stacks import Stack, Stacks, StackSpec
from moorings.errors import CloudFault

OLD_WORDS, NEW_WORDS = b"ask the operator of this endpoint", b"ask whoever operates this endpoint"
# What an update calls that a server could feel. Alarms, logs and the like are behind nobody's answer.
FELT = (
    ("iam", "*"),
    ("lambda", "Update*"),
    ("lambda", "*Permission"),
    ("lambda", "*FunctionConcurrency"),
    ("apigateway", "Create*"),
    ("apigateway", "Put*"),
    ("apigateway", "Update*"),
    ("apigateway", "Delete*"),
)
SERVERS = 2


@dataclass(frozen=True)
class Asked:
    """One request and how it was answered."""

    what: str
    begun: float
    answer: Answer


class Servers:
    """Servers that ask again and again, with a new key, with the same once more, and as the public sample does."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(SERVERS)]
        self.asked: list[Asked] = []
        self.states = 0  # of the stack, between two calls that change it

    def __enter__(self) -> "Servers":
        for thread in self._threads:
            thread.start()
        eventually(lambda: len(self.asked) >= SERVERS)
        for service, operation in FELT:
            look = self.look if service == "apigateway" else self.look_cold
            self._site.cloud.faults.hold(service, operation, until=look)
        return self

    def __exit__(self, *_: object) -> None:
        self._site.cloud.faults.clear()
        self.look_cold()
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def look_cold(self) -> None:
        """The same, with a function that starts with what stands now."""
        self._site.cloud.functions.retire(self._site.api_function)
        self.look()

    def look(self) -> None:
        """Return once requests that begin now were answered."""
        now, wanted = time.monotonic(), SERVERS
        eventually(lambda: sum(each.begun > now for each in list(self.asked)) >= wanted)
        self.states += 1

    @property
    def failed(self) -> list[tuple[str, int, str]]:
        """Every request that was answered otherwise than it should be."""
        return [(each.what, each.answer.status, each.answer.text) for each in self.asked if each.answer.status != 200]

    def _run(self) -> None:
        while not self._enough.is_set():
            key = str(uuid.uuid4())
            for what in ("new key", "same key", "plain"):
                begun = time.monotonic()
                answer = self._site.ask("GET", "") if what == "plain" else self._site.draw(key=key)
                self.asked.append(Asked(what, begun, answer))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with standing({"name": "default", "registration_limit": 1000}, parameters={"KmsKeyId": ""}) as site:
        assert site.draw().status == 200
        site.settle()
        yield site


def _stack(site: Site) -> Stack:
    stack = Stacks(site.aws, clock=BriefClock()).find(site.deployed.stack)
    assert stack is not None
    return stack


def _update(site: Site, template: str, **changed: str) -> Stack:
    """An update by the template and some parameters, as `moorings` carries it out."""
    parameters = {**_stack(site).parameters, **changed}
    spec = StackSpec(
        name=site.deployed.stack, template=templates.with_deployment(template, parameters), parameters=parameters
    )
    return Stacks(site.aws, clock=BriefClock()).deploy(spec)


def _next_version(site: Site, words: bytes = NEW_WORDS) -> Package:
    """The zip of a later release: one refusal words it differently, so that it can be told who answered."""
    package = build("enrolment", platform=function_platform(site.cloud.function_platform))
    return reworded(package, "moorings/enrolment/service.py", OLD_WORDS, words)


def _words(site: Site) -> str:
    """How the code in force words a refusal."""
    return str(site.draw(pool="no-such-pool").body["remedy"])


def test_new_code_and_a_changed_api_take_over_without_one_failed_request(site: Site) -> None:
    key = Artifacts(site.aws).store(_next_version(site), stack=site.deployed.stack)
    changed = templates.read(templates.STACK).replace("too many requests at once", "slowly, please")

    with Servers(site) as servers:
        after = _update(site, changed, ArtifactKey=key)

    assert servers.failed == []
    assert servers.states >= 7  # two functions; gateway answer, deployment, stage, the old deployment's end; after
    assert after.outputs == site.deployed.outputs
    assert _words(site) == NEW_WORDS.decode()
    api = site.deployed.outputs["ApiId"]
    assert len(site.cloud.client("apigateway").get_deployments(restApiId=api)["items"]) == 1


def test_the_command_changes_code_and_parameters_at_once_without_one_failed_request(site: Site) -> None:
    """The code goes back to what this version packages. Between Lambda's two calls it runs with the settings before."""
    changed = ("ApiMemory=1024", "LogLevel=WARNING", "ThrottlingRateLimit=400", "LogRetentionDays=60",
               "AllowDeregistration=yes", "ApiConcurrency=50")  # fmt: skip
    given = [each for pair in changed for each in ("--parameter", pair)]

    with Servers(site) as servers:
        done = site.command("enrolment", "deploy", "--stack-name", site.deployed.stack, "--yes", *given)

    assert done.returncode == 0, done.stderr
    assert servers.failed == []
    assert servers.states >= 8  # two functions, each with code and configuration; roles, concurrency, stage
    assert _words(site) == OLD_WORDS.decode()
    stage = site.cloud.client("apigateway").get_stage(restApiId=site.deployed.outputs["ApiId"], stageName="lambdastage")
    assert stage["methodSettings"]["*/*"]["throttlingRateLimit"] == 400
    assert site.truth().over_issued == 0


def test_a_failing_update_goes_back_without_one_failed_request(site: Site) -> None:
    """It fails at the stage, the last of what servers feel, when code, roles and configuration are new already."""
    before, words = _stack(site), _words(site)
    key = Artifacts(site.aws).store(_next_version(site, b"ask nobody"), stack=site.deployed.stack)
    nobody = f"arn:aws:iam::{site.aws.account}:role/nobody"
    changes = {"ArtifactKey": key, "AllowDeregistration": "no", "ApiMemory": "512", "CloudwatchLogRoleArn": nobody}

    with Servers(site) as servers, pytest.raises(CloudFault) as failed:
        _update(site, templates.read(templates.STACK), **changes)

    assert "ApiStage (AWS::ApiGateway::Stage) failed" in failed.value.message
    assert "CreateApiGatewayLoggingRole=yes" in failed.value.remedy
    assert servers.failed == []
    assert servers.states >= 10  # there and back
    after = _stack(site)
    assert after.status == "UPDATE_ROLLBACK_COMPLETE"
    assert (after.parameters, after.outputs) == (before.parameters, before.outputs)
    assert _words(site) == words


def _key(site: Site) -> str:
    return str(site.cloud.client("kms").create_key()["KeyMetadata"]["KeyId"])


def test_another_key_takes_over_without_one_failed_request(site: Site) -> None:
    """What was stored under the first is read until it is drained; what is new lies under the second."""
    plan = replace(site.plan, parameters={"KmsKeyId": _key(site)})
    deploy(plan, cloud=site.cloud, aws=site.aws)
    old = site.draw(key=(kept := str(uuid.uuid4()))).body
    wanted = _key(site)

    with Servers(site) as servers:
        deploy(replace(plan, parameters={"KmsKeyId": wanted}), cloud=site.cloud, aws=site.aws)

    assert servers.failed == []
    assert site.draw(key=kept).body["ActivationId"] == old["ActivationId"]
    assert _stored_under(site, site.draw().body["ActivationId"]).endswith(wanted)
    assert _stored_under(site, old["ActivationId"]).endswith(plan.parameters["KmsKeyId"])


def _stored_under(site: Site, activation: str) -> str:
    name = f"{site.deployed.outputs['CodePrefix']}/{activation}"
    wanted: list[Any] = [{"Key": "Name", "Values": [name]}]
    return str(site.cloud.client("ssm").describe_parameters(ParameterFilters=wanted)["Parameters"][0]["KeyId"])


def test_what_lay_under_the_stacks_own_key_is_replaced_once_that_key_is_gone(site: Site) -> None:
    """Back to a key of its own and away from it again: AWS disables that one at once."""
    for given in ("", _key(site)):
        deploy(replace(site.plan, parameters={"KmsKeyId": given}), cloud=site.cloud, aws=site.aws)
        site.cloud.functions.retire(site.api_function)
        answer = site.draw()
        assert answer.status == 200, answer.text
    site.age(timedelta(hours=2))
    site.keep()
    assert site.unknown() == []
