"""Every way in which the Linux script can end is reached here; the manual has exactly these."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.enrolment.bootstrap.api import Answer, Api, package_files, script_path
from tests.enrolment.bootstrap.conftest import PACKAGE, Signer
from tests.enrolment.bootstrap.rig import Run, Server

MANUAL = Path(__file__).resolve().parents[3] / "docs/bootstrap.md"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that a case may change before, and how it runs."""

    server: Server
    api: Api
    script: str
    signers: dict[str, Signer]

    def run(self, *arguments: str, **environment: str) -> Run:
        return self.server.run(self.script, *arguments, environment=environment)

    def package(self, content: bytes, signature: bytes | None) -> None:
        self.api.files = package_files(content, signature)


@pytest.fixture
def scene(server: Server, api: Api, script: str, signers: dict[str, Signer]) -> Scene:
    return Scene(server=server, api=api, script=script, signers=signers)


def _answering(*answers: Answer) -> Callable[[Scene], Run]:
    def case(scene: Scene) -> Run:
        scene.api.answers = list(answers)
        return scene.run()

    return case


def _with(**environment: str) -> Callable[[Scene], Run]:
    return lambda scene: scene.run(**environment)


def _arguments(*arguments: str) -> Callable[[Scene], Run]:
    return lambda scene: scene.run(*arguments)


def _without_command(name: str) -> Callable[[Scene], Run]:
    def case(scene: Scene) -> Run:
        scene.server.remove_command(name)
        return scene.run()

    return case


def _file(path: str, content: str, *arguments: str) -> Callable[[Scene], Run]:
    def case(scene: Scene) -> Run:
        scene.server.write(path, content)
        return scene.run(*arguments)

    return case


def _imitating(name: str, body: str, *arguments: str) -> Callable[[Scene], Run]:
    def case(scene: Scene) -> Run:
        scene.server.imitate(name, body)
        return scene.run(*arguments)

    return case


def _body(text: str) -> Callable[[Scene], Run]:
    return _answering(Answer(status=200, body=text))


def _unsigned(scene: Scene) -> Run:
    scene.package(PACKAGE, None)
    return scene.run()


def _tampered(scene: Scene) -> Run:
    scene.package(PACKAGE + b"!", scene.signers["publisher"].sign(PACKAGE))
    return scene.run()


def _by_a_stranger(scene: Scene) -> Run:
    scene.package(PACKAGE, scene.signers["stranger"].sign(PACKAGE))
    return scene.run()


def _by_an_expired_key(scene: Scene) -> Run:
    """The signature is good and gpgv ends with 0: only the status lines tell."""
    expired = scene.signers["expired"]
    scene.package(PACKAGE, expired.sign(PACKAGE))
    return scene.run(MOORINGS_SIGNING_KEY=expired.public_key)


def _not_a_signature(scene: Scene) -> Run:
    scene.package(PACKAGE, b"<html>not found</html>")
    return scene.run()


def _held_lock(scene: Scene) -> Run:
    scene.server.imitate("flock", "exit 1")
    return scene.run()


def _old_package_left(scene: Scene) -> Run:
    scene.server.install()
    scene.server.register()
    scene.server.write("rig/purge-fails", "")
    return scene.run("--uninstall")


GRANT = '"ActivationId":"{id}","ActivationCode":"{code}","Region":"eu-central-1"'
GOOD = {"id": "0" * 36, "code": "c" * 20}
CASES: dict[str, tuple[int, Callable[[Scene], Run]]] = {
    "unknown flag": (2, _arguments("--nope")),
    "flag without value": (2, _arguments("--pool")),
    "no URL": (2, lambda scene: scene.server.run(script_path().read_text())),
    "plain http": (2, _arguments("--url", "http://127.0.0.1/prod")),
    "no Region": (2, _arguments("--region", "?")),
    "pool with quotes": (2, _arguments("--pool", '"},"')),
    "deadline is no number": (2, _with(MOORINGS_DEADLINE="soon")),
    "key file that is not there": (2, _arguments("--signing-key-file", "/none")),
    "signing key is no key": (2, _with(MOORINGS_SIGNING_KEY="hello")),
    "signing key cut short": (2, _with(MOORINGS_SIGNING_KEY="-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME")),
    "no signing key": (
        2,
        lambda scene: scene.server.run(script_path().read_text(), "--url", scene.api.url, "--region", "eu-west-1"),
    ),
    "packages by plain http": (2, _arguments("--packages", "http://127.0.0.1/mirror")),
    "403": (3, _answering(Answer(status=403))),
    "busy until the deadline": (4, lambda scene: _patience(scene, Answer(status=503))),
    "hangs up until the deadline": (4, lambda scene: _patience(scene, Answer(status=0))),
    "nobody there": (4, lambda scene: _installed(scene).run("--url", "https://127.0.0.1:1/", MOORINGS_DEADLINE="0.2")),
    "name unknown": (4, lambda scene: _installed(scene).run("--url", "https://api.invalid/", MOORINGS_DEADLINE="0.2")),
    "not trusted": (4, lambda scene: _installed(scene).run(CURL_CA_BUNDLE="/dev/null", MOORINGS_DEADLINE="0.2")),
    "400": (5, _answering(Answer(status=400))),
    "404": (5, _answering(Answer(status=404))),
    "409": (5, _answering(Answer(status=409))),
    "redirect": (6, _answering(Answer(status=302, headers=(("Location", "https://127.0.0.1:1/"),)))),
    "login page": (6, _body("<html>please log in</html>")),
    "empty": (6, _body("")),
    "id is no id": (6, _body("{" + GRANT.format(id="x", code="c" * 20) + "}")),
    "code with a quote": (6, _body("{" + GRANT.format(id="0" * 36, code='c" -y') + "}")),
    "code that is a flag": (6, _body("{" + GRANT.format(id="0" * 36, code="-" + "c" * 20) + "}")),
    "code with a substitution": (6, _body("{" + GRANT.format(id="0" * 36, code="$(reboot)" + "c" * 20) + "}")),
    "code too short": (6, _body("{" + GRANT.format(id="0" * 36, code="c" * 19) + "}")),
    "member twice": (6, _body("{" + GRANT.format(**GOOD) + ',"Tags":{"ActivationCode":"' + "d" * 20 + '"}}')),
    "cut short": (6, _body("{" + GRANT.format(**GOOD)[:-1])),
    "not root": (10, lambda scene: scene.server.run(scene.script, user="65534")),
    "no systemd": (11, _without_command("systemctl")),
    "unknown system": (11, _file("etc/os-release", "ID=alpine\n")),
    "unknown processor": (11, _imitating("uname", "echo riscv64")),
    "no curl": (12, _without_command("curl")),
    "no gpgv": (12, _without_command("gpgv")),
    "no flock": (12, _without_command("flock")),
    "lock taken": (13, _held_lock),
    "package not there": (14, lambda scene: scene.run("--packages", f"{scene.api.packages}/none")),
    "signature not there": (14, _unsigned),
    "package source down": (14, lambda scene: scene.run("--packages", "https://127.0.0.1:1/", MOORINGS_DEADLINE="0.2")),
    "tampered package": (15, _tampered),
    "signed by a stranger": (15, _by_a_stranger),
    "signed by an expired key": (15, _by_an_expired_key),
    "not a signature": (15, _not_a_signature),
    "verifier that is content but names no good signature": (15, _imitating("gpgv", "exit 0")),
    "verifier that names a good signature but fails": (
        15,
        _imitating("gpgv", "echo '[GNUPG:] GOODSIG x'; echo '[GNUPG:] VALIDSIG x'; exit 1"),
    ),
    "dpkg fails": (16, _file("rig/dpkg-fails", "dpkg: error: archive is corrupt\n")),
    "no more activations": (17, _file("rig/agent-says", "RegistrationLimitExceeded: full\n" * 3)),
    "registration refused": (17, _file("rig/agent-says", "InvalidPublicKey: no\n")),
    "agent lies": (17, _imitating("amazon-ssm-agent", "exit 0")),
    "service does not start": (18, _file("rig/no-start", "")),
    "agent ends at once": (18, lambda scene: _dying(scene).run(MOORINGS_START_WAIT="0.05")),
    "package cannot be removed": (19, _old_package_left),
    "nothing foreseen": (70, _imitating("mktemp", "exit 1")),
}
BEFORE_INSTALLING = {2, 10, 11, 12, 13, 14, 15}


def _installed(scene: Scene) -> Scene:
    scene.server.install()
    return scene


def _dying(scene: Scene) -> Scene:
    scene.server.write("rig/dies", "")
    return scene


def _patience(scene: Scene, answer: Answer) -> Run:
    scene.api.answers = [answer] * 1000
    return _installed(scene).run(MOORINGS_DEADLINE="0.2")


@pytest.mark.parametrize("name", CASES)
def test_each_failure_has_its_exit_code_and_one_clear_line(scene: Scene, name: str) -> None:
    code, case = CASES[name]

    run = case(scene)

    assert run.code == code, run.err
    said = [line for line in run.err.splitlines() if line.startswith("moorings: ")]
    assert said[-1].removeprefix("moorings: ")
    assert not run.out
    if code in BEFORE_INSTALLING:
        assert not run.called("dpkg"), "nothing may be installed"
        assert not scene.api.asked, "no slot may be spent"


def test_a_403_is_one_line_that_names_no_more_than_the_api(scene: Scene) -> None:
    scene.api.answers = [Answer(status=403)]

    run = _installed(scene).run()

    (line,) = run.err.splitlines()
    assert line == f"moorings: refused (403) by {scene.api.url}: no rule lets this server in, or not into this pool"
    assert len(scene.api.asked) == 1


def test_an_expired_key_is_called_expired(scene: Scene) -> None:
    assert "the signing key has expired" in _by_an_expired_key(scene).err


def test_a_sent_signal_ends_it_and_cleans_up(scene: Scene) -> None:
    scene.server.imitate("gpgv", "kill -TERM 0")

    run = scene.run()

    assert run.code == 143
    assert not run.called("dpkg")
    assert not list((scene.server.root / "var/lib/moorings").glob("work.*"))


def test_scripts_cases_and_manual_know_the_same_exit_codes() -> None:
    in_script = {int(code) for code in re.findall(r"\bEXIT_[A-Z]+=(\d+)", script_path().read_text())}
    in_windows = re.search(r"\$ExitCode = @\{(.*?)\}", script_path().with_name("windows.ps1").read_text(), re.DOTALL)
    assert in_windows
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", MANUAL.read_text(), re.MULTILINE)}

    assert in_script == {code for code, _ in CASES.values()}
    assert in_script == {int(code) for code in re.findall(r"= (\d+)", in_windows[1])}
    assert in_script | {0, 130, 143} == rows


def test_each_exit_code_has_the_same_name_in_both_scripts() -> None:
    linux = dict(re.findall(r"\bEXIT_([A-Z]+)=(\d+)", script_path().read_text()))
    windows = re.search(r"\$ExitCode = @\{(.*?)\}", script_path().with_name("windows.ps1").read_text(), re.DOTALL)
    assert windows

    assert {name.title(): code for name, code in linux.items()} == dict(re.findall(r"(\w+) = (\d+)", windows[1]))
