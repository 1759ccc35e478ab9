"""Invariant 5 on the server: code and key are in no output, no trace, no file, no argv but the agent's own."""

from pathlib import Path

import pytest
from tests.enrolment.bootstrap.api import Answer, Api
from tests.enrolment.bootstrap.rig import KEY_FILE, Run, Server


def _secrets(api: Api) -> set[str]:
    return api.codes | set(api.keys)


def _said(run: Run) -> str:
    others = [command for command in run.commands if not command[0].endswith("amazon-ssm-agent")]
    return "\n".join([run.out, run.err, *(" ".join(command) for command in others)])


@pytest.mark.parametrize("bash", [(), ("-x",), ("-xv",), ("-o", "functrace", "-x")], ids=" ".join)
@pytest.mark.parametrize(
    "words", ["", "RegistrationLimitExceeded: x\nThrottlingException: x\n", "InvalidPublicKey: no\n"]
)
def test_neither_code_nor_key_is_ever_shown(
    server: Server, api: Api, script: str, bash: tuple[str, ...], words: str
) -> None:
    if words:
        server.write("rig/agent-says", words)
    api.answers = [Answer(status=503)]

    run = server.run(script, bash=bash)

    assert _secrets(api)
    assert not [secret for secret in _secrets(api) if secret in _said(run)]


def test_a_trace_goes_on_after_the_secrets(server: Server, api: Api, script: str) -> None:
    assert "rm -f /var/lib/moorings/enrolment.key" in server.run(script, bash=("-x",)).err


def test_the_agent_gets_the_code_as_the_one_argument_it_takes_it_by(server: Server, api: Api, script: str) -> None:
    run = server.run(script)

    (call,) = run.called("amazon-ssm-agent")
    (grant,) = api.grants.values()
    assert call[1:] == ("-register", "-code", grant[1], "-id", grant[0], "-region", "eu-central-1", "-y")


def test_no_file_holds_the_code_at_any_moment(server: Server, api: Api, script: str) -> None:
    """Everything that the script could have written is copied away whenever a command runs after the answer."""
    imitation = server.read("rig/imitations/amazon-ssm-agent")
    for folder in range(2):
        (server.root / f"rig/seen{folder}").mkdir()
    server.imitate("amazon-ssm-agent", f"/real/cp -r /var/lib/moorings /tmp /rig/seen0\n{imitation}")
    server.imitate("systemctl", "/real/cp -r /var/lib/moorings /tmp /rig/seen1; :>/rig/active")

    run = server.run(script)

    files = [file for folder in ("tmp", "rig/seen0", "rig/seen1") for file in _files(server.root / folder)]
    assert run.code == 0
    assert len(files) > 4
    for file in files:
        content = file.read_bytes()
        assert not [code for code in api.codes if code.encode() in content], file
        if file.name != Path(KEY_FILE).name:
            assert not [key for key in api.keys if key.encode() in content], file


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_every_way_out_is_https_with_tls_1_2_at_least_and_bodies_go_by_standard_input(
    server: Server, api: Api, script: str
) -> None:
    run = server.run(script)

    calls = run.called("curl")
    assert len(calls) == 3
    for call in calls:
        assert call[:7] == ("curl", "-q", "--silent", "--show-error", "--proto", "=https", "--tlsv1.2")
    assert "--data-binary\t@-" in "\t".join(calls[2])
