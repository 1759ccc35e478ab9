"""How commands end: exit codes, at most two lines on stderr, nothing on stdout that is no result."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from localcloud.cloud import LocalCloud
from moorings.cli.door import guarded
from moorings.errors import Busy, CloudFault, Conflict, Invalid, Misconfigured, Refused


def raising(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


def raising_always(error: BaseException) -> Callable[..., object]:
    def command(*_: object) -> object:
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
            patch.setattr("moorings.cli.door.os.dup2", lambda *_: None)
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
