"""`moorings azure`: a stack that really stands, the local Azure over TLS, and a person between them."""

import io
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from tests.attestation.authority import issue
from tests.cli.conftest import Cli, Ended

from localcloud.azure.entra_applications import Application
from localcloud.azure.rbac import Assignment
from localcloud.azure.service import Azure as LocalAzure
from localcloud.azure.vms import Vm
from localcloud.cloud import LocalCloud
from localcloud.principals import Kind, Principal
from moorings.cli.main import run
from moorings.clouds.azure import Azure, Federation, Place
from moorings.clouds.federation import web_identity
from moorings.deploy.azure_setup import role_definition

STACK = "azure-cli"
PREFIX = "/moorings/azure"


@dataclass
class Ground:
    """A deployed stack, a VM, and an application that may do to its group what the custom role allows."""

    cloud: LocalCloud
    azure: LocalAzure
    application: Application
    vm: Vm
    group: str
    anchors: Path
    assignment: Assignment

    def assign(self, *, without: str = "") -> None:
        """Give the application the role, less one action."""
        self.azure.rbac.revoke(self.assignment)
        role = role_definition(STACK, (self.group,))
        role["Actions"] = [action for action in role["Actions"] if action != without]
        self.assignment = self.azure.rbac.assign(principal=self.application.object_id, role=role, scope=self.group)

    def stored(self) -> dict[str, str]:
        """What lies below the prefix."""
        found = self.cloud.client("ssm").get_parameters_by_path(Path=PREFIX, WithDecryption=True)["Parameters"]
        assert all(each["Type"] == "SecureString" for each in found)
        return {each["Name"].rpartition("/")[2]: each["Value"] for each in found}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with LocalCloud(scale=0.001) as cloud, pytest.MonkeyPatch.context() as patched:
        azure = cloud.world.part(LocalAzure)
        vm = azure.vms.create("web-01")
        group = vm.id.partition("/providers/")[0]
        application = azure.entra.application("patching")
        anchors = tmp_path_factory.mktemp("anchors")
        (anchors / "roots.pem").write_bytes(azure.anchors.roots)
        (anchors / "issuers.pem").write_bytes(azure.anchors.issuers)
        (anchors / "tls.pem").write_bytes(cloud.ca_file.read_bytes())
        assignment = azure.rbac.assign(principal="nobody", role=role_definition(STACK, (group,)), scope=group)
        made = Ground(cloud, azure, application, vm, group, anchors, assignment)
        made.assign()
        for name, value in _surroundings(made).items():
            patched.setenv(name, value)
        urls = (f"AzureResourceManagerUrl={azure.arm_url}", f"AzureAuthorityUrl={azure.authority_url}")
        options = [word for url in urls for word in ("--parameter", url)]
        assert run(["patch", "deploy", "--stack-name", STACK, "--scope", f"{vm.id}", *options, "--yes"]) == 0
        yield made


def _surroundings(ground: Ground) -> dict[str, str]:
    platform = {"MOORINGS_FUNCTION_PLATFORM": ground.cloud.function_platform}
    return {**ground.cloud.environment(), **platform, "MOORINGS_ANCHORS": str(ground.anchors)}


@pytest.fixture
def cli(bare: Cli, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Cli:
    for name, value in _surroundings(ground).items():
        monkeypatch.setenv(name, value)
    return bare


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What comes by stdin."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def _connect(cli: Cli, ground: Ground, *options: str) -> Ended:
    ids = ("--tenant-id", ground.azure.tenant_id, "--client-id", ground.application.client_id)
    return cli("azure", "connect", "--stack-name", STACK, *ids, *options)


def _check(cli: Cli, ground: Ground, *options: str) -> Ended:
    return cli("azure", "check", "--stack-name", STACK, "--vm", ground.vm.id, *options)


# -- connect


def test_a_secret_is_proved_and_stored_and_a_run_could_use_it(cli: Cli, ground: Ground, typed: Any) -> None:
    secret = ground.application.add_secret()
    typed(f"{secret}\n")

    done = _connect(cli, ground, "--secret-stdin", "--yes", "--json")

    assert done.code == 0, done.err
    assert done.json["verified"]
    assert done.json["parameters"]["secret"] == f"{PREFIX}/client_secret"
    assert ground.stored() == {
        "tenant_id": ground.azure.tenant_id, "client_id": ground.application.client_id, "client_secret": secret,
    }  # fmt: skip
    assert secret not in done.out + done.err

    checked = _check(cli, ground, "--json")
    assert checked.code == 0, checked.out
    assert checked.json["well"]
    subjects = ["scope", "anchors", "run", "credentials", "clock", "rights", "locks", "vm"]
    assert [each["subject"] for each in checked.json["findings"]] == subjects
    assert not [call for call in ground.azure.calls.snapshot() if call.method != "GET"]


def test_what_would_be_in_a_runs_way_is_named(cli: Cli, ground: Ground, typed: Any) -> None:
    typed(ground.application.add_secret())
    assert _connect(cli, ground, "--secret-stdin", "--yes").code == 0
    lacking = "Microsoft.Compute/snapshots/beginGetAccess/action"
    ground.assign(without=lacking)
    lock = ground.azure.locks.add(ground.group, "ReadOnly", name="frozen")
    try:
        found = _check(cli, ground, "--node", "mi-0123456789abcdef0", "--json")
        shown = _check(cli, ground)
    finally:
        ground.azure.locks.remove(lock)
        ground.assign()

    assert (found.code, shown.code) == (1, 1)
    wrong = {each["subject"]: each for each in found.json["findings"] if each["state"] == "wrong"}
    assert set(wrong) == {"rights", "locks", "node"}
    assert (wrong["rights"]["action"], wrong["rights"]["scope"]) == (lacking, ground.group)
    assert f"{lacking} is missing at {ground.group}" in shown.out
    assert "the ReadOnly lock 'frozen'" in shown.out
    assert "2 findings would be in a run's way" in shown.out


def test_another_vm_lies_out_of_scope(cli: Cli, ground: Ground) -> None:
    other = ground.vm.id.replace("web-01", "db-01")

    refused = cli("azure", "check", "--stack-name", STACK, "--vm", other, "--json")

    assert refused.code == 1
    assert "lies outside the scopes" in refused.json["findings"][0]["what"]


def test_credentials_that_entra_does_not_take_are_not_stored(cli: Cli, ground: Ground, typed: Any) -> None:
    before = ground.stored()
    typed("wrong-secret")

    refused = _connect(cli, ground, "--secret-stdin", "--yes")

    assert refused.code == 2
    assert "AADSTS7000215" in refused.err
    assert "wrong-secret" not in refused.err
    assert ground.stored() == before


def test_credentials_that_are_there_are_overwritten_only_with_a_yes(cli: Cli, ground: Ground, typed: Any) -> None:
    typed(ground.application.add_secret())
    assert _connect(cli, ground, "--secret-stdin", "--yes").code == 0
    before = ground.stored()
    typed("unproved")

    asked = _connect(cli, ground, "--secret-stdin", "--no-verify")
    typed("unproved")
    would = _connect(cli, ground, "--secret-stdin", "--no-verify", "--dry-run", "--json")

    assert asked.code == 2
    assert "give --yes" in asked.err
    assert (would.code, would.json["verified"]) == (0, False)
    assert would.json["overwritten"] == [f"{PREFIX}/{name}" for name in ("tenant_id", "client_id", "client_secret")]
    assert ground.stored() == before


def test_a_certificate_takes_the_secrets_place(cli: Cli, ground: Ground, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    holder = issue("moorings", begins=now - timedelta(days=1), ends=now + timedelta(days=90))
    public = holder.certificate.public_bytes(serialization.Encoding.PEM)
    private = holder.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    ground.application.add_certificate(public)
    file = tmp_path / "application.pem"
    file.write_bytes(private + public)

    done = _connect(cli, ground, "--certificate", str(file), "--yes")

    assert done.code == 0, done.err
    assert "the certificate expires at" in done.out
    assert _check(cli, ground).code == 0
    file.write_bytes(public)
    assert _connect(cli, ground, "--certificate", str(file), "--yes").code == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "--tenant-id and --client-id must be given"),
        (("--tenant-id", "contoso", "--client-id", "x", "--secret-stdin"), "is no tenant id"),
        (("--federated", "--client-id", "x"), "--federated stores nothing"),
        (("--certificate", "x.pem", "--secret-stdin"), "are two credentials"),
        (("--tenant-id", "a", "--client-id", "b"), "this needs a secret"),
    ],
)
def test_what_is_missing_or_wrong_is_named(cli: Cli, typed: Any, options: tuple[str, ...], told: str) -> None:
    typed("some secret")

    refused = cli("azure", "connect", "--stack-name", STACK, *options, "--yes")

    assert refused.code == 2
    assert told in refused.err


def test_a_person_types_the_secret_unseen(cli: Cli, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = ground.application.add_secret()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda question, stream: secret)

    done = _connect(cli, ground, "--yes")

    assert done.code == 0, done.err
    assert ground.stored()["client_secret"] == secret
    assert secret not in done.out + done.err


def test_the_id_of_a_secret_is_told_from_its_value(cli: Cli, ground: Ground, typed: Any) -> None:
    typed("8d10da13-8125-4ba9-a717-bf7490507b3d")

    assert "not its value" in _connect(cli, ground, "--secret-stdin", "--yes").err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--vm", "web-01"), "is no id of a VM"),
        (("--vm", "/subscriptions/s/resourceGroups/g", "--node", "mi-1"), "is no id of a VM"),
    ],
)
def test_a_check_needs_a_vm(cli: Cli, options: tuple[str, ...], told: str) -> None:
    assert told in cli("azure", "check", "--stack-name", STACK, *options).err


# -- federation


def _credential(line: str) -> dict[str, Any]:
    """The federated credential that a command makes, as the shell hands it over."""
    words = subprocess.run(
        ["bash", "-c", f'ISSUER="$1"; APP=app; az() {{ printf "%s\\n" "$@"; }}; {line}', "bash", "https://issuer"],
        capture_output=True, text=True, check=True, timeout=20,
    ).stdout.splitlines()  # fmt: skip
    made: dict[str, Any] = json.loads(words[words.index("--parameters") + 1])
    return made


def test_the_printed_federation_is_one_that_entra_takes(cli: Cli, ground: Ground) -> None:
    """Switched off, the script switches it on; switched on, its values let the function's role in."""
    off = cli("azure", "connect", "--federated", "--stack-name", STACK, "--json")
    ground.cloud.client("iam").enable_outbound_web_identity_federation()
    on = cli("azure", "connect", "--federated", "--stack-name", STACK, "--json")

    assert (off.json["enabled"], off.json["issuer"], on.json["enabled"]) == (False, "", True)
    assert "aws iam enable-outbound-web-identity-federation" in off.json["commands"][0]["line"]
    assert on.json["commands"][0]["line"] == f"ISSUER={on.json['issuer']}"
    lines = [each["line"] for each in on.json["commands"] if "federated-credential" in each["line"]]
    credentials = [_credential(line) for line in lines]
    assert [each["subject"] for each in credentials] == list(on.json["subjects"].values())
    assert {each["issuer"] for each in credentials} == {"https://issuer"}

    for each in credentials:
        ground.application.add_federated(
            issuer=on.json["issuer"], subject=each["subject"], audience=each["audiences"][0]
        )
    _token(ground, credentials[0]["subject"], on.json["audience"])


def _token(ground: Ground, role_arn: str, audience: str) -> None:
    """Get a token from Entra as the function would; raises unless it is let in."""
    name = role_arn.rpartition("/")[2]
    ground.cloud.client("iam").put_role_policy(
        RoleName=name, PolicyName="federation",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sts:GetWebIdentityToken", "Resource": "*"}]}),
    )  # fmt: skip
    arn = f"arn:aws:sts::{ground.cloud.world.account}:assumed-role/{name}/function"
    principal = Principal(kind=Kind.ROLE, arn=arn, role_name=name, session="function")
    who = ground.cloud.world.credentials.issue(principal, expires_at=datetime.now(UTC) + timedelta(hours=1))
    sts = ground.cloud.client("sts", credentials=who)
    azure = Azure(
        proof=Federation(
            tenant_id=ground.azure.tenant_id,
            client_id=ground.application.client_id,
            assertion=web_identity(sts, audience=audience),
        ),
        place=Place(authority_url=ground.azure.authority_url, tls_bundle=ground.cloud.ca_file),
        remaining=lambda: timedelta(minutes=1),
    )
    assert azure.credential.get_token("https://management.azure.com/.default").token
    azure.close()


def test_the_federations_script_is_shell(cli: Cli, ground: Ground) -> None:
    shown = cli("azure", "connect", "--federated", "--stack-name", STACK)
    script = shown.out[shown.out.index("\n# ") :]

    subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=20)
    definition = next(line for line in script.splitlines() if line.startswith("az role definition create"))
    role = json.loads(shlex.split(definition)[-1])
    assert role["Name"] == f"Moorings patching ({STACK})"
    assert role["AssignableScopes"] == [ground.group]
    assert f"--scope {ground.group}" in script
    assert re.search(r'moorings patch deploy .*--federation-tenant "\$TENANT" --federation-client "\$APP"$', script)


def test_without_a_stack_the_remedy_is_to_deploy_one(cli: Cli) -> None:
    for words in (("connect", "--federated"), ("check", "--vm", "/subscriptions/s/resourceGroups/g/providers"
                  "/Microsoft.Compute/virtualMachines/v")):  # fmt: skip
        refused = cli("azure", *words, "--stack-name", "none")
        assert refused.code == 2
        assert "there is no patching stack none" in refused.err
