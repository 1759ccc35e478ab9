"""Enrolment deployed on the emulated account: it stands, stands twice, changes, and leaves nothing when it goes."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from tests.deploy.conftest import Account, BriefClock, new_account

from localcloud.aws.cloudformation.stacks import Stacks as Emulated
from localcloud.cloud import LocalCloud
from moorings.deploy.enrolment import (
    Deployed,
    EnrolmentPlan,
    ExistingEndpoint,
    NewEndpoint,
    Notice,
    Step,
    deploy,
    preview,
    removable,
    remove,
)
from moorings.deploy.package import function_platform
from moorings.deploy.stacks import StackEvent, Stacks
from moorings.enrolment import configuration
from moorings.errors import Busy, CloudFault, Conflict, Misconfigured, Refused

VPCE = ExistingEndpoint(id="vpce-0123456789abcdef0")


def _plan(stack: str, **changed: Any) -> EnrolmentPlan:
    return EnrolmentPlan(**{"endpoint": VPCE, "allow_network_proof": True, "stack": stack, **changed})


def _new_endpoint(account: Account, *, private_dns: bool = True) -> NewEndpoint:
    return NewEndpoint(
        vpc_id=account.vpc, subnet_ids=account.subnets, allowed_cidr="10.0.0.0/8", private_dns=private_dns
    )


def _deploy(account: Account, plan: EnrolmentPlan, **options: Any) -> Deployed:
    platform = function_platform(account.cloud.function_platform)
    return deploy(plan, aws=account.aws, clock=BriefClock(), platform=platform, **options)


def _preview(account: Account, plan: EnrolmentPlan) -> Any:
    platform = function_platform(account.cloud.function_platform)
    return preview(plan, aws=account.aws, clock=BriefClock(), platform=platform)


def _remove(account: Account, stack: str, **options: Any) -> Any:
    return remove(stack, aws=account.aws, clock=BriefClock(), **options)


def _environment(account: Account, deployed: Deployed, output: str = "ApiFunctionName") -> dict[str, str]:
    functions = account.aws.client("lambda")
    found = functions.get_function_configuration(FunctionName=deployed.outputs[output])
    return dict(found["Environment"]["Variables"])


@dataclass(frozen=True)
class Standing:
    """One account with two deployments side by side, shared by the tests that only look."""

    account: Account
    one: Deployed
    two: Deployed


@pytest.fixture(scope="module")
def standing(account: Account) -> Standing:
    one = _deploy(account, _plan("one", endpoint=_new_endpoint(account)))
    shared = ExistingEndpoint(id=one.vpc_endpoint)
    return Standing(account, one, _deploy(account, _plan("two", endpoint=shared)))


def test_two_stacks_stand_side_by_side_and_share_nothing_but_the_endpoint(standing: Standing) -> None:
    one, two = standing.one, standing.two

    assert one.vpc_endpoint == two.vpc_endpoint
    assert (one.endpoint_stack, two.endpoint_stack) == ("one-endpoint", "")
    assert set(one.outputs) == set(two.outputs)
    assert not [key for key in one.outputs if one.outputs[key] == two.outputs[key]]


def test_the_url_is_the_apis_and_the_functions_know_it(standing: Standing) -> None:
    one = standing.one

    assert one.api_url == f"https://{one.outputs['ApiId']}.execute-api.us-east-1.amazonaws.com/lambdastage"
    assert _environment(standing.account, one)["MOORINGS_API_URL"] == one.api_url


def test_the_functions_are_told_apart_from_the_other_stacks(standing: Standing) -> None:
    api = _environment(standing.account, standing.one)
    keeper = _environment(standing.account, standing.one, "KeeperFunctionName")

    assert api["MOORINGS_STACK"].startswith("one-")
    assert len(api["MOORINGS_STACK"]) == len("one-") + 8
    assert api["MOORINGS_CODE_PREFIX"] == f"/moorings/{api['MOORINGS_STACK']}" == standing.one.outputs["CodePrefix"]
    assert api["MOORINGS_KEEPER"] == standing.one.outputs["KeeperFunctionName"]
    assert api["MOORINGS_KMS_KEY"] == standing.one.outputs["KmsKeyArn"]
    shared = ("STACK", "TABLE", "CODE_PREFIX", "KMS_KEY", "API_URL", "VPCE")
    assert [keeper[f"MOORINGS_{name}"] for name in shared] == [api[f"MOORINGS_{name}"] for name in shared]


def test_the_default_configuration_is_a_valid_document(standing: Standing) -> None:
    for output in ("ApiFunctionName", "KeeperFunctionName"):
        text = _environment(standing.account, standing.one, output)["MOORINGS_DEFAULT_CONFIGURATION"]
        parsed = configuration.parse(configuration.parse_json(text), version=0)
        assert parsed.pools["default"].node_role == standing.one.node_role
        assert parsed.pools["default"].registration_limit == 1000


def test_the_network_rule_names_this_endpoint_and_the_given_ranges(standing: Standing) -> None:
    text = _environment(standing.account, standing.one)["MOORINGS_DEFAULT_CONFIGURATION"]

    own = _environment(standing.account, standing.one)["MOORINGS_VPCE"]
    (rule,) = configuration.parse(configuration.parse_json(text), version=0, own_vpce=own).rules

    assert rule.vpces == {own} == {standing.one.vpc_endpoint}
    assert [str(cidr) for cidr in rule.cidrs] == ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]


def test_the_environment_fits_into_a_function_even_with_the_longest_key(account: Account, name: str) -> None:
    """Lambda takes 4 KB of names and values."""
    begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
    key = begin + ("\\n" + "A" * 64) * 36 + "\\n" + end
    parameters = {"PackageSigningKey": key, "DefaultPoolInstanceName": "n" * 64, "AgentPackages": "https://m.example/a"}

    deployed = _deploy(account, _plan(name, parameters=parameters))

    variables = _environment(account, deployed)
    assert sum(len(name) + len(value) for name, value in variables.items()) <= 4096
    parsed = configuration.parse(configuration.parse_json(variables["MOORINGS_DEFAULT_CONFIGURATION"]), version=0)
    assert parsed.bootstrap.signing_key.strip() == key.replace("\\n", "\n")


def test_no_output_holds_a_secret(standing: Standing) -> None:
    text = json.dumps(dict(standing.one.outputs)).lower()

    assert not [word for word in ("secret", "password", "token", "activationcode", "begin pgp") if word in text]


def test_without_the_network_proof_nothing_is_granted_by_default(account: Account, name: str) -> None:
    deployed = _deploy(account, _plan(name, allow_network_proof=False))

    environment = _environment(account, deployed)
    assert (
        configuration.parse(configuration.parse_json(environment["MOORINGS_DEFAULT_CONFIGURATION"]), version=0).rules
        == ()
    )
    assert environment["MOORINGS_PROOFS"] == ""


def test_an_endpoint_without_private_names_gives_urls_with_the_endpoints_own(account: Account, name: str) -> None:
    deployed = _deploy(account, _plan(name, endpoint=_new_endpoint(account, private_dns=False)))

    assert f"//{deployed.outputs['ApiId']}-{deployed.vpc_endpoint}.execute-api." in deployed.api_url


def test_the_name_by_which_servers_reach_the_api_stays_when_nothing_is_said_of_it(account: Account, name: str) -> None:
    """Else an update sends servers, whose resolver forwards nothing, to a name that they cannot resolve."""
    endpoint = _new_endpoint(account)
    chosen = _deploy(account, _plan(name, endpoint=endpoint, parameters={"InvokeUrlStyle": "endpoint-host"}))

    again = _deploy(account, _plan(name, endpoint=endpoint))

    assert again.api_url == chosen.api_url
    assert _remove(account, name).stacks == (name, f"{name}-endpoint")


def test_a_second_deployment_changes_nothing_and_says_so(account: Account, name: str) -> None:
    first = _deploy(account, _plan(name))
    steps: list[Step | StackEvent] = []

    second = _deploy(account, _plan(name), on_progress=steps.append)

    assert second == first
    assert not [step for step in steps if isinstance(step, StackEvent)]
    assert f"stack {name}: nothing to change" in {step.text for step in steps if isinstance(step, Step)}


def test_another_endpoint_makes_a_new_deployment_of_the_api(account: Account, name: str) -> None:
    """Otherwise the stage would go on with the old resource policy."""
    first = _deploy(account, _plan(name))
    api = account.aws.client("apigateway")

    def deployed_id() -> str:
        found: str = api.get_stage(restApiId=first.outputs["ApiId"], stageName="lambdastage")["deploymentId"]
        return found

    before = deployed_id()
    _deploy(account, _plan(name, endpoint=ExistingEndpoint(id="vpce-0fedcba9876543210")))

    assert deployed_id() != before
    assert _remove(account, name).stacks == (name,)


def test_a_configuration_is_stored_once_and_its_pools_take_the_stacks_role(account: Account, name: str) -> None:
    document = {"pool": [{"name": "web"}, {"name": "db", "node_role": "Other"}]}

    first = _deploy(account, _plan(name, configuration=document))
    again = _deploy(account, _plan(name, configuration=document))

    assert (first.configuration_version, again.configuration_version) == (1, 1)
    item = account.aws.client("dynamodb").get_item(
        TableName=first.outputs["LedgerTable"], Key={"pk": {"S": "configuration"}}
    )["Item"]
    parsed = configuration.parse(configuration.parse_json(item["document"]["S"]), version=1)
    assert [pool.node_role for pool in parsed.pools.values()] == [first.node_role, "Other"]


OTHER = ExistingEndpoint(id="vpce-0fedcba9876543210")


def _document(*vpce: str) -> dict[str, Any]:
    """One pool, and one rule that names these endpoints; none: the stack's own."""
    named = {"vpce": list(vpce)} if vpce else {}
    rule = {"name": "dc", "proof": "network", "cidr": ["10.0.0.0/8"], "pools": ["web"], **named}
    return {"pool": [{"name": "web"}], "rule": [rule]}


def _stored(account: Account, deployed: Deployed) -> dict[str, Any]:
    item = account.aws.client("dynamodb").get_item(
        TableName=deployed.outputs["LedgerTable"], Key={"pk": {"S": "configuration"}}
    )["Item"]
    return configuration.parse_json(item["document"]["S"])


def test_a_rule_without_endpoint_follows_the_stack_to_another_endpoint(account: Account, name: str) -> None:
    first = _deploy(account, _plan(name, configuration=_document()))
    assert "vpce" not in _stored(account, first)["rule"][0]

    moved = _deploy(account, _plan(name, endpoint=OTHER))

    assert (moved.vpc_endpoint, moved.configuration_version) == (OTHER.id, 1)
    for output in ("ApiFunctionName", "KeeperFunctionName"):
        assert _environment(account, moved, output)["MOORINGS_VPCE"] == OTHER.id


def test_another_endpoint_that_no_stored_rule_admits_is_refused_before_anything_changes(
    account: Account, name: str
) -> None:
    first = _deploy(account, _plan(name, configuration=_document(VPCE.id)))
    stacks = Stacks(account.aws, clock=BriefClock())
    before = stacks.find(name)

    for look in (_deploy, _preview):
        with pytest.raises(Misconfigured, match=f"rule 'dc' names {VPCE.id}") as refused:
            look(account, _plan(name, endpoint=OTHER))
        assert "leave vpce out" in refused.value.remedy

    assert stacks.find(name) == before
    assert _stored(account, first)["rule"][0]["vpce"] == [VPCE.id]
    # The remedy works.
    assert _deploy(account, _plan(name, endpoint=OTHER, configuration=_document())).configuration_version == 2


def test_a_given_document_that_admits_nobody_through_the_endpoint_is_refused(account: Account, name: str) -> None:
    with pytest.raises(Misconfigured, match="rule 'dc' names vpce-0fedcba9876543210"):
        _deploy(account, _plan(name, configuration=_document(OTHER.id)))
    with pytest.raises(Misconfigured, match="an endpoint that is yet to be made"):
        _deploy(account, _plan(name, endpoint=_new_endpoint(account), configuration=_document(OTHER.id)))

    assert Stacks(account.aws, clock=BriefClock()).find(f"{name}-endpoint") is None


def test_a_stored_document_that_no_longer_holds_stops_an_update(account: Account, name: str) -> None:
    """New functions would start without a configuration and answer nothing but errors."""
    first = _deploy(account, _plan(name, configuration=_document()))
    broken = {"pk": {"S": "configuration"}, "document": {"S": '{"pool":[]}'}, "version": {"N": "2"}}
    account.aws.client("dynamodb").put_item(TableName=first.outputs["LedgerTable"], Item=broken)

    with pytest.raises(Misconfigured, match="does not hold for this version"):
        _deploy(account, _plan(name))

    assert _deploy(account, _plan(name, configuration=_document())).configuration_version == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"configuration": {"pool": [{"name": "BAD NAME"}]}}, "configuration has"),
        ({"parameters": {"NoSuch": "x"}}, "NoSuch cannot be given"),
        ({"parameters": {"ArtifactKey": "x"}}, "ArtifactKey cannot be given"),
        ({"parameters": {"AllowedSourceCidrs": "10.0.0.1/8"}}, "AllowedSourceCidrs"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_called(
    account: Account, changed: dict[str, Any], message: str
) -> None:
    calls = len(account.cloud.world.calls)

    with pytest.raises(Misconfigured, match=message):
        _deploy(account, _plan("never", **changed))

    assert len(account.cloud.world.calls) == calls


def test_a_plan_that_is_not_approved_leaves_no_stack(account: Account, name: str) -> None:
    with pytest.raises(Refused, match="was not approved"):
        _deploy(account, _plan(name), approve=lambda _planned: False)

    assert Stacks(account.aws, clock=BriefClock()).find(name) is None


def test_a_preview_shows_the_changes_and_makes_nothing(account: Account, name: str) -> None:
    platform = function_platform(account.cloud.function_platform)
    plan = _plan(name, endpoint=_new_endpoint(account))

    endpoint, stack = preview(plan, aws=account.aws, clock=BriefClock(), platform=platform)

    assert {change.type for change in endpoint.changes} == {"AWS::EC2::VPCEndpoint", "AWS::EC2::SecurityGroup"}
    assert {change.action for change in stack.changes} == {"Add"}
    stacks = Stacks(account.aws, clock=BriefClock())
    assert [stacks.find(planned.stack) for planned in (endpoint, stack)] == [None, None]


def _logging_role(account: Account, name: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = account.aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
    return str(made["Role"]["Arn"])


def _set_logging_role(account: Account, role: str) -> None:
    change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role}
    account.aws.client("apigateway").update_account(patchOperations=[change])


def test_the_api_logs_where_the_account_lets_it(fresh_account: Account) -> None:
    _set_logging_role(fresh_account, _logging_role(fresh_account, "gateway-logs"))

    deployed = _deploy(fresh_account, _plan("one"))

    api = fresh_account.aws.client("apigateway")
    stage = api.get_stage(restApiId=deployed.outputs["ApiId"], stageName="lambdastage")
    assert "$context.requestId" in stage["accessLogSettings"]["format"]


def test_a_deployment_that_fails_names_the_resource_and_the_way_out(fresh_account: Account) -> None:
    """The role exists, but nobody has given it to API Gateway."""
    plan = _plan("one", parameters={"CloudwatchLogRoleArn": _logging_role(fresh_account, "gateway-logs")})

    with pytest.raises(
        CloudFault, match=r"ApiStage \(AWS::ApiGateway::Stage\) failed: .*CloudWatch Logs role"
    ) as failed:
        _deploy(fresh_account, plan)

    assert "CreateApiGatewayLoggingRole=yes" in failed.value.remedy
    assert _deploy(fresh_account, _plan("one", parameters={"CreateApiGatewayLoggingRole": "yes"})).api_url
    assert any("logging role stays" in sentence for sentence in _remove(fresh_account, "one").kept)


def test_removal_leaves_nothing_of_the_stack_and_everything_of_the_other(fresh_account: Account) -> None:
    account = fresh_account
    first = _deploy(account, _plan("one", endpoint=_new_endpoint(account)))
    second = _deploy(account, _plan("one-more", endpoint=ExistingEndpoint(id=first.vpc_endpoint)))
    for deployed in (first, second):
        _activation(account, deployed)

    removed = _remove(account, "one")

    # The other is reached through the first one's endpoint, which therefore stays until the end.
    assert removed.stacks == ("one",)
    assert (removed.activations, removed.codes, removed.bucket) == (1, 1, False)
    assert any("KMS key" in sentence for sentence in removed.kept)
    assert any("one-endpoint stays, because one-more" in sentence for sentence in removed.kept)
    assert _remove(account, "one-more").bucket is True
    assert _remove(account, "one").stacks == ("one-endpoint",)
    assert _left(account) == {}


def test_another_region_takes_the_same_templates() -> None:
    with LocalCloud(in_process=True, region="eu-central-1") as cloud:
        account = new_account(cloud)

        deployed = _deploy(account, _plan("one", endpoint=_new_endpoint(account)))

        assert ".execute-api.eu-central-1.amazonaws.com/" in deployed.api_url
        assert ":eu-central-1:" in deployed.outputs["KmsKeyArn"]
        assert _remove(account, "one").stacks == ("one", "one-endpoint")


def test_an_interrupted_removal_is_finished_by_the_next(account: Account, name: str) -> None:
    deployed = _deploy(account, _plan(name))
    _activation(account, deployed)
    Stacks(account.aws, clock=BriefClock()).delete(name)

    removed = _remove(account, name)

    assert removed.stacks == ()
    assert (removed.activations, removed.codes, removed.artifacts) == (1, 1, 1)


def test_a_protected_ledger_stops_the_removal_before_it_begins(account: Account, name: str) -> None:
    _deploy(account, _plan(name, parameters={"DeletionProtection": "yes"}))

    with pytest.raises(Refused, match="protected from deletion"):
        _remove(account, name)

    _deploy(account, _plan(name, parameters={"DeletionProtection": "no"}))
    assert _remove(account, name).stacks == (name,)


def _activation(account: Account, deployed: Deployed) -> None:
    """What the functions leave in the account: an activation and its code."""
    ssm = account.aws.client("ssm")
    made = ssm.create_activation(
        IamRole=deployed.node_role,
        RegistrationLimit=1,
        Description=f"moorings stack={deployed.outputs['StackMark']} pool=default lease=x",
    )
    name = f"{deployed.outputs['CodePrefix']}/{made['ActivationId']}"
    ssm.put_parameter(Name=name, Value=made["ActivationCode"], Type="SecureString", KeyId=deployed.outputs["KmsKeyArn"])


def _left(account: Account) -> dict[str, Any]:
    """Everything of ours that the account still shows; a KMS key in its waiting period does not count."""
    aws = account.aws
    named = {
        "stacks": [
            each["StackName"]
            for each in aws.client("cloudformation").list_stacks()["StackSummaries"]
            if each["StackStatus"] != "DELETE_COMPLETE"
        ],
        "functions": aws.client("lambda").list_functions()["Functions"],
        "roles": [role for role in aws.client("iam").list_roles()["Roles"] if "service-role" not in role["Path"]],
        "tables": aws.client("dynamodb").list_tables()["TableNames"],
        "apis": aws.client("apigateway").get_rest_apis()["items"],
        "logs": aws.client("logs").describe_log_groups()["logGroups"],
        "alarms": aws.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": aws.client("cloudwatch").list_dashboards()["DashboardEntries"],
        "rules": aws.client("events").list_rules()["Rules"],
        "endpoints": [
            each
            for each in aws.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
            if each["State"] != "deleted"  # the service shows them for a while
        ],
        "activations": aws.client("ssm").describe_activations()["ActivationList"],
        "parameters": aws.client("ssm").describe_parameters()["Parameters"],
        "buckets": aws.client("s3").list_buckets()["Buckets"],
    }
    return {key: found for key, found in named.items() if found}


def test_removing_nothing_tells_of_nothing_that_stays(account: Account, name: str) -> None:
    assert _remove(account, name).kept == ()


def test_the_bucket_that_was_given_stays_the_one(account: Account, name: str) -> None:
    """What is not given again keeps its value; otherwise the zips in it would stay for good."""
    bucket = f"own-{name}"
    account.aws.client("s3").create_bucket(Bucket=bucket)
    _deploy(account, _plan(name, artifact_bucket=bucket))

    again = _deploy(account, _plan(name, parameters={"LogRetentionDays": "7"}))

    assert again.artifact.startswith(f"s3://{bucket}/")
    assert _remove(account, name).artifacts == 1
    assert "Contents" not in account.aws.client("s3").list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("look", [_deploy, _preview])
def test_a_half_deleted_stack_is_told_with_its_cause_before_anything_is_packaged(
    account: Account, name: str, look: Any
) -> None:
    _deploy(account, _plan(name))
    account.cloud.faults.error("logs", "DeleteLogGroup", status=400, code="X")
    with pytest.raises(CloudFault, match="DELETE_FAILED"):
        _remove(account, name)
    account.cloud.faults.clear()

    with pytest.raises(Conflict, match=r"DELETE_FAILED: \w+ \(AWS::Logs::LogGroup\) failed") as told:
        look(account, _plan(name))

    assert "`moorings destroy`" in told.value.remedy
    assert _remove(account, name).stacks == (name,)


def test_a_stack_that_is_half_deleted_because_it_is_protected_has_a_way_out(account: Account, name: str) -> None:
    """Somebody deleted it in the console; an update, which could lift the protection, is not taken any more."""
    deployed = _deploy(account, _plan(name, parameters={"DeletionProtection": "yes"}))
    table = deployed.outputs["LedgerTable"]
    with pytest.raises(CloudFault, match="DELETE_FAILED"):
        Stacks(account.aws, clock=BriefClock()).delete(name)

    with pytest.raises(CloudFault, match="Ledger") as told:
        _remove(account, name)
    assert f"update-table --no-deletion-protection-enabled --table-name {table}`" in told.value.remedy
    account.aws.client("dynamodb").update_table(TableName=table, DeletionProtectionEnabled=False)

    assert _remove(account, name).stacks == (name,)


def test_a_stack_that_a_colleague_is_changing_is_neither_deployed_nor_removed(account: Account, name: str) -> None:
    _deploy(account, _plan(name))
    emulated = account.cloud.world.part(Emulated).find(account.cloud.world.region, name)
    emulated.status = "UPDATE_IN_PROGRESS"

    for attempt in (lambda: _deploy(account, _plan(name)), lambda: _remove(account, name)):
        with pytest.raises(Busy, match="is UPDATE_IN_PROGRESS"):
            attempt()
    emulated.status = "CREATE_COMPLETE"


def test_what_would_go_leaves_out_an_endpoint_that_another_api_is_reached_through(account: Account, name: str) -> None:
    one = _deploy(account, _plan(name, endpoint=_new_endpoint(account, private_dns=False)))
    alone = removable(name, aws=account.aws, clock=BriefClock())
    _deploy(account, _plan(f"{name}-2", endpoint=ExistingEndpoint(id=one.vpc_endpoint)))

    assert alone == (name, f"{name}-endpoint")
    assert removable(name, aws=account.aws, clock=BriefClock()) == (name,)
    assert _remove(account, name).stacks == (name,)


def test_whoever_stops_half_way_is_told_that_the_endpoint_stands(account: Account, name: str) -> None:
    """It is paid for by the hour."""
    told: list[Any] = []
    plan = _plan(name, endpoint=_new_endpoint(account, private_dns=False))

    with pytest.raises(Refused):
        _deploy(account, plan, on_progress=told.append, approve=lambda planned: planned.stack != name)

    assert told[-1] == Notice(f"stack {name}-endpoint stands: deploy again to go on, or remove {name}, and it goes")
    assert _remove(account, name).stacks == (f"{name}-endpoint",)
