"""The probes against answers as the services document them, for what the local cloud does not answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from tests.attestation.authority import issue
from tests.deploy.publisher import pem

from moorings.clouds.aws import Aws
from moorings.doctor.aws import AwsProbes
from moorings.doctor.model import Bucket, Caller, LambdaLimits, Parameter, Subscriptions, Unseen
from moorings.doctor.rights import Question

ROLE = "arn:aws:iam::111122223333:role/Deployer"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class _Clock:
    def now(self) -> datetime:
        return NOW

    def wait(self, duration: timedelta) -> None:
        raise AssertionError("the doctor waits for nothing")


@contextmanager
def _answering(service: str, tell: Callable[[Stubber], None]) -> Iterator[AwsProbes]:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name="eu-central-1")
    aws = Aws(region="eu-central-1", session=session)
    with Stubber(aws.client(service)) as stub:
        tell(stub)
        yield AwsProbes(aws, clock=_Clock(), anchors=None)
        stub.assert_no_pending_responses()


QUESTION = Question(
    actions=("s3:GetObject", "kms:CreateKey"),
    resources=("arn:aws:s3:::b/1", "*"),
    context=(("aws:CalledVia", ("cloudformation.amazonaws.com",)), ("iam:PassedToService", ("lambda.amazonaws.com",))),
)


def test_simulated_rights_are_read_by_action_and_resource_over_all_pages() -> None:
    def result(action: str, resource: str, decision: str) -> dict[str, Any]:
        return {"EvalActionName": action, "EvalDecision": decision, "EvalResourceName": resource}

    expected = {
        "PolicySourceArn": ROLE,
        "ActionNames": ["s3:GetObject", "kms:CreateKey"],
        "ResourceArns": ["arn:aws:s3:::b/1", "*"],
        "ContextEntries": [
            {
                "ContextKeyName": "aws:CalledVia",
                "ContextKeyValues": ["cloudformation.amazonaws.com"],
                "ContextKeyType": "stringList",
            },
            {
                "ContextKeyName": "iam:PassedToService",
                "ContextKeyValues": ["lambda.amazonaws.com"],
                "ContextKeyType": "string",
            },
        ],
    }

    def tell(stub: Stubber) -> None:
        first = {
            "EvaluationResults": [result("s3:GetObject", "arn:aws:s3:::b/1", "allowed")],
            "IsTruncated": True,
            "Marker": "m",
        }
        rest = [result("s3:GetObject", "*", "implicitDeny"), result("kms:CreateKey", "*", "explicitDeny")]
        stub.add_response("simulate_principal_policy", first, expected)
        stub.add_response("simulate_principal_policy", {"EvaluationResults": rest, "IsTruncated": False})

    with _answering("iam", tell) as probes:
        found = probes.simulated(ROLE, QUESTION)

    assert found == {
        ("s3:GetObject", "arn:aws:s3:::b/1"): True,
        ("s3:GetObject", "*"): False,
        ("kms:CreateKey", "*"): False,
    }


def test_who_may_not_simulate_sees_why() -> None:
    def tell(stub: Stubber) -> None:
        stub.add_client_error("simulate_principal_policy", "AccessDenied", "not authorized", http_status_code=403)

    with _answering("iam", tell) as probes:
        found = probes.simulated(ROLE, QUESTION)

    assert isinstance(found, Unseen)
    assert "iam:SimulatePrincipalPolicy" in found.why


def test_the_accounts_concurrency() -> None:
    limit = {
        "TotalCodeSize": 80_530_636_800, "CodeSizeUnzipped": 262_144_000, "CodeSizeZipped": 52_428_800,
        "ConcurrentExecutions": 1_000, "UnreservedConcurrentExecutions": 950,
    }  # fmt: skip
    with _answering(
        "lambda", lambda stub: stub.add_response("get_account_settings", {"AccountLimit": limit})
    ) as probes:
        assert probes.lambda_limits() == LambdaLimits(total=1_000, unreserved=950)


def test_a_quota_and_one_that_does_not_exist() -> None:
    def tell(stub: Stubber) -> None:
        asked = {"ServiceCode": "ssm", "QuotaCode": "L-09101E66"}
        stub.add_response("get_service_quota", {"Quota": {**asked, "Value": 300.0}}, asked)
        stub.add_client_error("get_service_quota", "NoSuchResourceException", "no such quota")

    with _answering("service-quotas", tell) as probes:
        assert probes.quota("ssm", "L-09101E66") == 300.0
        assert isinstance(probes.quota("ssm", "L-0"), Unseen)


@pytest.mark.parametrize(("told", "ahead"), [("Sun, 22 Nov 2026 11:57:00 GMT", timedelta(minutes=3)), ("", None)])
def test_the_clock_is_held_against_the_answers_date(told: str, ahead: timedelta | None) -> None:
    answer = {
        "Arn": ROLE, "Account": "111122223333", "UserId": "AROAEXAMPLE",
        "ResponseMetadata": {"HTTPHeaders": {"date": told} if told else {}},
    }  # fmt: skip

    def tell(stub: Stubber) -> None:
        stub.add_response("get_caller_identity", answer)
        stub.add_response("get_caller_identity", answer)

    with _answering("sts", tell) as probes:
        assert probes.caller() == Caller(arn=ROLE, account="111122223333")
        assert probes.ahead() == ahead


def test_a_refusal_because_of_the_clock_is_dated_too() -> None:
    dated = {"HTTPHeaders": {"date": "Sun, 22 Nov 2026 11:40:00 GMT"}}

    def tell(stub: Stubber) -> None:
        stub.add_client_error("get_caller_identity", "SignatureDoesNotMatch", "expired", response_meta=dated)

    with _answering("sts", tell) as probes:
        assert probes.ahead() == timedelta(minutes=20)


def test_a_role_is_found_with_its_path() -> None:
    arn = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef"
    described = {
        "Path": "/aws-reserved/sso.amazonaws.com/", "RoleName": "r", "RoleId": "AROAEXAMPLEEXAMPLE", "Arn": arn,
        "CreateDate": NOW,
    }  # fmt: skip

    def tell(stub: Stubber) -> None:
        stub.add_response("get_role", {"Role": described}, {"RoleName": "r"})
        stub.add_client_error("get_role", "NoSuchEntity")
        stub.add_client_error("get_role", "AccessDenied", "no")

    with _answering("iam", tell) as probes:
        assert probes.role("r") == arn
        assert probes.role("r") is None
        assert isinstance(probes.role("r"), Unseen)


@pytest.mark.parametrize(
    ("events", "logged"),
    [
        ([NOW - timedelta(minutes=4), NOW - timedelta(minutes=1)], NOW - timedelta(minutes=1)),
        ([], NOW - timedelta(hours=3)),
    ],
)
def test_a_keeper_that_works_is_not_silent_because_its_stream_tells_so_late(
    events: list[datetime], logged: datetime
) -> None:
    """The service brings a stream's last event up to date within an hour, or later."""

    def milliseconds(moment: datetime) -> int:
        return int(moment.timestamp() * 1000)

    def tell(stub: Stubber) -> None:
        late = {"logStreamName": "s", "lastEventTimestamp": milliseconds(NOW - timedelta(hours=3))}
        stub.add_response("describe_log_streams", {"logStreams": [late]})
        stub.add_response(
            "filter_log_events",
            {"events": [{"timestamp": milliseconds(each), "message": "x"} for each in events]},
            {"logGroupName": "g", "startTime": milliseconds(NOW - timedelta(hours=1))},
        )

    with _answering("logs", tell) as probes:
        assert probes.last_logged("g") == logged


def test_a_log_that_nobody_wrote_to_tells_nothing_and_neither_does_one_that_is_gone() -> None:
    def tell(stub: Stubber) -> None:
        stub.add_response("describe_log_streams", {"logStreams": []})
        stub.add_response("filter_log_events", {"events": []})
        stub.add_client_error("describe_log_streams", "ResourceNotFoundException")

    with _answering("logs", tell) as probes:
        assert probes.last_logged("g") is None
        assert probes.last_logged("g") is None


def test_each_call_that_is_not_allowed_is_named_for_itself() -> None:
    """The right of that name is what is missing."""

    def tell(stub: Stubber) -> None:
        stub.add_response("get_bucket_versioning", {})
        stub.add_client_error("get_bucket_encryption", "AccessDenied", "no")

    with _answering("s3", tell) as probes:
        probes._aws._account = "111122223333"
        assert probes.bucket("b") == Unseen("s3:GetEncryptionConfiguration is not allowed: no")

    with _answering("lambda", lambda stub: stub.add_client_error("invoke", "AccessDeniedException", "no")) as probes:
        assert probes.asked("f", {}) == Unseen("lambda:InvokeFunction is not allowed: no")

    with _answering("sns", lambda stub: stub.add_client_error("list_subscriptions_by_topic", "AuthorizationError")) as (
        probes
    ):
        denied = probes.subscriptions("t")
        assert isinstance(denied, Unseen)
        assert denied.why.startswith("sns:ListSubscriptionsByTopic is not allowed")


def test_a_setting_of_systems_manager() -> None:
    setting = {"ServiceSetting": {"SettingId": "/ssm/parameter-store/high-throughput-enabled", "SettingValue": "true"}}
    with _answering("ssm", lambda stub: stub.add_response("get_service_setting", setting)) as probes:
        assert probes.service_setting("/ssm/parameter-store/high-throughput-enabled") == "true"


def test_a_certificates_end_is_read_and_its_value_kept_nowhere() -> None:
    certificate = pem(issue("an application")).decode()

    def tell(stub: Stubber) -> None:
        stub.add_response("get_parameter", {"Parameter": {"Name": "/m/s", "Value": certificate}})
        stub.add_response("get_parameter", {"Parameter": {"Name": "/m/s", "Value": "a client secret"}})
        stub.add_client_error("get_parameter", "ParameterNotFound")
        stub.add_client_error("get_parameter", "AccessDeniedException", "no")

    with _answering("ssm", tell) as probes:
        found = probes.parameter("/m/s")
        assert isinstance(found, Parameter)
        assert found.expires_at is not None
        assert probes.parameter("/m/s") == Parameter(name="/m/s", expires_at=None)
        assert probes.parameter("/m/s") is None
        assert isinstance(probes.parameter("/m/s"), Unseen)


def test_only_a_subscription_with_an_arn_is_confirmed() -> None:
    arns = ["arn:aws:sns:eu-central-1:111122223333:alarms:1", "PendingConfirmation"]
    told = {"Subscriptions": [{"SubscriptionArn": each} for each in arns]}
    with _answering("sns", lambda stub: stub.add_response("list_subscriptions_by_topic", told)) as probes:
        assert probes.subscriptions("t") == Subscriptions(confirmed=1, pending=1)


def test_a_bucket_that_was_made_without_settings_has_none() -> None:
    def tell(stub: Stubber) -> None:
        stub.add_response("get_bucket_versioning", {})
        stub.add_client_error("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError")
        stub.add_client_error("get_public_access_block", "NoSuchPublicAccessBlockConfiguration")

    with _answering("s3", tell) as probes:
        probes._aws._account = "111122223333"
        assert probes.bucket("b") == Bucket(name="b", encrypted=False, versioned=False, private=False)


def test_an_account_whose_federation_is_off() -> None:
    def tell(stub: Stubber) -> None:
        stub.add_client_error("get_outbound_web_identity_federation_info", "FeatureDisabled")
        stub.add_response(
            "get_outbound_web_identity_federation_info",
            {"IssuerIdentifier": "https://id.tokens.sts.global.api.aws", "JwtVendingEnabled": True},
        )

    with _answering("iam", tell) as probes:
        assert probes.issues_identities() is False
        assert probes.issues_identities() is True
