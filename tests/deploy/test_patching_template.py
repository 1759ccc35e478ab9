"""Facts about the template of patching: whom it lets do what, what it watches, what it tells."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.cfn import leaves, of_type, template

import moorings
from moorings.deploy import templates
from moorings.deploy.runbooks import DEFAULTS, LARGEST, rendered
from moorings.deploy.stacks import LARGEST_TEMPLATE
from moorings.patching import archive, dynamodb, refusals, reporting, upkeep
from moorings.patching import aws as patching_aws
from moorings.patching.model import Outcome
from moorings.settings import Federation, patching_settings

NAME = templates.PATCHING
ROOM = Path(moorings.__file__).parent / "patching"

# Statements that name no resource, each with the reason why none can be named.
UNLIMITED = {
    ("AutomationRole", "Nodes"): "calls on commands and nodes that know no resources",
    ("FunctionRole", "Evidence"): "calls on commands and patches that know no resources",
    ("RunsPolicy", "Nodes"): "calls on nodes and executions that know no resources",
    ("RunsPolicy", "Federation"): "a token of one's own names no resource",
    ("TopicKey", "AccountDecides"): "in a key's policy * is that key",
    ("TopicKey", "EventsEncrypt"): "in a key's policy * is that key",
}


def _statements() -> list[tuple[str, dict[str, Any]]]:
    """Logical id and statement of every identity and key policy."""
    found = []
    for logical_id, role in of_type(NAME, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            found += [(logical_id, each) for each in policy["PolicyDocument"]["Statement"]]
    for logical_id, policy in of_type(NAME, "AWS::IAM::ManagedPolicy").items():
        found += [(logical_id, each) for each in policy["PolicyDocument"]["Statement"]]
    for logical_id, key in of_type(NAME, "AWS::KMS::Key").items():
        found += [(logical_id, each) for each in key["KeyPolicy"]["Statement"]]
    return [(logical_id, each["Fn::If"][1] if "Fn::If" in each else each) for logical_id, each in found]


def _statement(logical_id: str, sid: str) -> dict[str, Any]:
    (found,) = [each for owner, each in _statements() if (owner, each["Sid"]) == (logical_id, sid)]
    return found


def test_the_public_samples_parameters_and_outputs_keep_their_names() -> None:
    parameters, outputs = template(NAME)["Parameters"], template(NAME)["Outputs"]

    assert {"LambdaLayerS3Bucket", "LambdaLayerS3Key", "ClientID", "TenantID", "ClientSecret"} <= set(parameters)
    assert parameters["LambdaLayerS3Key"]["Default"] == "python3-azure-modules.zip"
    assert {"AzureLambdaFunctionName", "AWSSystemsManagerAutomationRunbookName"} <= set(outputs)


def test_which_vms_may_be_patched_is_an_explicit_choice() -> None:
    assert "Default" not in template(NAME)["Parameters"]["AllowedScopes"]


def test_credentials_are_named_below_their_prefix_by_default() -> None:
    parameters = template(NAME)["Parameters"]
    prefix = parameters["CredentialPrefix"]["Default"]

    for name in ("TenantID", "ClientID", "ClientSecret"):
        assert parameters[name]["Default"].startswith(f"{prefix}/")


def test_what_names_no_resource_has_a_reason() -> None:
    found = {(logical_id, each["Sid"]) for logical_id, each in _statements() if each.get("Resource") == "*"}

    assert found == set(UNLIMITED)


def test_no_role_may_do_a_whole_service() -> None:
    listed = [
        action
        for logical_id, each in _statements()
        if logical_id != "TopicKey"
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    ]

    assert len(listed) > 15
    assert not [action for action in listed if "*" in action]


def test_the_automation_role_is_none_of_awss_and_sends_three_documents_alone() -> None:
    role = of_type(NAME, "AWS::IAM::Role")["AutomationRole"]
    documents = [each["Fn::Sub"] for each in _statement("AutomationRole", "Commands")["Resource"]]

    assert "ManagedPolicyArns" not in role
    assert [text.rpartition("/")[2] for text in documents] == [
        "AWS-RunPatchBaseline",
        "AWS-RunPowerShellScript",
        "AWS-RunShellScript",
        "*",
    ]
    assert documents[-1].endswith(":managed-instance/*")


def test_the_automation_role_can_be_taken_by_this_accounts_executions_alone() -> None:
    (trust,) = of_type(NAME, "AWS::IAM::Role")["AutomationRole"]["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Service": "ssm.amazonaws.com"}
    assert set(trust["Condition"]) == {"StringEquals", "ArnLike"}
    assert trust["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"].endswith(":automation-execution/*")


def test_functions_read_credentials_below_the_prefix_and_nothing_else() -> None:
    resource = _statement("RunsPolicy", "Credentials")["Resource"]["Fn::Sub"]

    assert resource.endswith(":parameter${CredentialPrefix}/*")
    assert [each for _, each in _statements() if "ssm:GetParameter" in each["Action"]] == [
        _statement("RunsPolicy", "Credentials")
    ]


def test_tokens_of_ones_own_are_for_azure_alone_and_short() -> None:
    condition = _statement("RunsPolicy", "Federation")["Condition"]

    assert condition["ForAllValues:StringEquals"] == {"sts:IdentityTokenAudience": {"Ref": "FederationAudience"}}
    assert condition["Null"] == {"sts:IdentityTokenAudience": "false"}  # else a call without audience would pass
    assert condition["NumericLessThanEquals"] == {"sts:DurationSeconds": "300"}


def test_functions_are_told_what_their_settings_ask_for() -> None:
    functions = of_type(NAME, "AWS::Lambda::Function")

    for function in functions.values():
        environment = dict.fromkeys(function["Environment"]["Variables"], "x") | {"AWS_REGION": "eu-west-1"}
        told = function["Environment"]["Variables"]["MOORINGS_FEDERATION"]["Fn::If"][1]["Fn::Sub"]
        settings = patching_settings(environment | {"MOORINGS_FEDERATION": re.sub(r"\$\{\w+\}", "y", told)})
        assert settings.federation == Federation(tenant="y", client="y", audience="y")
        assert function["Runtime"] == "python3.13"
        assert function["Timeout"] == 60
        assert function["Layers"] == [{"Ref": "AzureLayer"}]
    assert {key: function["Handler"] for key, function in functions.items()} == {
        "AzureManagedDiskSnapshots": "moorings.patching.function.handler",
        "PatchingKeeper": "moorings.patching.keeper.handler",
    }


def test_the_table_is_the_one_that_the_room_writes() -> None:
    (table,) = of_type(NAME, "AWS::DynamoDB::Table").values()
    indexes = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in table["GlobalSecondaryIndexes"]
    }

    assert indexes == {dynamodb.DUE_INDEX: ["open", "due"], archive.NODE_INDEX: ["node"]}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert template(NAME)["Resources"]["Guards"]["UpdateReplacePolicy"] == "Retain"


def test_the_keeper_runs_every_minute() -> None:
    rule = of_type(NAME, "AWS::Events::Rule")["KeeperSchedule"]

    assert rule["ScheduleExpression"] == "rate(1 minute)"


def test_the_topic_is_told_what_the_room_announces_and_made_only_if_asked_for() -> None:
    resources = template(NAME)["Resources"]
    pattern = resources["OutcomeRule"]["Properties"]["EventPattern"]
    named = set(resources["OutcomeRule"]["Properties"]["Targets"][0]["InputTransformer"]["InputPathsMap"].values())
    (announced,) = [each for _, each in _statements() if "events:PutEvents" in each["Action"]]

    assert template(NAME)["Parameters"]["OutcomeTopic"]["Default"] == "no"
    assert pattern["source"] == [patching_aws.EVENT_SOURCE]
    assert announced["Condition"]["StringEquals"] == {"events:source": patching_aws.EVENT_SOURCE}
    assert named == {"$.detail.node", "$.detail.outcome", "$.detail.reason", "$.detail.execution"}
    for logical_id in ("Outcomes", "OutcomesPolicy", "OutcomeRule", "TopicKey"):
        assert resources[logical_id]["Condition"] == "MakeTopic"


def test_the_topics_key_asks_events_nothing_that_they_do_not_tell() -> None:
    """A condition on aws:SourceAccount or aws:SourceArn would drop every message, and nobody would hear of that.
    Source: SNS, "Enable compatibility between event sources from AWS services and encrypted topics"."""
    assert "Condition" not in _statement("TopicKey", "EventsEncrypt")
    policy = of_type(NAME, "AWS::SNS::TopicPolicy")["OutcomesPolicy"]["PolicyDocument"]["Statement"]
    (told,) = [each for each in policy if each["Effect"] == "Allow"]
    # The topic asks instead, and this key encrypts nothing else.
    assert told["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": "OutcomeRule.Arn"}}}


def test_alarms_and_dashboard_show_metrics_that_the_functions_emit() -> None:
    emitted = {f"Outcome{outcome.name.title().replace('_', '')}" for outcome in Outcome}
    for path in ROOM.glob("*.py"):
        emitted |= set(re.findall(r"journal\.count\(\s*\"(\w+)\"", path.read_text(encoding="utf-8")))
    alarms = of_type(NAME, "AWS::CloudWatch::Alarm").values()
    ours = {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == "Moorings"}
    body = json.dumps(of_type(NAME, "AWS::CloudWatch::Dashboard"))
    shown = set(re.findall(r'\\"Moorings\\",\\"(\w+)\\"', body))

    assert ours == {"OutcomeRollbackFailed", "OutcomeUndecided", "Wrong", "UpkeepFailed", "ReportIncomplete"}
    assert ours | shown <= emitted
    for alarm in alarms:
        assert alarm["AlarmDescription"]
        if alarm["Namespace"] == "Moorings":
            assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["service", "stack"]


def test_a_silent_keeper_is_an_alarm_of_its_own() -> None:
    alarm = of_type(NAME, "AWS::CloudWatch::Alarm")["KeeperSilentAlarm"]

    assert alarm["TreatMissingData"] == "missing"
    assert alarm["InsufficientDataActions"] == alarm["AlarmActions"]


def test_a_report_that_stays_incomplete_rings_and_one_that_the_keeper_makes_good_does_not() -> None:
    alarm = of_type(NAME, "AWS::CloudWatch::Alarm")["ReportIncompleteAlarm"]
    tries = timedelta(seconds=alarm["Period"]) / (reporting.TRY_AGAIN + upkeep.EVERY)

    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("ReportIncomplete", "Sum", 1)
    assert alarm["Period"] * alarm["EvaluationPeriods"] == timedelta(minutes=30).total_seconds()
    assert tries > 1  # in each of the periods at least one, as long as it lasts
    assert alarm["EvaluationPeriods"] > 1  # a single failure is in one of them
    assert "DatapointsToAlarm" not in alarm
    assert alarm["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize("name", ["UpkeepFailedAlarm", "KeeperErrorsAlarm"])
def test_a_run_that_keeps_failing_fails_in_every_period_of_the_alarm(name: str) -> None:
    """One period without a failure, and the alarm tells that all is well, and rings again ten minutes later."""
    period = timedelta(seconds=of_type(NAME, "AWS::CloudWatch::Alarm")[name]["Period"])

    # The keeper looks at the first of its runs that begins after the pause.
    assert period > upkeep.AFTER_A_FAILURE + upkeep.EVERY


def test_every_log_group_ends_somewhere() -> None:
    groups = of_type(NAME, "AWS::Logs::LogGroup")

    assert len(groups) == 2
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())


def test_the_runbook_is_included_and_would_not_fit_otherwise() -> None:
    """Should both fit together one day, the including can go."""
    content = of_type(NAME, "AWS::SSM::Document")["Runbook"]["Content"]

    assert content["Fn::Transform"]["Name"] == "AWS::Include"
    assert len(rendered().content) + len(templates.read(NAME).encode()) > LARGEST_TEMPLATE


def test_the_rendered_runbook_differs_from_its_yaml_in_defaults_alone() -> None:
    source = yaml.safe_load((ROOM / "runbooks" / "Azure-PatchVMWithRollback.yaml").read_text(encoding="utf-8"))
    document = json.loads(rendered().content)

    for name, default in DEFAULTS.items():
        assert document["parameters"][name].pop("default") == default
        source["parameters"][name].pop("default")
    assert document == source
    assert len(rendered().content) <= LARGEST


def test_what_the_runbooks_defaults_refer_to_is_in_the_template() -> None:
    there = set(template(NAME)["Resources"]) | set(template(NAME)["Parameters"]) | set(template(NAME)["Conditions"])
    refers = [each for each in leaves(DEFAULTS) if isinstance(each, str)]

    assert {name for name in refers if name[:1].isupper()} - set(DEFAULTS) - {"Arn", "Ref"} - {
        name for name in refers if name.startswith("Fn::")
    } <= there


def test_the_azure_role_holds_the_actions_that_are_asked_for_before_anything_is_touched() -> None:
    role = json.loads((ROOM / "azure-role.json").read_text(encoding="utf-8"))

    assert set(refusals.VM_ACTIONS + refusals.DISK_ACTIONS) <= set(role["Actions"])
    assert not [action for action in role["Actions"] if "*" in action]
    assert (role["NotActions"], role["DataActions"], role["NotDataActions"]) == ([], [], [])
    assert len(set(role["Actions"])) == len(role["Actions"])
