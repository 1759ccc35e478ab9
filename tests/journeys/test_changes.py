"""Changes while servers ask: new code, other parameters, another configuration. Nobody is turned away by them."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.journeys.site import BriefClock, Site, document, eventually, standing

from moorings.deploy import templates
from moorings.deploy.artifacts import Artifacts
from moorings.deploy.package import Package, build, function_platform
from moorings.deploy.stacks import Stacks, StackSpec
from moorings.enrolment.oversight import Part
from moorings.enrolment.ports import CONFIGURATION_AGE
from moorings.errors import Misconfigured

OLD_WORDS, NEW_WORDS = b"ask the operator of this endpoint", b"ask whoever operates this endpoint"
SERVICE = "moorings/enrolment/service.py"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with standing({"name": "default", "registration_limit": 1000}) as site:
        assert site.draw().status == 200
        site.settle()
        yield site


def _next_version(site: Site) -> Package:
    """The zip of a later release: one refusal words it differently, so that it can be told who answered."""
    package = build("enrolment", platform=function_platform(site.cloud.function_platform))
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package.content)) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.infolist():
            if entry.filename.endswith(".pyc"):
                continue  # it is never checked against its source, so that of the changed one would still be run
            content = old.read(entry)
            new.writestr(entry, content.replace(OLD_WORDS, NEW_WORDS) if entry.filename == SERVICE else content)
    content = changed.getvalue()
    return replace(package, content=content, digest=hashlib.sha256(content).hexdigest())


class _Askers:
    """Servers that ask without a pause while something else happens."""

    def __init__(self, site: Site, *, count: int) -> None:
        self.statuses: list[int] = []
        self._site = site
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def __enter__(self) -> "_Askers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._enough.wait(0.05):
            self.statuses.append(self._site.draw().status)


def test_new_code_and_other_parameters_take_over_without_one_failed_request(site: Site) -> None:
    """Code, memory, timeouts' neighbours and the API's own definition change in one update."""
    stacks = Stacks(site.aws, clock=BriefClock())
    before = stacks.find(site.deployed.stack)
    assert before is not None
    artifacts = Artifacts(site.aws)
    key = artifacts.store(_next_version(site), stack=site.deployed.stack)
    parameters = {
        **before.parameters,
        "ArtifactKey": key,
        "ApiMemory": "1024",
        "LogLevel": "WARNING",
        "ThrottlingRateLimit": "400",
        "LogRetentionDays": "60",
    }
    template = templates.with_deployment(templates.read(templates.STACK), parameters)

    with _Askers(site, count=2) as askers:
        begun = eventually(lambda: len(askers.statuses))
        after = stacks.deploy(StackSpec(name=before.name, template=template, parameters=parameters))
        done = len(askers.statuses)
        eventually(lambda: len(askers.statuses) >= done + 4)

    assert after.outputs == before.outputs
    assert done > begun, "some were answered meanwhile"
    assert set(askers.statuses) == {200}
    assert site.draw(pool="no-such-pool").body["remedy"] == NEW_WORDS.decode()
    assert site.truth().over_issued == 0
    stage = site.cloud.client("apigateway").get_stage(restApiId=site.deployed.outputs["ApiId"], stageName="lambdastage")
    assert stage["methodSettings"]["*/*"]["throttlingRateLimit"] == 400


def _apply(site: Site, *pools: dict[str, Any]) -> int:
    """What `moorings enrolment pools apply` does; the version that is in force then."""
    enrolled = site.enrolled
    wanted = document(*({"node_role": site.deployed.node_role, **pool} for pool in pools))
    return enrolled.configurations.apply(wanted, replacing=enrolled.configurations.document()[1]).version


def test_a_change_is_in_force_for_warm_functions_as_soon_as_the_keeper_has_seen_it(site: Site) -> None:
    """Nobody deploys. Where the keeper has not been yet, a warm function looks again after a minute at most."""
    warm = site.cloud.functions.sessions(site.api_function)
    old = site.draw().body
    assert timedelta(minutes=1) >= CONFIGURATION_AGE

    _apply(site, {"name": "default", "tags": {"release": "two"}})
    site.keep()
    new = site.draw().body

    assert (old["Tags"], new["Tags"]) == ({}, {"release": "two"})
    assert new["ActivationId"] != old["ActivationId"]
    assert site.cloud.functions.sessions(site.api_function) == warm
    assert old["ActivationId"] in {each.id for each in site.pool().part(Part.DRAINING)}


def test_a_new_pool_is_open_to_functions_that_start_after_the_change(site: Site) -> None:
    assert site.draw(pool="later").status == 403

    _apply(site, {"name": "default"}, {"name": "later"})
    site.cloud.functions.retire(site.api_function)

    assert site.draw(pool="later").body["Pool"] == "later"


def test_a_bad_document_is_refused_and_changes_nothing(site: Site) -> None:
    before = _stored(site)

    with pytest.raises(Misconfigured, match="claim_window"):
        _apply(site, {"name": "default", "claim_window": "1m"})

    assert _stored(site) == before


def test_a_bad_document_written_behind_everybodys_back_grants_nothing_that_it_says(site: Site) -> None:
    """Functions that run keep what they hold; one that starts has nothing to go by, says so, and grants nothing."""
    good, warm = _stored(site), site.draw()
    bad = json.loads(good["document"]["S"])
    bad["rule"][0]["cidr"] = ["0.0.0.0/0"]
    bad["rule"][0]["everybody"] = True
    _store(site, {**good, "document": {"S": json.dumps(bad)}, "version": {"N": str(int(good["version"]["N"]) + 1)}})
    issued = _issued(site)

    assert site.draw().status == warm.status == 200
    assert site.draw(source="10.99.0.7").status == 403
    site.cloud.functions.retire(site.api_function)
    cold = site.draw()
    _store(site, good)

    assert (cold.status, cold.body["error"]) == (500, "misconfigured")
    assert "ActivationCode" not in cold.text
    assert _issued(site) == issued + 1
    assert site.draw().status == 200


def _issued(site: Site) -> int:
    table = site.deployed.outputs["LedgerTable"]
    item = site.cloud.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "pool#default"}})["Item"]
    return int(item["issued"]["N"])


def _stored(site: Site) -> dict[str, Any]:
    table = site.deployed.outputs["LedgerTable"]
    found: dict[str, Any] = site.cloud.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "configuration"}})
    return dict(found["Item"])


def _store(site: Site, item: dict[str, Any]) -> None:
    site.cloud.client("dynamodb").put_item(TableName=site.deployed.outputs["LedgerTable"], Item=item)
