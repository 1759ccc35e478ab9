"""The exported scripts: enough to deploy, change and remove both halves with the plain AWS CLI, and honest when not."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from botocore.exceptions import WaiterError
from tests.deploy import standin_host
from tests.deploy.conftest import Account, BriefClock, new_account
from tests.deploy.test_enrolment import _activation, _left

from localcloud.cloud import LocalCloud
from moorings.deploy import enrolment
from moorings.deploy.export import export
from moorings.deploy.package import function_platform
from moorings.deploy.stacks import Stack, Stacks

SCOPE = "/subscriptions/11111111-2222-3333-4444-555555555555"
BROKEN = {"Resources": {"Broken": {
    "Type": "AWS::SNS::TopicPolicy", "Properties": {"Topics": ["arn:aws:sns:us-east-1:000000000000:none"],
    "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
}}}  # fmt: skip


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as running, pytest.MonkeyPatch.context() as patched:
        for name, value in running.environment().items():
            patched.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def account(cloud: LocalCloud) -> Account:
    return new_account(cloud)


@pytest.fixture(scope="module")
def folder(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("exported to") / "by hand"  # blanks are nothing special
    return export(directory, platform=function_platform(cloud.function_platform)).directory


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    """The folder of the stand-in for `aws`, and for a `sleep` that does not keep anybody waiting."""
    with TemporaryDirectory(prefix="aws") as directory, standin_host.running(Path(directory)) as folder:
        (folder / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.1\n")
        (folder / "sleep").chmod(0o755)
        yield folder


@pytest.fixture
def aws(cloud: LocalCloud, program: Path) -> dict[str, str]:
    """Surroundings in which `aws` is the stand-in, and the local cloud is AWS."""
    return {**cloud.environment(), "PATH": f"{program}:{os.defpath}", "PYTHONWARNINGS": "ignore"}


@pytest.fixture
def by_policy(cloud: LocalCloud, folder: Path, aws: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same for somebody who holds just the exported policies."""
    iam, role = cloud.client("iam"), "by-hand"
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    # On a path that is passed over when what is left is listed: it is nothing that was deployed.
    iam.create_role(RoleName=role, Path="/service-role/", AssumeRolePolicyDocument=document)
    files = {str(path.relative_to(folder)): path for path in folder.rglob("deployer-policy.json")}
    for name, path in files.items():
        iam.put_role_policy(RoleName=role, PolicyName=name.replace("/", "-"), PolicyDocument=path.read_text())
    assert sorted(files) == ["deployer-policy.json", "enrolment/deployer-policy.json", "patching/deployer-policy.json"]
    yield {**aws, **cloud.environment(cloud.assumed(role))}
    for name in files:
        iam.delete_role_policy(RoleName=role, PolicyName=name.replace("/", "-"))
    iam.delete_role(RoleName=role)


def _command(script: Path, arguments: tuple[str, ...]) -> list[str]:
    return ["/bin/sh", str(script), *arguments]


def _run(script: Path, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(script, arguments), env=env, capture_output=True, text=True, check=False, timeout=200
    )


def _stack(account: Account, name: str) -> Stack | None:
    return Stacks(account.aws, clock=BriefClock()).find(name)


def test_both_halves_are_deployed_changed_and_removed_by_the_scripts(
    account: Account, folder: Path, by_policy: dict[str, str]
) -> None:
    network = (
        f"VpcIdForApiGateway={account.vpc}",
        f"SubnetsForVpcEndpoint={','.join(account.subnets)}",
        "AllowedIPRange=10.0.0.0/8",
        "PrivateDns=no",
    )
    enrolled = _run(
        folder / "deploy.sh", "enrolment", *network, "AllowNetworkProof=yes", "ApiConcurrency=none", env=by_policy
    )
    patching = _run(folder / "deploy.sh", "patching", f"AllowedScopes={SCOPE}", env=by_policy)

    # The only host name that resolves without private DNS names.
    assert re.search(r"^ApiGatewayInvokeURL\thttps://\w+-vpce-", enrolled.stdout, re.MULTILINE), enrolled.stderr
    assert "AWSSystemsManagerAutomationRunbookName\tAzure-PatchVMWithRollback" in patching.stdout, patching.stderr
    _the_bucket_is_private(account)

    # What is not given again keeps its value, tags as well.
    _tag(account, "moorings-enrolment", {"application": "moorings", "cost center": "4 2"})
    changed = _run(folder / "deploy.sh", "enrolment", "LogLevel=DEBUG", env=by_policy)
    assert changed.returncode == 0, changed.stderr
    stack = _stack(account, "moorings-enrolment")
    assert stack is not None
    assert (stack.parameters["LogLevel"], stack.parameters["AllowNetworkProof"]) == ("DEBUG", "yes")
    assert stack.tags == {"application": "moorings", "cost center": "4 2"}

    _activation(account, _deployed(stack.outputs))
    _no_answer_is_taken_for_nothing(account, folder, by_policy)
    removed = [_run(folder / "remove.sh", half, env=by_policy) for half in ("enrolment", "patching")]
    assert [each.returncode for each in removed] == [0, 0], removed
    assert "kept: credentials for Azure below /moorings/azure" in removed[1].stderr
    assert _left(account) == {}


def _no_answer_is_taken_for_nothing(account: Account, folder: Path, env: Mapping[str, str]) -> None:
    """A stack that cannot be looked at may stand, and live by its activations; a list that fails is not empty."""
    for service, operation, stands in (
        ("cloudformation", "DescribeStacks", True),
        ("ssm", "DescribeActivations", False),
        ("s3", "ListObjectVersions", False),
        ("s3", "HeadBucket", False),
    ):
        account.cloud.faults.error(service, operation, status=403, code="AccessDenied")
        stopped = _run(folder / "remove.sh", "enrolment", env=env)
        account.cloud.faults.clear()
        assert stopped.returncode, operation
        assert "403" in stopped.stderr or "AccessDenied" in stopped.stderr, stopped.stderr
        assert bool(_stack(account, "moorings-enrolment")) == stands
        if operation == "DescribeActivations":
            assert "kept: KMS key" in stopped.stderr  # said while it is known
        if service != "s3":
            assert account.aws.client("ssm").describe_activations()["ActivationList"]


@pytest.fixture
def endpoint(account: Account) -> str:
    made = account.aws.client("ec2").create_vpc_endpoint(
        VpcId=account.vpc, ServiceName=f"com.amazonaws.{account.aws.region}.execute-api", VpcEndpointType="Interface"
    )
    return f"VpcEndpointForApiGateway={made['VpcEndpoint']['VpcEndpointId']}"


def test_a_deployment_that_failed_says_why_and_is_done_again_by_the_same_script(
    account: Account, folder: Path, aws: dict[str, str], endpoint: str
) -> None:
    """A stack whose first creation was rolled back can only be deleted; the script does that."""
    given = ("enrolment", endpoint, "AllowNetworkProof=yes", "ApiConcurrency=none")
    nobody = f"CloudwatchLogRoleArn=arn:aws:iam::{account.aws.account}:role/nobody"
    named = {**aws, "STACK": "again", "BUCKET": "ours"}
    account.aws.client("s3").create_bucket(Bucket="ours")

    failed = _run(folder / "deploy.sh", *given, nobody, env=named)
    done = _run(folder / "deploy.sh", *given, "CloudwatchLogRoleArn=", env=named)
    changed = _run(folder / "deploy.sh", "enrolment", nobody, env=named)
    refused = _run(folder / "deploy.sh", "enrolment", "LogLevel=LOUD", env=named)

    assert "deleting stack again, whose creation failed" in done.stderr
    assert "ApiGatewayInvokeURL" in done.stdout, done.stderr
    for each in (failed, changed):
        assert each.returncode == 5
        assert "ApiStage: " in each.stderr.splitlines()[-1]
        assert "CloudWatch Logs role ARN must be set" in each.stderr.splitlines()[-1]
    # What AWS does not begin with has no events, and those of the time before do not explain it.
    assert refused.returncode == 5
    assert "Parameter 'LogLevel' must be one of" in refused.stderr
    assert "stack again is as it was" in refused.stderr.splitlines()[-1]
    assert "ApiStage" not in refused.stderr
    _a_bucket_of_ones_own_is_emptied_and_stays(account, folder, {**aws, "STACK": "again"})


def _a_bucket_of_ones_own_is_emptied_and_stays(account: Account, folder: Path, env: Mapping[str, str]) -> None:
    """Nobody has to remember which it was while the stack stands."""
    s3 = account.aws.client("s3")
    s3.put_object(Bucket="ours", Key="again/notes of mine.txt", Body=b"")
    s3.put_object(Bucket="ours", Key="other/file", Body=b"")

    removed = _run(folder / "remove.sh", "enrolment", env=env)

    assert removed.returncode == 0, removed.stderr
    assert [each["Key"] for each in s3.list_object_versions(Bucket="ours")["Versions"]] == ["other/file"]


def test_what_was_interrupted_is_waited_for_and_finished_by_the_same_script(
    account: Account, folder: Path, aws: dict[str, str], endpoint: str
) -> None:
    """CloudFormation goes on without whoever began it, and takes no other change meanwhile."""
    command = _command(folder / "deploy.sh", ("enrolment", endpoint, "AllowNetworkProof=yes", "ApiConcurrency=none"))
    begun, goes_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        goes_on.wait(60)

    account.cloud.faults.hold("lambda", "CreateFunction", until=wait)
    try:
        with subprocess.Popen(
            command, env={**aws, "STACK": "cut"}, stderr=subprocess.PIPE, start_new_session=True
        ) as one:
            assert begun.wait(60)
            os.killpg(one.pid, signal.SIGINT)
        with subprocess.Popen(command, env={**aws, "STACK": "cut"}, stderr=subprocess.PIPE, text=True) as two:
            assert two.stderr is not None
            assert two.stderr.readline() == "waiting for stack cut, CREATE_IN_PROGRESS\n"
            goes_on.set()
            assert two.wait(100) == 0, two.stderr.read()
    finally:
        goes_on.set()
        account.cloud.faults.clear()
    assert enrolment.remove("cut", aws=account.aws, clock=BriefClock()).stacks == ("cut",)


def test_a_stack_whose_creation_failed_is_removed_like_any_other(
    account: Account, folder: Path, aws: dict[str, str]
) -> None:
    """It has no outputs to go by."""
    formation = account.aws.client("cloudformation")
    formation.create_stack(StackName="broken", TemplateBody=json.dumps(BROKEN))
    with pytest.raises(WaiterError):
        formation.get_waiter("stack_create_complete").wait(StackName="broken", WaiterConfig={"Delay": 1})

    for half in ("patching", "enrolment"):
        removed = _run(folder / "remove.sh", half, env={**aws, "STACK": "broken"})
        assert removed.returncode == 0, removed.stderr
        assert "None" not in removed.stderr
        assert _stack(account, "broken") is None


def test_what_cannot_work_is_said_before_anything_is_made(folder: Path, aws: dict[str, str]) -> None:
    for arguments, told in (
        ((), "say: ./deploy.sh"),
        (("enrolment", "no pair"), "write NAME=VALUE"),
        (("enrolment", "DeletionProtetcion=yes"), "DeletionProtetcion: no parameter of enrolment"),
        (("patching", "AllowedIPRange=10.0.0.0/8"), "no parameter of patching"),
        (("patching", "ArtifactKey=x"), "fills that in"),
    ):
        refused = _run(folder / "deploy.sh", *arguments, env=aws)
        assert (refused.returncode, told in refused.stderr) == (2, True), refused.stderr


@pytest.mark.parametrize("script", ["deploy.sh", "remove.sh"])
@pytest.mark.parametrize("name", ["a b", "1st", "a_b", "-a"])
def test_what_is_no_name_of_a_stack_is_refused_before_anything_is_uploaded(
    folder: Path, aws: dict[str, str], script: str, name: str
) -> None:
    refused = _run(
        folder / script, "enrolment", *(["LogLevel=INFO"] * (script == "deploy.sh")), env={**aws, "STACK": name}
    )

    assert (refused.returncode, refused.stderr) == (2, f"{script}: {name}: no name of a stack\n")


def test_a_script_finds_what_lies_beside_it_from_wherever_it_is_called(folder: Path, aws: dict[str, str]) -> None:
    (folder.parent / "elsewhere" / folder.name).mkdir(parents=True)
    misled = {**aws, "CDPATH": str(folder.parent / "elsewhere")}

    for script in ("deploy.sh", "remove.sh"):
        told = subprocess.run(
            ["/bin/sh", f"{folder.name}/{script}"],
            cwd=folder.parent, env=misled, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert told.stderr.startswith(f"{script}: say: ./{script} enrolment|patching"), told.stderr


def test_without_the_aws_cli_it_is_named(folder: Path) -> None:
    told = _run(folder / "remove.sh", "patching", env={"PATH": os.defpath})

    assert (told.returncode, told.stderr) == (2, "remove.sh: there is no aws on PATH: install the AWS CLI\n")


def _tag(account: Account, stack: str, tags: dict[str, str]) -> None:
    """What somebody does in the console."""
    formation = account.aws.client("cloudformation")
    found = formation.describe_stacks(StackName=stack)["Stacks"][0]
    formation.update_stack(
        StackName=stack,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": each["ParameterKey"], "UsePreviousValue": True} for each in found["Parameters"]],
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    formation.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


def _deployed(outputs: object) -> enrolment.Deployed:
    assert isinstance(outputs, dict)
    return enrolment.Deployed(
        stack="moorings-enrolment", region="", api_url="", vpc_endpoint="", endpoint_stack="",
        node_role=outputs["NodeRoleName"], artifact="", configuration_version=0, outputs=outputs,
    )  # fmt: skip


def _the_bucket_is_private(account: Account) -> None:
    s3, name = account.aws.client("s3"), f"moorings-artifacts-{account.aws.account}-{account.aws.region}"
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
