"""Completion: what is offered where, without an account, and scripts that shells take."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from moorings.cli import completion
from moorings.cli.completion import FILES, Shell, candidates, complete
from moorings.cli.main import command

SCRIPTS = Path(completion.__file__).parent / "completions"
READERS = {Shell.BASH: ("bash", "-n"), Shell.ZSH: ("zsh", "-n"), Shell.FISH: ("fish", "--no-execute")}


def offered(*words: str) -> list[str]:
    """The candidates for the last word."""
    return [value for value, _ in candidates(command, words[:-1], words[-1])]


def test_commands_are_offered_at_every_level() -> None:
    """By what they begin with."""
    assert offered("pa") == ["patch"]
    assert offered("patch", "c") == ["cancel", "checkpoints"]
    assert offered("enrolment", "pools", "") == ["show", "validate", "apply"]


def test_commands_come_with_what_they_do() -> None:
    """Shells that can, show it."""
    assert dict(candidates(command, ["nodes"], "st")) == {"stale": "List nodes that have long been silent."[:-1]}


def test_options_and_choices_are_offered() -> None:
    """Joined by an equals sign, too."""
    assert offered("patch", "run", "--rollback") == ["--rollback-on"]
    assert offered("patch", "run", "--rollback-on", "B") == ["Bad", "BadOrUnknown"]
    assert offered("patch", "run", "--rollback-on=N") == ["--rollback-on=Never"]
    assert {"--quiet", "--verbose", "--json"} <= set(offered("doctor", "--"))


def test_regions_are_those_that_the_sdk_knows() -> None:
    """Read from its files: no network, no SDK."""
    assert {"eu-central-1", "eu-central-2"} <= set(offered("nodes", "list", "--region", "eu-c"))
    assert offered("nodes", "list", "--region", "us-gov-w") == ["us-gov-west-1"]


def test_profiles_are_those_that_are_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In either file, once; what else those files hold is no profile."""
    (tmp_path / "config").write_text("[default]\n[profile prod]\n[sso-session corp]\n[services local]\n")
    (tmp_path / "credentials").write_text("[prod]\n[test]\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    assert offered("nodes", "list", "--profile", "") == ["default", "prod", "test"]


def test_where_a_file_is_wanted_the_shell_completes_it() -> None:
    """It knows better how."""
    assert offered("deploy", "moo") == [FILES]
    assert offered("patch", "report", "--output", "") == [FILES]
    assert offered("patch", "report", "--output=") == [FILES]
    assert offered("local", "automation", "validate", "a.yaml", "") == [FILES]
    assert offered("patch", "watch", "0") == []


@pytest.mark.parametrize("words", [["nope", ""], ["patch", "run", "--nope", ""], []], ids=" ".join)
def test_whoever_types_is_never_disturbed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever stands there already."""
    complete(command, "zsh", words)

    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_bug_of_ours_is_told_to_whoever_looks_for_it_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The scripts throw stderr away."""
    monkeypatch.setattr(completion, "candidates", lambda *_: 1 / 0)

    complete(command, "bash", ["nodes", ""])

    out, err = capsys.readouterr()
    assert (out, "ZeroDivisionError" in err) == ("", True)
    thrown_away = {Shell.POWERSHELL: "2> $null"}
    for shell in Shell:
        (script,) = SCRIPTS.glob(f"moorings.{'ps1' if shell is Shell.POWERSHELL else shell.value}")
        assert thrown_away.get(shell, "2> /dev/null") in script.read_text()


def test_only_bash_gets_no_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    """It cannot show them."""
    complete(command, "bash", ["nodes", "sta"])
    complete(command, "fish", ["nodes", "sta"])

    assert capsys.readouterr().out.splitlines() == ["stale", "stale\tList nodes that have long been silent"]


@pytest.mark.parametrize("shell", list(Shell))
def test_every_shell_has_a_script_that_says_where_it_goes(bare: Cli, shell: Shell) -> None:
    """In its first lines; with --json, in an object."""
    printed = bare("completion", shell.value)

    assert printed.code == 0
    assert f"moorings completion {shell.value} >" in "".join(printed.out.splitlines(keepends=True)[:4])
    assert bare("completion", shell.value, "--json").json == {"shell": shell.value, "script": printed.out}


@pytest.mark.parametrize("shell", list(READERS))
def test_the_shell_takes_its_script(shell: Shell) -> None:
    """As it reads it, without running it."""
    reader, *options = READERS[shell]
    if shutil.which(reader) is None:
        pytest.skip(f"{reader} is not installed")

    subprocess.run([reader, *options, SCRIPTS / f"moorings.{shell.value}"], check=True, timeout=30)


@pytest.fixture
def at_the_prompt(tmp_path: Path) -> Callable[..., str]:
    """Run a shell in a folder with `my plan.toml` and our program; what it prints."""
    (tmp_path / "my plan.toml").touch()
    program = tmp_path / "moorings"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from moorings.cli.main import main; main()" "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def run(*command: str) -> str:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    return run


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (["nodes", "st"], ["stale"]),
        (["nodes", "list", "--region", "us-gov-w"], ["us-gov-west-1"]),
        (["patch", "run", "--rollback-on", "=", "B"], ["Bad", "BadOrUnknown"]),
        (["patch", "run", "--rollback-on", "="], ["Bad", "BadOrUnknown", "Never"]),
        (["anchors", "update", "--from", "=", "my"], []),  # bash's own turn, which is no candidate of ours
    ],
)
def test_bash_completes_with_it(at_the_prompt: Callable[..., str], typed: list[str], completed: list[str]) -> None:
    """The last word, as if tab were pressed behind it; an equals sign is a word of its own to bash."""
    # compopt works while a line is completed, and nowhere else.
    pressed = 'compopt() { :; }; COMP_WORDS=(moorings "$@"); COMP_CWORD=$#; _moorings; echo "${COMPREPLY[@]}"'

    told = at_the_prompt("bash", "--norc", "-c", f"source {SCRIPTS / 'moorings.bash'}; {pressed}", "bash", *typed)

    assert told.split() == completed


PRESSED = [
    ("moorings nodes st", "moorings nodes stale "),
    ("moorings patch run --rollback-on N", "moorings patch run --rollback-on Never "),
    ("moorings patch run --rollback-on=N", "moorings patch run --rollback-on=Never "),
    ("moorings deploy my", "moorings deploy my\\ plan.toml "),
    ("moorings anchors update --from my", "moorings anchors update --from my\\ plan.toml "),
    ("moorings anchors update --from=my", "moorings anchors update --from=my\\ plan.toml "),
]


@pytest.mark.parametrize(("typed", "line"), PRESSED)
def test_fish_completes_with_it(at_the_prompt: Callable[..., str], typed: str, line: str) -> None:
    """Fish tells the word that it would put there, unescaped, with what that is behind a tab."""
    asked = f"source {SCRIPTS / 'moorings.fish'}; complete --do-complete '{typed}'"

    (candidate,) = at_the_prompt("fish", "--no-config", "-c", asked).splitlines()

    word = candidate.partition("\t")[0].replace(" ", "\\ ")
    assert f"{typed.rpartition(' ')[0]} {word} " == line


# A terminal of its own, in which `$1` is run and `$2` typed; the first line with LINE: in it is printed.
IN_A_TERMINAL = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "$1"
zpty -w -n shell "$2"
while zpty -r shell line; do
    if [[ $line == *LINE:* ]]; then print -r -- "$line"; break; fi
done
"""
# Not written as it is printed, as the terminal shows what is run, too.
SAY, READY = 'print -r -- "${(U):-line}:', f"autoload -Uz compinit; compinit -u -D; source {SCRIPTS / 'moorings.zsh'}; "


def told_by_zsh(at_the_prompt: Callable[..., str], setup: str, typed: str) -> str:
    """What is said between LINE: and the last colon."""
    told = at_the_prompt("zsh", "-f", "-c", IN_A_TERMINAL, "zsh", READY + setup, typed)
    return told.partition("LINE:")[2].rpartition(":")[0]


@pytest.mark.parametrize(("typed", "line"), PRESSED)
def test_zsh_completes_with_it(at_the_prompt: Callable[..., str], typed: str, line: str) -> None:
    """Tab is pressed, then Ctrl-X, which tells what stands in the line then."""
    setup = "show() { " + SAY + '$BUFFER:"; exit }; zle -N show; bindkey "^X" show'

    assert told_by_zsh(at_the_prompt, setup, f"{typed}\t\x18") == line


@pytest.mark.parametrize("option", ["--rollback-on ", "--rollback-on="])
def test_zsh_gets_no_description_that_says_the_same_again(at_the_prompt: Callable[..., str], option: str) -> None:
    """A value that says enough stands alone."""
    setup = "_describe() { " + SAY + '$told:"; exit }'

    told = told_by_zsh(at_the_prompt, setup, f"moorings patch run {option}\t")

    assert told.split() == [
        f"{option.strip() if '=' in option else ''}{each}" for each in ("Bad", "BadOrUnknown", "Never")
    ]


def test_shellcheck_has_nothing_to_say_about_it() -> None:
    """As about every other script."""
    shellcheck = Path(sys.executable).with_name("shellcheck")

    subprocess.run([shellcheck, "--shell=bash", SCRIPTS / "moorings.bash"], check=True, timeout=60)
