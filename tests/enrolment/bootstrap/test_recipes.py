"""The recipes of the manual do what it says, on a server."""

import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell
import yaml
from tests.enrolment.bootstrap import rig
from tests.enrolment.bootstrap.api import Api
from tests.enrolment.bootstrap.rig import KEY_FILE, VAULT, Server

DOCS = Path(__file__).resolve().parents[3] / "docs"
URL_IN_RECIPE = "https://API.execute-api.REGION.amazonaws.com/STAGE"


def test_the_cloud_init_recipe_enrols_a_server(server: Server, api: Api, script: str) -> None:
    api.files["/prod/bootstrap/linux"] = script.encode()
    text = (DOCS / "bootstrap/cloud-init.yaml").read_text()
    recipe = yaml.safe_load(text)
    (server.root / "run").mkdir()
    server.add_command("bash")

    # cloud-init makes a shell script of it, each list a line of quoted words.
    lines = [shlex.join(command) for command in recipe["runcmd"]]
    run = server.run("\n".join(lines).replace(URL_IN_RECIPE, api.url))

    assert text.startswith("#cloud-config\n")
    assert set(recipe) == {"runcmd"}
    assert run.code == 0, run.err
    assert len(server.registrations) == 1


def test_the_unit_enrols_a_server_and_stands_aside_once_it_is_registered(server: Server, api: Api, script: str) -> None:
    api.files["/prod/bootstrap/linux"] = script.encode()
    unit = (DOCS / "bootstrap/moorings-enrol.service").read_text()
    (server.root / "run").mkdir()
    server.add_command("bash")

    lines = re.findall(r"^ExecStart=/usr/bin/(.*)$", unit, re.MULTILINE)
    run = server.run("\n".join(lines).replace(URL_IN_RECIPE, api.url))

    assert run.code == 0, run.err
    assert len(server.registrations) == 1
    assert f"ConditionPathExists=!/{VAULT}" in unit


def test_a_golden_image_holds_no_identity_and_its_servers_enrol_each_for_itself(
    server: Server, api: Api, script: str
) -> None:
    server.run(script)
    server.write(KEY_FILE, "left over")

    sealed = server.run((DOCS / "bootstrap/golden-image.sh").read_text())

    assert sealed.code == 0, sealed.err
    assert server.read("etc/machine-id") == ""
    assert not [path for path in (VAULT, f"{rig.SSM}/registration", "var/lib/moorings") if server.has(path)]

    api.fetched.clear()
    server.write("etc/machine-id", "f" * 32)
    first_boot = server.run(script)

    assert first_boot.code == 0
    assert not api.fetched
    assert len(set(api.keys)) == 2
    assert server.node == "mi-00000000000000002"


def test_the_recipes_pass_shellcheck() -> None:
    tool = Path(sys.executable).parent / "shellcheck"
    ended = subprocess.run([tool, DOCS / "bootstrap/golden-image.sh"], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout


def test_the_manual_names_every_flag_and_setting() -> None:
    manual = (DOCS / "bootstrap.md").read_text()
    script = (DOCS.parent / "src/moorings/enrolment/bootstrap/linux.sh").read_text()
    usage = script.split("cat <<'END'")[1].split("\nEND\n")[0]
    words = {word.strip("[]`") for word in usage.split()}

    named = {word for word in words if word.startswith("--") or (word.startswith("MOORINGS_") and "…" not in word)}
    assert len(named) > 12
    assert not [word for word in named if f"`{word}" not in manual]


# -- Windows: read, not run ----------------------------------------------------------------------------------------

SETUP_COMPLETE = (DOCS / "bootstrap/SetupComplete.cmd").read_bytes().decode("ascii")


def test_setup_complete_fetches_the_script_whole_and_then_runs_it() -> None:
    fetch = SETUP_COMPLETE.index("curl.exe -fsS --proto =https")
    stop = SETUP_COMPLETE.index("exit /b 4")
    run = SETUP_COMPLETE.index('-File "%SCRIPT%"')

    assert f"set URL={URL_IN_RECIPE}\r\n" in SETUP_COMPLETE
    assert '-o "%SCRIPT%" "%URL%/bootstrap/windows"' in SETUP_COMPLETE
    assert fetch < stop < run
    assert SETUP_COMPLETE.endswith("exit /b %ENDED%\r\n")


def test_setup_complete_is_a_batch_file_as_windows_wants_it() -> None:
    lines = SETUP_COMPLETE.split("\r\n")

    assert not [line for line in lines if "\n" in line]
    # A digit right before `>>` would be the number of a stream, as in `2>>`; an exit code ends in one.
    assert not [line for line in lines if re.search(r"(\d|%)>>", line)]
    assert "shutdown" not in SETUP_COMPLETE


def test_the_answer_file_runs_setup_complete_at_the_first_logon() -> None:
    spaces = {"u": "urn:schemas-microsoft-com:unattend"}
    root = ET.fromstring((DOCS / "bootstrap/unattend.xml").read_text())  # our own file

    [settings] = root.findall("u:settings", spaces)
    [command] = settings.iterfind(".//u:FirstLogonCommands/u:SynchronousCommand/u:CommandLine", spaces)

    assert settings.get("pass") == "oobeSystem"
    assert command.text == r"cmd.exe /c C:\Windows\Setup\Scripts\SetupComplete.cmd"


@pytest.mark.parametrize("place", [r"Amazon\SSM\InstanceData", "'Moorings'"])
def test_a_golden_image_of_windows_forgets_what_the_script_keeps(place: str) -> None:
    sealing = (DOCS / "bootstrap/golden-image.ps1").read_text()
    script = (DOCS.parent / "src/moorings/enrolment/bootstrap/windows.ps1").read_text()
    language = tree_sitter.Language(tree_sitter_powershell.language())

    assert place in sealing
    assert place in script
    assert not tree_sitter.Parser(language).parse(sealing.encode()).root_node.has_error
