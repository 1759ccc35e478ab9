"""How commands end: exit codes, at most two lines on stderr, nothing on stdout that is no result."""

import errno
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from localcloud.cloud import LocalCloud
from moorings.cli.door import EXITS, guarded
from moorings.cli.output import Results
from moorings.cli.reference import reference
from moorings.errors import FAMILIES, Busy, CloudFault, Conflict, Invalid, Misconfigured, Refused


def raising(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


def raising_always(error: BaseException) -> Callable[..., object]:
    def command(*_: object, **__: object) -> object:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid("x"), 2),
        (Misconfigured("x"), 2),
        (Refused("x"), 3),
        (Conflict("x"), 3),
        (Busy("x", retry_after=timedelta(seconds=1)), 4),
        (CloudFault("x", call="ssm:X"), 5),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
)
def test_each_family_has_its_exit_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """By who has to act."""
    if isinstance(error, BrokenPipeError):
        with capsys.disabled(), pytest.MonkeyPatch.context() as patch:
            patch.setattr("moorings.cli.streams.os.dup2", lambda *_: None)
            assert guarded(raising(error)) == code
    else:
        assert guarded(raising(error)) == code


def test_an_error_is_one_line_and_its_remedy_another(capsys: pytest.CaptureFixture[str]) -> None:
    """However long the message, so that logs and scripts can read it."""
    guarded(raising(Refused("no\nway " + "x" * 300, remedy="ask")))

    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"moorings: no way {'x' * 300}\n  remedy: ask\n"


def test_our_own_bug_leaves_a_trace_in_a_file_and_no_values_in_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit 70, one line that says where to look."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def command() -> object:
        code = "secret-code"
        return {}[len(code)]

    assert guarded(command) == 70
    [trace] = tmp_path.iterdir()
    err = capsys.readouterr().err
    assert str(trace) in err
    assert "KeyError" in trace.read_text()
    assert trace.stat().st_mode & 0o077 == 0
    assert "Traceback" not in err


def test_a_mistyped_command_is_a_usage_error(bare: Cli) -> None:
    """It names the help that tells more."""
    refused = bare("nodes", "lst")

    assert (refused.code, refused.out) == (2, "")
    assert "lst" in refused.err
    assert "moorings nodes --help" in refused.err


def test_a_group_without_a_command_shows_its_help_on_stderr(bare: Cli) -> None:
    """Nothing was done, so nothing is a result."""
    shown = bare("nodes")

    assert (shown.code, shown.out) == (2, "")
    assert "deregister" in shown.err


def test_without_a_region_nothing_is_guessed(bare: Cli) -> None:
    """A silent default would work in the wrong place."""
    refused = bare("nodes", "list")

    assert refused.code == 2
    assert "AWS_REGION" in refused.err


@pytest.mark.parametrize("command", [("enrolment", "status"), ("nodes", "list")])
def test_without_credentials_the_remedy_is_to_sign_in(
    bare: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """No call leaves: there is nothing to sign it with."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    refused = bare(*command, "--region", "us-east-1")

    assert refused.code == 2
    assert "sign in to AWS" in refused.err


def test_wrong_credentials_are_told_apart_from_a_failing_cloud(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying again would not help."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    refused = cli("nodes", "list")

    assert refused.code == 2
    assert "sign in to AWS" in refused.err


def test_a_failing_cloud_is_exit_5_and_names_the_call(cli: Cli, cloud: LocalCloud) -> None:
    """After the client has tried as often as it does."""
    cloud.faults.error("ssm", "DescribeInstanceInformation", status=400, count=50)
    try:
        failed = cli("nodes", "list")
    finally:
        cloud.faults.clear()

    assert (failed.code, failed.out) == (5, "")
    assert "ssm:DescribeInstanceInformation" in failed.err


def test_an_interrupted_command_says_so(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, no trace, the exit code that shells expect."""
    monkeypatch.setattr("moorings.cli.nodes.open_aws", raising_always(KeyboardInterrupt()))

    ended = bare("nodes", "list", "--region", "us-east-1")

    assert (ended.code, ended.out, ended.err) == (130, "", "moorings: stopped before it was done\n")


def test_the_version_is_told(bare: Cli) -> None:
    """As the distribution says."""
    assert bare("--version").out.startswith("moorings 0.")


def test_the_exit_codes_are_those_of_the_manual() -> None:
    """Each family's among them."""
    assert {family.exit_code for _, family in FAMILIES} <= EXITS.keys()
    assert all(f"| {code} | {meaning} |" in reference() for code, meaning in EXITS.items())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Refused("no", remedy="ask"), {"error": "refused", "message": "no", "remedy": "ask", "exit_code": 3}),
        (
            CloudFault("x", call="ssm:X", request_id="r", code="InternalServerError", remedy=""),
            {
                "error": "cloud_fault", "message": "x", "remedy": "", "exit_code": 5,
                "call": "ssm:X", "request_id": "r", "cloud_code": "InternalServerError",
            },
        ),
        (
            Busy("x", retry_after=timedelta(seconds=2), remedy=""),
            {"error": "busy", "message": "x", "remedy": "", "exit_code": 4, "retry_after_seconds": 2.0},
        ),
        (KeyboardInterrupt(), {"error": "interrupted", "message": "stopped before it was done", "remedy": "",
                               "exit_code": 130}),
    ],
)  # fmt: skip
def test_whoever_asked_for_json_gets_an_error_as_one_object(
    error: BaseException, told: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """On one line, the last one on stderr; nothing is on stdout."""
    assert guarded(raising(error), as_json=True) == told["exit_code"]

    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err.splitlines()[-1]) == told


def test_an_error_of_usage_leads_to_the_help_of_the_command_that_was_meant(bare: Cli) -> None:
    """However it was found."""
    for typed in ("nodes list --json=3", "nodes list --region", "nodes list --nope", "nodes list extra"):
        assert "see `moorings nodes list --help`" in bare(*typed.split()).err, typed


@pytest.mark.parametrize(
    ("typed", "code", "word"),
    [
        ("nodes list --json --nope", 2, "usage"),
        ("nodes lst --json", 2, "usage"),
        ("nodes list --json", 2, "misconfigured"),
        ("deploy missing.toml --json", 2, "invalid"),
        ("patch watch nonsense --json", 2, "invalid"),
    ],
)
def test_errors_of_usage_and_settings_are_objects_too(bare: Cli, typed: str, code: int, word: str) -> None:
    """Before anything is parsed, and after."""
    refused = bare(*typed.split())

    told = json.loads(refused.err)
    assert (refused.code, refused.out, told["error"], told["exit_code"]) == (code, "", word, code)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("deploy missing.toml", "missing.toml cannot be read: No such file or directory"),
        ("enrolment pools validate missing.toml", "missing.toml cannot be read: No such file or directory"),
        ("deploy bad.toml", "bad.toml cannot be read: "),
        ("enrolment pools validate bad.toml", "bad.toml: the configuration is not TOML"),
        ("local automation run missing.yaml", "missing.yaml cannot be read: No such file or directory"),
        ("anchors update --no-fetch --from missing.pem", "missing.pem cannot be read: No such file or directory"),
        ("nodes list --region nowhere!", "'nowhere!' is no AWS Region"),
        ("nodes list --region eu-central-1 --profile nope", "The config profile (nope) could not be found"),
        ("doctor --only nothing", "'nothing' is not one of 'identity'"),
        ("completion tcsh", "'tcsh' is not one of 'bash'"),
        ("nodes deregister mi-1", "mi-1: no id of a managed node"),
        ("nodes stale --after never", "--after 'never' is no duration"),
    ],
)
def test_what_a_person_got_wrong_is_said_in_a_line(
    bare: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typed: str, said: str
) -> None:
    """Exit code 2, no trace, the file or the value by its name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("x = [")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")

    refused = bare(*typed.split())

    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err
    assert len(refused.err.splitlines()) <= 2


def test_configuration_that_cannot_be_read_is_said_to_be(
    bare: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of AWS, whoever wrote it."""
    (tmp_path / "config").write_text("not [ini")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    refused = bare("nodes", "list", "--region", "eu-central-1")

    assert refused.code == 2
    assert "Unable to parse config file" in refused.err


@pytest.mark.parametrize(
    ("endpoint", "code", "said"),
    [("http://127.0.0.1:9", 5, "Could not connect"), ("nonsense", 2, "Invalid endpoint: nonsense")],
)
def test_an_endpoint_that_does_not_answer_is_named(
    bare: Cli, monkeypatch: pytest.MonkeyPatch, endpoint: str, code: int, said: str
) -> None:
    """With the settings that lead there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")

    failed = bare("nodes", "list", "--region", "eu-central-1")

    assert (failed.code, failed.out) == (code, "")
    assert said in failed.err


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"])
def test_credentials_that_have_expired_are_to_be_renewed(cli: Cli, cloud: LocalCloud, code: str) -> None:
    """Trying again would not help, so nobody is told to."""
    cloud.faults.error("sts", "GetCallerIdentity", status=403, code=code)
    try:
        refused = cli("nodes", "list")
    finally:
        cloud.faults.clear()

    assert (refused.code, refused.out) == (2, "")
    assert "sign in to AWS" in refused.err


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    """As with `| head`: no line on stderr, and the exit code that a shell gives to it."""
    code = "import sys; from moorings.cli.main import main; sys.argv[1:] = ['version']; main()"
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        ended = subprocess.run(
            [sys.executable, "-c", code], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )

    assert (ended.returncode, ended.stderr) == (141, "")


def ended_in_a_shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """How a shell sees a command end; `moorings` in `line` is ours."""
    ours = f'moorings() {{ {sys.executable} -c "from moorings.cli.main import main; main()" "$@"; }}; '
    surroundings = {**os.environ, **environment}
    return subprocess.run(
        ["bash", "-c", ours + line], env=surroundings, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        ("moorings --version >&-", 0, "", ""),
        ("moorings version >&-", 0, "", ""),
        ("moorings nope 2>&-", 2, "", ""),
        ("moorings nope 2> /dev/full", 2, "", ""),
        ("moorings enrolment pools validate - <&-", 2, "", "moorings: the configuration has 1 problem"),
        ("moorings version > /dev/full", 2, "", "moorings: standard output, or a file: No space left on"),
        ("moorings version --json > /dev/full", 2, "", '{"error": "misconfigured", "message": "standard output, or'),
    ],
)
def test_streams_that_are_closed_or_full_are_no_bug_of_ours(line: str, code: int, out: str, err: str) -> None:
    """As cron jobs and service managers hand them down."""
    ended = ended_in_a_shell(line)

    assert (ended.returncode, ended.stdout) == (code, out)
    assert ended.stderr.startswith(err)
    assert len(ended.stderr.splitlines()) <= (2 if err else 0)


def test_text_that_a_terminal_cannot_show_is_replaced(tmp_path: Path) -> None:
    """With the encodings of old terminals, and of Windows' pipes."""
    file = tmp_path / "日本.toml"
    file.write_text('pool = [{name = "default", mode = "shared"}]\n')

    told = ended_in_a_shell(f"moorings enrolment pools validate {file}", PYTHONIOENCODING="ascii")

    assert (told.returncode, told.stderr) == (0, "")
    assert "??.toml holds: 1 pool, 0 rules" in told.stdout


def test_json_is_whole_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of results, and of errors."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="cp1252") for _ in range(2))
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)

    Results(as_json=True).json({"name": "日本"})
    guarded(raising(Refused("日本")), as_json=True)

    for stream, key in ((out, "name"), (err, "message")):
        stream.seek(0)
        assert json.load(stream)[key] == "日本"


def test_a_bug_is_told_even_where_its_trace_cannot_be_stored(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is raised from the door, whatever the disk is like."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))

    assert guarded(raising(ValueError("x"))) == 70

    err = capsys.readouterr().err
    assert err.startswith(
        "moorings: unexpected ValueError; this is a bug of ours, and its trace cannot be stored: No such"
    )
    assert "TMPDIR" in err


def test_a_place_that_cannot_be_written_is_named_and_is_no_bug_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A disk that is full or read-only, somebody else's folder."""
    refused = OSError(errno.EROFS, os.strerror(errno.EROFS), "/srv/out/stack.yaml")

    assert guarded(raising(refused)) == 2

    first, second = capsys.readouterr().err.splitlines()
    assert first == "moorings: /srv/out/stack.yaml: Read-only file system"
    assert second.startswith("  remedy: ")
    assert guarded(raising(OSError(errno.EINVAL, "x", "/srv"))) == 70


def test_ctrl_c_twice_is_no_trace_either(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one meets the line that tells of the first."""
    monkeypatch.setattr("moorings.cli.door._tell", raising_always(KeyboardInterrupt()))

    def command() -> object:
        raise KeyboardInterrupt

    assert guarded(command) == 130


def test_ctrl_c_while_aws_is_asked_ends_with_a_line() -> None:
    """Whatever the SDK is doing then."""
    # A job in the background of a shell hands down that SIGINT is ignored.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heard}; import sys; from moorings.cli.main import main; sys.argv[1:] = ['nodes', 'list']; main()"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        surroundings = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
        }
        started = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, **surroundings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        asked, _ = silent.accept()
        asked.recv(1)  # the request is there: from now on it waits for an answer
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
        asked.close()

    assert (started.returncode, out, err) == (130, "", "moorings: stopped before it was done\n")
