"""The metadata service's documents by themselves: every version, the published description, rates, other VMs' fate."""

import base64
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from tests.localcloud.azure.official import DATA

from localcloud.azure.attested import AttestedDocuments
from localcloud.azure.imds import Metadata
from localcloud.azure.imds_document import VERSIONS
from localcloud.azure.service import Azure
from localcloud.azure.vm_making import DataDisk
from localcloud.azure.vms import Vm
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.wire import Headers, Request, Response

NEWEST = "2025-04-07"
DESCRIPTION = DATA / "specification/imds/data-plane/Microsoft.InstanceMetadataService/stable/2023-07-01/imds.json"


class Asking:
    """One VM's metadata service, asked without a machine; the clock goes on between questions."""

    def __init__(self, cloud: LocalCloud, azure: Azure, clock: SteppedClock) -> None:
        self.metadata = cloud.world.part(Metadata)
        self.vm: Vm = azure.vms.create("web-01", data_disks=(DataDisk(lun=2),), tags={"b": "2", "a": "1"}, zone="1")
        self.machine: Any = SimpleNamespace(name="web-01", spec=SimpleNamespace(ip="10.20.0.10"))
        self.metadata.pretend(self.machine, self.vm)
        self.clock = clock

    def ask(self, what: str, *, pause: bool = True, method: str = "GET", **headers: str) -> Response:
        if pause:
            self.clock.step(timedelta(seconds=1))
        path, _, query = what.partition("?")
        sent = Headers.of({"Metadata": "true"} | headers)
        return self.metadata.answer(
            self.machine, Request(method=method, path=f"/metadata/{path}", query=query, headers=sent)
        )

    def get(self, what: str) -> Any:
        answer = self.ask(what)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)


@pytest.fixture
def asking(stepped_cloud: LocalCloud, azure: Azure, stepped: SteppedClock) -> Asking:
    return Asking(stepped_cloud, azure, stepped)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_answers_and_knows_only_what_it_had(asking: Asking, version: str) -> None:
    compute = asking.get(f"instance/compute?api-version={version}")

    assert compute["vmId"] == asking.vm.vm_id
    assert ("resourceId" in compute) == (version >= "2019-03-11")
    assert ("storageProfile" in compute) == (version >= "2019-06-01")
    assert ("subscriptionId" in compute) == (version >= "2017-08-01")


def test_the_versions_are_listed_without_naming_one(asking: Asking) -> None:
    assert asking.get("versions") == {"apiVersions": list(VERSIONS)}


def test_an_unknown_version_is_told_the_newest_ones(asking: Asking) -> None:
    refused = asking.ask("instance?api-version=2024-01-01")

    assert refused.status == 400
    assert NEWEST in json.loads(refused.body)["newest-versions"]


def test_all_primitives_are_strings(asking: Asking) -> None:
    def primitives(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [each for inner in value.values() for each in primitives(inner)]
        if isinstance(value, list):
            return [each for inner in value for each in primitives(inner)]
        return [value]

    assert all(isinstance(each, str) for each in primitives(asking.get(f"instance?api-version={NEWEST}")))


@pytest.mark.skipif(not DESCRIPTION.exists(), reason="the published description is not beside the repository")
def test_the_published_description_accepts_it(asking: Asking) -> None:
    description = json.loads(DESCRIPTION.read_text())
    instance = asking.get("instance?api-version=2023-07-01")
    attested = asking.get("attested/document?api-version=2023-07-01&nonce=abcde12345")

    for kind, document in (("Instance", instance), ("AttestedData", attested)):
        schema = {"$ref": f"#/definitions/{kind}", "definitions": description["definitions"]}
        jsonschema.validate(document, schema)
    known = set(description["definitions"]["Compute"]["properties"])
    assert set(instance["compute"]) <= known


def test_it_follows_the_resource(asking: Asking) -> None:
    asking.vm.document["tags"] = {"now": "there"}

    compute = asking.get(f"instance/compute?api-version={NEWEST}")
    assert (compute["tags"], compute["tagsList"]) == ("now:there", [{"name": "now", "value": "there"}])
    assert asking.get(f"instance/compute/storageProfile/dataDisks/0?api-version={NEWEST}")["lun"] == "2"
    assert asking.ask(f"instance/compute/storageProfile/dataDisks/1?api-version={NEWEST}").status == 404
    text = asking.ask(f"instance/compute/zone?api-version={NEWEST}&format=text")
    assert (text.body, text.headers.get("Content-Type")) == (b"1", "text/plain; charset=utf-8")


def test_the_sixth_question_in_a_second_is_one_too_many(asking: Asking) -> None:
    what = f"instance?api-version={NEWEST}"
    asking.clock.step(timedelta(seconds=1))

    assert [asking.ask(what, pause=False).status for _ in range(6)] == [200] * 5 + [429]
    assert asking.ask(what).status == 200


def test_an_attested_document_without_a_nonce_holds_its_end(asking: Asking) -> None:
    signed = base64.b64decode(asking.get(f"attested/document?api-version={NEWEST}")["signature"])
    content = json.loads(signed[signed.index(b'{"licenseType"') : signed.index(b"}", signed.index(b'"vmId"')) + 1])

    assert content["nonce"] == content["timeStamp"]["expiresOn"]
    assert content["sku"] == "server"
    assert content["timeStamp"]["createdOn"] == asking.clock.now().strftime("%m/%d/%y %H:%M:%S -0000")


def test_a_vms_document_can_be_had_without_its_machine(asking: Asking, azure: Azure) -> None:
    answer = json.loads(asking.metadata.attested(asking.vm, "abcde12345"))

    assert asking.vm.vm_id.encode() in base64.b64decode(answer["signature"])
    assert azure.anchors.roots.startswith(b"-----BEGIN CERTIFICATE")
    assert azure.anchors.issuers != azure.anchors.roots


def test_the_signers_certificate_is_renewed_when_it_has_ended(asking: Asking, stepped_cloud: LocalCloud) -> None:
    documents = stepped_cloud.world.part(AttestedDocuments)
    first = documents.leaf("eastus").certificate

    assert documents.leaf("eastus").certificate is first
    asking.clock.step(timedelta(days=151))
    assert documents.leaf("eastus").certificate.not_valid_after_utc > asking.clock.now()


def test_a_vm_has_no_identity_to_ask_a_token_for(asking: Asking) -> None:
    refused = asking.ask(f"identity/oauth2/token?api-version={NEWEST}&resource=x")

    assert (refused.status, json.loads(refused.body)["error_description"]) == (400, "Identity not found")


def test_a_machine_that_is_no_vm_is_told_so(asking: Asking) -> None:
    stranger: Any = SimpleNamespace(name="stranger", spec=SimpleNamespace(ip=""))
    answer = asking.metadata.answer(
        stranger,
        Request(
            method="GET",
            path="/metadata/instance",
            query=f"api-version={NEWEST}",
            headers=Headers.of({"Metadata": "true"}),
        ),
    )

    assert answer.status == 500
