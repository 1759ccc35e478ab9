"""The scripts of the runbook, run as they are by the shells that are there; and what is made of their output."""

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.patching.stage import runbook

from localcloud.automation import interpolation
from moorings.patching.told import MOST_CHECKS, health_told, is_literal, vm_told

EXECUTION = "11111111-2222-4333-8444-555555555555"
SHELLS = [name for name in ("sh", "dash", "bash", "busybox") if shutil.which(name)]
AWKS = [name for name in ("mawk", "gawk", "original-awk") if shutil.which(name)]
IMDS = "http://169.254.169.254"


class _Parameters:
    """What a step's references mean here."""

    def __init__(self, **known: object) -> None:
        self._known = known

    def lookup(self, reference: str) -> object:
        return {"automation:EXECUTION_ID": EXECUTION, **self._known}[reference]


def script(step: str, **parameters: object) -> str:
    """A step's shell script as the service sends it."""
    inputs = interpolation.resolve(runbook().step(step).inputs, _Parameters(**parameters))
    return "\n".join(inputs["Parameters"]["commands"])


def run(
    text: str, *, shell: str = "sh", path: str = "", home: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a script as the agent does: from a file, without a terminal."""
    command = [shell, *(["sh"] if shell == "busybox" else []), "-c", text]
    environment = {"PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"], "LC_ALL": "C"}
    if home:
        environment["TMPDIR"] = str(home)
    return subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False)


def checks(commands: list[str], *, shell: str = "sh", path: str = "", text: str | None = None) -> tuple[int, ...]:
    """The result of the health script for these checks."""
    given_text = script("HealthBeforeLinux", HealthCheckCommands=commands if text is None else text)
    result = run(given_text, shell=shell, path=path)
    report = health_told(result.stdout.decode())
    assert report is not None, result.stderr.decode()
    assert report.boot
    return report.checks


# Each ends with 0 only if its text came through untouched.
HARD = [
    """test "it's" = 'it'"'"'s'""",
    "test \"$(printf %s 'a\"b')\" = 'a\"b'",
    "x=1\n# a line of its own\ntest $x = 1",
    "test \"$(printf '%s' 'a\\b')\" = 'a\\b'",
    "test \"$(printf '%s' 'a\\\\b' | wc -c)\" -eq 4",
    "test \"$(printf '%s' 'tab\there' | wc -c)\" -eq 8",
    "test \"$(printf %s 'grün 漢字 🚢' | wc -c)\" -eq 17",
    "test 'a=b' = 'a=b' && test '<&>' = '<&>'",
    'case "{}[],:" in "{}[],:") ;; *) exit 1 ;; esac',
    "test '$HOME `id` $(id)' = '$HOME `id` $(id)'",
    "test '%s %d %%' = '%s %d %%'",
    "true # MOORINGS_" + EXECUTION,
    "cat > /dev/null; true",
]


@pytest.mark.parametrize("shell", SHELLS)
def test_checks_run_as_they_were_written(shell: str) -> None:
    assert checks(HARD, shell=shell) == (0,) * len(HARD)


@pytest.mark.parametrize("awk", AWKS)
def test_checks_are_the_same_with_every_awk(awk: str, tmp_path: Path) -> None:
    (tmp_path / "awk").symlink_to(str(shutil.which(awk)))

    assert checks([*HARD, "exit 7"], path=str(tmp_path)) == (*(0,) * len(HARD), 7)


def test_busyboxes_awk_does_too(tmp_path: Path) -> None:
    if not shutil.which("busybox"):
        pytest.skip("busybox is not installed")
    (tmp_path / "awk").write_text('#!/bin/sh\nexec busybox awk "$@"\n')
    (tmp_path / "awk").chmod(0o755)

    assert checks([*HARD, "exit 7"], path=str(tmp_path)) == (*(0,) * len(HARD), 7)


def test_escapes_of_the_service_are_understood() -> None:
    escaped = json.dumps(["test 'a=b<c>&d' = 'a=b<c>&d'", "test \"x\" = 'x'"])
    for letter in "=<>&'":
        escaped = escaped.replace(letter, f"\\u{ord(letter):04x}")

    assert "\\u003d" in escaped
    assert checks([], text=escaped) == (0, 0)
    assert checks([], text=escaped.replace("\\u003d", "\\u003D").replace("/", "\\/")) == (0, 0)


@pytest.mark.parametrize("awk", AWKS)
def test_letters_of_all_languages_may_be_escaped(awk: str, tmp_path: Path) -> None:
    (tmp_path / "awk").symlink_to(str(shutil.which(awk)))
    commands = ["test \"$(printf %s 'grün 漢字 🚢' | wc -c)\" -eq 17", "test 'ü漢🚢' = \"$(printf '\\303\\274漢🚢')\""]

    assert checks([], text=json.dumps(commands), path=str(tmp_path)) == (0, 0)


@pytest.mark.parametrize(
    ("commands", "codes"),
    [
        ([], ()),
        ([""], (0,)),
        (["true", "false", "exit 255"], (0, 1, 255)),
        (["echo moorings check 2 0; echo moorings boot faked; exit 3", "exit 4"], (3, 4)),
        (["kill -9 $$", "true"], (137, 0)),
        (["nosuchcommand"], (127,)),
        (["yes | head -c 200000", "true"], (0, 0)),
        (["printf 'moorings check 1 0\\n%.0s' 1 2 3 4 5 6 7; exit 9"], (9,)),
    ],
)
def test_each_check_has_its_own_result(commands: list[str], codes: tuple[int, ...]) -> None:
    assert checks(commands) == codes


def test_the_output_of_fifty_checks_is_never_cut_off_by_the_service() -> None:
    result = run(script("HealthBeforeLinux", HealthCheckCommands=["yes " + "x" * 400 + " | head -n 100"] * 50))

    assert len(result.stdout.decode()) <= 24_000
    assert len(health_told(result.stdout.decode()).checks) == 50  # type: ignore[union-attr]


def test_nothing_is_left_on_the_node(tmp_path: Path) -> None:
    run(script("HealthBeforeLinux", HealthCheckCommands=["true"]), home=tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_before_and_after_are_asked_alike() -> None:
    assert script("HealthBeforeLinux", HealthCheckCommands=["x"]) == script(
        "HealthAfterLinux", HealthCheckCommands=["x"]
    )
    assert script("HealthBeforeWindows", HealthCheckCommands=["x"]) == script(
        "HealthAfterWindows", HealthCheckCommands=["x"]
    )


texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00\x01"), min_size=1, max_size=40
).filter(lambda text: "{{" not in text)


@given(st.lists(texts, min_size=1, max_size=5))
def test_any_text_reaches_its_file(wanted: list[str]) -> None:
    source = script("HealthBeforeLinux", HealthCheckCommands=wanted)
    # The files as they are before the first of them runs.
    end = source.index("boot=$(cat")
    shown = source[:end] + '\nfor one in "$dir"/[0-9]*; do printf "%s\\036" "$(cat "$one"; echo .)"; done'

    result = run(shown)

    found = [part.removesuffix(b"\n.") for part in result.stdout.split(b"\036")[: len(wanted)]]
    if "\036" not in "".join(wanted):
        assert found == [text.encode() for text in wanted]


# -- what is believed


@pytest.mark.parametrize(
    ("output", "boot", "codes"),
    [
        ("moorings boot abc\nmoorings check 1 0\n", "abc", (0,)),
        ("noise\r\n moorings boot abc \r\nmoorings check 2 0\r\n", "abc", (255, 0)),
        ("moorings boot a\nmoorings boot b\nmoorings check 1 0\nmoorings check 1 1\n", "a", (0,)),
        ("moorings boot a\n  | moorings check 1 0\nmoorings check 1 3\n", "a", (3,)),
        ("moorings boot a\nmoorings check 0 1\nmoorings check 51 1\nmoorings check x 1\n", "a", ()),
        ("moorings boot a\nmoorings check 1 -1073741510\n", "a", (-1073741510,)),
        ("moorings boot 20261121T225000Z\n", "20261121T225000Z", ()),
    ],
)
def test_health_as_it_is_told(output: str, boot: str, codes: tuple[int, ...]) -> None:
    report = health_told(output)

    assert report is not None
    assert (report.boot, report.checks) == (boot, codes)


@pytest.mark.parametrize(
    "output", ["", "moorings check 1 0\n", "moorings boot\n", "moorings boot a b\n", "x moorings boot a"]
)
def test_without_its_first_line_nobody_looked(output: str) -> None:
    assert health_told(output) is None


@given(st.text(max_size=200))
def test_any_output_is_borne(output: str) -> None:
    vm_told(output)
    report = health_told(output)
    assert report is None or len(report.checks) <= MOST_CHECKS


@pytest.mark.parametrize(
    ("text", "literal"), [("", True), ("{{ Step.CommandId }}", True), ("{{x}}", True), ("c0ffee", False)]
)
def test_what_a_step_that_did_not_run_leaves_behind(text: str, literal: bool) -> None:
    assert is_literal(text) is literal


# -- who the VM is


@cache
def _signature() -> str:
    return "MIIL" + "Ab+/" * 900 + "=="


class _Metadata(http.server.BaseHTTPRequestHandler):
    """What 169.254.169.254 answers, with some of its whims."""

    failures = 0
    asked: list[str]
    body = ""

    def do_GET(self) -> None:
        """Answer one request."""
        server: _Server = self.server  # type: ignore[assignment]
        parts = urlsplit(self.path)
        server.asked.append(self.path)
        if server.failures and parts.path.startswith("/metadata/attested"):
            server.failures -= 1
            self.send_error(500)
            return
        if self.headers.get("Metadata") != "true":
            self.send_error(400)
            return
        answer = {
            "/metadata/instance/compute/resourceId": "/subscriptions/s/resourceGroups/rg web/providers/x",
            "/metadata/instance/compute/azEnvironment": "AzurePublicCloud",
            "/metadata/attested/document": server.document.replace(
                "NONCE", parse_qs(parts.query).get("nonce", [""])[0]
            ),
        }.get(parts.path)
        if answer is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    """A metadata service on loopback."""

    failures = 0
    document = json.dumps({"encoding": "pkcs7", "signature": _signature()})

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Metadata)
        self.asked: list[str] = []


@pytest.fixture
def metadata() -> Iterator[_Server]:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def extract(server: _Server, *, shell: str = "sh") -> subprocess.CompletedProcess[bytes]:
    """The Extract step against a metadata service on loopback."""
    text = script("ExtractVMDetailsLinux")
    assert IMDS in text
    return run(text.replace(IMDS, f"http://127.0.0.1:{server.server_port}"), shell=shell)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_vm_tells_who_it_is_and_proves_it(metadata: _Server, shell: str) -> None:
    result = extract(metadata, shell=shell)

    told = vm_told(result.stdout.decode())
    assert result.returncode == 0
    assert told.resource_id == "/subscriptions/s/resourceGroups/rg web/providers/x"
    assert told.environment == "AzurePublicCloud"
    assert told.attested == _signature()
    assert f"nonce={EXECUTION.replace('-', '')}" in metadata.asked[-1]


@pytest.mark.parametrize(
    "document",
    [
        json.dumps({"signature": _signature(), "encoding": "pkcs7"}, indent=2),
        json.dumps({"encoding": "pkcs7", "signature": _signature()}).replace("/", "\\/"),
        json.dumps({"encoding": "pkcs7", "signature": _signature()}, indent=1).replace("\n", "\r\n"),
        '{"encoding" : "pkcs7", "signature" : "' + _signature() + '"}',
    ],
)
def test_the_document_is_understood_however_it_is_written(metadata: _Server, document: str) -> None:
    metadata.document = document

    assert vm_told(extract(metadata).stdout.decode()).attested == _signature()


def test_a_server_error_is_borne(metadata: _Server) -> None:
    metadata.failures = 1

    assert vm_told(extract(metadata).stdout.decode()).attested == _signature()


def test_without_a_metadata_service_the_step_fails(metadata: _Server) -> None:
    text = script("ExtractVMDetailsLinux").replace(IMDS, f"http://127.0.0.1:{metadata.server_port}/nothing")

    result = run(text)

    assert result.returncode == 1
    assert vm_told(result.stdout.decode()).attested == ""


@pytest.mark.parametrize("word", ["\x1b[2JAzure", "Azure Public", "x" * 65, "<b>", "Azure\rPublicCloud", "\u202eduolC"])
def test_a_cloud_is_one_plain_word_or_none(word: str) -> None:
    """It goes into the reason of a run, and so into logs, mails and terminals; and the node may say anything."""
    assert vm_told(f"moorings environment {word}\n").environment == ""
