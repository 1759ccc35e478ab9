"""Documents: what is taken and what is refused, versions, formats, attachments, tags, and those of AWS."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from localcloud.aws.ssm import choices
from localcloud.aws.ssm.document_content import SCHEMAS
from localcloud.aws.ssm.document_model import steps_of
from localcloud.aws.ssm.documents import Documents
from localcloud.world import World

STEP = {"action": "aws:runShellScript", "name": "show", "inputs": {"runCommand": ["true"]}}


def content(**changed: Any) -> dict[str, Any]:
    return {"schemaVersion": "2.2", "description": "Shows.", "mainSteps": [STEP]} | changed


def create(ssm: Any, name: str = "Mine", text: str = "", **more: Any) -> dict[str, Any]:
    given = {"DocumentType": "Command", "Content": text or json.dumps(content())} | more
    found: dict[str, Any] = ssm.create_document(Name=name, **given)["DocumentDescription"]
    return found


def refused(call: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**params)
    return str(error.value.response["Error"]["Code"])


def test_a_document_is_described_by_what_it_says(ssm: Any) -> None:
    declared = {"word": {"type": "String", "default": "a", "description": "a word"}, "lines": {"type": "StringList"}}
    text = json.dumps(content(parameters=declared))

    made = create(
        ssm, text=text, Tags=[{"Key": "Owner", "Value": "us"}], VersionName="one", DisplayName="Mine as shown"
    )

    assert made["Status"] == "Creating"
    shown = ssm.describe_document(Name="Mine")["Document"]
    assert (shown["Status"], shown["Hash"]) == ("Active", hashlib.sha256(text.encode()).hexdigest())
    assert (shown["SchemaVersion"], shown["DocumentType"], shown["DocumentVersion"]) == ("2.2", "Command", "1")
    assert (shown["VersionName"], shown["DisplayName"], shown["Description"]) == ("one", "Mine as shown", "Shows.")
    assert shown["PlatformTypes"] == ["Linux", "MacOS"]
    assert [(one["Name"], one["Type"], one.get("DefaultValue")) for one in shown["Parameters"]] == [
        ("word", "String", "a"),
        ("lines", "StringList", None),
    ]
    assert shown["Tags"] == [{"Key": "Owner", "Value": "us"}]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no JSON", "InvalidDocumentContent"),
        ("[]", "InvalidDocumentContent"),
        ("{}", "InvalidDocumentContent"),
        (json.dumps(content(schemaVersion="9.9")), "InvalidDocumentSchemaVersion"),
        (json.dumps(content(schemaVersion="0.3")), "InvalidDocumentSchemaVersion"),
        (json.dumps(content(mainSteps=[])), "InvalidDocumentContent"),
        (json.dumps(content(mainSteps=[STEP, STEP])), "InvalidDocumentContent"),
        (json.dumps(content(mainSteps=[{"action": "aws:runShellScript"}])), "InvalidDocumentContent"),
        (json.dumps(content(mainSteps=[STEP | {"action": "aws:sleep"}])), "InvalidDocumentContent"),
        (json.dumps(content(mainSteps=[STEP | {"name": "a b"}])), "InvalidDocumentContent"),
        (json.dumps(content(mainSteps=[STEP | {"precondition": {"Equals": []}}])), "InvalidDocumentContent"),
        (json.dumps(content(mainSteps=[STEP | {"inputs": {"runCommand": ["{{ x }}"]}}])), "InvalidDocumentContent"),
        (json.dumps(content(parameters={"a_b": {"type": "String"}})), "InvalidDocumentContent"),
        (json.dumps(content(parameters={"a": {"type": "Text"}})), "InvalidDocumentContent"),
        (json.dumps(content(parameters={"a": {"type": "Integer", "default": "1"}})), "InvalidDocumentContent"),
        *(
            (json.dumps(content(mainSteps=[STEP | change])), "InvalidDocumentContent")
            for change in (
                {"action": ["aws:runShellScript"]},
                {"action": {"a": 1}},
                {"name": 5},
                {"inputs": "echo"},
                {"precondition": {"StringEquals": [{}, "Linux"]}},
            )
        ),
        *(
            (json.dumps(content(parameters={"a": {"type": "String"} | change})), "InvalidDocumentContent")
            for change in ({"type": ["String"]}, {"minItems": "x"}, {"maxChars": []}, {"allowedValues": 5})
        ),
        (json.dumps(content(files=5)), "InvalidDocumentContent"),
        (json.dumps({"schemaVersion": "1.2", "runtimeConfig": {}}), "InvalidDocumentContent"),
        (
            json.dumps({"schemaVersion": "1.2", "runtimeConfig": {"aws:runShellScript": {"properties": 5}}}),
            "InvalidDocumentContent",
        ),
        (json.dumps(content(description="x" * choices.MAX_DOCUMENT_BYTES)), "MaxDocumentSizeExceeded"),
    ],
)
def test_a_wrong_command_document_is_refused(text: str, code: str, ssm: Any) -> None:
    assert refused(ssm.create_document, Name="Mine", Content=text, DocumentType="Command") == code
    assert refused(ssm.get_document, Name="Mine") == "InvalidDocument"


def test_what_the_agent_resolves_needs_no_declaration(ssm: Any) -> None:
    lines = ["{{ ssm:/one }}", "{{platformType}}", "{{ global:REGION }}"]

    create(ssm, text=json.dumps(content(mainSteps=[STEP | {"inputs": {"runCommand": lines}}])))


def test_an_automation_document_is_checked_by_the_engines_rules(ssm: Any) -> None:
    runbook = {
        "schemaVersion": "0.3",
        "mainSteps": [{"name": "Wait", "action": "aws:sleep", "inputs": {"Duration": "PT1S"}}],
    }
    wrong = runbook | {"mainSteps": [{"name": "Wait", "action": "aws:doze", "inputs": {}}]}

    create(ssm, "Runbook", json.dumps(runbook), DocumentType="Automation")

    assert ssm.describe_document(Name="Runbook")["Document"]["SchemaVersion"] == "0.3"
    given = {"Name": "Wrong", "Content": json.dumps(wrong), "DocumentType": "Automation"}
    assert refused(ssm.create_document, **given) == "InvalidDocumentContent"
    given["Content"] = json.dumps(content())
    assert refused(ssm.create_document, **given) == "InvalidDocumentSchemaVersion"


def test_other_types_are_kept_or_refused_by_name(ssm: Any) -> None:
    create(
        ssm, "Session", json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream"}), DocumentType="Session"
    )

    given = {"Name": "Calendar", "Content": "BEGIN:VCALENDAR", "DocumentFormat": "TEXT"}
    assert refused(ssm.create_document, **given, DocumentType="ChangeCalendar") == "NotImplementedByLocalCloud"


def test_names_are_unique_and_some_are_reserved(ssm: Any) -> None:
    create(ssm)

    given = {"Content": json.dumps(content()), "DocumentType": "Command"}
    assert refused(ssm.create_document, Name="Mine", **given) == "DocumentAlreadyExists"
    for name in ("AWS-Mine", "amazonMine", "amznMine"):
        assert refused(ssm.create_document, Name=name, **given) == "ValidationException"


def test_versions_are_counted_and_the_default_is_chosen(ssm: Any) -> None:
    create(ssm)
    newer = json.dumps(content(description="newer"))

    ssm.update_document(Name="Mine", Content=newer, DocumentVersion="$LATEST", VersionName="two")

    assert ssm.describe_document(Name="Mine")["Document"]["DocumentVersion"] == "1"
    assert ssm.describe_document(Name="Mine", DocumentVersion="$LATEST")["Document"]["Description"] == "newer"
    assert ssm.describe_document(Name="Mine", VersionName="two")["Document"]["DocumentVersion"] == "2"
    answer = ssm.update_document_default_version(Name="Mine", DocumentVersion="2")["Description"]
    assert (answer["DefaultVersion"], answer["DefaultVersionName"]) == ("2", "two")
    listed = ssm.list_document_versions(Name="Mine")["DocumentVersions"]
    assert [(one["DocumentVersion"], one["IsDefaultVersion"]) for one in listed] == [("2", True), ("1", False)]


def test_an_update_is_refused_with_the_services_codes(ssm: Any) -> None:
    create(ssm, VersionName="one")
    other = json.dumps(content(description="other"))

    assert refused(ssm.update_document, Name="Nobody", Content=other) == "InvalidDocument"
    assert refused(ssm.update_document, Name="Mine", Content=json.dumps(content())) == "DuplicateDocumentContent"
    assert refused(ssm.update_document, Name="Mine", Content=other, DocumentVersion="7") == "InvalidDocumentVersion"
    assert refused(ssm.update_document, Name="Mine", Content=other, VersionName="one") == "DuplicateDocumentVersionName"
    default = ssm.update_document_default_version
    assert refused(default, Name="Mine", DocumentVersion="7") == "InvalidDocumentVersion"


def test_the_default_version_goes_only_with_the_document(ssm: Any) -> None:
    create(ssm)
    ssm.update_document(Name="Mine", Content=json.dumps(content(description="newer")))

    assert refused(ssm.delete_document, Name="Mine", DocumentVersion="1") == "InvalidDocumentOperation"
    ssm.delete_document(Name="Mine", DocumentVersion="2")
    ssm.delete_document(Name="Mine")

    assert refused(ssm.delete_document, Name="Mine") == "InvalidDocument"
    assert refused(ssm.delete_document, Name="AWS-RunShellScript") == "InvalidDocumentOperation"


def test_the_number_of_a_deleted_version_is_not_used_again(ssm: Any) -> None:
    create(ssm)
    ssm.update_document(Name="Mine", Content=json.dumps(content(description="second")))
    ssm.delete_document(Name="Mine", DocumentVersion="2")

    third = ssm.update_document(Name="Mine", Content=json.dumps(content(description="third")))

    assert third["DocumentDescription"]["DocumentVersion"] == "3"


def test_content_is_given_in_the_format_that_is_asked_for(ssm: Any) -> None:
    text = yaml.safe_dump(content(description="ein – ü"), allow_unicode=True, sort_keys=False)
    create(ssm, text=text, DocumentFormat="YAML")

    as_given = ssm.get_document(Name="Mine", DocumentFormat="YAML")
    as_json = ssm.get_document(Name="Mine")

    assert (as_given["Content"], as_given["DocumentFormat"]) == (text, "YAML")
    assert (json.loads(as_json["Content"]), as_json["DocumentFormat"]) == (yaml.safe_load(text), "JSON")
    code = refused(ssm.create_document, Name="Other", Content=text, DocumentType="Command")
    assert code == "InvalidDocumentContent"


def test_documents_are_listed_by_what_is_asked_for(ssm: Any) -> None:
    create(ssm, "One", Tags=[{"Key": "Env", "Value": "prod"}])
    create(ssm, "Two", TargetType="/AWS::EC2::Instance")

    def names(*filters: tuple[str, str]) -> list[str]:
        asked = [{"Key": key, "Values": [value]} for key, value in filters]
        return [one["Name"] for one in ssm.list_documents(Filters=asked)["DocumentIdentifiers"]]

    assert names(("Owner", "Self")) == ["One", "Two"]
    assert names(("tag:Env", "prod")) == ["One"]
    assert names(("Name", "Tw")) == ["Two"]
    assert names(("TargetType", "/AWS::EC2::Instance")) == ["Two"]
    assert names(("Owner", "Amazon"), ("DocumentType", "Command")) == [
        "AWS-RunPatchBaseline",
        "AWS-RunPowerShellScript",
        "AWS-RunShellScript",
    ]
    assert refused(ssm.list_documents, Filters=[{"Key": "Colour", "Values": ["red"]}]) == "InvalidFilterKey"
    first = ssm.list_documents(MaxResults=1)
    second = ssm.list_documents(MaxResults=1, NextToken=first["NextToken"])
    assert first["DocumentIdentifiers"][0]["Name"] < second["DocumentIdentifiers"][0]["Name"]


def test_tags_come_and_go(ssm: Any) -> None:
    create(ssm)
    about = {"ResourceType": "Document", "ResourceId": "Mine"}

    ssm.add_tags_to_resource(**about, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ssm.remove_tags_from_resource(**about, TagKeys=["a"])

    assert ssm.list_tags_for_resource(**about)["TagList"] == [{"Key": "b", "Value": "2"}]
    assert refused(ssm.list_tags_for_resource, ResourceType="Document", ResourceId="Other") == "InvalidResourceId"


@pytest.fixture
def bucket(client: Callable[..., Any]) -> str:
    s3 = client("s3")
    s3.create_bucket(Bucket="attachments-of-a-test")
    s3.put_object(Bucket="attachments-of-a-test", Key="scripts/run.py", Body=b"print('run')")
    return "attachments-of-a-test"


@pytest.mark.parametrize(("key", "value"), [("SourceUrl", "s3://{}/scripts"), ("S3FileUrl", "s3://{}/scripts/run.py")])
def test_attachments_are_fetched_and_their_checksums_hold(
    key: str, value: str, ssm: Any, bucket: str, world: World
) -> None:
    files = {"run.py": {"checksums": {"sha256": hashlib.sha256(b"print('run')").hexdigest()}}}
    source = {"Key": key, "Values": [value.format(bucket)], "Name": "run.py"}

    create(ssm, text=json.dumps(content(files=files)), Attachments=[source])

    assert world.part(Documents).find("Mine").files == {"run.py": b"print('run')"}
    (shown,) = ssm.get_document(Name="Mine")["AttachmentsContent"]
    assert (shown["Name"], shown["Size"], shown["Hash"]) == ("run.py", 12, files["run.py"]["checksums"]["sha256"])
    again = {"Key": "AttachmentReference", "Values": ["Mine/1/run.py"], "Name": "run.py"}
    create(ssm, "Other", json.dumps(content(files=files)), Attachments=[again])
    assert world.part(Documents).find("Other").files == {"run.py": b"print('run')"}


def test_attachments_that_do_not_fit_are_refused(ssm: Any, bucket: str) -> None:
    source = {"Key": "S3FileUrl", "Values": [f"s3://{bucket}/scripts/run.py"], "Name": "run.py"}
    wrong = content(files={"run.py": {"checksums": {"sha256": "0" * 64}}})
    lacking = content(files={"other.py": {"checksums": {"sha256": "0" * 64}}})
    given = {"Name": "Mine", "DocumentType": "Command"}

    def code(text: dict[str, Any], *sources: dict[str, Any]) -> str:
        return refused(ssm.create_document, **given, Content=json.dumps(text), Attachments=list(sources))

    assert code(wrong, source) == "InvalidDocumentContent"
    assert code(lacking, source) == "InvalidDocumentContent"
    assert code(content(), source, source) == "ValidationException"
    assert code(content(), source | {"Values": [f"s3://{bucket}/nothing"]}) == "ValidationException"
    assert code(content(), source | {"Values": ["https://example.test/run.py"]}) == "ValidationException"


def test_documents_are_found_by_name_arn_and_version(ssm: Any, world: World) -> None:
    create(ssm)
    documents = world.part(Documents)

    mine, owned = documents.get("Mine"), documents.get("AWS-RunShellScript")

    assert documents.find(documents.arn(mine)).name == "Mine"
    assert documents.find(documents.arn(owned)).name == "AWS-RunShellScript"
    assert documents.find("Mine", "$LATEST").content == content()
    assert refused(ssm.get_document, Name=documents.arn(mine).replace("us-east-1", "eu-west-1")) == "InvalidDocument"


def test_a_region_has_documents_of_its_own(ssm: Any, client: Callable[..., Any]) -> None:
    create(ssm)

    assert refused(client("ssm", region="eu-west-1").get_document, Name="Mine") == "InvalidDocument"


def test_the_documents_of_aws_are_good_documents(world: World, ssm: Any) -> None:
    """They pass the same checks as anybody's, and can be read by everybody."""
    names = {
        "AWS-RunShellScript": ["aws:runShellScript"],
        "AWS-RunPowerShellScript": ["aws:runPowerShellScript"],
        "AWS-RunPatchBaseline": ["PatchWindows", "PatchLinux", "PatchMacOS"],
    }
    for name, steps in names.items():
        text = ssm.get_document(Name=name)["Content"]
        create(ssm, f"Copy-of-{name}", text)
        assert [step.name for step in steps_of(world.part(Documents).find(name).content)] == steps


def test_patching_tells_a_real_server_that_it_cannot(world: World) -> None:
    (linux,) = [
        step
        for step in steps_of(world.part(Documents).find("AWS-RunPatchBaseline").content)
        if step.name == "PatchLinux"
    ]

    script = "\n".join(linux.inputs["runCommand"])

    assert "exit 18" in script
    for parameter in ("Operation", "RebootOption", "SnapshotId", "InstallOverrideList", "BaselineOverride"):
        assert f"'{{{{ {parameter} }}}}'" in script


def test_every_schema_that_the_agent_runs_is_known() -> None:
    assert {"1.0", "1.2", "2.0", "2.2"} <= set(SCHEMAS)
