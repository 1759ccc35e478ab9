"""docs/configuration.md tells every field with its default and bounds, and its examples hold."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from moorings.enrolment import configuration
from moorings.enrolment.fields import written
from moorings.enrolment.model import Mode, Pool
from moorings.errors import Misconfigured

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<field>\w+)` \|(?P<type>[^|]*)\|(?P<default>[^|]*)\|(?P<bounds>[^|]*)\|", re.MULTILINE)
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
TABLES = {"[[pool]]": "pool", "[[rule]]": "rule", "[bootstrap]": "bootstrap", "[stale_nodes]": "stale_nodes"}


def _documented() -> dict[str, dict[str, re.Match[str]]]:
    """Table of the document → field → its row; the fields that only single-use pools have differently are apart."""
    found: dict[str, dict[str, re.Match[str]]] = {}
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0].strip("`")
        if heading not in TABLES:
            continue
        shared, _, single = section.partition("A **single-use** pool")
        found[TABLES[heading]] = {row["field"]: row for row in ROW.finditer(shared)}
        if single:
            found["single-use"] = {row["field"]: row for row in ROW.finditer(single)}
    return found


DOCUMENTED = _documented()
BOUNDED = [
    (table, field, row["default"].strip("` "), row["bounds"].strip())
    for table, fields in DOCUMENTED.items()
    for field, row in fields.items()
    if row["type"].strip() in ("number", "duration")
]


def _read_fields() -> set[str]:
    """Every field that the parser looks up, from its source."""
    tree = ast.parse(Path(configuration.__file__).read_text(encoding="utf-8"))
    lookups = {"text", "number", "span", "flag", "texts", "table", "tables"}
    return {
        str(call.args[0].value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in lookups
        if call.args and isinstance(call.args[0], ast.Constant)
    }  # fmt: skip


def _document(table: str, **values: Any) -> dict[str, Any]:
    pool: dict[str, Any] = {"name": "default", "node_role": "nodes"}
    if table == "single-use":
        pool["mode"] = "single-use"
    if table in ("pool", "single-use"):
        return {"pool": [pool | values]}
    return {"pool": [pool], table: values}


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_hold(example: str) -> None:
    assert configuration.parse(configuration.parse_toml(example), version=1).pools


def test_every_field_that_the_parser_knows_is_documented_and_no_other() -> None:
    documented = {field for fields in DOCUMENTED.values() for field in fields} | set(TABLES.values())

    assert documented == _read_fields()


def test_the_large_example_shows_every_kind_of_table() -> None:
    assert set(configuration.parse_toml(EXAMPLES[0])) == set(TABLES.values())


@pytest.mark.parametrize(("table", "field", "default", "bounds"), BOUNDED)
def test_documented_bounds_are_those_that_the_parser_tells(table: str, field: str, default: str, bounds: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        configuration.parse(_document(table, **{field: "never"}), version=1)

    told = re.search(rf"{field} is 'never'; it must be .*? from (\S+ to \S+?)(?:;|$)", refused.value.message)
    assert told
    assert told[1] == bounds


@pytest.mark.parametrize(("table", "field", "default", "bounds"), BOUNDED)
def test_documented_defaults_are_those_of_the_smallest_document(
    table: str, field: str, default: str, bounds: str
) -> None:
    made = configuration.parse(_document(table), version=1)

    value = getattr(made.stale_nodes if table == "stale_nodes" else made.pools["default"], field)

    assert (str(value) if isinstance(value, int) else written(value)) == default


def test_fields_without_default_are_required_and_those_with_one_are_not() -> None:
    required = {
        table: {field for field, row in fields.items() if row["default"].strip() == "required"}
        for table, fields in DOCUMENTED.items()
    }

    assert required["pool"] == {"name", "node_role"}
    assert required["rule"] == set(DOCUMENTED["rule"]) - {"vpce", "tags"}
    assert not required["bootstrap"] | required["stale_nodes"] | required["single-use"]
    for table in ("pool", "rule"):
        with pytest.raises(Misconfigured) as refused:
            configuration.parse({"pool": [{}], "rule": [{}]}, version=1)
        assert all(f"{table}[0].{field}" in refused.value.message for field in required[table])


def test_margin_and_claim_window_are_unknown_to_single_use_pools() -> None:
    for field in ("margin", "claim_window"):
        with pytest.raises(Misconfigured, match=f"{field} is not a known field"):
            configuration.parse(_document("single-use", **{field: "1h"}), version=1)


def test_what_rotates_a_pool_is_what_the_page_says() -> None:
    named = re.search(r"To change what lands on a node \((.*?)\)\s+rotates the pool", TEXT, re.DOTALL)
    assert named
    rotating = set(re.findall(r"`(\w+)`", named[1]))
    changes: dict[str, Any] = {
        "mode": "single-use", "node_role": "others", "registration_limit": 7, "life": "20d", "margin": "7h",
        "claim_window": "2h", "grants_per_hour": 7, "default_instance_name": "web", "tags": {"Env": "prod"},
    }  # fmt: skip
    before = _pool().settings_hash()

    assert rotating == {field for field, value in changes.items() if _pool(**{field: value}).settings_hash() != before}
    assert set(changes) | {"name"} == set(DOCUMENTED["pool"])


def _pool(**values: Any) -> Pool:
    if values.get("mode") == Mode.SINGLE_USE.value:
        return configuration.parse(_document("single-use"), version=1).pools["default"]
    return configuration.parse(_document("pool", **values), version=1).pools["default"]


def test_the_documented_refusal_is_the_parsers_own() -> None:
    shown = re.search(r"^moorings: (the configuration has 2 problems: .*?)\n```", TEXT, re.MULTILINE | re.DOTALL)
    assert shown
    document = configuration.parse_toml(EXAMPLES[0])
    document["pool"][0]["life"] = "90d"
    document["rule"][0]["vpc"] = "vpc-0a1b2c3d"

    with pytest.raises(Misconfigured) as refused:
        configuration.parse(document, version=1)

    assert refused.value.message == " ".join(shown[1].split())
