"""A server enrols: the whole script, under real bash with real curl and gpgv."""

import hashlib
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.enrolment.bootstrap import rig
from tests.enrolment.bootstrap.api import REGION, Answer, Api, package_files, script_path
from tests.enrolment.bootstrap.conftest import PACKAGE, Authority, Signer
from tests.enrolment.bootstrap.proxy import proxying
from tests.enrolment.bootstrap.rig import KEY_FILE, MACHINE_ID, VAULT, Server

from moorings.enrolment.bootstrap import render

PROXY_UNIT = "etc/systemd/system/amazon-ssm-agent.service.d/moorings-proxy.conf"
SNAP_UNIT = "snap.amazon-ssm-agent.amazon-ssm-agent.service"


def test_a_bare_server_becomes_a_managed_node(server: Server, api: Api, script: str) -> None:
    run = server.run(script)

    assert run.code == 0, run.err
    assert run.out == f"{server.node} is registered in eu-central-1; the agent runs\n"
    assert server.registrations == [[code, activation] for activation, code in api.grants.values()]
    assert server.has("rig/active")
    assert not server.has(KEY_FILE)
    assert not list((server.root / "var/lib/moorings").glob("work.*"))


def test_it_says_who_it_is_without_giving_the_machine_id_away(server: Server, api: Api, script: str) -> None:
    server.run(script)

    node = api.asked[0]["node"]
    assert isinstance(node, dict)
    assert node["machine_id"] == hashlib.sha256(f"moorings:{MACHINE_ID}".encode()).hexdigest()[:32]
    assert set(api.asked[0]) == {"key", "node"}


@pytest.mark.parametrize("content", ["", "uninitialized\n"])
def test_a_server_without_a_machine_id_is_enrolled_and_warned(
    server: Server, api: Api, script: str, content: str
) -> None:
    server.write("etc/machine-id", content)

    run = server.run(script)

    assert run.code == 0
    assert "no /etc/machine-id" in run.err
    assert "machine_id" not in str(api.asked)


def test_a_pool_is_asked_for_by_flag_or_by_environment(server: Server, api: Api, script: str) -> None:
    first = server.run(script, "--pool", "web")
    server.run(script, "--force", environment={"MOORINGS_POOL": "batch"})

    assert [body["pool"] for body in api.asked] == ["web", "batch"]
    assert first.out.endswith("is registered in eu-central-1, pool web; the agent runs\n")


def test_flags_win_over_the_environment_and_both_over_what_was_filled_in(
    server: Server, api: Api, publisher: Signer
) -> None:
    filled_in = render.ScriptSettings(
        url="https://127.0.0.1:1/none", region="xx-none-1", packages="https://127.0.0.1:1/none"
    )
    server.write("tmp/key.asc", publisher.public_key)
    environment = {"MOORINGS_URL": "https://127.0.0.1:1/none", "MOORINGS_REGION": REGION}

    run = server.run(
        render.linux(filled_in),
        *("--url", f"{api.url}/", "--packages", f"{api.packages}/", "--signing-key-file", "/tmp/key.asc"),
        environment=environment,
    )

    assert run.code == 0, run.err


def test_a_registered_server_is_left_alone_and_asks_nothing(server: Server, api: Api, script: str) -> None:
    server.install()
    server.register()

    run = server.run(script)

    assert run.code == 0
    assert run.out == "mi-0123456789abcdef0 is registered already; the agent runs\n"
    assert not api.asked
    assert not api.fetched
    assert not run.called("systemctl", "restart")


def test_a_registered_server_needs_no_settings(server: Server, api: Api) -> None:
    server.install()
    server.register()

    assert server.run(script_path().read_text()).code == 0


def test_a_registered_agent_that_does_not_run_is_started(server: Server, api: Api, script: str) -> None:
    server.install()
    server.register()
    (server.root / "rig/active").unlink()

    run = server.run(script)

    assert run.code == 0
    assert server.has("rig/active")
    assert not api.asked


def _runs_for(server: Server, seconds: float) -> None:
    """After each start the agent runs that long, as far as systemctl says; each look is written down."""
    server.imitate(
        "systemctl",
        f"""
read -r up _ </proc/uptime
case $1 in
  is-active) echo "$up" >>/rig/looks
    read -r since </rig/since
    ((10#${{up/./}} - 10#${{since/./}} < {seconds * 100:.0f})) ;;
  start | restart) echo "$up" >/rig/since ;;
esac""",
    )


def test_an_agent_that_ends_a_moment_after_its_start_is_not_taken_for_running(
    server: Server, api: Api, script: str
) -> None:
    """A real one that finds no registration runs for about a second and a half."""
    _runs_for(server, 0.15)

    run = server.run(script, environment={"MOORINGS_START_STAY": "0.3", "MOORINGS_START_WAIT": "0.2"})

    assert run.code == 18
    assert "the agent does not stay up" in run.err
    assert not run.out


def test_an_agent_is_watched_for_as_long_as_was_set(server: Server, api: Api, script: str) -> None:
    _runs_for(server, 60)

    run = server.run(script, environment={"MOORINGS_START_STAY": "0.3", "MOORINGS_START_WAIT": "0.2"})

    looks = [round(100 * float(look)) for look in server.read("rig/looks").split()]
    assert run.code == 0, run.err
    assert looks[-1] - looks[0] >= 30  # hundredths, as the clock has them


def test_both_scripts_watch_the_agent_for_two_seconds_unless_told_otherwise() -> None:
    windows = script_path().with_name("windows.ps1").read_text()

    assert re.search(r"default MOORINGS_START_STAY 2 ", script_path().read_text())
    assert "Get-Seconds 'MOORINGS_START_STAY' '2'" in windows


@pytest.mark.parametrize("node", ["", "mi-0123456789abcdef0"])
def test_a_registration_that_was_cleared_is_none(server: Server, api: Api, script: str, node: str) -> None:
    """`-register -clear` empties the vault and leaves the registration file; without its key a node is none."""
    server.install()
    server.register()
    server.write(VAULT, f'{{"instanceID":"{node}","region":"","privateKey":""}}')

    assert server.run(script).code == 0
    assert len(server.registrations) == 1


def test_a_failed_registration_is_none(server: Server, api: Api, script: str) -> None:
    """The agent writes its private key into the vault before it asks; only the node id says that it was accepted."""
    server.install()
    server.write(VAULT, '{"instanceID":"","region":"","privateKey":"MIIE"}')

    assert server.run(script).code == 0
    assert len(server.registrations) == 1


def test_force_registers_anew(server: Server, api: Api, script: str) -> None:
    server.install()
    server.register()

    run = server.run(script, "--force")

    assert run.code == 0
    assert server.node == "mi-00000000000000001"
    assert len(api.asked) == 1


def test_a_package_that_is_gone_comes_back_under_the_same_registration(server: Server, api: Api, script: str) -> None:
    server.register()

    run = server.run(script)

    assert run.code == 0
    assert run.called("dpkg")
    assert not api.asked


def test_an_agent_that_is_installed_is_used_and_nothing_is_downloaded(server: Server, api: Api, script: str) -> None:
    server.install()

    run = server.run(script)

    assert run.code == 0
    assert not api.fetched
    assert len(server.registrations) == 1


def test_an_agent_installed_as_a_snap_is_used(server: Server, api: Api, script: str) -> None:
    server.install("snap")

    run = server.run(script)

    assert run.code == 0
    assert not api.fetched
    assert run.called("snap:amazon-ssm-agent", "-register")
    assert run.called("systemctl", "restart", SNAP_UNIT)


@pytest.mark.parametrize(
    ("system", "machine", "path"),
    [
        ("debian", "x86_64", "debian_amd64/amazon-ssm-agent.deb"),
        ("ubuntu", "aarch64", "debian_arm64/amazon-ssm-agent.deb"),
        ("rocky", "x86_64", "linux_amd64/amazon-ssm-agent.rpm"),
        ("amazon", "aarch64", "linux_arm64/amazon-ssm-agent.rpm"),
        ("sles", "x86_64", "linux_amd64/amazon-ssm-agent.rpm"),
    ],
)
def test_each_family_and_processor_gets_its_package(
    tmp_path: Path, authority: Authority, publisher: Signer, api: Api, script: str, system: str, machine: str, path: str
) -> None:
    server = Server(tmp_path / "server", system=system, ca=authority.pem)
    server.imitate("uname", f"[[ $1 == -m ]] && echo {machine} || echo web-01")
    folder, _, file = path.partition("/")
    kind = file.rpartition(".")[2]
    api.files = package_files(PACKAGE, publisher.sign(PACKAGE), folder=f"/mirror/{folder}", kind=kind)

    run = server.run(script)

    assert run.code == 0, run.err
    assert api.fetched == [f"/mirror/{path}", f"/mirror/{path}.sig"]
    assert server.read("rig/installed").strip() == kind


def test_without_a_package_source_it_is_the_publishers_own_of_the_region(
    server: Server, api: Api, publisher: Signer
) -> None:
    server.imitate("curl", "exit 6")
    settings = {"MOORINGS_DEADLINE": "0", "MOORINGS_SIGNING_KEY": publisher.public_key, "MOORINGS_URL": api.url}
    script = script_path().read_text()

    usual = server.run(script, "--region", "eu-west-1", environment=settings)
    china = server.run(script, "--region", "cn-north-1", environment=settings)

    assert (
        "https://s3.eu-west-1.amazonaws.com/amazon-ssm-eu-west-1/latest/debian_amd64/amazon-ssm-agent.deb" in usual.err
    )
    assert "https://s3.cn-north-1.amazonaws.com.cn/amazon-ssm-cn-north-1/latest/" in china.err


def test_gpg_serves_where_gpgv_is_missing(server: Server, api: Api, script: str) -> None:
    server.remove_command("gpgv")
    server.add_command("gpg")

    run = server.run(script)

    assert run.code == 0, run.err
    assert run.called("gpg")


def test_two_keys_may_be_given_while_a_publisher_changes_over(
    server: Server, api: Api, script: str, signers: dict[str, Signer], publisher: Signer
) -> None:
    both = signers["stranger"].public_key + "\n" + publisher.public_key.replace("\n", "\r\n")

    assert server.run(script, environment={"MOORINGS_SIGNING_KEY": both}).code == 0


def test_a_package_lock_at_first_boot_is_waited_for(server: Server, api: Api, script: str) -> None:
    server.write("rig/dpkg-fails", "dpkg: error: dpkg frontend lock was locked by another process with pid 7\n")
    server.imitate("sleep", "exit 0")

    run = server.run(script)

    assert run.code == 0
    assert len(run.called("dpkg")) == 2


@pytest.mark.parametrize(
    "answer",
    [Answer(status=429), Answer(status=500), Answer(status=503), Answer(status=504), Answer(status=0)],
    ids=lambda answer: str(answer.status),
)
def test_what_passes_is_asked_again_with_the_same_key(server: Server, api: Api, script: str, answer: Answer) -> None:
    api.answers = [answer] * 3

    run = server.run(script)

    assert run.code == 0
    assert len(set(api.keys)) == 1
    assert len(api.grants) == 1


def test_a_package_source_in_trouble_is_asked_again(server: Server, api: Api, script: str) -> None:
    api.file_answers = [Answer(status=503), Answer(status=0), Answer(status=429)]

    assert server.run(script).code == 0


def test_retry_after_is_honoured_and_each_pause_is_random_below_a_growing_limit(
    server: Server, api: Api, script: str
) -> None:
    server.imitate("sleep", "exit 0")
    busy = Answer(status=503)
    api.answers = [busy] * 5 + [Answer(status=429, headers=(("Retry-After", "7"),)), busy]

    run = server.run(script, environment={"MOORINGS_RETRY_BASE": "1", "MOORINGS_RETRY_CAP": "4"})

    pauses = [float(command[1]) for command in run.called("sleep")][:7]
    assert all(0 <= pause <= limit for pause, limit in zip(pauses[:5], (1, 2, 4, 4, 4), strict=True))
    assert 7 <= pauses[5] <= 11
    assert pauses[6] <= 4
    assert len(set(pauses)) > 4


def test_servers_that_were_all_told_the_same_seconds_do_not_come_back_together(
    server: Server, api: Api, script: str
) -> None:
    """Already at the first answer, when the pause would otherwise be short."""
    server.imitate("sleep", "exit 0")
    server.install()
    api.answers = [Answer(status=429, headers=(("Retry-After", "30"),))] * 8

    run = server.run(script, environment={"MOORINGS_RETRY_BASE": "0.001", "MOORINGS_RETRY_CAP": "20"})

    pauses = [float(command[1]) for command in run.called("sleep")][:8]
    assert len(api.asked) == 9
    assert all(30 <= pause <= 50 for pause in pauses)
    assert max(pauses) - min(pauses) > 1


def test_an_api_that_says_come_back_after_the_deadline_is_not_waited_for(server: Server, api: Api, script: str) -> None:
    api.answers = [Answer(status=429, headers=(("retry-after", "3600"),))]

    run = server.run(script)

    assert run.code == 4
    assert "HTTP 429" in run.err
    assert not run.called("sleep")


@pytest.mark.parametrize(
    "problem", ["RegistrationLimitExceeded: full", "ActivationExpired: over", "InvalidActivation: gone"]
)
def test_an_activation_that_is_of_no_use_is_replaced_under_a_new_key(
    server: Server, api: Api, script: str, problem: str
) -> None:
    server.write("rig/agent-says", f"{problem}\n")

    run = server.run(script)

    assert run.code == 0
    assert len(set(api.keys)) == 2
    assert len(server.registrations) == 1


def test_a_service_in_trouble_is_tried_again_with_the_same_grant(server: Server, api: Api, script: str) -> None:
    server.write("rig/agent-says", "ThrottlingException: slow\nRequestError: send request failed\n")

    run = server.run(script)

    assert run.code == 0
    assert len(set(api.keys)) == 1


def test_a_proxy_is_used_for_everything_and_handed_to_the_agent(server: Server, api: Api, script: str) -> None:
    with proxying() as proxy:
        proxy_url = f"http://user:50%25@127.0.0.1:{proxy.port}"
        run = server.run(script, environment={"https_proxy": proxy_url, "no_proxy": "example.test"})

    assert run.code == 0, run.err
    assert proxy.targets == [f"127.0.0.1:{api.port}"] * 3
    unit = server.read(PROXY_UNIT)
    assert f'Environment="https_proxy=http://user:50%%25@127.0.0.1:{proxy.port}"' in unit
    assert 'Environment="no_proxy=example.test,169.254.169.254"' in unit
    assert (server.root / PROXY_UNIT).stat().st_mode & 0o777 == 0o600
    assert run.called("systemctl", "daemon-reload")


def test_no_proxy_is_respected(server: Server, api: Api, script: str) -> None:
    with proxying() as proxy:
        environment = {"https_proxy": f"http://127.0.0.1:{proxy.port}", "no_proxy": "127.0.0.1"}
        assert server.run(script, environment=environment).code == 0

    assert not proxy.targets


def test_without_a_proxy_the_agents_unit_is_not_touched(server: Server, api: Api, script: str) -> None:
    server.run(script)

    assert not server.has(PROXY_UNIT)


def test_two_runs_at_once_register_once(server: Server, api: Api, script: str) -> None:
    runs: list[rig.Run] = []
    threads = [threading.Thread(target=lambda: runs.append(server.run(script))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [run.code for run in runs] == [0, 0]
    assert len(server.registrations) == 1
    assert len(api.asked) == 1


def test_a_run_that_waited_for_an_uninstall_takes_the_new_lock(server: Server, api: Api, script: str) -> None:
    """The file that it waited for is gone: to hold that one would keep nobody out."""
    server.imitate("flock", "[[ -e /rig/gone ]] || { /real/rm -r /var/lib/moorings; : >/rig/gone; }")

    run = server.run(script)

    assert run.code == 0, run.err
    assert len(run.called("flock")) == 2


def test_what_it_starts_has_neither_its_lock_nor_its_input(server: Server, api: Api, script: str) -> None:
    """An agent with the lock would make every later run wait; what reads our input eats the script's own text."""
    lock = "[[ ! -e /proc/self/fd/9 ]] || echo $0 >>/rig/kept\n"
    both = lock + "[[ /proc/self/fd/0 -ef /dev/null ]] || echo $0 >>/rig/kept\n"
    for name, kept in {"dpkg": both, "systemctl": both, "amazon-ssm-agent": both.removeprefix(lock)}.items():
        server.imitate(name, kept + server.read(f"rig/imitations/{name}"))

    assert server.run(script).code == 0
    assert not server.has("rig/kept")


def test_uninstall_removes_everything_and_names_the_node_to_deregister(server: Server, api: Api, script: str) -> None:
    server.run(script, environment={"https_proxy": f"http://127.0.0.1:{api.port}", "no_proxy": "127.0.0.1"})
    node = server.node

    run = server.run(script, "--uninstall")

    assert run.code == 0, run.err
    assert f"moorings nodes deregister {node}" in run.out
    assert run.called("dpkg", "--purge", "amazon-ssm-agent")
    assert not [path for path in (VAULT, f"{rig.SSM}/registration", "var/lib/moorings", PROXY_UNIT) if server.has(path)]


def test_uninstall_leaves_a_snap_with_a_hint(server: Server, api: Api, script: str) -> None:
    server.install("snap")
    server.register()

    run = server.run(script, "--uninstall")

    assert run.code == 0
    assert "snap remove --purge amazon-ssm-agent" in run.err
    assert run.called("systemctl", "stop", SNAP_UNIT)
    assert not server.has(VAULT)


def test_uninstall_may_be_repeated_and_a_server_may_enrol_again_after_it(server: Server, api: Api, script: str) -> None:
    server.run(script)

    codes = [server.run(script, *arguments).code for arguments in (["--uninstall"], ["--uninstall"], [])]

    assert codes == [0, 0, 0]
    assert len(server.registrations) == 2


def test_uninstall_asks_the_api_nothing(server: Server, api: Api, script: str) -> None:
    server.install()
    server.register()

    server.run(script, "--uninstall")

    assert not api.asked


def test_help_needs_no_rights_and_does_nothing() -> None:
    ended = subprocess.run(["bash", script_path(), "--help"], capture_output=True, text=True, check=False)

    assert ended.returncode == 0
    assert ended.stdout.startswith("usage: ")


def test_shellcheck_has_nothing_to_say() -> None:
    tool = Path(sys.executable).parent / "shellcheck"
    ended = subprocess.run([tool, script_path()], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout


def test_it_needs_neither_jq_nor_python() -> None:
    words = set(shlex.split(script_path().read_text().replace("'", " ").replace('"', " "), comments=True))

    assert not words & {"jq", "python", "python3", "perl", "awk", "sed", "grep", "openssl", "wget"}
