"""Settings arrive in the scripts as the text that they are, whatever it is; control characters are refused."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorings.enrolment.bootstrap import render
from moorings.errors import Misconfigured

NASTY = ["'", '"', "$(reboot)", "`reboot`", "a b", "'; reboot; '", "\\", "é", "’; x", "-n", "{name}", "${x}"]
NASTY.append("default MOORINGS_POOL ''")
ONE_LINE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60)


def _settings(**given_settings: str) -> render.ScriptSettings:
    usual = {"url": "https://api.example.test/prod", "region": "eu-central-1"}
    return render.ScriptSettings(**(usual | given_settings))


def _seen_by_bash(script: str, *names: str) -> list[str]:
    """What the script's own settings block makes of them."""
    block = script.partition("-- settings")[2].partition("# -- end of settings --")[0].partition("\n")[2]
    program = 'default() { [[ -n ${!1-} ]] || printf -v "$1" "%s" "$2"; }\n' + block + 'printf "%s\\0" "${!1}" "${!2}"'
    out = subprocess.run(["bash", "-c", program, "bash", *names], capture_output=True, check=True, env={}).stdout
    return out.decode().split("\0")[:-1]


@pytest.mark.parametrize("value", NASTY)
def test_a_setting_reaches_bash_as_it_is(value: str) -> None:
    script = render.linux(_settings(packages=value, pool=value))

    assert _seen_by_bash(script, "MOORINGS_PACKAGES", "MOORINGS_POOL") == [value, value]


def test_a_key_of_several_lines_reaches_bash_as_it_is() -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ'+/=\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----"

    for given_key in (key, f"{key}\n", key.replace("\n", "\r\n")):
        script = render.linux(_settings(signing_key=given_key))
        assert _seen_by_bash(script, "MOORINGS_SIGNING_KEY", "MOORINGS_URL")[0] == key


@given(value=ONE_LINE)
def test_a_powershell_setting_is_one_single_quoted_text(value: str) -> None:
    start = "    $MOORINGS_POOL = "
    (line,) = [line for line in render.windows(_settings(pool=value)).split("\n") if line.startswith(start)]

    inside = line.removeprefix(start)[1:-1]
    assert line.endswith("'")
    for quote in "'‘’‚‛":
        assert inside.replace(quote * 2, "").count(quote) == 0
        inside = inside.replace(quote * 2, quote)
    assert inside == value


@pytest.mark.parametrize("fill_in", [render.linux, render.windows])
@pytest.mark.parametrize("name", ["url", "region", "packages", "pool"])
@pytest.mark.parametrize("character", ["\n", "\r", "\x00", "\x1b", "\x7f", "\x85", "\u2028"])
def test_control_characters_are_refused(fill_in: object, name: str, character: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        fill_in(_settings(**{name: f"a{character}b"}))  # type: ignore[operator]


def test_a_key_may_hold_line_ends_but_no_other_control_character() -> None:
    with pytest.raises(Misconfigured, match="signing_key"):
        render.linux(_settings(signing_key="-----BEGIN\x1b[2J"))


def test_rendering_changes_the_settings_and_nothing_else() -> None:
    bare = Path(render.__file__).with_name("linux.sh").read_text().splitlines()
    filled = render.linux(_settings(pool="web")).splitlines()

    changed = [line.split()[1] for line, before in zip(filled, bare, strict=True) if line != before]
    assert changed == ["MOORINGS_URL", "MOORINGS_REGION", "MOORINGS_POOL"]


def test_it_needs_the_standard_library_alone() -> None:
    """It runs inside the function, where each import costs start-up time."""
    tree = ast.parse(Path(render.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    assert {str(name).partition(".")[0] for name in modules} - set(sys.stdlib_module_names) == {"moorings"}
    assert {name for name in modules if str(name).startswith("moorings")} == {"moorings.errors"}
