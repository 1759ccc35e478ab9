"""Whatever cuts a run short, the next one finishes it: one key, one grant, one registration."""

import re

import pytest
from tests.enrolment.bootstrap.api import Answer, Api
from tests.enrolment.bootstrap.rig import KEY_FILE, Server

COMMANDS = 26  # of an undisturbed run; it is killed before each of them


def test_every_command_of_a_run_is_a_point_of_interruption_below(server: Server, api: Api, script: str) -> None:
    assert len(server.run(script).commands) == COMMANDS


@pytest.mark.parametrize("n", range(1, COMMANDS + 1))
def test_a_run_killed_anywhere_is_finished_by_the_next(server: Server, api: Api, script: str, n: int) -> None:
    killed = server.run(script, kill_before=n)
    again = server.run(script)

    assert killed.code == -9
    assert again.code == 0, again.err
    assert len(set(api.keys)) == 1
    assert len(server.registrations) == 1
    assert server.has("rig/active")
    assert not server.has(KEY_FILE)
    assert not list((server.root / "var/lib/moorings").glob("work.*"))


def test_a_run_killed_at_its_start_of_the_agent_makes_the_next_one_start_it(
    server: Server, api: Api, script: str
) -> None:
    """An unregistered agent may have been running all along: that it runs says nothing."""
    server.install()
    server.write("rig/active", "")
    names = [command[:2] for command in server.run(script).commands]
    server.write("rig/registrations", "")
    (server.root / "var/lib/amazon/ssm/Vault/Store/RegistrationKey").unlink()
    server.run(script, kill_before=names.index(("systemctl", "enable")) + 1)

    again = server.run(script)

    assert again.called("systemctl", "restart")
    assert len(api.asked) == 2


def test_a_forced_run_killed_after_registering_does_not_register_again(server: Server, api: Api, script: str) -> None:
    server.install()
    server.register()
    calls = [command[:2] for command in server.run(script, "--force").commands]
    done = len(server.registrations)
    server.run(script, "--force", kill_before=calls.index(("systemctl", "enable")) + 1)

    again = server.run(script, "--force")

    assert again.code == 0
    assert len(server.registrations) == done + 1


def test_a_run_that_gave_up_keeps_its_key_for_the_next(server: Server, api: Api, script: str) -> None:
    server.install()
    api.answers = [Answer(status=429, headers=(("Retry-After", "9999"),))]

    first, second = server.run(script), server.run(script)

    assert (first.code, second.code) == (4, 0)
    assert len(set(api.keys)) == 1


def test_the_key_is_for_root_alone(server: Server, api: Api, script: str) -> None:
    server.install()
    api.answers = [Answer(status=403)]
    server.run(script)

    assert (server.root / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert (server.root / "var/lib/moorings").stat().st_mode & 0o777 == 0o700
    assert re.fullmatch(r"[0-9a-f-]{36} none\n", server.read(KEY_FILE))


@pytest.mark.parametrize("content", ["", "garbage", "$(reboot)\n", "x" * 5000])
def test_a_spoilt_key_file_is_replaced(server: Server, api: Api, script: str, content: str) -> None:
    server.install()
    server.write(KEY_FILE, content)

    assert server.run(script).code == 0
    assert re.fullmatch(r"[0-9a-f-]{36}", api.keys[0])


def test_a_download_cut_short_runs_nothing(server: Server, api: Api, script: str) -> None:
    """At every line's end and inside of the last line, where a shorter call would be a call as well."""
    ends = [match.end() for match in re.finditer("\n", script[:-1])][::12]
    last = script.rindex("{ moorings_bootstrap")
    for end in [*ends, *range(last, len(script) - 2)]:
        run = server.run(script[:end], "--uninstall")

        assert not run.commands, script[last:end]
        assert not run.out
    assert not api.asked
