"""What the doctor makes of what was seen: states, meanings and commands, without any cloud."""

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from typer.core import TyperGroup

from moorings.cli.main import command as tree
from moorings.deploy import templates
from moorings.deploy.rights import Place, Statement, statements
from moorings.doctor import checks_account as account
from moorings.doctor import checks_credentials as credentials
from moorings.doctor import checks_network as network
from moorings.doctor import checks_quotas as quotas
from moorings.doctor import checks_stacks as stacks
from moorings.doctor.catalogue import CHECKS
from moorings.doctor.model import (
    Alarm,
    Ask,
    Bucket,
    Caller,
    Endpoint,
    Finding,
    Function,
    Group,
    LambdaLimits,
    Parameter,
    Resource,
    Runbook,
    StackFacts,
    State,
    Subscriptions,
    Unseen,
    Vpc,
)
from moorings.doctor.rights import PURPOSES, Missing, Question
from moorings.doctor.service import examine

PLACE = Place(account="111122223333", region="eu-central-1")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DENIED = Unseen("ssm:GetServiceSetting is not allowed")
ROLE = Caller(arn="arn:aws:sts::111122223333:assumed-role/Deployer/me", account="111122223333")
TOPIC = "arn:aws:sns:eu-central-1:111122223333:alarms"
URL = "https://abc.execute-api.eu-central-1.amazonaws.com/lambdastage"
STACK = StackFacts(
    name="moorings-enrolment", status="CREATE_COMPLETE",
    parameters={
        "VpcEndpointForApiGateway": "vpce-0123456789abcdef0", "KeeperMemory": "256", "ApiMemory": "512",
        "AlarmTopicArn": TOPIC,
    },
    outputs={"ApiGatewayInvokeURL": URL, "KeeperFunctionLogGroup": "/aws/lambda/keeper"},
    resources=(
        Resource(logical="KeeperFunction", physical="keeper-1", type=stacks.FUNCTION, status="CREATE_COMPLETE"),
        Resource(logical="KeeperSchedule", physical="rule-1", type=stacks.RULE, status="CREATE_COMPLETE"),
        Resource(logical="KeeperErrorsAlarm", physical="alarm-1", type=stacks.ALARM, status="CREATE_COMPLETE"),
    ),
    template=templates.read(templates.STACK),
)  # fmt: skip
KEEPER = STACK.resources[0]
DECLARED = stacks.wanted(STACK, "KeeperFunction").variables
AS_DEPLOYED = Function(
    name="keeper-1", variables=DECLARED,
    state="Active", last_update="Successful",
    settings={
        "Runtime": "python3.13", "Handler": "moorings.enrolment.keeper.handler", "Timeout": "300", "MemorySize": "256",
    },
)  # fmt: skip
SEEN = quotas.Seen(
    planned=0, tier="standard", nodes=12, automations=100.0, adaptive="False", throughput="false",
    functions=LambdaLimits(total=1_000, unreserved=900), enrolment="en",
)  # fmt: skip


def _of(findings: list[Finding], check: str) -> Finding:
    """The one finding of that check; every finding that is not OK must explain itself and name a command."""
    for each in findings:
        assert each.check in CHECKS
        assert each.state is State.OK or (each.means and each.command), each
        assert _options_of(each.command) <= _known_to(each.command), each.command
    (found,) = [each for each in findings if each.check == check]
    return found


def _options_of(command: str) -> set[str]:
    return {word for word in shlex.split(command) if word.startswith("--")}


def _known_to(command: str) -> set[str]:
    """The options that there are for a command of AWS or of ours, by the SDK's models and by our own tree."""
    match command.split():
        case ["aws", "configure" | "sso", *_]:
            return set()  # the CLI's own, without options
        case ["aws", service, operation, *_]:
            model = botocore.session.get_session().get_service_model({"s3api": "s3"}.get(service, service))
            name = {xform_name(each, "-"): each for each in model.operation_names}[operation]
            shape = model.operation_model(name).input_shape
            known = {f"--{xform_name(each, '-')}" for each in (shape.members if shape else {})}
            flags = {f"--no-{each.removeprefix('--')}" for each in known}
            return known | flags | {"--query", "--output", "--notification-endpoint"}
        case ["moorings", *words]:
            found: Any = tree
            for word in words:
                if not isinstance(found, TyperGroup):
                    break
                found = found.commands[word]
            return {option for each in found.params for option in (*each.opts, *each.secondary_opts)}
        case _:
            return _options_of(command)  # of the system, or of Azure's CLI


@pytest.mark.parametrize(
    ("why", "command"),
    [
        ("sts:GetCallerIdentity needs AWS credentials: Unable to locate credentials", "aws configure"),
        ("sts:GetCallerIdentity needs AWS credentials: The SSO session has expired", "aws sso login"),
        ("Could not connect to the endpoint URL: x", "aws sts get-caller-identity"),
    ],
)
def test_nobody_signed_in_has_to_sign_in(why: str, command: str) -> None:
    found = _of(account.identity(Unseen(why)), "caller")

    assert (found.state, found.command) == (State.ACT, command)


@pytest.mark.parametrize(("seconds", "state"), [(0, State.OK), (59, State.OK), (-61, State.ACT), (400, State.ACT)])
def test_a_clock_may_be_a_minute_off(seconds: int, state: State) -> None:
    assert _of(account.clock(timedelta(seconds=seconds)), "clock-skew").state is state
    assert _of(account.clock(None), "clock-skew").state is State.UNKNOWN


def _statement(sid: str) -> Statement:
    return next(each for each in statements(PLACE) if each.sid == sid)


def test_every_missing_action_is_named_with_what_it_is_for_and_where_to_find_the_policy() -> None:
    lacking = (
        Missing(statement=_statement("NewKeys"), actions=("kms:CreateKey",)),
        Missing(statement=_statement("EnrolmentCodes"), actions=("ssm:DeleteParameter",)),
    )

    shared, enrolment = account.rights(ROLE, lacking)

    assert shared.what == "1 of the actions that are needed is not allowed"
    assert shared.means == "kms:CreateKey: needed to make these keys; attach the policy that this prints"
    assert (shared.command, enrolment.command) == ("moorings policy shared", "moorings policy enrolment")
    assert enrolment.means.startswith("ssm:DeleteParameter: needed to sweep the codes of activations;")


def test_rights_that_nobody_may_simulate_are_unknown_and_root_needs_none() -> None:
    assert _of(account.rights(ROLE, DENIED), "rights").state is State.UNKNOWN
    root = replace(ROLE, arn="arn:aws:iam::111122223333:root")
    assert _of(account.rights(root, ()), "rights").state is State.OK
    assert _of(account.rights(ROLE, ()), "rights").state is State.OK


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, State.OK),
        ({"planned": 1_000}, State.OK),
        ({"planned": 1_001}, State.UNKNOWN),
        ({"planned": 5_000, "nodes": 1_000}, State.UNKNOWN),
        ({"planned": 5_000, "nodes": 1_001}, State.OK),
        ({"nodes": 1_200, "tier": "advanced"}, State.OK),
        ({"planned": 5_000, "tier": "advanced"}, State.OK),
        ({"tier": DENIED}, State.UNKNOWN),
        ({"nodes": DENIED}, State.UNKNOWN),
    ],
)
def test_a_plan_beyond_the_standard_tier_is_not_judged_until_more_nodes_are_there(
    changes: dict[str, Any], state: State
) -> None:
    """AWS says that the limit went; whoever runs what this prints, pays for the other tier."""
    assert _of(quotas.quotas(replace(SEEN, **changes)), "hybrid-tier").state is state


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, State.OK),
        ({"planned": 5_000}, State.ADVICE),
        ({"planned": 5_000, "automations": 500.0}, State.OK),
        ({"planned": 5_000, "adaptive": "True"}, State.OK),
        ({"automations": DENIED}, State.UNKNOWN),
    ],
)
def test_a_fleet_that_takes_longer_than_a_day_is_told(changes: dict[str, Any], state: State) -> None:
    assert _of(quotas.quotas(replace(SEEN, **changes)), "automation-concurrency").state is state


@pytest.mark.parametrize(
    ("limits", "standing", "state"),
    [
        (LambdaLimits(total=1_000, unreserved=1_000), "en", State.OK),
        (LambdaLimits(total=10, unreserved=10), "en", State.ADVICE),
        (LambdaLimits(total=10, unreserved=10), STACK, State.ADVICE),
        (LambdaLimits(total=150, unreserved=100), STACK, State.OK),
        (DENIED, "en", State.UNKNOWN),
    ],
)
def test_a_new_account_may_have_too_few_environments(
    limits: LambdaLimits | Unseen, standing: StackFacts | str, state: State
) -> None:
    seen = replace(SEEN, functions=limits, enrolment=standing)

    assert _of(quotas.quotas(seen), "lambda-concurrency").state is state


def test_as_many_environments_are_asked_for_as_accounts_usually_have() -> None:
    seen = replace(SEEN, functions=LambdaLimits(total=10, unreserved=10))

    assert _of(quotas.quotas(seen), "lambda-concurrency").command.endswith(" --desired-value 1000")


def test_more_servers_than_an_hours_grants_are_told() -> None:
    assert _of(quotas.quotas(replace(SEEN, planned=2_001)), "api-throttle").state is State.ADVICE
    assert _of(quotas.quotas(replace(SEEN, planned=2_000)), "api-throttle").state is State.OK


def test_each_dns_attribute_of_the_vpc_that_is_off_is_named() -> None:
    found = network.vpc_dns(Vpc(id="vpc-1", dns_support=True, dns_hostnames=False))

    assert _of(found, "vpc-dns").command == "aws ec2 modify-vpc-attribute --vpc-id vpc-1 --enable-dns-hostnames"
    assert _of(network.vpc_dns(Vpc(id="vpc-1", dns_support=True, dns_hostnames=True)), "vpc-dns").state is State.OK


ENDPOINT = Endpoint(
    id="vpce-0123456789abcdef0", service="com.amazonaws.eu-central-1.execute-api", state="available", private_dns=True,
    vpc="vpc-1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("endpoint", "state"),
    [
        (ENDPOINT, State.OK),
        (None, State.ACT),
        (DENIED, State.UNKNOWN),
        (replace(ENDPOINT, state="pending"), State.ACT),
        (replace(ENDPOINT, private_dns=False), State.ACT),
        (replace(ENDPOINT, service="com.amazonaws.eu-central-1.ssm"), State.ACT),
    ],
)
def test_the_endpoint_must_fit_the_url(endpoint: Endpoint | Unseen | None, state: State) -> None:
    assert _of(network.endpoint(STACK, endpoint, region="eu-central-1"), "vpc-endpoint").state is state


@pytest.mark.parametrize(
    ("addresses", "connects", "state"),
    [
        (("10.0.1.7", "10.0.2.9"), True, State.OK),
        (("10.0.1.7",), False, State.UNKNOWN),
        ((), False, State.UNKNOWN),
        (("18.184.3.1",), True, State.UNKNOWN),
    ],
)
def test_a_private_api_is_not_judged_from_outside(addresses: tuple[str, ...], connects: bool, state: State) -> None:
    reached = network.Reached(host=network.host_of(STACK), addresses=addresses, connects=connects)

    found = _of(network.reachability(STACK, reached), "api-dns")

    assert found.state is state
    assert state is State.OK or found.command.endswith(f"{URL}/bootstrap/linux")


@pytest.mark.parametrize(
    ("status", "state", "command"),
    [
        ("CREATE_COMPLETE", State.OK, ""),
        ("UPDATE_IN_PROGRESS", State.UNKNOWN, "aws cloudformation describe-stack-events"),
        ("ROLLBACK_COMPLETE", State.ACT, "moorings enrolment deploy"),
        ("UPDATE_ROLLBACK_COMPLETE", State.ACT, "moorings enrolment deploy"),
        ("UPDATE_ROLLBACK_FAILED", State.ACT, "aws cloudformation continue-update-rollback"),
        ("UPDATE_FAILED", State.ACT, "aws cloudformation rollback-stack"),
        ("IMPORT_ROLLBACK_FAILED", State.ACT, "aws cloudformation describe-stack-events"),
        ("DELETE_FAILED", State.ACT, "moorings enrolment remove"),
    ],
)
def test_a_stack_that_does_not_stand_says_how_to_go_on(status: str, state: State, command: str) -> None:
    found = _of(stacks.status(stacks.ENROLMENT, STACK.name, replace(STACK, status=status)), "stack-status")

    assert found.state is state
    assert found.command.startswith(command)


def test_what_failed_in_a_stack_that_stands_is_no_failed_creation() -> None:
    left = replace(KEEPER, status="DELETE_FAILED")

    found = _of(stacks.status(stacks.ENROLMENT, STACK.name, replace(STACK, resources=(left,))), "stack-status")

    assert (found.state, found.what) == (State.ACT, "is CREATE_COMPLETE; KeeperFunction failed")
    assert "creation" not in found.means


def test_patching_whose_creation_failed_keeps_no_scopes_so_they_are_said_again() -> None:
    failed = replace(
        STACK, name="pa", status="ROLLBACK_COMPLETE", parameters={"AllowedScopes": "/subscriptions/1,/subscriptions/2"}
    )

    found = _of(stacks.status(stacks.PATCHING, "pa", failed), "stack-status")

    scopes = "--scope /subscriptions/1 --scope /subscriptions/2"
    assert found.command == f"moorings patch deploy --stack-name pa {scopes}"


def test_a_stack_that_is_not_there_is_no_fault() -> None:
    assert _of(stacks.status(stacks.PATCHING, "p", None), "stack-status").state is State.ADVICE


def test_the_template_tells_a_functions_settings_with_the_stacks_parameters() -> None:
    expected = stacks.wanted(STACK, "KeeperFunction")

    assert expected.settings == AS_DEPLOYED.settings
    assert {"MOORINGS_TABLE", "MOORINGS_STACK", "MOORINGS_DEFAULT_CONFIGURATION"} <= expected.variables


def test_a_function_as_deployed_is_well() -> None:
    found = stacks.function(stacks.ENROLMENT, STACK, KEEPER, AS_DEPLOYED)

    assert {each.state for each in found} == {State.OK}


@pytest.mark.parametrize(
    ("changed", "check", "word"),
    [
        (replace(AS_DEPLOYED, settings={**AS_DEPLOYED.settings, "Timeout": "3"}), "function-drift", "Timeout is 3"),
        (replace(AS_DEPLOYED, variables=DECLARED | {"DEBUG"}), "function-drift", "variables added: DEBUG"),
        (replace(AS_DEPLOYED, variables=DECLARED - {"MOORINGS_TABLE"}), "function-drift", "missing: MOORINGS_TABLE"),
        (replace(AS_DEPLOYED, state="Failed", reason="no such layer"), "function-state", "no such layer"),
        (replace(AS_DEPLOYED, last_update="Failed"), "function-state", "Failed"),
        (None, "function-state", "gone"),
    ],
)
def test_a_function_that_was_changed_or_fails_is_named(changed: Function | None, check: str, word: str) -> None:
    found = _of(stacks.function(stacks.ENROLMENT, STACK, KEEPER, changed), check)

    assert found.state is State.ACT
    assert word in found.what


@pytest.mark.parametrize(
    ("schedule", "logged", "states"),
    [
        (True, NOW - timedelta(minutes=4), (State.OK, State.OK)),
        (False, NOW - timedelta(hours=3), (State.ACT, State.ACT)),
        (None, None, (State.ACT, State.ADVICE)),
        (DENIED, DENIED, (State.UNKNOWN, State.UNKNOWN)),
    ],
)
def test_a_keeper_must_be_called_and_must_have_worked(schedule: Any, logged: Any, states: tuple[State, State]) -> None:
    found = stacks.keeper(stacks.ENROLMENT, STACK, schedule=schedule, logged=logged, now=NOW)

    assert (_of(found, "keeper-schedule").state, _of(found, "keeper-runs").state) == states


@pytest.mark.parametrize(
    ("found", "state", "word"),
    [
        (Runbook(default="3", newest="3"), State.OK, "version 3"),
        (Runbook(default="2", newest="3"), State.ACT, "version 2 is started, the newest is 3"),
        (None, State.ACT, "gone"),
        (DENIED, State.UNKNOWN, "cannot be seen"),
    ],
)
def test_the_runbook_that_is_started_is_the_newest(found: Any, state: State, word: str) -> None:
    told = stacks.runbook(STACK, "Azure-PatchVMWithRollback", found)

    assert (told.check, told.state) == ("runbook-version", state)
    assert word in told.what


ALARM = Alarm(name="alarm-1", state="OK", reason="", actions_enabled=True)


@pytest.mark.parametrize(
    ("alarms", "check", "state"),
    [
        ({"alarm-1": ALARM}, "alarms-there", State.OK),
        ({}, "alarms-there", State.ACT),
        ({"alarm-1": replace(ALARM, actions_enabled=False)}, "alarms-there", State.ACT),
        ({"alarm-1": replace(ALARM, state="ALARM", reason="5 errors")}, "alarms-quiet", State.ACT),
        (DENIED, "alarms-there", State.UNKNOWN),
    ],
)
def test_alarms_are_there_on_and_quiet(alarms: Any, check: str, state: State) -> None:
    assert _of(stacks.alarms(stacks.ENROLMENT, STACK, alarms), check).state is state


def test_an_alarm_that_rings_is_told_even_if_somebody_has_turned_it_off() -> None:
    found = stacks.alarms(
        stacks.ENROLMENT, STACK, {"alarm-1": replace(ALARM, state="ALARM", reason="5 errors", actions_enabled=False)}
    )

    assert [each.what for each in found] == ["tells nobody", "in ALARM: 5 errors"]
    assert "docs/alarms.md, KeeperErrorsAlarm (enrolment)" in found[1].means


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (Subscriptions(confirmed=1, pending=0), State.OK),
        (Subscriptions(confirmed=0, pending=1), State.ACT),
        (Subscriptions(confirmed=0, pending=0), State.ACT),
        (DENIED, State.UNKNOWN),
    ],
)
def test_a_topic_without_a_confirmed_subscription_tells_nobody(told: Subscriptions | Unseen, state: State) -> None:
    assert _of(stacks.heard(stacks.ENROLMENT, STACK, {TOPIC: told}), "alarms-heard").state is state


def test_alarms_without_a_topic_are_worth_knowing() -> None:
    silent = replace(STACK, parameters={})

    assert _of(stacks.heard(stacks.ENROLMENT, silent, {}), "alarms-heard").state is State.ADVICE


def test_every_command_that_deploys_says_the_way_in() -> None:
    """As the command line asks for it each time."""
    storm = replace(SEEN, planned=5_000, enrolment=STACK)
    told = [
        _of(quotas.quotas(storm), "api-throttle").command,
        _of(quotas.quotas(replace(storm, enrolment="en")), "api-throttle").command,
        _of(network.endpoint(STACK, None, region="eu-central-1"), "vpc-endpoint").command,
        _of(network.endpoint(STACK, replace(ENDPOINT, private_dns=False), region="x"), "vpc-endpoint").command,
    ]

    again = "moorings enrolment deploy --stack-name moorings-enrolment"
    way_in = "--vpc-endpoint vpce-0123456789abcdef0 --no-allow-network-proof"
    assert told == [
        f"{again} {way_in} --parameter DefaultPoolGrantsPerHour=5000",
        "moorings enrolment deploy --stack-name en --vpc VPC --subnet SUBNET --cidr CIDR --allow-network-proof"
        " --parameter DefaultPoolGrantsPerHour=5000",
        f"{again} --vpc-endpoint VPCE --no-allow-network-proof",
        f"{again} {way_in} --parameter InvokeUrlStyle=endpoint-host",
    ]


def test_what_was_changed_by_hand_is_put_back_or_shown_by_one_command_of_any_aws_cli() -> None:
    slow = replace(AS_DEPLOYED, settings={**AS_DEPLOYED.settings, "Timeout": "3", "MemorySize": "128"})
    look = "aws cloudformation detect-stack-resource-drift --stack-name moorings-enrolment --logical-resource-id"

    told = [
        _of(stacks.function(stacks.ENROLMENT, STACK, KEEPER, slow), "function-drift").command,
        _of(
            stacks.function(stacks.ENROLMENT, STACK, KEEPER, replace(slow, variables=frozenset())), "function-drift"
        ).command,
        _of(stacks.alarms(stacks.ENROLMENT, STACK, {}), "alarms-there").command,
        *(each.command for each in stacks.keeper(stacks.ENROLMENT, STACK, schedule=None, logged=None, now=NOW)),
    ]

    assert told == [
        "aws lambda update-function-configuration --function-name keeper-1 --timeout 300 --memory-size 256",
        f"{look} KeeperFunction",
        f"{look} KeeperErrorsAlarm",
        f"{look} KeeperSchedule",
        "aws logs filter-log-events --log-group-name /aws/lambda/keeper --start-time 1795345200000"
        " --query 'events[].[message]' --output text",
    ]


def test_the_command_that_deploys_can_be_run_as_it_stands() -> None:
    back = replace(STACK, status="UPDATE_ROLLBACK_COMPLETE")

    again = _of(stacks.status(stacks.ENROLMENT, STACK.name, back), "stack-status").command
    first = _of(stacks.status(stacks.PATCHING, "p", None), "stack-status").command

    way_in = "--vpc-endpoint vpce-0123456789abcdef0 --no-allow-network-proof"
    assert again == f"moorings enrolment deploy --stack-name moorings-enrolment {way_in}"
    assert first == "moorings patch deploy --stack-name p --scope /subscriptions/ID"


def test_anchors_that_end_are_told_one_by_one() -> None:
    found = credentials.anchors(
        ("Root A ends at 2026-12-01: moorings anchors update", "Root B is expired (2026-01-01)")
    )

    assert [each.state for each in found] == [State.ACT, State.ACT]
    assert _of(credentials.anchors(()), "anchors").state is State.OK
    assert _of(credentials.anchors(None), "anchors").state is State.ADVICE


@pytest.mark.parametrize(
    ("stored", "state"),
    [
        (Parameter(name="/m/secret", expires_at=NOW + timedelta(days=200)), State.OK),
        (Parameter(name="/m/secret", expires_at=NOW + timedelta(days=29)), State.ACT),
        (Parameter(name="/m/secret", expires_at=None), State.UNKNOWN),
        (None, State.ACT),
        (DENIED, State.UNKNOWN),
    ],
)
def test_a_certificate_tells_its_end_and_a_secret_does_not(stored: Any, state: State) -> None:
    found = credentials.parameters(STACK, {"/m/secret": stored}, federated=False, now=NOW)

    assert _of(found, "azure-parameters").state is state


def test_credentials_that_are_not_stored_are_one_thing_to_do() -> None:
    found = credentials.parameters(STACK, {"/m/tenant": None, "/m/client": None}, federated=False, now=NOW)

    assert [(each.subject, each.what) for each in found] == [("/m/tenant, /m/client", "are not stored")]


@pytest.mark.parametrize(
    ("issues", "federated", "state"),
    [(True, True, State.OK), (False, True, State.ACT), (DENIED, True, State.UNKNOWN), (False, False, State.ADVICE)],
)
def test_a_federated_stack_needs_the_accounts_issuer(issues: Any, federated: bool, state: State) -> None:
    assert _of(credentials.federation(STACK, issues, federated=federated), "azure-federation").state is state


def test_a_runtime_without_the_call_is_told_apart_from_other_failures() -> None:
    old = Unseen("'STS' object has no attribute 'get_web_identity_token'")

    assert _of(credentials.sign_in(STACK, old, "f", now=NOW), "azure-sign-in").state is State.ACT
    assert _of(credentials.sign_in(STACK, Unseen("timed out"), "f", now=NOW), "azure-sign-in").state is State.UNKNOWN


def test_what_the_function_says_of_its_credentials_is_passed_on_and_nothing_of_the_vm_that_cannot_be() -> None:
    answer = {
        "Findings": [
            {"subject": "credentials", "state": "wrong", "what": "AADSTS700016", "remedy": "name the application"},
            {"subject": "vm", "state": "wrong", "what": "Azure shows no VM", "remedy": "check the id"},
        ]
    }
    found = _of(credentials.sign_in(STACK, answer, "f", now=NOW), "azure-sign-in")

    assert (found.state, found.what, found.means) == (State.ACT, "AADSTS700016", "name the application")
    assert credentials.sign_in(STACK, None, "f", now=NOW) == []


def test_a_bucket_that_is_open_says_how_to_close_it() -> None:
    found = credentials.bucket("b", Bucket(name="b", encrypted=False, versioned=False, private=False))

    assert [each.command.split()[2] for each in found] == [
        "put-bucket-encryption",
        "put-bucket-versioning",
        "put-public-access-block",
    ]
    assert all(" --bucket b --" in each.command for each in found)
    closed = Bucket(name="b", encrypted=True, versioned=True, private=True)
    assert _of(credentials.bucket("b", closed), "artifact-bucket").state is State.OK


class _Holder:
    """An identity with given statements of the policy, asked as IAM would ask: by actions, resources and context."""

    def __init__(self, *held: Statement) -> None:
        self._held = held
        self.asked: list[Question] = []

    def simulated(self, arn: str, question: Question) -> dict[tuple[str, str], bool]:
        assert arn == "arn:aws:iam::111122223333:role/Deployer"
        self.asked.append(question)
        brought = dict(question.context)
        pairs = [(action, resource) for action in question.actions for resource in question.resources]
        return {pair: any(_allows(each, pair, brought) for each in self._held) for pair in pairs}

    def role(self, name: str) -> str:
        assert name == "Deployer"
        return "arn:aws:iam::111122223333:role/Deployer"

    def __getattr__(self, name: str) -> Any:
        return lambda *_: ROLE if name == "caller" else None


def _allows(statement: Statement, pair: tuple[str, str], brought: dict[str, Any]) -> bool:
    action, resource = pair
    wanted = [(key, values) for tests in statement.conditions.values() for key, values in tests.items()]
    fits = all(
        any(fnmatchcase(one, value) for one in brought.get(key, ()) for value in values) for key, values in wanted
    )
    return action in statement.actions and fits and any(fnmatchcase(resource, each) for each in statement.resources)


RIGHTS = Ask(
    region="eu-central-1", enrolment="moorings-enrolment", patching="moorings-patching",
    groups=frozenset({Group.RIGHTS}),
)  # fmt: skip


def _told(*held: Statement) -> tuple[Finding, ...]:
    probes: Any = _Holder(*held)
    return examine(RIGHTS, probes).needing_action


def test_whoever_holds_just_the_policy_lacks_nothing() -> None:
    assert _told(*statements(PLACE)) == ()


def test_whoever_may_do_everything_is_asked_in_few_calls() -> None:
    everything = [replace(each, resources=("*",)) for each in statements(PLACE)]
    probes: Any = _Holder(*everything)

    assert examine(RIGHTS, probes).well
    # Direct calls, calls through CloudFormation, and what has further conditions.
    assert len(probes.asked) <= 8


@pytest.mark.parametrize(
    ("sid", "action"), [("Tables", "dynamodb:UpdateTimeToLive"), ("FunctionRoles", "iam:PassRole")]
)
def test_one_action_less_is_the_one_that_is_named(sid: str, action: str) -> None:
    held = [
        replace(each, actions=tuple(one for one in each.actions if one != action)) if each.sid == sid else each
        for each in statements(PLACE)
    ]

    (found,) = _told(*held)

    assert found.means.startswith(f"{action}: needed to {PURPOSES[sid]};")


def test_a_right_for_one_half_alone_is_not_enough_for_both() -> None:
    held = [
        replace(each, resources=tuple(one for one in each.resources if "moorings-patching" not in one))
        if each.sid == "Functions"
        else each
        for each in statements(PLACE)
    ]

    (found,) = _told(*held)

    assert ": needed to make the functions;" in found.means


def test_a_right_that_holds_for_direct_calls_alone_is_none_for_cloudformation() -> None:
    through = _statement("Dashboards")

    (found,) = _told(
        *(each for each in statements(PLACE) if each != through),
        replace(through, conditions={"StringEquals": {"aws:CalledVia": ("x",)}}),
    )

    assert ": needed to make the dashboards;" in found.means


class _Signed:
    """A session of a role that has a path, as IAM Identity Center makes them; `found`: what IAM says of the role."""

    def __init__(self, found: str | Unseen | None) -> None:
        self._found = found
        self.asked: set[str] = set()

    def role(self, name: str) -> str | Unseen | None:
        assert name == "Deployer"
        return self._found

    def simulated(self, arn: str, question: Question) -> dict[tuple[str, str], bool]:
        self.asked.add(arn)
        return {(action, resource): True for action in question.actions for resource in question.resources}

    def __getattr__(self, name: str) -> Any:
        return lambda *_: ROLE if name == "caller" else None


IN_A_PATH = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/Deployer"


@pytest.mark.parametrize(
    ("found", "asked"),
    [(IN_A_PATH, IN_A_PATH), (DENIED, "arn:aws:iam::111122223333:role/Deployer")],
)
def test_rights_are_asked_of_the_role_behind_a_session_with_its_path(found: str | Unseen, asked: str) -> None:
    probes: Any = _Signed(found)

    assert examine(RIGHTS, probes).well
    assert probes.asked == {asked}


class _Cut:
    """Nobody is signed in; whatever else is asked of AWS would have to wait for nothing."""

    def caller(self) -> Unseen:
        return Unseen("sts:GetCallerIdentity refused the AWS credentials: Signature expired")

    def ahead(self) -> timedelta:
        return timedelta(minutes=20)

    def anchors(self) -> None:
        return None


def test_whoever_is_not_signed_in_is_told_that_once_and_what_lies_on_this_computer() -> None:
    """The clock among it, which may be the reason: even a refusal is dated."""
    probes: Any = _Cut()

    told = [(each.check, each.state) for each in examine(replace(RIGHTS, groups=frozenset(Group)), probes).findings]

    assert told == [("caller", State.ACT), ("clock-skew", State.ACT), ("anchors", State.ADVICE)]
    (alone,) = examine(replace(RIGHTS, groups=frozenset({Group.QUOTAS})), probes).findings
    assert alone.check == "caller"


def test_a_topic_of_both_halves_is_told_of_once() -> None:
    class Shared(_Blind):
        def stack(self, _name: str) -> Any:
            return replace(STACK, name="one", resources=())

        def alarms(self, _names: Any) -> dict[str, Alarm]:
            return {}

        def subscriptions(self, _topic: str) -> Subscriptions:
            return Subscriptions(confirmed=0, pending=0)

    probes: Any = Shared()

    report = examine(replace(RIGHTS, groups=frozenset({Group.ALARMS})), probes)

    assert [each.subject for each in report.needing_action] == [TOPIC]


class _Blind:
    """Somebody who may look at nothing."""

    def simulated(self, _arn: str, _question: Question) -> Unseen:
        return Unseen("iam:SimulatePrincipalPolicy is not allowed")

    def caller(self) -> Caller:
        return ROLE

    def stack(self, _name: str) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        call = {"lambda_limits": "lambda:GetAccountSettings", "bucket": "s3:GetBucketVersioning"}
        return lambda *_: Unseen(f"{call.get(name, 'ssm:GetServiceSetting')} is not allowed")


def test_whoever_may_not_look_is_shown_the_right_and_no_command_that_would_fail_too() -> None:
    blind: Any = _Blind()
    groups = frozenset({Group.RIGHTS, Group.QUOTAS, Group.ARTIFACTS})

    report = examine(replace(RIGHTS, groups=groups), blind)

    told = {each.check: each.command for each in report.findings if each.state is State.UNKNOWN}
    assert told["rights"] == told["lambda-concurrency"] == told["hybrid-tier"] == "moorings policy doctor"
    assert told["artifact-bucket"] == "moorings policy shared"


def test_the_policy_that_is_shown_is_that_of_the_stacks_that_were_asked_about() -> None:
    probes: Any = _Holder()

    found = examine(replace(RIGHTS, enrolment="edge"), probes).needing_action

    assert found
    assert all(each.command.endswith(" --enrolment-stack edge") for each in found)
