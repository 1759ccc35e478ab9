"""The simulated agent on the wire, beside recordings of the real one."""

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from tests.localcloud.machines import recordings
from tests.localcloud.machines.stub import Answer, Script, Seen, Stub

from localcloud.machines.agent.calls import Services
from localcloud.machines.agent.console import Console
from localcloud.machines.agent.daemon import Daemon, Host
from localcloud.machines.agent.places import Configuration, Places
from localcloud.machines.agent.registration import Agent, clear, register
from localcloud.machines.agent.signing import authorization, hmac_sign
from localcloud.machines.agent.vault import Vault

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent's vault can be entered by root alone, as recorded")

NODE = "mi-0123456789abcdef0"
ACTIVATION = "30025d1b-68c5-49e7-bb2d-75032684cb24"
CODE = "BnaY83Z6Q0CV+DQRgmT9"
FORBIDDEN = (403, "<AccessDeniedException><Message>denied</Message></AccessDeniedException>")
Serve = Callable[[Script], Stub]
Start = Callable[[Stub], "Node"]


def well(request: Seen, earlier: int, *, lifetime: float = 3600.0) -> Answer:
    """A service that is content with everything but the control channel."""
    if request.target == "RegisterManagedInstance":
        return 200, {"InstanceId": NODE}
    if request.target == "RequestManagedInstanceRoleToken":
        return 200, {
            "AccessKeyId": f"ASIA{earlier}EXAMPLE",
            "SecretAccessKey": "s3cret",
            "SessionToken": f"token{earlier}",
            "TokenExpirationDate": time.time() + lifetime,
            "UpdateKeyPair": False,
        }
    if request.target.startswith("/v1/control-channel/"):
        return FORBIDDEN
    return 200, {"Messages": []} if request.target == "GetMessages" else {}


@pytest.fixture
def serve() -> Iterator[Serve]:
    stubs: list[Stub] = []

    def start(script: Script) -> Stub:
        stubs.append(Stub(script))
        return stubs[-1]

    yield start
    for stub in stubs:
        stub.close()


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("1cd3df7bd5b24fe6aff5b426a11f9a96\n")
    (tmp_path / "etc/os-release").write_text('NAME="Debian GNU/Linux"\nVERSION_ID="12"\n')
    return Places(root=tmp_path, home=tmp_path / "root")


class Node:
    """An agent at a stub."""

    def __init__(self, places: Places, stub: Stub) -> None:
        endpoints = tuple((name, stub.url) for name in ("ssm", "ec2messages", "ssmmessages"))
        self.configuration = Configuration(present=True, endpoints=endpoints)
        self.pauses: list[float] = []
        console = Console(places, self.configuration)
        self.agent = Agent(places=places, console=console, vault=Vault(places), pause=self.pauses.append)
        self.services = Services(
            region="us-east-1", configuration=self.configuration, tls=None, pause=self.pauses.append
        )

    def register(self, **options: Any) -> int:
        given: dict[str, Any] = {
            "activation_id": ACTIVATION,
            "code": CODE,
            "region": "us-east-1",
            "force": False,
        } | options
        return register(self.agent, self.services, check_similarity=True, **given)

    def run_until(self, condition: Callable[[], object], *, time_scale: float = 0.001) -> None:
        """Let the daemon work until `condition` returns; then stop it."""
        stop = threading.Event()
        registered = self.agent.vault.registration()
        host = Host(plugins={}, reboot=lambda: None)
        daemon = Daemon(self.agent, self.services, registered, host=host, wait=stop.wait, time_scale=time_scale)
        thread = threading.Thread(target=daemon.run, daemon=True)
        thread.start()
        try:
            condition()
        finally:
            stop.set()
            thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def start(places: Places) -> Iterator[Start]:
    nodes: list[Node] = []

    def make(stub: Stub) -> Node:
        nodes.append(Node(places, stub))
        return nodes[-1]

    yield make
    for node in nodes:
        node.services.close()


def same_as_recorded(seen: Seen, scenario: str, number: int = 0) -> None:
    recorded = [one for one in recordings.requests(scenario) if recordings.target(one) == seen.target][number]
    expected = recordings.shape(recorded["method"], recorded["headers"], recorded["body"])
    assert recordings.shape(seen.method, seen.headers, seen.json) == expected


def test_registration_goes_over_the_wire_as_the_real_agent_sends_it(serve: Serve, start: Start) -> None:
    stub = serve(well)
    assert start(stub).register() == 0
    (seen,) = stub.seen
    same_as_recorded(seen, "register-ok")
    assert len(seen.json["PublicKey"]) == 392


def test_registering_again_keeps_the_fingerprint_and_makes_a_new_key(serve: Serve, start: Start) -> None:
    stub = serve(well)
    node = start(stub)
    node.register()
    node.register(force=True)
    first, second = stub.seen
    same_as_recorded(second, "register-again")
    assert first.json["Fingerprint"] == second.json["Fingerprint"]
    assert first.json["PublicKey"] != second.json["PublicKey"]


@pytest.mark.parametrize("number", range(4))
def test_a_refused_registration_prints_what_the_real_agent_prints(
    serve: Serve, start: Start, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    case = recordings.facts("register-refused")["cases"][number]
    answers = [one for one in recordings.exchange("register-refused") if one["direction"] == "service->agent"]
    refusal = answers[number]
    stub = serve(lambda _request, _earlier: (refusal["status"], refusal["body"]))
    assert start(stub).register() == case["exit_code"] == 1
    assert _last_error(capsys.readouterr().out) == _last_error(case["output"])
    assert len(stub.seen) == 1


def test_a_code_that_is_too_short_is_refused_without_a_call(
    serve: Serve, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    case = recordings.facts("register-refused")["cases"][4]
    stub = serve(well)
    assert start(stub).register(code="short") == 1
    assert _last_error(capsys.readouterr().out) == _last_error(case["output"])
    assert stub.seen == []


@pytest.mark.parametrize(("number", "status"), [(0, 500), (1, 400)])
def test_trouble_of_the_service_is_tried_four_times_with_the_same_key(
    serve: Serve, start: Start, capsys: pytest.CaptureFixture[str], number: int, status: int
) -> None:
    case = recordings.facts("retries")["cases"][number]
    code = "InternalServerError" if status == 500 else "ThrottlingException"
    stub = serve(lambda _request, _earlier: (status, {"__type": code, "message": "forced"}))
    node = start(stub)
    assert node.register() == 1
    assert len({one.body for one in stub.seen}) == 1
    assert len(stub.seen) == 4
    assert [1 <= node.pauses[0] <= 1.5, 2 <= node.pauses[1] <= 3, 4 <= node.pauses[2] <= 6] == [True] * 3
    said = _last_error(capsys.readouterr().out)
    assert said.split(", request id")[0] == _last_error(case["output"]).split(", request id")[0]


def _last_error(console: str) -> str:
    text = console.partition(" ERROR ")[2]
    # What follows in the recording is standard error: lines that begin with a date.
    return text.partition("\n2026/")[0].strip()


def test_the_console_of_a_registration_reads_as_recorded(
    serve: Serve, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = recordings.facts("register-ok")["cases"][0]["output"]
    node = start(serve(well))
    node.agent.console.open()
    node.register()
    captured = capsys.readouterr()

    def words(text: str) -> list[str]:
        return [_without_time(line) for line in text.replace(NODE, "ID").splitlines()]

    node_id = next(iter(recordings.facts("register-ok")["nodes"]))
    assert words(captured.out + captured.err) == words(recorded.replace(node_id, "ID"))


def _without_time(line: str) -> str:
    return " ".join(word for word in line.split(" ") if not word[:4].isdigit() and not word[:2].isdigit())


def test_a_registration_leaves_the_recorded_files(serve: Serve, start: Start, places: Places) -> None:
    start(serve(well)).register()
    for entry in recordings.disk_of("register-ok"):
        path = places.data / entry["path"]
        assert f"{path.stat().st_mode & 0o7777:04o}" == entry["mode"], entry["path"]
        if entry["type"] == "file":
            assert _kinds(json.loads(path.read_text())) == _kinds(json.loads(entry["content"])), entry["path"]


def _kinds(value: Any) -> Any:
    return [(key, _kinds(inner)) for key, inner in value.items()] if isinstance(value, dict) else type(value).__name__


def test_a_first_start_makes_the_recorded_calls_in_order(serve: Serve, start: Start) -> None:
    stub = serve(well)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("GetMessages"))
    wanted = [recordings.target(one) for one in recordings.requests("first-start-mds")]
    channel = f"/v1/control-channel/{NODE}"
    wanted = [channel if name.startswith("/v1/") else name for name in wanted]
    known = [one.target for one in stub.seen if one.target in wanted]
    assert known[: len(wanted)] == wanted


@pytest.mark.parametrize(
    ("operation", "number"),
    [
        ("RequestManagedInstanceRoleToken", 0),
        ("UpdateInstanceInformation", 0),
        ("UpdateInstanceInformation", 1),
        ("GetMessages", 0),
    ],
)
def test_each_call_of_a_first_start_has_the_recorded_shape(
    serve: Serve, start: Start, operation: str, number: int
) -> None:
    stub = serve(well)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("GetMessages"))
    same_as_recorded(stub.of(operation)[number], "first-start-mds", number)


def test_the_control_channel_is_asked_for_as_recorded(serve: Serve, start: Start) -> None:
    stub = serve(well)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for(f"/v1/control-channel/{NODE}"))
    (seen,) = stub.of(f"/v1/control-channel/{NODE}")
    recorded = next(one for one in recordings.requests("first-start-mds") if one["path"] != "/")
    assert recordings.shape(seen.method, seen.headers, seen.json) == recordings.shape(
        recorded["method"], recorded["headers"], recorded["body"]
    )


def test_associations_are_asked_for_as_recorded(serve: Serve, start: Start) -> None:
    stub = serve(well)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("ListInstanceAssociations", 2))
    same_as_recorded(stub.of("ListInstanceAssociations")[1], "mds-idle-poll")


def test_later_heartbeats_name_the_channel_in_use(serve: Serve, start: Start) -> None:
    stub = serve(well)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("UpdateInstanceInformation", 4))
    beats = stub.of("UpdateInstanceInformation")
    assert [beat.json.get("SSMConnectionChannel") for beat in beats[:3]] == [None, "", "ec2messages"]


def test_a_running_agent_keeps_the_recorded_files(serve: Serve, start: Start, places: Places) -> None:
    stub = serve(well)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("GetMessages"))
    bases = {"/var/lib/amazon/ssm": places.data, "/root/.aws": places.credentials.parent}
    for entry in recordings.disk_of("first-start"):
        name = NODE.join(_split_node(entry["path"]))
        mode = (bases[entry["base"]] / name).stat().st_mode
        assert f"{mode & 0o7777:04o}" == entry["mode"], name


def _split_node(path: str) -> list[str]:
    first, slash, rest = path.partition("/")
    return ["", slash + rest] if first.startswith("mi-") else [path]


def test_the_token_call_verifies_with_the_registered_key(serve: Serve, start: Start) -> None:
    stub = serve(well)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("RequestManagedInstanceRoleToken"))
    registered, token = stub.seen[:2]
    key: Any = serialization.load_der_public_key(base64.b64decode(registered.json["PublicKey"]))
    header = dict(token.headers)["Authorization"].split(" ", 1)[1]
    parts = dict(part.split("=", 1) for part in header.split(", "))
    text: list[str] = []
    headers = {name.lower(): value for name, value in token.headers}
    authorization(
        method="POST",
        path="/",
        signed=[(name, headers[name]) for name in parts["SignedHeaders"].split(";")],
        body=token.body.encode(),
        date=headers["x-amz-date"],
        scope=parts["Credential"].partition("/")[2],
        credential=NODE,
        sign=lambda _scope, to_sign: text.append(to_sign) or "",  # type: ignore[func-returns-value]
    )
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    key.verify(base64.b64decode(parts["Signature"]), text[0].encode(), pss, hashes.SHA256())


def test_a_token_is_renewed_at_half_of_its_life(serve: Serve, start: Start) -> None:
    stub = serve(lambda request, earlier: well(request, earlier, lifetime=1.2))
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("RequestManagedInstanceRoleToken", 2), time_scale=1.0)
    same_as_recorded(stub.of("RequestManagedInstanceRoleToken")[1], "token-refresh", 1)


def test_a_wrong_fingerprint_silences_the_agent(serve: Serve, start: Start) -> None:
    def refuse(request: Seen, earlier: int) -> Answer:
        if request.target == "RequestManagedInstanceRoleToken":
            return 400, {"__type": "MachineFingerprintDoesNotMatch", "message": "forced"}
        return well(request, earlier)

    stub = serve(refuse)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("RequestManagedInstanceRoleToken"), time_scale=1.0)
    assert [one.target for one in stub.seen] == [
        recordings.target(one) for one in recordings.requests("wrong-fingerprint")
    ]


def test_a_valid_token_is_used_again_after_a_restart(serve: Serve, start: Start) -> None:
    stub = serve(well)
    start(stub).register()
    start(stub).run_until(lambda: stub.wait_for("GetMessages"))
    start(stub).run_until(lambda: stub.wait_for("GetMessages", 2))
    assert len(stub.of("RequestManagedInstanceRoleToken")) == 1


def test_a_message_of_an_unknown_topic_is_declined(serve: Serve, start: Start) -> None:
    message = {"MessageId": "aws.ssm.1.2", "Topic": "aws.ssm.elsewhere", "Destination": NODE, "Payload": "{}"}

    def script(request: Seen, earlier: int) -> Answer:
        if request.target == "GetMessages" and earlier == 0:
            return 200, {"Messages": [message]}
        return well(request, earlier)

    stub = serve(script)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("FailMessage"))
    assert stub.of("FailMessage")[0].json == {"FailureType": "NoHandlerExists", "MessageId": "aws.ssm.1.2"}


def test_a_new_key_is_told_to_the_service_and_used_from_then_on(serve: Serve, start: Start) -> None:
    def script(request: Seen, earlier: int) -> Answer:
        status, answer = well(request, earlier)
        if request.target == "RequestManagedInstanceRoleToken":
            answer["UpdateKeyPair"] = True
        return status, answer

    stub = serve(script)
    node = start(stub)
    node.register()
    before = node.agent.vault.registration().private_key
    node.run_until(lambda: stub.wait_for("GetMessages"))
    same_as_recorded(stub.of("UpdateManagedInstancePublicKey")[0], "key-rotation")
    assert node.agent.vault.registration().private_key != before


def test_a_refused_first_heartbeat_silences_the_worker(serve: Serve, start: Start) -> None:
    def script(request: Seen, earlier: int) -> Answer:
        if request.target == "UpdateInstanceInformation":
            return 400, {"__type": "AccessDeniedException", "message": "forced"}
        return well(request, earlier)

    stub = serve(script)
    node = start(stub)
    node.register()
    node.run_until(lambda: stub.wait_for("UpdateInstanceInformation", 2), time_scale=0.001)
    assert stub.of("GetMessages") == []


@pytest.mark.parametrize("scenario", ["first-start-mds", "mds-idle-poll", "token-refresh", "first-start"])
def test_role_token_signatures_are_computed_as_the_real_agent_did(scenario: str) -> None:
    tokens = recordings.facts(scenario)["role_tokens"]
    checked = 0
    for request in recordings.requests(scenario):
        headers = {name.lower(): value for name, value in request["headers"]}
        parts = dict(
            part.split("=", 1) for part in headers.get("authorization", " ").split(" ", 1)[1].split(", ") if part
        )
        access_key, _, scope = parts.get("Credential", "").partition("/")
        if access_key not in tokens:
            continue
        made = authorization(
            method=request["method"],
            path=request["path"],
            signed=[(name, headers[name]) for name in parts["SignedHeaders"].split(";")],
            body=request.get("body_raw", "").encode(),
            date=headers["x-amz-date"],
            scope=scope,
            credential=access_key,
            sign=hmac_sign(tokens[access_key]["SecretAccessKey"]),
        )
        assert made == headers["authorization"]
        checked += 1
    assert checked


def test_clearing_a_registration_forgets_key_and_id_but_not_the_file(
    serve: Serve, start: Start, places: Places
) -> None:
    node = start(serve(well))
    node.register()
    assert clear(node.agent) == 0
    assert not node.agent.vault.registration().complete
    assert NODE in places.registration.read_text()
