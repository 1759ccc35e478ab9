"""Facts about the templates, enrolment's above all: what they accept, what they make, what they never hold."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.cfn import leaves, of_type, template

import moorings
from moorings.deploy import templates
from moorings.deploy.stacks import LARGEST_TEMPLATE
from moorings.enrolment.service import ASK_OPERATOR, NOT_PERMITTED
from moorings.settings import enrolment_settings

ALL = (templates.STACK, templates.ENDPOINT, templates.PATCHING)
SOURCES = Path(moorings.__file__).parent

# Statements that name no resource, each with the reason why none can be named.
UNLIMITED = {
    ("CodeKey", "AccountDecides"): "in a key's policy * is that key",
    ("ApiFunctionRole", "Activations"): "CreateActivation and DeleteActivation know no resources",
    ("KeeperRole", "Activations"): "these list or act on activations, parameters and nodes; none knows resources",
}


@pytest.mark.parametrize("name", ALL)
def test_cfn_lint_has_nothing_to_say(name: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), "--include-checks", "I", "--", str(SOURCES / name)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ALL)
def test_a_template_fits_into_a_request(name: str) -> None:
    assert len(templates.read(name).encode()) <= LARGEST_TEMPLATE


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_is_described_checked_labelled_and_in_one_group(name: str) -> None:
    parameters = template(name)["Parameters"]
    interface = template(name)["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [each for group in interface["ParameterGroups"] for each in group["Parameters"]]

    assert sorted(grouped) == sorted(parameters)
    assert set(interface["ParameterLabels"]) == set(parameters)
    assert all(group["Label"]["default"] for group in interface["ParameterGroups"])
    assert all(label["default"] for label in interface["ParameterLabels"].values())
    for key, parameter in parameters.items():
        assert parameter["Description"], key
        checked = {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter)
        assert checked or "::" in parameter["Type"], key
        # What the console says in place of the pattern when somebody mistypes.
        assert ("AllowedPattern" in parameter) <= ("ConstraintDescription" in parameter), key


@pytest.mark.parametrize("name", ALL)
def test_defaults_are_taken_by_their_own_checks(name: str) -> None:
    for key, parameter in template(name)["Parameters"].items():
        if "Default" not in parameter:
            continue
        default = parameter["Default"]
        values = default.split(",") if "List" in parameter["Type"] else [default]
        if "AllowedPattern" in parameter:
            assert all(re.search(parameter["AllowedPattern"], value) for value in values), key
        assert default in parameter.get("AllowedValues", [default]), key
        if parameter["Type"] == "Number":
            assert parameter.get("MinValue", default) <= default <= parameter.get("MaxValue", default), key


def test_what_has_to_be_said_is_what_nobody_could_guess() -> None:
    """Once exported, the keys of the files beside a template are its defaults, too."""
    asked = {name: {key for key, each in template(name)["Parameters"].items() if "Default" not in each} for name in ALL}

    assert asked == {
        templates.STACK: {"VpcEndpointForApiGateway", "AllowNetworkProof", "ArtifactBucket", "ArtifactKey"},
        templates.ENDPOINT: {"VpcIdForApiGateway", "SubnetsForVpcEndpoint", "AllowedIPRange"},
        templates.PATCHING: {"AllowedScopes", "ArtifactBucket", "LambdaLayerS3Bucket", "ArtifactKey", "RunbookKey"},
    }


@pytest.mark.parametrize(("name", "parameter"), [(templates.STACK, "Api"), (templates.PATCHING, "Function")])
def test_defaults_work_in_an_account_that_has_ten_environments(name: str, parameter: str) -> None:
    """A new account may have as few, and Lambda lets none of them be reserved."""
    assert template(name)["Parameters"][f"{parameter}Concurrency"]["Default"] == "none"


@pytest.mark.parametrize("name", [templates.STACK, templates.PATCHING])
def test_every_role_can_be_bounded_where_none_may_be_made_without(name: str) -> None:
    bounded = {"Fn::If": ["Bounded", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}

    assert {each.get("PermissionsBoundary") == bounded for each in of_type(name, "AWS::IAM::Role").values()} == {True}
    assert template(name)["Parameters"]["PermissionsBoundary"]["Default"] == ""


@pytest.mark.parametrize("name", ALL)
def test_outputs_are_named_described_and_end_in_what_they_are(name: str) -> None:
    for key, output in template(name)["Outputs"].items():
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", key)
        assert len(output["Description"]) > 10, key


def test_letting_the_network_be_the_proof_is_an_explicit_choice() -> None:
    parameter = template(templates.STACK)["Parameters"]["AllowNetworkProof"]

    assert "Default" not in parameter
    assert parameter["AllowedValues"] == ["yes", "no"]


def test_the_public_samples_parameters_and_outputs_keep_their_names() -> None:
    stack, endpoint = template(templates.STACK), template(templates.ENDPOINT)

    assert {"VpcIdForApiGateway", "SubnetsForVpcEndpoint", "AllowedIPRange"} <= set(endpoint["Parameters"])
    assert "VpcEndpoint" in endpoint["Outputs"]
    assert {"KmsKeyId", "CloudwatchLogRoleArn", "VpcEndpointForApiGateway"} <= set(stack["Parameters"])
    assert stack["Parameters"]["ApiGatewayStageName"]["Default"] == "lambdastage"
    assert stack["Parameters"]["ApiGatewayStageName"]["AllowedPattern"] == "^[a-z0-9]+$"
    assert "ApiGatewayInvokeURL" in stack["Outputs"]


@pytest.mark.parametrize("name", ALL)
def test_nothing_has_a_fixed_name(name: str) -> None:
    """Two stacks must be able to stand in one account and Region."""
    naming = re.compile(r"(?:^|\.)(?:RoleName|TableName|FunctionName|LogGroupName|AlarmName|DashboardName|Name)$")
    for logical_id, resource in template(name)["Resources"].items():
        for key, value in resource.get("Properties", {}).items():
            if naming.search(key):
                assert isinstance(value, dict), f"{logical_id}.{key} is {value!r}"


@pytest.mark.parametrize("name", ALL)
def test_no_partition_and_no_region_is_written_out(name: str) -> None:
    texts = [leaf for leaf in leaves(template(name)["Resources"]) if isinstance(leaf, str)]

    assert not [text for text in texts if re.search(r"arn:aws|amazonaws\.com/|[a-z]{2}-(?:east|west|central)-\d", text)]


def test_what_names_no_resource_has_a_reason() -> None:
    found = {
        (logical_id, statement["Sid"])
        for logical_id, statement in _statements()
        if statement.get("Resource") == "*" or any("NotAction" in key for key in statement)
    }

    assert found == set(UNLIMITED)


def test_no_role_may_do_a_whole_service() -> None:
    actions = [
        action
        for logical_id, statement in _statements()
        if logical_id != "CodeKey"
        for action in _listed(statement["Action"])
    ]

    assert actions
    assert not [action for action in actions if "*" in action]


def test_only_systems_manager_can_be_given_a_node_role() -> None:
    passing = [statement for _, statement in _statements() if "iam:PassRole" in _listed(statement["Action"])]

    assert len(passing) == 2
    for statement in passing:
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}}
        assert "*" not in leaves(statement["Resource"])


def test_the_node_role_can_be_taken_only_for_this_accounts_nodes() -> None:
    trust = of_type(templates.STACK, "AWS::IAM::Role")["NodeRole"]["AssumeRolePolicyDocument"]["Statement"]

    assert [set(statement["Condition"]) for statement in trust] == [{"StringEquals", "ArnEquals"}]


def test_the_api_denies_whatever_does_not_come_through_the_endpoint() -> None:
    statements = of_type(templates.STACK, "AWS::ApiGateway::RestApi")["Api"]["Policy"]["Statement"]
    denied = [statement for statement in statements if statement["Effect"] == "Deny"]

    assert denied[0]["Resource"] == "execute-api:/*"
    assert denied[0]["Condition"] == {"StringNotEquals": {"aws:SourceVpce": {"Ref": "VpcEndpointForApiGateway"}}}


def test_the_routes_are_the_documented_ones() -> None:
    methods = of_type(templates.STACK, "AWS::ApiGateway::Method").values()
    resources = of_type(templates.STACK, "AWS::ApiGateway::Resource")

    def path(ref: Any) -> str:
        if "Fn::GetAtt" in ref:
            return ""
        resource = resources[ref["Ref"]]
        return f"{path(resource['ParentId'])}/{resource['PathPart']}"

    assert sorted((each["HttpMethod"], path(each["ResourceId"]) or "/") for each in methods) == [
        ("GET", "/"),
        ("GET", "/bootstrap/linux"),
        ("GET", "/bootstrap/windows"),
        ("POST", "/activations"),
    ]
    # The gateway's own 29 s, which the function's 25 fit into.
    assert {each["Integration"].get("TimeoutInMillis", 29000) for each in methods} == {29000}


def test_gateway_answers_look_like_the_functions() -> None:
    answers = of_type(templates.STACK, "AWS::ApiGateway::GatewayResponse").values()

    for answer in answers:
        body = json.loads(answer["ResponseTemplates"]["application/json"])
        assert list(body) == ["error", "message", "remedy", "request_id"]
        if answer.get("StatusCode") in ("429", "503"):
            assert "gatewayresponse.header.Retry-After" in answer["ResponseParameters"]
    refused = [answer for answer in answers if answer.get("StatusCode") == "403"]
    texts = {answer["ResponseTemplates"]["application/json"] for answer in refused}
    assert {(json.loads(text)["message"], json.loads(text)["remedy"]) for text in texts} == {
        (NOT_PERMITTED, ASK_OPERATOR)
    }
    assert {answer["ResponseType"]: answer.get("StatusCode") for answer in answers} == {
        "THROTTLED": "429",
        "INTEGRATION_FAILURE": "503",
        "INTEGRATION_TIMEOUT": "503",
        "DEFAULT_5XX": "503",
        "DEFAULT_4XX": "403",
        "REQUEST_TOO_LARGE": "413",
    }


def test_the_access_log_names_the_functions_request_so_that_both_logs_can_be_joined() -> None:
    log = json.dumps(of_type(templates.STACK, "AWS::ApiGateway::Stage")["ApiStage"]["AccessLogSetting"])

    assert "$context.integration.requestId" in log


def test_the_deployment_waits_for_all_that_it_copies() -> None:
    resources = template(templates.STACK)["Resources"]
    copied = {
        key
        for key, each in resources.items()
        if each["Type"] in ("AWS::ApiGateway::Method", "AWS::ApiGateway::GatewayResponse")
    }
    (deployment,) = [each for each in resources.values() if each["Type"] == "AWS::ApiGateway::Deployment"]

    assert set(deployment["DependsOn"]) == copied


def test_the_deployment_is_named_after_the_api() -> None:
    """If this fails, the API has changed: write `templates.with_deployment(text)` back into the file."""
    text = templates.read(templates.STACK)

    assert templates.with_deployment(text) == text


def test_a_changed_route_or_endpoint_makes_a_new_deployment_and_nothing_else_does() -> None:
    text = templates.read(templates.STACK)
    endpoint = {"VpcEndpointForApiGateway": "vpce-0123456789abcdef0"}

    def name_of(text: str, parameters: dict[str, str]) -> str:
        (found,) = set(re.findall(r"ApiDeployment[0-9a-f]{8}", templates.with_deployment(text, parameters)))
        return found

    before = name_of(text, endpoint)
    assert name_of(text.replace("PathPart: activations", "PathPart: other"), endpoint) != before
    assert name_of(text, {"VpcEndpointForApiGateway": "vpce-0fedcba9876543210"}) != before
    assert name_of(text, {**endpoint, "ThrottlingRateLimit": "1", "LogLevel": "DEBUG"}) == before


def test_bodies_are_never_logged() -> None:
    stages = of_type(templates.STACK, "AWS::ApiGateway::Stage").values()

    for stage in stages:
        assert [setting["DataTraceEnabled"] for setting in stage["MethodSettings"]] == [False]
        log = json.dumps(stage["AccessLogSetting"])
        assert "input." not in log
        assert "header" not in log


def test_alarms_watch_metrics_that_the_functions_emit() -> None:
    emitted = set()
    for path in (SOURCES / "enrolment").glob("*.py"):
        emitted |= set(re.findall(r"journal\.(?:count|measure)\(\s*\"(\w+)\"", path.read_text(encoding="utf-8")))
        for pair in re.findall(r'"(\w+)" if \w+\.\w+ else "(\w+)"', path.read_text(encoding="utf-8")):
            emitted |= set(pair)
    alarms = of_type(templates.STACK, "AWS::CloudWatch::Alarm").values()
    ours = {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == "Moorings"}
    body = json.dumps(of_type(templates.STACK, "AWS::CloudWatch::Dashboard"))
    shown = set(re.findall(r'\\"Moorings\\",\\"(\w+)\\"', body))

    assert ours >= {
        "SurplusRegistrations",
        "LeaksReaped",
        "Refused",
        "Waits",
        "SlotsLeft",
        "HoursToExpiry",
        "ScheduledRuns",
    }
    assert ours | shown <= emitted
    for alarm in alarms:
        assert alarm["AlarmDescription"]
        if alarm["Namespace"] == "Moorings":
            assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["service", "stack"]


def test_a_keeper_whose_schedule_is_off_is_an_alarm_of_its_own_whoever_else_wakes_it() -> None:
    alarms = of_type(templates.STACK, "AWS::CloudWatch::Alarm")
    alarm = alarms["KeeperOverdueAlarm"]

    assert (alarm["Namespace"], alarm["MetricName"]) == ("Moorings", "ScheduledRuns")
    # A changed alarm keeps its state, and this metric has no data before the new function's first scheduled run: under
    # its former name it would ring at every update from a stack that watched every run.
    assert "KeeperSilentAlarm" not in alarms
    # A new alarm has no data yet, and acts on a change of its state alone: the first deployment rings nothing.
    assert alarm["TreatMissingData"] == "missing"
    assert alarm["InsufficientDataActions"] == alarm["AlarmActions"]


def test_functions_are_told_what_their_settings_ask_for() -> None:
    functions = of_type(templates.STACK, "AWS::Lambda::Function")
    for function in functions.values():
        environment = dict.fromkeys(function["Environment"]["Variables"], "x")
        # What Lambda itself sets.
        enrolment_settings(environment | {"AWS_REGION": "eu-west-1", "AWS_LAMBDA_FUNCTION_NAME": "f"})
        assert function["Runtime"] == "python3.13"
    assert {key: function["Handler"] for key, function in functions.items()} == {
        "ApiFunction": "moorings.enrolment.function.handler",
        "KeeperFunction": "moorings.enrolment.keeper.handler",
    }
    assert functions["ApiFunction"]["Timeout"] == 25
    assert functions["KeeperFunction"]["Timeout"] == 300


def test_data_is_encrypted_recoverable_and_never_lost_by_a_replacement() -> None:
    resources = template(templates.STACK)["Resources"]
    ledger = resources["Ledger"]

    assert ledger["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ledger["Properties"]["SSESpecification"] == {"SSEEnabled": True}
    assert ledger["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert ledger["UpdateReplacePolicy"] == "Retain"
    assert resources["CodeKey"]["Properties"]["EnableKeyRotation"] is True
    assert resources["CodeKey"]["UpdateReplacePolicy"] == "Retain"


def test_every_log_group_ends_somewhere() -> None:
    groups = of_type(templates.STACK, "AWS::Logs::LogGroup")

    assert len(groups) == 4
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())


def test_the_account_wide_logging_role_is_made_only_if_asked_for() -> None:
    resources = template(templates.STACK)["Resources"]

    assert template(templates.STACK)["Parameters"]["CreateApiGatewayLoggingRole"]["Default"] == "no"
    for logical_id in ("ApiLoggingRole", "ApiLogging"):
        assert resources[logical_id]["Condition"] == "MakeLoggingRole"
        assert resources[logical_id]["DeletionPolicy"] == "Retain"


def test_the_endpoint_opens_https_alone_and_serves_this_accounts_apis() -> None:
    (group,) = of_type(templates.ENDPOINT, "AWS::EC2::SecurityGroup").values()
    (endpoint,) = of_type(templates.ENDPOINT, "AWS::EC2::VPCEndpoint").values()

    (opened,) = group["SecurityGroupIngress"]
    assert (opened["FromPort"], opened["ToPort"], opened["CidrIp"]) == (443, 443, {"Ref": "AllowedIPRange"})
    (statement,) = endpoint["PolicyDocument"]["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    assert "${AWS::AccountId}" in statement["Resource"]["Fn::Sub"]


def _statements() -> list[tuple[str, dict[str, Any]]]:
    """Logical id and statement of every identity and key policy."""
    found = []
    for logical_id, role in of_type(templates.STACK, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            found += [(logical_id, each) for each in policy["PolicyDocument"]["Statement"]]
    for logical_id, key in of_type(templates.STACK, "AWS::KMS::Key").items():
        found += [(logical_id, each) for each in key["KeyPolicy"]["Statement"]]
    return [(logical_id, each["Fn::If"][1] if "Fn::If" in each else each) for logical_id, each in found]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
