"""A server boots, runs the one line of the manual, and is a managed node: real script, curl, zips and templates."""

import json
import shlex
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from tests.journeys.site import BOOT_SECONDS, TUNING, Site, eventually, standing

from localcloud.aws.seam import attach
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.machines.machine import Machine
from localcloud.principals import Kind

pytestmark = [pytest.mark.machines, pytest.mark.usefixtures("able_host")]

DOCS = Path(__file__).resolve().parents[2] / "docs"
TAGS = {"environment": "journey", "owner": "platform"}
POOL = {"name": "default", "tags": TAGS, "default_instance_name": "fresh", "registration_limit": 100}
# Each in another way: a real .deb under the real dpkg, rpm, zypper's rpm, and an agent that is there as a snap.
KINDS: dict[str, dict[str, Any]] = {
    "debian": {"os": "debian-12", "cloud": "azure"},
    "rhel": {"os": "rhel-9", "cloud": "gcp"},
    "sles": {"os": "sles-15"},
    "snap": {"os": "ubuntu-22.04", "cloud": "azure", "snap_agent": True},
}
LOUD = {"CreateApiGatewayLoggingRole": "yes", "ApiExecutionLogLevel": "INFO", "LogLevel": "DEBUG"}


@pytest.fixture(scope="module")
def site(able_host: None) -> Iterator[Site]:
    """Everything that can log logs as much as it can, so that a code has every chance to show."""
    assert able_host is None
    with standing(POOL, servers=True, parameters=LOUD) as site:
        yield site


@pytest.fixture(scope="module")
def fleet(site: Site) -> dict[str, Machine]:
    """One server of each kind, booted at once."""
    made = {kind: site.make(name=f"{kind}-server", **spec).boot() for kind, spec in KINDS.items()}
    return {kind: machine.wait_booted(BOOT_SECONDS) for kind, machine in made.items()}


@pytest.fixture
def debian(fleet: dict[str, Machine]) -> Machine:
    """A registered server that a test only looks at."""
    return fleet["debian"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_of_each_kind_becomes_an_online_managed_node_of_its_pool(
    site: Site, fleet: dict[str, Machine], kind: str
) -> None:
    machine = fleet[kind]

    assert machine.exit_code == 0, machine.console
    node = site.online(machine)
    assert (node["InstanceId"], node["Name"]) == (machine.node_id, "fresh")
    assert node["ComputerName"].split(".")[0] == machine.name
    assert node["IamRole"] == site.deployed.node_role
    named = site.cloud.client("ssm").list_tags_for_resource(ResourceType="ManagedInstance", ResourceId=machine.node_id)
    marked = {**TAGS, "moorings:stack": site.deployed.outputs["StackMark"]}
    assert {tag["Key"]: tag["Value"] for tag in named["TagList"]} == marked


@pytest.mark.parametrize("system", ["rhel-9", "sles-15"])
def test_a_server_without_gpgv_has_the_package_checked_by_rpm(site: Site, system: str) -> None:
    """The simulated rpmkeys still finds the real gpgv; the script does not."""
    machine = site.make(os=system, user_data="#!/bin/sh\n").boot().wait_booted(BOOT_SECONDS)
    away = "/usr/libexec/localcloud"
    hide = f"mkdir -p {away} && mv /usr/bin/gpgv {away} && rm -f /usr/bin/gpg /usr/bin/gpgv2"
    assert machine.run(["sh", "-c", f"{hide}; command -v gpgv gpgv2 gpg"]).stdout == ""
    fetch = f"set -o pipefail; curl -fsS --proto =https '{site.deployed.api_url}/bootstrap/linux' | bash -x"

    run = machine.run(["bash", "-c", fetch], environment=TUNING)

    assert run.returncode == 0, run.stderr
    assert "rpmkeys --define" in run.stderr
    assert ".rpm.sig" not in run.stderr
    assert site.online(machine)["InstanceId"] == machine.node_id


def test_a_registered_server_keeps_no_key_and_its_agent_runs(site: Site, fleet: dict[str, Machine]) -> None:
    for machine in fleet.values():
        assert machine.agent_running
        assert machine.run(["ls", "/var/lib/moorings"]).stdout.split() == ["lock"], site
        assert f"{machine.node_id} is registered in us-east-1" in machine.console


def test_a_node_may_speak_for_itself_and_for_nobody_else(site: Site, fleet: dict[str, Machine]) -> None:
    """With the role token that its agent left on the disk, as whoever owns the server could."""
    mine, other = fleet["debian"].node_id, fleet["rhel"].node_id
    session = _as_node(site, fleet["debian"])
    heard = site.online(fleet["rhel"])["LastPingDateTime"]

    assert _heartbeat(site, session, mine).status_code == 200
    refused = _heartbeat(site, session, other)

    assert refused.status_code == 400
    assert "AccessDenied" in refused.text
    assert site.node(fleet["rhel"])["LastPingDateTime"] == heard


def test_a_node_can_neither_manage_nodes_nor_read_the_code_that_it_registered_with(
    site: Site, fleet: dict[str, Machine]
) -> None:
    """Its managed policy lets it get parameters, but not the key that encrypts the codes."""
    session = _as_node(site, fleet["debian"])
    ssm, node = session.client("ssm"), site.node(fleet["debian"])
    code = f"{site.deployed.outputs['CodePrefix']}/{node['ActivationId']}"

    for call in (
        lambda: ssm.deregister_managed_instance(InstanceId=node["InstanceId"]),
        ssm.describe_activations,
        lambda: ssm.create_activation(IamRole=site.deployed.node_role),
        lambda: ssm.get_parameter(Name=code, WithDecryption=True),
        lambda: session.client("dynamodb").scan(TableName=site.deployed.outputs["LedgerTable"]),
        lambda: session.client("lambda").invoke(FunctionName=site.api_function),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


def _as_node(site: Site, machine: Machine) -> boto3.Session:
    site.online(machine)
    left = ConfigParser(interpolation=None)
    left.read_string(machine.run(["cat", "/root/.aws/credentials"]).stdout)
    session = boto3.Session(**left["default"], region_name="us-east-1")
    attach(session, site.cloud.world.endpoint.dispatch)
    return session


def _heartbeat(site: Site, session: boto3.Session, node: str) -> Any:
    """What only agents say: no SDK has the call."""
    told = {"InstanceId": node, "AgentVersion": "3.3.0.0", "AgentStatus": "Active", "PlatformType": "Linux"}
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonSSM.UpdateInstanceInformation",
    }
    request = AWSRequest("POST", site.cloud.endpoint_url, data=json.dumps(told), headers=headers)
    SigV4Auth(session.get_credentials(), "ssm", "us-east-1").add_auth(request)
    return URLLib3Session().send(request.prepare())


def test_the_audit_log_tells_of_each_grant_who_where_and_which_but_never_the_code(
    site: Site, fleet: dict[str, Machine]
) -> None:
    granted = {fact["source_ip"]: fact for fact in site.audit("granted")}

    for machine in fleet.values():
        fact = granted[machine.spec.ip]
        assert (fact["vpce"], fact["pool"], fact["keyed"]) == (site.deployed.vpc_endpoint, "default", True)
        assert fact["unverified"]["name"] == machine.name
        assert fact["activation_id"] in {each.id for each in site.issued()}


def test_no_activation_code_is_anywhere_but_where_it_belongs(site: Site, fleet: dict[str, Machine]) -> None:
    """Looked for: every code that this account ever made. Where it belongs: the encrypted parameter alone."""
    site.keep()
    site.settle()
    codes = [each.code for each in site.issued()]
    places = dict(_places(site, fleet))
    known = {"functions", "table", "access and execution logs", "stacks", "debian-server console", "rhel-server disk"}

    assert len(codes) >= 2
    assert known < set(places)
    assert all(places[name] for name in known), [name for name in known if not places[name]]
    assert not [
        name for name, text in places.items() for code in codes if code in text or json.dumps(code)[1:-1] in text
    ]
    codes_kept = site.cloud.client("ssm").describe_parameters()["Parameters"]
    assert {each["Type"] for each in codes_kept} == {"SecureString"}
    assert {each["KeyId"] for each in codes_kept} == {site.deployed.outputs["KmsKeyArn"]}


def _places(site: Site, fleet: dict[str, Machine]) -> Iterator[tuple[str, str]]:
    cloud = site.cloud
    kept = [*cloud.functions.logs(site.api_function), *cloud.functions.logs(site.keeper_function)]
    yield "functions", "\n".join(kept)
    yield "table", json.dumps(cloud.client("dynamodb").scan(TableName=site.deployed.outputs["LedgerTable"])["Items"])
    groups = [group["logGroupName"] for group in cloud.client("logs").describe_log_groups()["logGroups"]]
    text = {name: _log(site, name) for name in groups}
    assert len([name for name in groups if text[name]]) >= 4, "API, keeper, access log, execution log"
    yield "access and execution logs", "\n".join(text.values())
    formation = cloud.client("cloudformation")
    yield "stacks", repr([formation.describe_stacks(), formation.describe_stack_events(StackName=site.deployed.stack)])
    for name in (site.api_function, site.keeper_function):
        yield f"{name} settings", repr(cloud.client("lambda").get_function_configuration(FunctionName=name))
    yield "parameters' own words", repr(cloud.client("ssm").describe_parameters())
    for machine in fleet.values():
        yield f"{machine.name} console", machine.console
        yield f"{machine.name} processes", machine.run(["bash", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).stdout
        yield (
            f"{machine.name} environments",
            machine.run(["bash", "-c", "cat /proc/[0-9]*/environ | tr '\\0' ' '"]).stdout,
        )
        yield f"{machine.name} disk", "".join(_files(machine.disk))


def _log(site: Site, group: str) -> str:
    pages = site.cloud.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return "\n".join(event["message"] for page in pages for event in page["events"])


def _files(folder: Path) -> Iterator[str]:
    """What a server has written: its layers, without the programs that every server has."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1_000_000:
            yield path.read_text(errors="replace")


def test_running_the_script_again_asks_nothing(site: Site, debian: Machine) -> None:
    again = site.bootstrap(debian)
    before, invoked = debian.node_id, len(site.cloud.functions.logs(site.api_function))
    position = len(site.cloud.world.calls)

    ended = again()

    assert (ended.returncode, ended.stdout) == (0, f"{before} is registered already; the agent runs\n")
    assert len(site.cloud.functions.logs(site.api_function)) == invoked
    # Its agent goes on with heartbeats and polls, the keeper with its rounds; nothing registers, nobody else calls.
    keeper = site.keeper_function
    calls = [record for record in site.cloud.world.calls.since(position) if not record.principal.arn.endswith(keeper)]
    assert {record.principal.kind for record in calls} <= {Kind.NODE}
    assert "RegisterManagedInstance" not in {record.operation for record in calls}


def test_forced_a_server_registers_anew_and_the_old_node_stays_until_it_is_deregistered(site: Site) -> None:
    machine = site.boot()
    before = machine.node_id

    ended = site.bootstrap(machine, "--force")()

    assert ended.returncode == 0, ended.stderr
    assert machine.node_id not in {"", before}
    known = {node.id for node in site.cloud.world.part(ManagedNodes).all()}
    assert {before, machine.node_id} <= known
    assert site.online(machine)


def test_power_lost_while_registering_the_next_boot_ends_registered_with_the_same_grant(site: Site) -> None:
    """The user data runs once; a server that boots again is finished by whoever runs the script again."""
    machine = site.make()
    site.cloud.faults.latency("ssm", "RegisterManagedInstance", 3.0)
    machine.boot()
    _until_granted(site, machine)
    machine.cut_power()
    site.cloud.faults.clear()
    assert machine.node_id == ""
    key = machine.disk / "var/lib/moorings/enrolment.key"
    assert key.stat().st_mode & 0o777 == 0o600

    machine.boot().wait_booted(BOOT_SECONDS)
    ended = site.bootstrap(machine)()

    assert ended.returncode == 0, ended.stderr
    assert site.online(machine)
    facts = [fact for fact in site.audit("granted") if fact["source_ip"] == machine.spec.ip]
    assert [fact["repeated"] for fact in facts] == [False, True]
    assert len({fact["activation_id"] for fact in facts}) == 1
    assert not key.exists()


def _until_granted(site: Site, machine: Machine) -> None:
    eventually(lambda: [fact for fact in site.audit("granted") if fact["source_ip"] == machine.spec.ip])


def test_uninstalled_a_server_names_the_command_that_removes_its_node_and_that_works(site: Site) -> None:
    machine = site.boot()
    node = machine.node_id

    ended = site.bootstrap(machine, "--uninstall")()

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith(f"run: moorings nodes deregister {node}\n")
    assert machine.node_id == ""
    assert not machine.agent_running
    assert machine.run(["ls", "/var/lib/moorings", "/usr/bin/amazon-ssm-agent"]).stdout == ""
    command = shlex.split(ended.stdout.rsplit("run: ", 1)[1])
    assert site.command(*command[1:], "--yes").returncode == 0
    assert node not in {each.id for each in site.cloud.world.part(ManagedNodes).all()}


def test_the_cloud_init_text_of_the_manual_enrols_a_server(site: Site) -> None:
    """Only the URL is filled in. cloud-init makes a shell script of runcmd, each list a line of quoted words."""
    text = (DOCS / "bootstrap/cloud-init.yaml").read_text()
    assert text.startswith("#cloud-config\n")
    recipe = yaml.safe_load(text.replace("https://API.execute-api.REGION.amazonaws.com/STAGE", site.deployed.api_url))
    assert set(recipe) == {"runcmd"}
    script = "\n".join(["#!/bin/sh", *(shlex.join(command) for command in recipe["runcmd"])])

    machine = site.boot(user_data=f"{script}\n", cloud="azure", os="debian-12")

    assert machine.exit_code == 0, machine.console
    assert site.online(machine)


def test_an_image_made_as_the_manual_says_holds_no_identity_and_its_servers_become_different_nodes(site: Site) -> None:
    golden = site.boot()
    first = golden.node_id
    sealed = golden.run(["sh"], (DOCS / "bootstrap/golden-image.sh").read_text())
    golden.power_off()

    assert sealed.returncode == 0, sealed.stderr
    image = golden.disk
    assert (image / "etc/machine-id").read_text() == ""
    for trace in ("var/lib/amazon/ssm", "var/lib/moorings", "root/.aws/credentials"):
        assert not [path for path in (image / trace).rglob("*") if path.is_file()]
        assert not (image / trace).is_file()

    clones = [site.make(image_disk=image).boot() for _ in range(2)]
    for clone in clones:
        clone.wait_booted(BOOT_SECONDS)
        assert clone.exit_code == 0, clone.console
        assert "downloading" not in clone.console, "the agent is in the image"
    books = site.cloud.world.part(ManagedNodes)
    nodes = [books.get(clone.node_id) for clone in clones]
    assert len({first, *(node.id for node in nodes)}) == 3
    prints = {books.get(first).fingerprint, *(node.fingerprint for node in nodes)}
    assert len(prints) == 3
    assert all(site.online(clone) for clone in clones)


def test_a_server_without_an_endpoint_is_refused_in_one_clear_line(site: Site) -> None:
    """Its user data cannot even fetch the script; with one from elsewhere it gets exit code 3."""
    machine = site.make(vpce_id="", user_data=_carried(site)).boot().wait_booted(BOOT_SECONDS)

    _is_refused(site, machine)


def test_a_server_from_an_unlisted_network_is_refused_in_the_same_words(site: Site) -> None:
    machine = site.make(ip="10.99.0.9", user_data=_carried(site)).boot().wait_booted(BOOT_SECONDS)

    _is_refused(site, machine)
    assert [fact["reason"] for fact in site.audit("refused") if fact["source_ip"] == "10.99.0.9"]


def _carried(site: Site) -> str:
    """User data that brings the script along, as an image may."""
    script = site.ask("GET", "/bootstrap/linux").text
    words = " ".join(f"{name}={value}" for name, value in TUNING.items())
    carried = f"cat >/run/bootstrap.sh <<'END-OF-SCRIPT'\n{script}\nEND-OF-SCRIPT\n"
    return f"#!/bin/bash\n{carried}{words} bash /run/bootstrap.sh\n"


def _is_refused(site: Site, machine: Machine) -> None:
    url = site.deployed.api_url
    assert machine.exit_code == 3
    told = [
        line for line in machine.console.splitlines() if line.startswith("moorings: ") and "downloading" not in line
    ]
    assert told == [f"moorings: refused (403) by {url}: no rule lets this server in, or not into this pool"]
    assert machine.node_id == ""


def test_a_plain_aws_client_sees_every_node_that_registered(site: Site, fleet: dict[str, Machine]) -> None:
    client = boto3.client("ssm", **_plain(site))

    pages = client.get_paginator("describe_instance_information").paginate(PaginationConfig={"PageSize": 5})
    seen = {node["InstanceId"]: node for page in pages for node in page["InstanceInformationList"]}

    for machine in fleet.values():
        node = seen[machine.node_id]
        assert node["ResourceType"] == "ManagedInstance"
        assert node["PlatformType"] == "Linux"
        assert node["IPAddress"] == machine.spec.ip
        assert node["ActivationId"] in {each.id for each in site.issued()}


def _plain(site: Site) -> dict[str, str]:
    surroundings = site.cloud.environment()
    return {
        "endpoint_url": surroundings["AWS_ENDPOINT_URL"],
        "aws_access_key_id": surroundings["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": surroundings["AWS_SECRET_ACCESS_KEY"],
        "region_name": surroundings["AWS_REGION"],
    }
