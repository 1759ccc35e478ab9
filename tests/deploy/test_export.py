"""The exported folder: complete, the same every time, and enough to deploy and remove by its own scripts alone."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.deploy import standin_host
from tests.deploy.conftest import Account, BriefClock, new_account
from tests.deploy.test_enrolment import _activation, _left

from localcloud.cloud import LocalCloud
from moorings.deploy import enrolment, export, templates
from moorings.deploy.export import Exported
from moorings.deploy.halves import Half
from moorings.deploy.package import FunctionPlatform, Package, build_layer, function_platform
from moorings.deploy.stacks import Stacks
from moorings.errors import Misconfigured, Refused

SCOPE = "/subscriptions/11111111-2222-3333-4444-555555555555"


@cache
def _layer(name: str, *, platform: FunctionPlatform, anchors: Path | None = None) -> Package:
    return build_layer(name, platform=platform, anchors=anchors)


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as running, pytest.MonkeyPatch.context() as patched:
        patched.setattr(export, "build_layer", _layer)
        for name, value in running.environment().items():
            patched.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def account(cloud: LocalCloud) -> Account:
    return new_account(cloud)


def _export(cloud: LocalCloud, directory: Path, *, halves: tuple[Half, ...] = tuple(Half)) -> Exported:
    return export.export(directory, halves=halves, platform=function_platform(cloud.function_platform))


@pytest.fixture(scope="module")
def folder(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _export(cloud, tmp_path_factory.mktemp("exported") / "by-hand").directory


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    """The folder of the stand-in for `aws`."""
    with TemporaryDirectory(prefix="aws") as directory, standin_host.running(Path(directory)) as folder:
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


def _run(script: Path, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(script), *arguments], env=env, capture_output=True, text=True, check=False, timeout=200
    )


def test_the_same_sources_give_the_same_folder(cloud: LocalCloud, folder: Path, tmp_path: Path) -> None:
    _export(cloud, tmp_path / "again")

    first, second = (_contents(each) for each in (folder, tmp_path / "again"))
    assert first == second


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_checksums_are_those_of_everything_beside_them(folder: Path) -> None:
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    listed = {name: digest for digest, name in lines}

    files = _contents(folder)
    del files["SHA256SUMS"]
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_templates_fit_into_a_request_and_know_their_files(folder: Path) -> None:
    for template in folder.rglob("*.yaml"):
        assert template.stat().st_size <= 51_200
    for half in Half:
        found = templates.defaults((folder / half.value / "stack.yaml").read_text())
        for key in {"ArtifactKey", "RunbookKey", "LambdaLayerS3Key"} & found.keys():
            prefix, _, name = found[key].partition("/")
            assert prefix == f"moorings-{half.value}"
            assert (folder / half.value / name).is_file()


def test_whoever_updates_in_the_console_is_told_the_keys_that_it_would_keep(folder: Path) -> None:
    """It shows a stack's own values in place of a template's new defaults."""
    told = (folder / "README.txt").read_text().split("Update in the console")[1]

    for half in Half:
        defaults = templates.defaults((folder / half.value / "stack.yaml").read_text())
        for parameter in {"ArtifactKey", "RunbookKey", "LambdaLayerS3Key"} & defaults.keys():
            assert f"{half.value}: {parameter}\n       {defaults[parameter]}\n" in told


def test_nothing_is_left_to_fill_in(folder: Path) -> None:
    for name in ("README.txt", "deploy.sh", "remove.sh"):
        assert "@" not in (folder / name).read_text().replace('"$@"', "")


def test_one_half_alone(cloud: LocalCloud, tmp_path: Path, aws: dict[str, str]) -> None:
    done = _export(cloud, tmp_path / "half", halves=(Half.ENROLMENT,))

    assert not [name for name in done.files if name.startswith("patching")]
    assert "patching" not in (tmp_path / "half" / "README.txt").read_text().replace("moorings-patching", "")
    refused = _run(tmp_path / "half" / "deploy.sh", "patching", f"AllowedScopes={SCOPE}", env=aws)
    assert (refused.returncode, "exported without patching" in refused.stderr) == (2, True)


def test_a_directory_that_holds_something_is_left_alone(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")

    with pytest.raises(Refused, match="is not empty"):
        _export(cloud, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_is_not_taken_for_a_directory(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")

    with pytest.raises(Refused, match="mine is a file"):
        _export(cloud, tmp_path / "mine")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_could_not_be_written_whole_is_taken_away_and_can_be_written_again(
    cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, trouble: BaseException
) -> None:
    """Half a folder would be refused the next time, because it is not empty."""
    directory = tmp_path / "by-hand"
    if there:
        directory.mkdir()
    written = []

    def full(path: Path, content: bytes) -> None:
        path.write_text(content[:1].hex())
        written.append(path)
        if len(written) == 5:
            raise trouble

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises((Misconfigured, KeyboardInterrupt)) as failed:
            _export(cloud, directory)

    assert "cannot be written: No space left on device" in str(failed.value) or isinstance(trouble, KeyboardInterrupt)
    assert (directory.exists(), list(tmp_path.rglob("by-hand/*"))) == (there, [])
    assert _export(cloud, directory).files


def test_both_halves_are_deployed_changed_and_removed_by_the_scripts(
    account: Account, folder: Path, by_policy: dict[str, str]
) -> None:
    network = (
        f"VpcIdForApiGateway={account.vpc}",
        f"SubnetsForVpcEndpoint={','.join(account.subnets)}",
        "AllowedIPRange=10.0.0.0/8",
    )
    enrolled = _run(
        folder / "deploy.sh", "enrolment", *network, "AllowNetworkProof=yes", "ApiConcurrency=none", env=by_policy
    )
    patching = _run(folder / "deploy.sh", "patching", f"AllowedScopes={SCOPE}", env=by_policy)

    assert "ApiGatewayInvokeURL\thttps://" in enrolled.stdout, enrolled.stderr
    assert "AWSSystemsManagerAutomationRunbookName\tAzure-PatchVMWithRollback" in patching.stdout, patching.stderr
    _the_bucket_is_private(account)

    # What is not given again keeps its value, tags as well.
    _tag(account, "moorings-enrolment", {"application": "moorings", "cost center": "4 2"})
    changed = _run(folder / "deploy.sh", "enrolment", "LogLevel=DEBUG", env=by_policy)
    assert changed.returncode == 0, changed.stderr
    stack = Stacks(account.aws, clock=BriefClock()).find("moorings-enrolment")
    assert stack is not None
    assert (stack.parameters["LogLevel"], stack.parameters["AllowNetworkProof"]) == ("DEBUG", "yes")
    assert stack.tags == {"application": "moorings", "cost center": "4 2"}

    _activation(account, _deployed(stack.outputs))
    removed = [_run(folder / "remove.sh", half, env=by_policy) for half in ("enrolment", "patching")]
    assert [each.returncode for each in removed] == [0, 0], removed
    assert "kept: KMS key" in removed[0].stderr
    assert "kept: credentials for Azure below /moorings/azure" in removed[1].stderr
    assert _left(account) == {}


def test_a_deployment_that_failed_says_why_and_is_done_again_by_the_same_script(
    account: Account, folder: Path, aws: dict[str, str]
) -> None:
    """A stack whose first creation was rolled back can only be deleted; the script does that."""
    vpce = account.aws.client("ec2").create_vpc_endpoint(
        VpcId=account.vpc, ServiceName=f"com.amazonaws.{account.aws.region}.execute-api", VpcEndpointType="Interface"
    )["VpcEndpoint"]["VpcEndpointId"]
    given = ("enrolment", f"VpcEndpointForApiGateway={vpce}", "AllowNetworkProof=yes", "ApiConcurrency=none")
    nobody = f"CloudwatchLogRoleArn=arn:aws:iam::{account.aws.account}:role/nobody"
    named = {**aws, "STACK": "again"}

    failed = _run(folder / "deploy.sh", *given, nobody, env=named)
    done = _run(folder / "deploy.sh", *given, "CloudwatchLogRoleArn=", env=named)

    assert failed.returncode == 5
    assert "ApiStage: " in failed.stderr.splitlines()[-1]
    assert "CloudWatch Logs role ARN must be set" in failed.stderr.splitlines()[-1]
    assert "deleting stack again, whose creation failed" in done.stderr
    assert "ApiGatewayInvokeURL" in done.stdout, done.stderr
    assert enrolment.remove("again", aws=account.aws, clock=BriefClock()).stacks == ("again",)


def test_what_cannot_work_is_said_before_anything_is_made(folder: Path, aws: dict[str, str]) -> None:
    for arguments, told in (
        ((), "say: ./deploy.sh"),
        (("enrolment", "no pair"), "write NAME=VALUE"),
        (("patching", "AllowedIPRange=10.0.0.0/8"), "no parameter of patching"),
        (("patching", "ArtifactKey=x"), "fills that in"),
    ):
        refused = _run(folder / "deploy.sh", *arguments, env=aws)
        assert (refused.returncode, told in refused.stderr) == (2, True), refused.stderr


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
