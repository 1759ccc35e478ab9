"""The configuration document, from the command line."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import Cli, Deployed

from moorings.cli import toml

GOOD = """
[[pool]]
name = "web"
registration_limit = 7

[[rule]]
name = "dc"
proof = "network"
cidr = ["10.0.0.0/8"]
pools = ["web"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pools.toml"
    path.write_text(GOOD)
    return path


def test_a_document_is_validated_without_an_account(bare: Cli, file: Path) -> None:
    """What the stack fills in (role, endpoint) need not be there."""
    checked = bare("enrolment", "pools", "validate", str(file), "--json")

    assert (checked.code, checked.json) == (0, {"valid": True, "pools": ["web"], "rules": ["dc"]})


def test_every_problem_of_a_document_is_named_with_its_place(bare: Cli, file: Path) -> None:
    """All at once, on one line."""
    file.write_text('[[pool]]\nname = "web"\nregistration_limit = 5000\nlife = "90d"\ncolour = "red"\n')

    refused = bare("enrolment", "pools", "validate", str(file))

    assert (refused.code, refused.out) == (2, "")
    for place in ("pool[0].registration_limit", "pool[0].life", "pool[0].colour"):
        assert place in refused.err
    assert len(refused.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "says"), [(b"[[pool", "not TOML"), (b"\xff\xfe", "cannot be read"), (None, "cannot be read")]
)
def test_a_file_that_cannot_be_understood_is_named(bare: Cli, tmp_path: Path, content: bytes | None, says: str) -> None:
    """Broken TOML, another encoding, no file at all."""
    path = tmp_path / "pools.toml"
    if content is not None:
        path.write_bytes(content)

    refused = bare("enrolment", "pools", "validate", str(path))

    assert refused.code == 2
    assert "pools.toml" in refused.err
    assert says in refused.err


def test_an_applied_document_is_in_force_with_the_stacks_role_and_endpoint(
    cli: Cli, stack: Deployed, file: Path
) -> None:
    """The next version of the configuration; the functions read it from the table."""
    applied = cli("enrolment", "pools", "apply", str(file), "--stack-name", stack.name, "--yes", "--json")

    in_force = stack.rig.environment().configurations.current()
    assert applied.json == {"changed": True, "dry_run": False, "version": 2}
    assert in_force.version == 2
    assert in_force.pools["web"].node_role == "nodes"
    assert in_force.rules[0].vpces == {"vpce-0123456789abcdef0"}
    assert "vpce" not in cli("enrolment", "pools", "show", "--stack-name", stack.name).out


def test_applying_the_same_again_changes_nothing(cli: Cli, stack: Deployed, file: Path) -> None:
    """A pipeline may apply on every run."""
    cli("enrolment", "pools", "apply", str(file), "--stack-name", stack.name, "--yes")

    again = cli("enrolment", "pools", "apply", str(file), "--stack-name", stack.name, "--json")

    assert (again.code, again.json["changed"], again.json["version"]) == (0, False, 2)


def test_a_dry_run_shows_the_difference_and_changes_nothing(cli: Cli, stack: Deployed, file: Path) -> None:
    """The difference is talk; what would happen is the result."""
    shown = cli("enrolment", "pools", "apply", str(file), "--stack-name", stack.name, "--dry-run")

    assert '+name = "web"' in shown.err
    assert shown.out == "would replace configuration version 1\n"
    assert stack.rig.environment().configurations.current().version == 1


def test_a_document_that_does_not_hold_never_reaches_the_table(cli: Cli, stack: Deployed, file: Path) -> None:
    """It is refused before the stack is even looked for."""
    file.write_text(GOOD.replace('pools = ["web"]', 'pools = ["other"]'))

    refused = cli("enrolment", "pools", "apply", str(file), "--stack-name", stack.name, "--yes")

    assert refused.code == 2
    assert "'other', which is no pool" in refused.err
    assert stack.rig.environment().configurations.current().version == 1


def test_what_show_prints_can_be_applied_again(cli: Cli, stack: Deployed, tmp_path: Path) -> None:
    """Save, change, apply."""
    shown = cli("enrolment", "pools", "show", "--stack-name", stack.name)
    saved = tmp_path / "saved.toml"
    saved.write_text(shown.out)

    again = cli("enrolment", "pools", "apply", str(saved), "--stack-name", stack.name, "--json")

    assert again.json["changed"] is False


def test_show_as_json_names_the_version(cli: Cli, stack: Deployed) -> None:
    """The document itself, and which version it is."""
    shown = cli("enrolment", "pools", "show", "--stack-name", stack.name, "--json").json

    assert shown["version"] == 1
    assert [pool["name"] for pool in shown["configuration"]["pool"]] == ["default", "one"]


texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters="\x7f"), max_size=12)
values = st.one_of(texts, st.integers(0, 10**6), st.booleans(), st.lists(texts, max_size=3))
flat = st.dictionaries(texts, values, max_size=4)
documents = st.dictionaries(
    texts.filter(bool), st.one_of(values, flat, st.lists(flat, min_size=1, max_size=3)), max_size=4
)


@given(document=documents)
def test_any_document_survives_being_written_as_toml(document: dict[str, object]) -> None:
    """TOML's own parser reads back what was meant, whatever keys and texts it holds."""
    assert tomllib.loads(toml.written(document)) == document


def test_a_key_of_several_lines_stays_readable() -> None:
    """An armoured key is written as people paste it."""
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQIN\n-----END PGP PUBLIC KEY BLOCK-----\n"

    text = toml.written({"bootstrap": {"signing_key": key}})

    assert "\nmQIN\n" in text
    assert tomllib.loads(text)["bootstrap"]["signing_key"] == key
