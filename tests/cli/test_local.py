"""What the demo and the pytest plugin do with the environment of whoever starts them."""

import os
from json import loads
from pathlib import Path

import boto3
import pytest
from azure.identity import DefaultAzureCredential

from localcloud.cloud import LocalCloud
from moorings.cli.local import only_this_cloud
from moorings.cli.main import run
from moorings.clouds.aws import Aws

THEIRS = {
    "AWS_PROFILE": "production",
    "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
    "NO_PROXY": "corp.example",
    "AZURE_CLIENT_SECRET": "theirs",
    "IDENTITY_ENDPOINT": "http://127.0.0.1:1",
    "IDENTITY_HEADER": "theirs",
}


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A laptop in a company: profiles, a proxy, an identity in Azure."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in THEIRS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nignore_configured_endpoint_urls = true\n[profile production]\nregion = eu-west-1\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))


def test_aws_is_the_local_cloud_whatever_profiles_and_proxies_say(theirs: None) -> None:
    with LocalCloud() as cloud, only_this_cloud(cloud):
        for client in (Aws(region=cloud.world.region).client("sts"), boto3.client("sts")):
            assert client.get_caller_identity()["Account"] == cloud.world.account


def test_no_identity_in_azure_is_tried(theirs: None) -> None:
    """Neither tools that are signed in, nor a managed identity, nor the metadata service."""
    with LocalCloud() as cloud, only_this_cloud(cloud):
        tried = [type(each).__name__ for each in DefaultAzureCredential().credentials]
        left = [name for name in THEIRS if name.startswith(("AZURE_", "IDENTITY_")) and name in os.environ]

    assert (tried, left) == (["EnvironmentCredential"], [])


@pytest.mark.parametrize("json", [True, False])
def test_what_this_host_lacks_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], json: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platform.system", lambda: "Darwin")

    code = run(["demo", *(["--json"] if json else [])])

    told = capsys.readouterr().err.splitlines()[-1 if json else -2 :]
    assert code == 2
    assert "this is Darwin" in told[0]
    assert "run it in a Linux VM" in (loads(told[0])["remedy"] if json else told[1])


def test_afterwards_all_is_as_before(theirs: None) -> None:
    before = dict(os.environ)

    with LocalCloud() as cloud, only_this_cloud(cloud):
        assert dict(os.environ) != before

    assert dict(os.environ) == before
