"""The Windows script, parsed: it cannot run here, so its rules are checked on its syntax tree."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from moorings.enrolment.bootstrap import render

SOURCE = Path(render.__file__).with_name("windows.ps1")
LANGUAGE = tree_sitter.Language(tree_sitter_powershell.language())
SETTINGS = render.ScriptSettings(url="https://api.example.test/prod", region="eu-central-1", pool="it's")
SECRET = r"\$(code|key|mine|body|activation|answer|said|text|request)\b|\.(code|key|text)\b"
HOLDS_SECRETS = re.compile(SECRET, re.IGNORECASE)


@pytest.fixture(scope="module", params=["as shipped", "filled in"])
def tree(request: pytest.FixtureRequest) -> tree_sitter.Node:
    text = SOURCE.read_text() if request.param == "as shipped" else render.windows(SETTINGS)
    return tree_sitter.Parser(LANGUAGE).parse(text.encode()).root_node


def _nodes(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def _commands(tree: tree_sitter.Node) -> list[str]:
    return [_text(node).strip() for node in _nodes(tree) if node.type == "command"]


def _function(tree: tree_sitter.Node, name: str) -> str:
    functions = [_text(node) for node in _nodes(tree) if node.type == "function_statement"]
    (found,) = [text for text in functions if text.startswith(f"function {name}")]
    return found


def test_it_parses(tree: tree_sitter.Node) -> None:
    assert not [(node.type, node.start_point) for node in _nodes(tree) if node.type == "ERROR" or node.is_missing]


def test_all_of_it_is_one_function_that_the_last_line_calls(tree: tree_sitter.Node) -> None:
    (statements,) = [node for node in tree.children if node.type == "statement_list"]
    definition, call = statements.children

    assert definition.type == "function_statement"
    assert _text(call).strip() == "Invoke-MooringsBootstrap @args"
    assert SOURCE.read_text().endswith("\n}\n\nInvoke-MooringsBootstrap @args\n")


def test_it_is_plain_ascii() -> None:
    """PowerShell 5.1 reads it in the server's own code page, where stray bytes may become quotes."""
    assert SOURCE.read_text().isascii()


def test_nothing_that_is_said_holds_code_or_key(tree: tree_sitter.Node) -> None:
    saying = [c for c in _commands(tree) if re.match(r"(Write-|Stop-Run|Out-File|Set-Content|Add-Content|Tee-)", c)]

    assert len(saying) > 20
    assert not [command for command in saying if HOLDS_SECRETS.search(command)]


def test_only_the_agent_gets_the_code_as_an_argument(tree: tree_sitter.Node) -> None:
    with_code = [command for command in _commands(tree) if re.search(r"\.code\b", command, re.IGNORECASE)]

    assert [command.split(" 2>&1")[0] for command in with_code] == [
        "& $Agent -register -code $Activation.Code -id $Activation.Id -region $Activation.Region -y"
    ]
    assert "CODE=" not in SOURCE.read_text()


def test_the_agents_words_are_cleared_of_the_code_before_they_are_used(tree: tree_sitter.Node) -> None:
    body = _function(tree, "Register-Node")

    assert body.index(".Replace($Activation.Code") < body.index("$problem =")


def test_tracing_is_off_and_mistakes_end_the_run(tree: tree_sitter.Node) -> None:
    commands = _commands(tree)

    assert "Set-PSDebug -Off" in commands
    assert "Set-StrictMode -Version 2" in commands


def test_web_cmdlets_are_used_only_in_the_form_that_needs_no_browser(tree: tree_sitter.Node) -> None:
    """The code never passes through a cmdlet's parameters, which module logging would write down."""
    for command in _commands(tree):
        assert not re.match(r"(Invoke-RestMethod|irm|iwr|curl|wget|iex|Invoke-Expression|ConvertFrom-Json)\b", command)
        if command.startswith("Invoke-WebRequest"):
            assert "-UseBasicParsing" in command


def test_tls_1_2_is_set_before_anything_is_asked(tree: tree_sitter.Node) -> None:
    text = _text(tree)

    start = text.index("if ($Uninstall) { Remove-Node } else { Set-Node }")
    assert text.index("[Net.SecurityProtocolType]::Tls12") < start
    assert not re.search(r"ServerCertificate\w*Callback", text)


def test_the_setup_program_is_checked_before_it_is_started(tree: tree_sitter.Node) -> None:
    install = _function(tree, "Install-Agent")
    check = _function(tree, "Confirm-Signature")

    assert install.index("Confirm-Signature $setup") < install.index("Start-Process -FilePath $setup")
    assert "Get-AuthenticodeSignature" in check
    assert "-ne 'Valid'" in check
    assert check.count("Stop-Run Signature") == 2


def test_every_failure_is_one_of_the_exit_codes(tree: tree_sitter.Node) -> None:
    table = re.search(r"\$ExitCode = @\{(.*?)\}", _text(tree), re.DOTALL)
    assert table
    names = set(re.findall(r"(\w+) = \d+", table[1]))
    used = {command.split()[1] for command in _commands(tree) if command.startswith("Stop-Run ")}

    # Tool: nothing beside Windows itself is needed.
    assert names - used == {"Unexpected", "Tool"}
    assert used <= names


def test_the_key_is_kept_from_everybody_but_administrators(tree: tree_sitter.Node) -> None:
    text = _function(tree, "Initialize-State")

    assert "SetAccessRuleProtection($true, $false)" in text
    assert "@('S-1-5-18', 'S-1-5-32-544')" in text


def test_settings_are_quoted(tree: tree_sitter.Node) -> None:
    assert "$MOORINGS_POOL = 'it''s'" in render.windows(SETTINGS)
    assert "$MOORINGS_URL = ''\n" in SOURCE.read_text()
