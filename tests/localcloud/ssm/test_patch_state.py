"""What nodes report of their patches, and compliance: kept, read back, summed up."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.localcloud.ssm.agent import Agent, fields, refusal

CAPTURED = "2026-11-21T20:31:10Z"
SUMMARY = {
    "BaselineId": "pb-0123456789abcdef0",
    "PatchGroup": "web",
    "Operation": "Install",
    "OperationStartTime": "2026-11-21T20:30:00Z",
    "OperationEndTime": CAPTURED,
    "RebootOption": "RebootIfNeeded",
    "InstalledCount": "2",
    "MissingCount": "1",
}
PATCHES = [
    {
        "Title": "openssl",
        "KBId": "openssl.x86_64",
        "Classification": "Security",
        "Severity": "Critical",
        "State": "Missing",
    },
    {
        "Title": "bash",
        "KBId": "bash.x86_64",
        "Classification": "Bugfix",
        "Severity": "Low",
        "State": "InstalledPendingReboot",
        "InstalledTime": CAPTURED,
        "CVEIds": "CVE-2026-0001",
    },
    {
        "Title": "curl",
        "KBId": "curl.x86_64",
        "Classification": "Security",
        "Severity": "Important",
        "State": "INSTALLED",
        "InstalledTime": CAPTURED,
    },
]


@pytest.fixture
def one(ssm: Any, agent: Callable[..., Agent]) -> Agent:
    activation = ssm.create_activation(IamRole="node-role")
    made = agent()
    made.register(activation["ActivationId"], activation["ActivationCode"])
    made.fetch_token()
    return made


def item(type_name: str, content: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    return {"TypeName": type_name, "SchemaVersion": "1.0", "CaptureTime": CAPTURED, "Content": content} | more


def report(one: Agent, *items: dict[str, Any], about: str = "") -> Any:
    return one.with_token("AmazonSSM.PutInventory", {"InstanceId": about or one.node_id, "Items": list(items)})


def test_a_node_reports_its_patch_state(ssm: Any, one: Agent) -> None:
    assert not ssm.describe_instance_patch_states(InstanceIds=[one.node_id])["InstancePatchStates"]
    assert not ssm.describe_instance_patches(InstanceId=one.node_id)["Patches"]

    assert report(one, item("AWS:PatchSummary", [SUMMARY]), item("AWS:PatchCompliance", PATCHES)).status == 200

    (state,) = ssm.describe_instance_patch_states(InstanceIds=[one.node_id])["InstancePatchStates"]
    assert (state["Operation"], state["InstalledCount"], state["MissingCount"]) == ("Install", 2, 1)
    assert state["OperationEndTime"] == datetime(2026, 11, 21, 20, 31, 10, tzinfo=UTC)
    assert "FailedCount" not in state
    patches = ssm.describe_instance_patches(InstanceId=one.node_id)["Patches"]
    assert {patch["Title"]: patch["State"] for patch in patches} == {
        "openssl": "MISSING",
        "bash": "INSTALLED_PENDING_REBOOT",
        "curl": "INSTALLED",
    }
    missing = ssm.describe_instance_patches(InstanceId=one.node_id, Filters=[{"Key": "State", "Values": ["Missing"]}])
    assert [patch["Title"] for patch in missing["Patches"]] == ["openssl"]


def test_a_report_replaces_the_one_before(ssm: Any, one: Agent) -> None:
    report(one, item("AWS:PatchSummary", [SUMMARY]), item("AWS:PatchCompliance", PATCHES))

    report(one, item("AWS:PatchSummary", [SUMMARY | {"Operation": "Scan"}]), item("AWS:PatchCompliance", []))

    (state,) = ssm.describe_instance_patch_states(InstanceIds=[one.node_id])["InstancePatchStates"]
    assert state["Operation"] == "Scan"
    assert not ssm.describe_instance_patches(InstanceId=one.node_id)["Patches"]


@pytest.mark.parametrize(
    "wrong",
    [
        item("AWS:PatchSummary", []),
        item("AWS:PatchSummary", [SUMMARY | {"Operation": "Uninstall"}]),
        item("AWS:PatchSummary", [SUMMARY | {"OperationEndTime": "noon"}]),
        item("AWS:PatchSummary", [SUMMARY | {"MissingCount": "few"}]),
        item("AWS:PatchCompliance", [PATCHES[0] | {"State": "Lost"}]),
        item("AWS:PatchCompliance", [{"State": "Missing"}]),
    ],
)
def test_a_report_that_cannot_be_read_is_refused(wrong: dict[str, Any], one: Agent) -> None:
    assert refusal(report(one, wrong)) == (400, "InvalidItemContentException")


def test_a_node_reports_of_itself_only(one: Agent) -> None:
    other = report(one, item("AWS:PatchSummary", [SUMMARY]), about="mi-00000000000000000")

    assert refusal(other) == (400, "AccessDeniedException")


def test_other_inventory_is_kept_and_given_back(ssm: Any, one: Agent) -> None:
    report(one, item("AWS:Application", [{"Name": "bash"}], ContentHash="h1"))
    report(one, {"TypeName": "AWS:Application", "SchemaVersion": "1.0", "CaptureTime": CAPTURED, "ContentHash": "h1"})
    unknown = {"TypeName": "AWS:Application", "SchemaVersion": "1.0", "CaptureTime": CAPTURED, "ContentHash": "h2"}

    (entity,) = ssm.get_inventory(ResultAttributes=[{"TypeName": "AWS:Application"}])["Entities"]

    assert entity["Id"] == one.node_id
    assert entity["Data"]["AWS:Application"]["Content"] == [{"Name": "bash"}]
    assert refusal(report(one, unknown)) == (400, "ItemContentMismatchException")


def put(ssm: Any, one: Agent, *items: tuple[str, str], kind: str = "Custom:Snapshot", **more: Any) -> None:
    ssm.put_compliance_items(
        ResourceId=one.node_id,
        ResourceType="ManagedInstance",
        ComplianceType=kind,
        ExecutionSummary={"ExecutionTime": datetime(2026, 11, 21, tzinfo=UTC), "ExecutionId": "e1"},
        Items=[
            {"Id": f"i{n}", "Title": "t", "Severity": sev, "Status": status} for n, (sev, status) in enumerate(items)
        ],
        **more,
    )


def test_compliance_follows_from_patches_and_from_what_is_put(ssm: Any, one: Agent) -> None:
    report(one, item("AWS:PatchSummary", [SUMMARY]), item("AWS:PatchCompliance", PATCHES))
    put(ssm, one, ("HIGH", "COMPLIANT"))

    items = ssm.list_compliance_items(ResourceIds=[one.node_id], ResourceTypes=["ManagedInstance"])["ComplianceItems"]
    summaries = ssm.list_compliance_summaries()["ComplianceSummaryItems"]
    resources = ssm.list_resource_compliance_summaries()["ResourceComplianceSummaryItems"]

    assert {it["Title"]: (it["Status"], it["Severity"]) for it in items} == {
        "openssl": ("NON_COMPLIANT", "CRITICAL"),
        "bash": ("NON_COMPLIANT", "LOW"),
        "curl": ("COMPLIANT", "UNSPECIFIED"),
        "t": ("COMPLIANT", "HIGH"),
    }
    counts = {
        it["ComplianceType"]: (it["CompliantSummary"]["CompliantCount"], it["NonCompliantSummary"]["NonCompliantCount"])
        for it in summaries
    }
    assert counts == {"Custom:Snapshot": (1, 0), "Patch": (0, 1)}
    by_type = {it["ComplianceType"]: it for it in resources}
    assert (by_type["Patch"]["Status"], by_type["Patch"]["OverallSeverity"]) == ("NON_COMPLIANT", "CRITICAL")
    assert by_type["Patch"]["NonCompliantSummary"]["NonCompliantCount"] == 2
    assert by_type["Custom:Snapshot"]["Status"] == "COMPLIANT"


def test_items_of_a_type_are_replaced_unless_the_hash_is_known(ssm: Any, one: Agent) -> None:
    def statuses() -> list[str]:
        found = ssm.list_compliance_items(ResourceIds=[one.node_id])["ComplianceItems"]
        return [it["Status"] for it in found]

    put(ssm, one, ("HIGH", "COMPLIANT"), ("LOW", "COMPLIANT"), ItemContentHash="h1")
    put(ssm, one, ("HIGH", "NON_COMPLIANT"), ItemContentHash="h1")
    assert statuses() == ["COMPLIANT", "COMPLIANT"]
    put(ssm, one, ("HIGH", "NON_COMPLIANT"), ItemContentHash="h2")
    assert statuses() == ["NON_COMPLIANT"]


def test_compliance_is_filtered(ssm: Any, one: Agent) -> None:
    put(ssm, one, ("HIGH", "COMPLIANT"), ("LOW", "NON_COMPLIANT"))

    def ids(key: str, *values: str, kind: str = "EQUAL") -> list[str]:
        asked = [{"Key": key, "Values": list(values), "Type": kind}]
        return [it["Id"] for it in ssm.list_compliance_items(Filters=asked)["ComplianceItems"]]

    assert ids("Severity", "HIGH", "CRITICAL") == ["i0"]
    assert ids("Status", "COMPLIANT", kind="NOT_EQUAL") == ["i1"]
    assert ids("ComplianceType", "Custom:", kind="BEGIN_WITH") == ["i0", "i1"]
    with pytest.raises(ClientError, match="InvalidFilter"):
        ids("Colour", "red")


def test_compliance_of_what_is_no_node_is_refused(ssm: Any, one: Agent) -> None:
    given = {
        "ResourceId": one.node_id,
        "ResourceType": "ManagedInstance",
        "ComplianceType": "Custom:Snapshot",
        "ExecutionSummary": {"ExecutionTime": datetime(2026, 11, 21, tzinfo=UTC)},
        "Items": [],
    }
    with pytest.raises(ClientError, match="InvalidResourceType"):
        ssm.put_compliance_items(**given | {"ResourceType": "Bucket"})
    with pytest.raises(ClientError, match="InvalidResourceId"):
        ssm.put_compliance_items(**given | {"ResourceId": "mi-00000000000000000"})


def test_the_node_role_may_report_and_read_what_the_agent_needs(one: Agent) -> None:
    """With AmazonSSMManagedInstanceCore, as in AWS."""
    assert report(one, item("AWS:Application", [])).status == 200
    summary = {"ExecutionTime": 1795293070}
    body = {"ResourceId": one.node_id, "ResourceType": "ManagedInstance", "ComplianceType": "Association"}
    put_items = one.with_token("AmazonSSM.PutComplianceItems", body | {"ExecutionSummary": summary, "Items": []})
    assert put_items.status == 200
    assert fields(one.with_token("AmazonSSM.GetDocument", {"Name": "AWS-RunShellScript"}))["Name"]
    assert refusal(one.with_token("AmazonSSM.SendCommand", {"DocumentName": "AWS-RunShellScript"}))[1] in {
        "AccessDeniedException"
    }
