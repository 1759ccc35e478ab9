"""The verdict on calls of roles and nodes, against moto's IAM, KMS and Parameter Store."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from localcloud.errors import ServiceError
from localcloud.principals import Kind

ME = "arn:aws:sts::300000000017:assumed-role/f/session"
HERE = "us-east-1:300000000017"
TRUST_SSM = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
CODE = f"arn:aws:ssm:{HERE}:parameter/m/code"
READ = ("ssm", "GetParameter", {"Name": "/m/code", "WithDecryption": True})
GET_ITEM = ("dynamodb", "GetItem", {"TableName": "t", "Key": {"pk": {"S": "x"}}})
Allow = Callable[..., dict[str, Any]]


def deny(action: str) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": "*"}


def code_parameter(account: Any, **key: str) -> str:
    """A SecureString under a key of its own; answers with the key's ARN."""
    made = account.client("kms").create_key(**key)["KeyMetadata"]["Arn"]
    account.client("ssm").put_parameter(Name="/m/code", Value="v", Type="SecureString", KeyId=made)
    return str(made)


def test_an_allowed_call_answers_with_the_actions_it_needed(account: Any, allow: Allow) -> None:
    account.role("f", allow(["dynamodb:GetItem"], f"arn:aws:dynamodb:{HERE}:table/t"))

    assert account.ask(*GET_ITEM) == ("dynamodb:GetItem",)


def test_a_missing_right_is_refused_in_the_words_of_aws(account: Any, allow: Allow) -> None:
    account.role("f", allow("dynamodb:GetItem", f"arn:aws:dynamodb:{HERE}:table/other"))

    with pytest.raises(ServiceError) as refusal:
        account.ask(*GET_ITEM)

    assert (refusal.value.code, refusal.value.status) == ("AccessDeniedException", 400)
    assert refusal.value.message == (
        f"User: {ME} is not authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:{HERE}:table/t "
        "because no identity-based policy allows the dynamodb:GetItem action"
    )


def test_an_explicit_deny_says_so(account: Any, allow: Allow) -> None:
    account.role("f", allow("*"), deny("dynamodb:*"))

    with pytest.raises(ServiceError, match=r"with an explicit deny in an identity-based policy$"):
        account.ask(*GET_ITEM)


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "status"),
    [
        ("lambda", "Invoke", {"FunctionName": "k"}, "AccessDeniedException", 403),
        ("s3", "GetObject", {"Bucket": "b", "Key": "k"}, "AccessDenied", 403),
        ("sns", "Publish", {"TopicArn": f"arn:aws:sns:{HERE}:t"}, "AuthorizationError", 403),
        ("cloudwatch", "PutMetricData", {"Namespace": "N"}, "AccessDenied", 403),
        ("ssm", "DescribeActivations", {}, "AccessDeniedException", 400),
        ("ec2", "DescribeInstances", {}, "UnauthorizedOperation", 403),
    ],
)
def test_each_service_has_its_own_code(
    account: Any, service: str, operation: str, params: dict[str, Any], code: str, status: int
) -> None:
    account.role("f")

    with pytest.raises(ServiceError) as refusal:
        account.ask(service, operation, params)

    assert (refusal.value.code, refusal.value.status) == (code, status)


def test_what_the_table_does_not_know_is_refused_by_name_whatever_the_policy(account: Any, allow: Allow) -> None:
    account.role("f", allow("*"))

    with pytest.raises(ServiceError, match="ec2:TerminateInstances, whose IAM rights the local cloud does not know"):
        account.ask("ec2", "TerminateInstances", {})


def test_the_operator_may_do_everything(account: Any) -> None:
    assert account.ask("ec2", "TerminateInstances", {}, kind=Kind.ROOT) == ()


def test_a_call_without_what_it_needs_is_invalid_before_it_is_denied(account: Any) -> None:
    account.role("f")

    with pytest.raises(ServiceError, match="'TableName'") as refusal:
        account.ask("dynamodb", "GetItem", {})

    assert refusal.value.code == "ValidationException"


def test_a_role_that_is_gone_may_do_nothing(account: Any) -> None:
    with pytest.raises(ServiceError, match="no identity-based policy"):
        account.ask(*GET_ITEM, role="gone")


def test_a_customer_managed_policy_counts_in_its_default_version(account: Any, allow: Allow) -> None:
    iam = account.client("iam")
    account.role("f")
    narrow = {"Version": "2012-10-17", "Statement": [allow("s3:GetObject")]}
    wide = {"Version": "2012-10-17", "Statement": [allow("dynamodb:*")]}
    arn = iam.create_policy(PolicyName="mine", PolicyDocument=json.dumps(narrow))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="f", PolicyArn=arn)
    with pytest.raises(ServiceError):
        account.ask(*GET_ITEM)

    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(wide), SetAsDefault=True)

    assert account.ask(*GET_ITEM) == ("dynamodb:GetItem",)


def test_aws_managed_policies_have_their_real_content(account: Any) -> None:
    account.role("f")
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"

    account.client("iam").attach_role_policy(RoleName="f", PolicyArn=arn)

    params = {"logGroupName": "/aws/lambda/f", "logStreamName": "s"}
    assert account.ask("logs", "PutLogEvents", params) == ("logs:PutLogEvents",)
    with pytest.raises(ServiceError):
        account.ask("cloudwatch", "PutMetricData", {"Namespace": "N"})


def test_an_aws_managed_policy_that_does_not_exist_cannot_be_attached(account: Any) -> None:
    account.role("f")
    iam = account.client("iam")

    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.attach_role_policy(RoleName="f", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMEverything")


def test_a_permissions_boundary_narrows_what_policies_allow(account: Any, allow: Allow) -> None:
    boundary = {"Version": "2012-10-17", "Statement": [allow("s3:*")]}
    made = account.client("iam").create_policy(PolicyName="edge", PolicyDocument=json.dumps(boundary))
    account.role("f", allow("*"), PermissionsBoundary=made["Policy"]["Arn"])

    with pytest.raises(ServiceError, match="because no permissions boundary allows the dynamodb:GetItem action"):
        account.ask(*GET_ITEM)


@pytest.mark.parametrize(
    "condition",
    [
        {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::300000000017:role/path/f"}},
        {"StringEquals": {"aws:RequestedRegion": "us-east-1", "aws:PrincipalAccount": "300000000017"}},
        {"StringEquals": {"aws:PrincipalTag/Team": "web", "aws:ResourceAccount": "300000000017"}},
        {"Bool": {"aws:SecureTransport": "true", "aws:ViaAWSService": "false"}},
        {"DateLessThan": {"aws:CurrentTime": "2026-11-22T00:00:00Z"}},
        {"Null": {"aws:SourceVpce": "true", "aws:SourceVpc": "true"}},
        {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["x"]}},
    ],
)
def test_the_keys_of_a_call_are_there(account: Any, allow: Allow, condition: dict[str, Any]) -> None:
    account.role("f", allow("*", **condition), Path="/path/", Tags=[{"Key": "Team", "Value": "web"}])

    assert account.ask(*GET_ITEM)


def test_rights_on_leading_keys_are_told_apart(account: Any, allow: Allow) -> None:
    account.client("dynamodb").create_table(
        TableName="t",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    only = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["mine"]}}
    account.role("f", allow("dynamodb:GetItem", **only))

    assert account.ask("dynamodb", "GetItem", {"TableName": "t", "Key": {"pk": {"S": "mine"}}})
    with pytest.raises(ServiceError):
        account.ask(*GET_ITEM)


# ---- Activations ----------------------------------------------------------------------------------------------------


def test_creating_an_activation_needs_the_role_to_be_passed_to_systems_manager(account: Any, allow: Allow) -> None:
    node_role = account.role("nodes", trust=TRUST_SSM, Path="/mine/")
    to_ssm = {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}}
    account.role("f", allow("ssm:CreateActivation"), allow("iam:PassRole", node_role, **to_ssm))

    assert account.ask("ssm", "CreateActivation", {"IamRole": "nodes"}) == ("ssm:CreateActivation", "iam:PassRole")


def test_passing_a_role_to_another_service_does_not_do(account: Any, allow: Allow) -> None:
    node_role = account.role("nodes", trust=TRUST_SSM)
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    account.role("f", allow("ssm:CreateActivation"), allow("iam:PassRole", node_role, **to_lambda))

    with pytest.raises(ServiceError, match="iam:PassRole on resource: arn:aws:iam::300000000017:role/nodes because"):
        account.ask("ssm", "CreateActivation", {"IamRole": "nodes"})


def test_passing_another_role_does_not_do(account: Any, allow: Allow) -> None:
    account.role("nodes", trust=TRUST_SSM)
    account.role("f", allow("ssm:CreateActivation"), allow("iam:PassRole", "arn:aws:iam::300000000017:role/others"))

    with pytest.raises(ServiceError, match="iam:PassRole"):
        account.ask("ssm", "CreateActivation", {"IamRole": "nodes"})


def test_tags_on_an_activation_need_their_own_right(account: Any, allow: Allow) -> None:
    account.role("nodes", trust=TRUST_SSM)
    account.role("f", allow(["ssm:CreateActivation", "iam:PassRole"]))
    tagged = {"IamRole": "nodes", "Tags": [{"Key": "Team", "Value": "web"}]}

    assert account.ask("ssm", "CreateActivation", {"IamRole": "nodes"})
    with pytest.raises(ServiceError, match="ssm:AddTagsToResource"):
        account.ask("ssm", "CreateActivation", tagged)


# ---- SecureStrings --------------------------------------------------------------------------------------------------


def test_a_secure_string_needs_the_key_too(account: Any, allow: Allow) -> None:
    key = code_parameter(account)
    account.role("f", allow("ssm:GetParameter", CODE), allow("kms:Decrypt", key))

    assert account.ask(*READ) == ("ssm:GetParameter", "kms:Decrypt")


def test_without_the_key_the_parameter_is_refused_and_the_message_names_kms(account: Any, allow: Allow) -> None:
    code_parameter(account)
    account.role("f", allow("ssm:GetParameter", CODE))

    with pytest.raises(ServiceError) as refusal:
        account.ask(*READ)

    assert refusal.value.code == "AccessDeniedException"
    assert "kms:Decrypt on the resource associated with this ciphertext because no identity-based" in str(refusal.value)
    assert "(Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException" in refusal.value.message


def test_without_decryption_the_key_is_not_asked(account: Any, allow: Allow) -> None:
    code_parameter(account)
    account.role("f", allow("ssm:GetParameter", CODE))

    assert account.ask("ssm", "GetParameter", {"Name": "/m/code"}) == ("ssm:GetParameter",)


@pytest.mark.parametrize(
    ("condition", "granted"),
    [
        ({"StringEquals": {"kms:ViaService": "ssm.us-east-1.amazonaws.com"}}, True),
        ({"StringEquals": {"kms:ViaService": "ssm.eu-west-1.amazonaws.com"}}, False),
        ({"StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"arn:aws:ssm:{HERE}:parameter/m/*"}}, True),
        ({"StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"arn:aws:ssm:{HERE}:parameter/n/*"}}, False),
    ],
)
def test_the_key_may_be_tied_to_the_service_and_the_parameter(
    account: Any, allow: Allow, condition: dict[str, Any], granted: bool
) -> None:
    key = code_parameter(account)
    account.role("f", allow("ssm:*"), allow(["kms:Encrypt", "kms:Decrypt"], key, **condition))
    put = ("ssm", "PutParameter", {"Name": "/m/code", "Value": "v", "Type": "SecureString", "KeyId": key})

    for call, actions in ((READ, ("ssm:GetParameter", "kms:Decrypt")), (put, ("ssm:PutParameter", "kms:Encrypt"))):
        if granted:
            assert account.ask(*call) == actions
        else:
            with pytest.raises(ServiceError, match="kms:"):
                account.ask(*call)


def test_a_right_through_systems_manager_is_no_right_to_the_key_itself(account: Any, allow: Allow) -> None:
    key = code_parameter(account)
    via = {"StringEquals": {"kms:ViaService": "ssm.us-east-1.amazonaws.com"}}
    account.role("f", allow("kms:Decrypt", key, **via))

    with pytest.raises(ServiceError, match="kms:Decrypt"):
        account.ask("kms", "Decrypt", {"KeyId": key, "CiphertextBlob": b"x"})


def test_a_key_policy_that_does_not_delegate_keeps_everybody_out(account: Any, allow: Allow) -> None:
    other = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::300000000017:role/other"}, "Action": "kms:*"}
    policy = {"Version": "2012-10-17", "Statement": [{**other, "Resource": "*"}]}
    code_parameter(account, Policy=json.dumps(policy))
    account.role("f", allow("*"))

    with pytest.raises(ServiceError, match="because no resource-based policy allows the kms:Decrypt action"):
        account.ask(*READ)


def test_a_key_policy_that_names_the_role_needs_no_other_policy(account: Any, allow: Allow) -> None:
    mine = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::300000000017:role/f"}, "Action": "kms:*"}
    code_parameter(account, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{**mine, "Resource": "*"}]}))
    account.role("f", allow("ssm:GetParameter"))

    assert account.ask(*READ) == ("ssm:GetParameter",)


def test_a_key_policy_may_deny(account: Any, allow: Allow) -> None:
    root = {"Effect": "Allow", "Principal": {"AWS": "300000000017"}, "Action": "kms:*", "Resource": "*"}
    never = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    code_parameter(account, Policy=json.dumps({"Version": "2012-10-17", "Statement": [root, never]}))
    account.role("f", allow("*"))

    with pytest.raises(ServiceError, match="with an explicit deny in a resource-based policy"):
        account.ask(*READ)


def test_the_aws_managed_key_is_open_to_the_account_through_systems_manager(account: Any, allow: Allow) -> None:
    account.client("ssm").put_parameter(Name="/m/code", Value="v", Type="SecureString")
    account.role("f", allow("ssm:GetParameter"))

    assert account.ask(*READ) == ("ssm:GetParameter",)


def test_a_key_that_does_not_exist_is_refused_as_such(account: Any, allow: Allow) -> None:
    account.role("f", allow("*"))
    put = {"Name": "/m/new", "Value": "v", "Type": "SecureString", "KeyId": "alias/none"}

    with pytest.raises(ServiceError) as refusal:
        account.ask("ssm", "PutParameter", put)

    assert refusal.value.code == "InvalidKeyId"


def test_reading_a_path_needs_the_keys_of_what_lies_below(account: Any, allow: Allow) -> None:
    code_parameter(account)
    account.role("f", allow("ssm:GetParametersByPath"))
    below = {"Path": "/m", "WithDecryption": True}

    assert account.ask("ssm", "GetParametersByPath", {**below, "WithDecryption": False})
    with pytest.raises(ServiceError, match="kms:Decrypt"):
        account.ask("ssm", "GetParametersByPath", below)


# ---- Roles and nodes ------------------------------------------------------------------------------------------------


def test_a_role_is_assumed_only_if_it_trusts_the_caller(account: Any, allow: Allow) -> None:
    target = account.role("target")
    account.role("f", allow("sts:AssumeRole", target))
    params = {"RoleArn": target, "RoleSessionName": "s"}
    with pytest.raises(ServiceError, match="because no resource-based policy allows the sts:AssumeRole action"):
        account.ask("sts", "AssumeRole", params)

    trust = {"Effect": "Allow", "Principal": {"AWS": "300000000017"}, "Action": "sts:AssumeRole"}
    account.client("iam").update_assume_role_policy(
        RoleName="target", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )

    assert account.ask("sts", "AssumeRole", params) == ("sts:AssumeRole",)


def test_a_node_has_the_rights_of_its_role(account: Any) -> None:
    account.role("nodes", trust=TRUST_SSM)
    heartbeat = ("ssm", "UpdateInstanceInformation", {"InstanceId": "mi-0123456789abcdef0"})
    with pytest.raises(ServiceError, match="ssm:UpdateInstanceInformation"):
        account.ask(*heartbeat, role="nodes", kind=Kind.NODE)

    account.client("iam").attach_role_policy(
        RoleName="nodes", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )

    assert account.ask(*heartbeat, role="nodes", kind=Kind.NODE) == ("ssm:UpdateInstanceInformation",)
    assert account.ask("ec2messages", "GetMessages", {}, role="nodes", kind=Kind.NODE) == ("ec2messages:GetMessages",)


def test_a_node_may_not_deregister_itself(account: Any) -> None:
    account.role("nodes", trust=TRUST_SSM)
    account.client("iam").attach_role_policy(
        RoleName="nodes", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )

    with pytest.raises(ServiceError, match="ssm:DeregisterManagedInstance"):
        account.ask(
            "ssm", "DeregisterManagedInstance", {"InstanceId": "mi-0123456789abcdef0"}, role="nodes", kind=Kind.NODE
        )


def test_what_a_node_signs_with_its_own_key_asks_no_role(account: Any) -> None:
    assert account.ask("ssm", "RequestManagedInstanceRoleToken", {}, role="", kind=Kind.NODE) == ()


@pytest.mark.parametrize("name", ["/code", "code"])
def test_a_secret_outside_every_path_needs_its_key_too(account: Any, allow: Allow, name: str) -> None:
    """`/code` and `code` are one parameter, by whichever name it was stored."""
    account.client("ssm").put_parameter(Name=name, Value="x", Type="SecureString")
    account.role("f", allow("ssm:GetParameter"))
    key = account.client("kms").create_key()["KeyMetadata"]["Arn"]
    account.client("ssm").put_parameter(Name=name, Value="x", Type="SecureString", KeyId=key, Overwrite=True)

    for asked in ("/code", "code"):
        with pytest.raises(ServiceError, match="kms:Decrypt"):
            account.ask("ssm", "GetParameter", {"Name": asked, "WithDecryption": True})
